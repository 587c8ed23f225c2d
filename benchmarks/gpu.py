"""Make all measurements that need a GPU, run the tests that do, and write one JSON file.

    python benchmarks/gpu.py --json gpu.json            meant to take less than ten minutes on an H200
    python benchmarks/gpu.py --json toy.json --toy      the same on tiny models, on a CPU too, in about two minutes

Four parts, each of which ends by its deadline; what was not run is in the file with the reason:

- "training": sizes 500m and 1b with sequences of 2,048 tokens: `l2t train` in bf16 weights, in mixed precision and
  compiled, against transformers' Trainer with the paper's settings (bf16 weights, activation checkpointing), with
  tokens/s, peak memory and utilisation of the peak on the GPU's data sheet.
- "losses": each implementation in `loss_paths.LOSSES`: time, peak memory and error against float64.
- "attention": each implementation of attention, over whole packs and per example: time and peak memory of a step.
- "tests": the tests of attention, the losses and sharded state, which run on a GPU where there is one.
"""

import argparse
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from statistics import median
from time import monotonic, perf_counter
from typing import Any

import torch
from train import (
    DEVICE,
    Arm,
    l2t_train,
    library_trainer,
    machine,
    make_recipe,
    packed_rows,
    summarise,
    take_turns,
)

from l2t_hub.errors import UsageError
from l2t_hub.train.architecture import architecture
from l2t_hub.train.hardware import peak_flops
from l2t_hub.train.kernels import check_kernels
from l2t_hub.train.loss import use_sliced_loss
from l2t_hub.train.loss_paths import IGNORED, LOSSES
from l2t_hub.train.model import Precision, model_config, new_model
from l2t_hub.train.packed_data import Collator
from l2t_hub.train.training_log import quiet_libraries

REPOSITORY = Path(__file__).parents[1]
TESTS = ("tests/train/test_kernels.py", "tests/train/test_loss.py", "tests/train/test_full_state.py")
TEST_SECONDS = 150
# Seconds from the start after which a part starts no further measurement.
DEADLINES = {"training": 300, "losses": 350, "attention": 400}
PAPER = "Trainer, the paper's settings"
Figures = dict[str, Any]
Part = Callable[[bool, Callable[[], bool]], Iterator[tuple[str, Figures]]]


def not_run(reason: str) -> Figures:
    return {"not_run": reason}


def training(toy: bool, late: Callable[[], bool]) -> Iterator[tuple[str, Figures]]:
    """Yield the figures of each size: 500m with 16 sequences at once, 1b with 8. The paper had 128 and 32."""
    length, vocab, steps, rounds = (64, 512, 4, 1) if toy else (2048, 32_768, 6, 2)
    for size, batch in (("nano", 2),) if toy else (("500m", 16), ("1b", 8)):
        if late():
            yield size, not_run("no time was left")
            continue
        rows = packed_rows(vocab, length, 32)

        setting = (size, length, batch, steps)
        paper = make_recipe(*setting, precision="bf16", gradient_checkpointing=True)
        arms = {
            "l2t train, bf16": _ours(setting, rows, vocab, "bf16"),
            "l2t train, mixed": _ours(setting, rows, vocab, "mixed"),
            "l2t train, bf16, compiled": _ours(setting, rows, vocab, "bf16", torch_compile=True),
            "l2t train, bf16, gradient checkpointing": partial(l2t_train, paper, rows, vocab, "bf16"),
            PAPER: partial(library_trainer, "Trainer", paper, rows, vocab, "bf16"),
        }
        flops = architecture(paper).flops_per_token(vocab, length)
        figures = summarise(take_turns(arms, rounds), batch * length, flops, peak_flops("bf16"))
        of_paper = figures[PAPER].get("ms")
        for figure in figures.values():
            if of_paper and "ms" in figure:
                figure["of_paper"] = of_paper / figure["ms"]
        yield size, {"tokens_per_step": batch * length, "arms": figures}


def _ours(
    setting: tuple[str, int, int, int], rows: Any, vocab: int, precision: Precision, **keys: Any
) -> Arm:
    recipe = make_recipe(*setting, precision=precision, **keys)
    return partial(l2t_train, recipe, rows, vocab, precision)


def losses(toy: bool, late: Callable[[], bool]) -> Iterator[tuple[str, Figures]]:
    """Yield the figures of each implementation of the loss at the shapes of 500m and 1b, in bf16."""
    for positions, width in ((256, 32),) if toy else ((16_384, 1024), (16_384, 1728)):
        vocab = 512 if toy else 32_768
        generator = torch.Generator().manual_seed(0)
        hidden = torch.randn(positions, width, generator=generator)
        weight = 0.02 * torch.randn(vocab, width, generator=generator)
        targets = torch.randint(0, vocab, (positions,), generator=generator)
        targets[::16] = IGNORED
        given = hidden.to(DEVICE, torch.bfloat16), weight.to(DEVICE, torch.bfloat16), targets.to(DEVICE)
        exact = _exact_loss(*given)
        for name, loss in LOSSES.items():
            label = f"{name}, {positions:,} x {width:,}, vocabulary {vocab:,}"
            if name == "liger" and (DEVICE == "cpu" or importlib.util.find_spec("liger_kernel") is None):
                yield label, not_run("liger-kernel needs a GPU and is an optional library")
            elif late():
                yield label, not_run("no time was left")
            else:
                yield label, _timed(partial(_loss_step, loss, *given), exact)


