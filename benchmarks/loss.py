"""Measure the loss of `l2t train` against torch's linear_cross_entropy: time, and error against float64.

    python benchmarks/loss.py [--rounds 7] [--threads 1] [--json FILE]

Every arm computes the loss and both gradients from the same states, output layer and labels. The arms take turns in
each round, in a rotating order, and the medians are compared. On a busy machine, compare the CPU time.
"""

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from statistics import median
from time import perf_counter, process_time
from typing import Any

import torch
from torch.nn import LinearCrossEntropyOptions
from torch.nn.functional import cross_entropy, linear_cross_entropy, pad

from l2t_hub.train.hardware import hardware
from l2t_hub.train.loss import next_token_loss
from l2t_hub.train.loss_paths import IGNORED, SLICE

Loss = Callable[[torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]
OURS = "l2t train"
LENGTH = 256
# Positions, width, vocabulary: nano with a small and with the paper's vocabulary, and 100m.
SHAPES = ((2048, 128, 4096), (2048, 128, 32_768), (1024, 768, 32_768))


def ours(hidden: torch.Tensor, weight: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    return next_token_loss(hidden, weight, labels, labels.numel())


def torchs(options: LinearCrossEntropyOptions | None) -> Loss:
    def loss(hidden: torch.Tensor, weight: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        flat = hidden.reshape(-1, hidden.shape[-1])
        total = linear_cross_entropy(flat, weight, targets(labels), reduction="sum", options=options)
        return total / labels.numel()

    return loss


def targets(labels: torch.Tensor) -> torch.Tensor:
    return pad(labels[:, 1:], (0, 1), value=IGNORED).reshape(-1)


def arms(vocabulary: int) -> dict[str, Loss]:
    """torch with its own choice of chunks, with our number of positions per chunk, and without chunks."""
    own_chunks = LinearCrossEntropyOptions()
    our_chunks = LinearCrossEntropyOptions(batch_chunk_size=max(1, SLICE["cpu"] // vocabulary))
    return {
        OURS: ours,
        "torch, its chunks": torchs(own_chunks),
        "torch, our chunks": torchs(our_chunks),
        "torch, no chunks": torchs(None),
    }


def inputs(
    shape: tuple[int, int, int], dtype: torch.dtype
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Random states, output layer and labels; the last sixteenth of each row is padding."""
    positions, width, vocabulary = shape
    generator = torch.Generator().manual_seed(0)
    hidden = torch.randn(positions // LENGTH, LENGTH, width, generator=generator)
    weight = 0.02 * torch.randn(vocabulary, width, generator=generator)
    labels = torch.randint(0, vocabulary, (positions // LENGTH, LENGTH), generator=generator)
    labels[:, -LENGTH // 16 :] = IGNORED
    return hidden.to(dtype), weight.to(dtype), labels


def run(loss: Loss, hidden: torch.Tensor, weight: torch.Tensor, labels: torch.Tensor) -> list[torch.Tensor]:
    """Return loss, gradient of the states and gradient of the output layer, in float64."""
    hidden, weight = hidden.clone().requires_grad_(), weight.clone().requires_grad_()
    value = loss(hidden, weight, labels)
    value.backward()
    assert hidden.grad is not None
    assert weight.grad is not None
    return [tensor.detach().double() for tensor in (value, hidden.grad, weight.grad)]


def exact(hidden: torch.Tensor, weight: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    logits = hidden.reshape(-1, hidden.shape[-1]) @ weight.t()
    return cross_entropy(logits, targets(labels), ignore_index=IGNORED, reduction="sum") / labels.numel()


def measure(shape: tuple[int, int, int], dtype: torch.dtype, rounds: int) -> dict[str, dict[str, float]]:
    """Milliseconds per call and relative errors of each arm."""
    hidden, weight, labels = inputs(shape, dtype)
    reference = run(exact, hidden.double(), weight.double(), labels)
    losses = arms(shape[2])
    spent: dict[str, list[tuple[float, float]]] = {name: [] for name in losses}
    errors: dict[str, list[float]] = {}
    for name, loss in losses.items():
        results = zip(run(loss, hidden, weight, labels), reference, strict=True)
        errors[name] = [float((result - truth).norm() / truth.norm()) for result, truth in results]
    names = list(losses)
    for turn in range(rounds):
        for name in names[turn % len(names) :] + names[: turn % len(names)]:
            wall, cpu = perf_counter(), process_time()
            run(losses[name], hidden, weight, labels)
            spent[name].append((perf_counter() - wall, process_time() - cpu))
    fields = ("ms", "cpu_ms", "loss_error", "hidden_gradient_error", "weight_gradient_error")
    figures = {}
    for name in names:
        medians = [1e3 * median(column) for column in zip(*spent[name], strict=True)]
        figures[name] = dict(zip(fields, [*medians, *errors[name]], strict=True))
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, default=1, help="torch's threads")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures to this file")
    asked = parser.parse_args()
    torch.set_num_threads(asked.threads)
    results: list[dict[str, Any]] = []
    print(f"{'':20}{'ms':>9}{'CPU ms':>9}{'of ours':>9}{'loss':>10}{'d states':>10}{'d weight':>10}")
    for dtype in (torch.float32, torch.bfloat16):
        for shape in SHAPES:
            print("{}: {:,} positions, width {}, vocabulary {:,}".format(str(dtype)[6:], *shape))
            figures = measure(shape, dtype, asked.rounds)
            for name, f in figures.items():
                ratio = f["cpu_ms"] / figures[OURS]["cpu_ms"]
                errors = "".join(f"{f[key]:10.1e}" for key in list(f)[2:])
                print(f"  {name:18}{f['ms']:9.1f}{f['cpu_ms']:9.1f}{ratio:9.2f}{errors}", flush=True)
            results.append({"dtype": str(dtype)[6:], "shape": shape, "arms": figures})
    if asked.json:
        machine = {"hardware": hardware(), "torch": torch.__version__, "threads": asked.threads}
        asked.json.write_text(json.dumps(machine | {"results": results}, indent=2) + "\n")


if __name__ == "__main__":
    main()