def _loss_step(loss: Any, hidden: torch.Tensor, weight: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    hidden, weight = hidden.detach().requires_grad_(), weight.detach().requires_grad_()
    value: torch.Tensor = loss(hidden, weight, targets, torch.tensor(1 / len(targets), device=DEVICE))
    value.backward()
    return value.detach()


def _exact_loss(hidden: torch.Tensor, weight: torch.Tensor, targets: torch.Tensor) -> float:
    total = 0.0
    for states, of_states in zip(hidden.split(2048), targets.split(2048), strict=True):
        logits = states.double() @ weight.double().t()
        cross_entropy = torch.nn.functional.cross_entropy
        total += float(cross_entropy(logits, of_states, ignore_index=IGNORED, reduction="sum"))
    return total / len(targets)


def attention(toy: bool, late: Callable[[], bool]) -> Iterator[tuple[str, Figures]]:
    """Yield the figures of a forward and backward pass of 500m for each implementation of attention."""
    size, length, rows, vocab = ("nano", 64, 2, 512) if toy else ("500m", 2048, 8, 32_768)
    for implementation in ("sdpa", "eager", "flex_attention", "flash_attention_2"):
        for scope in ("pack", "example"):
            label = f"{implementation}, {scope}"
            recipe = make_recipe(size, length, rows, 4, attn_implementation=implementation, attention=scope)
            try:
                check_kernels(recipe, "bf16")
            except UsageError as error:
                yield label, not_run(error.message)
                continue
            if late():
                yield label, not_run("no time was left")
                continue
            model = new_model(model_config(recipe, vocab, 0, 1, 1), 0, "bf16").to(DEVICE)
            use_sliced_loss(model)
            model.set_attn_implementation(implementation)
            texts = [
                {"input_ids": row["input_ids"], "lengths": _texts(length)}
                for row in packed_rows(vocab, length, rows)
            ]
            batch = {name: tensor.to(DEVICE) for name, tensor in Collator.of(recipe.train)(texts).items()}
            yield label, _timed(partial(_model_step, model, batch))


def _texts(length: int) -> Any:
    import numpy as np

    return np.full(4, length // 4)


def _model_step(model: Any, batch: dict[str, torch.Tensor]) -> torch.Tensor:
    model.zero_grad()
    loss: torch.Tensor = model(**batch)["loss"]
    loss.backward()
    return loss.detach()


def _timed(step: Callable[[], torch.Tensor], exact: float | None = None) -> Figures:
    """Return the median milliseconds of a step, its peak memory on a GPU, its loss, and the error of the loss."""
    seconds = []
    try:
        for _ in range(7):
            if DEVICE == "cuda":
                torch.cuda.reset_peak_memory_stats()
                torch.cuda.synchronize()
            start = perf_counter()
            value = step()
            if DEVICE == "cuda":
                torch.cuda.synchronize()
            seconds.append(perf_counter() - start)
    except Exception as error:
        return {"error": f"{type(error).__name__}: {error}"[:500]}
    figures: Figures = {"ms": 1e3 * median(seconds[2:]), "loss": float(value)}
    if DEVICE == "cuda":
        figures["peak_mb"] = torch.cuda.max_memory_allocated() / 1e6
    if exact is not None:
        figures["error_of_loss"] = abs(float(value) - exact) / abs(exact)
    return figures


def tests(toy: bool) -> Figures:
    """Run the tests that use a GPU where there is one. With `toy`, only the fast ones."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder, "report.xml")
        which = ["-m", "not slow"] if toy else ["-m", "slow or not slow"]
        command = [sys.executable, "-m", "pytest", "-q", "-n0", *which, f"--junitxml={report}", *TESTS]
        environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
        try:
            subprocess.run(
                command,
                cwd=REPOSITORY,
                env=environment,
                capture_output=True,
                timeout=TEST_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return not_run(f"the tests took more than {TEST_SECONDS} seconds")
        if not report.is_file():
            return not_run("pytest wrote no report: is it installed?")
        cases = list(ElementTree.parse(report).iter("testcase"))
    outcome: Figures = {"passed": 0, "failed": [], "skipped": {}}
    for case in cases:
        skip = case.find("skipped")
        if case.find("failure") is not None or case.find("error") is not None:
            outcome["failed"].append(case.get("name"))
        elif skip is not None:
            outcome["skipped"][case.get("name")] = skip.get("message")
        else:
            outcome["passed"] += 1
    return outcome


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", type=Path, metavar="FILE", required=True, help="file for the figures")
    parser.add_argument(
        "--toy", action="store_true", help="tiny models, on a CPU too: to try the script itself"
    )
    asked = parser.parse_args(arguments)
    quiet_libraries()
    started = monotonic()
    found: Figures = {**machine(), "device": DEVICE, "toy": asked.toy}
    parts: dict[str, Part] = {"training": training, "losses": losses, "attention": attention}
    for name, part in parts.items():
        found[name] = {}
        if DEVICE == "cpu" and not asked.toy:
            found[name] = not_run("there is no GPU")
            print(f"{name}: not run: there is no GPU")
            continue
        deadline = started + DEADLINES[name]
        for label, figures in part(asked.toy, lambda deadline=deadline: monotonic() > deadline):
            found[name][label] = figures
            print(f"{name}: {label}: {json.dumps(figures)}", flush=True)
            asked.json.write_text(json.dumps(found, indent=2) + "\n")
    found["tests"] = tests(asked.toy)
    found["seconds"] = round(monotonic() - started)
    print(f"tests: {json.dumps(found['tests'])}")
    asked.json.write_text(json.dumps(found, indent=2) + "\n")
    print(f"{asked.json}: {found['seconds']} seconds")


if __name__ == "__main__":
    main()
