"""Measure what bf16 loses in training: updates that leave a weight unchanged, and a second moment that cannot decay.

    python benchmarks/precision.py [--size nano] [--steps 60] [--json FILE]

A model is trained on the bundled sample with each precision, at a constant learning rate. In the last 20 steps, every
update of a weight is compared with the weight before it: an update is lost if it is not zero in fp32 but the bf16
weight stays as it was. The second part gives AdamW gradients that shrink tenfold after 1,000 steps.
"""

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

import torch

from l2t_hub.dataset.build import build
from l2t_hub.dataset.progress import SilentReporter
from l2t_hub.recipe import Recipe, recipe_from_tree
from l2t_hub.train import train
from l2t_hub.train.hardware import hardware
from l2t_hub.train.optimizer import Fp32MomentsAdamW
from l2t_hub.train.training_log import read_log

RATES = (3e-4, 3e-5)
WATCHED_STEPS = 20
SHRINK_AFTER, CHECKED_AFTER = 1_000, (1_000, 2_500)


class Watched(Fp32MomentsAdamW):
    """Counts the updates that are not zero, and those of them that leave the weight as it was, in the last steps."""

    steps_left, updates, lost = 0, 0, 0

    def _update(self, group: dict[str, Any], parameters: list[torch.Tensor]) -> None:
        before = [parameter.clone() for parameter in parameters]
        super()._update(group, parameters)
        if Watched.steps_left <= 0:
            for parameter, old in zip(parameters, before, strict=True):
                state = self.state[parameter]
                beta1, beta2 = group["betas"]
                step = float(state["step"])
                mean = state["exp_avg"] / (1 - beta1**step)
                root = (state["exp_avg_sq"] / (1 - beta2**step)).sqrt() + group["eps"]
                update = group["lr"] * (mean / root + group["weight_decay"] * old.float())
                Watched.updates += int((update != 0).sum())
                Watched.lost += int(((update != 0) & (parameter == old)).sum())

    def step(self, closure: Any = None) -> None:
        Watched.steps_left -= 1
        super().step(closure)


def recipe_for(size: str, steps: int, rate: float, precision: str) -> Recipe:
    return recipe_from_tree(
        {
            "name": "precision",
            "source": {"path": "bundled:sample"},
            "mixture": {"scheme": "raw"},
            "tokenizer": {"vocab_size": 2048},
            "packing": {"sequence_length": 256},
            "model": {"size": size},
            "train": {
                "max_steps": steps,
                "batch_size": 4,
                "per_device_train_batch_size": 4,
                "learning_rate": rate,
                "lr_scheduler_type": "constant",
                "warmup_steps": 10,
                "precision": precision,
                "eval_steps": steps,
                "save_steps": steps,
            },
        }
    )


def lost_updates(size: str, steps: int, folder: Path) -> list[dict[str, Any]]:
    """Train at each rate and precision; return the share of updates lost and the validation losses."""
    from l2t_hub.train import trainer

    build(recipe_for(size, steps, 1e-3, "fp32"), folder / "data", workers=1, progress=SilentReporter())
    trainer.Fp32MomentsAdamW = Watched  # type: ignore[misc]
    results = []
    for rate in RATES:
        row: dict[str, Any] = {"learning_rate": rate}
        for precision in ("bf16", "mixed", "fp32"):
            Watched.steps_left, Watched.updates, Watched.lost = steps - WATCHED_STEPS, 0, 0
            out = folder / f"{precision}-{rate}"
            train(recipe_for(size, steps, rate, precision), folder / "data", out)
            losses = [
                entry["eval_loss"] for entry in read_log(out / "train_log.jsonl") if "eval_loss" in entry
            ]
            row[f"eval_loss_{precision}"] = losses[-1]
            if precision == "bf16":
                row["lost"] = Watched.lost / Watched.updates
        results.append(row)
    return results


def moments() -> list[dict[str, Any]]:
    """Return the second moment of torch's AdamW on bf16 weights, and of ours, over that of fp32 AdamW."""
    kinds = {
        "fp32": (torch.float32, torch.optim.AdamW),
        "torch, bf16": (torch.bfloat16, torch.optim.AdamW),
        "ours, bf16": (torch.bfloat16, Fp32MomentsAdamW),
    }
    means: dict[str, dict[int, float]] = {}
    for name, (dtype, kind) in kinds.items():
        generator = torch.Generator().manual_seed(1)
        parameter = torch.nn.Parameter(torch.randn(4096, generator=generator).to(dtype))
        optimizer = kind([parameter], lr=1e-3, betas=(0.9, 0.999))
        means[name] = {}
        for step in range(SHRINK_AFTER + max(CHECKED_AFTER)):
            scale = 1.0 if step < SHRINK_AFTER else 0.1
            parameter.grad = (torch.randn(4096, generator=generator) * scale).bfloat16().to(dtype)
            optimizer.step()
            after = step + 1 - SHRINK_AFTER
            if after in CHECKED_AFTER:
                means[name][after] = float(optimizer.state[parameter]["exp_avg_sq"].float().mean())
    return [
        {"steps_after": after, **{name: means[name][after] / means["fp32"][after] for name in means}}
        for after in CHECKED_AFTER
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", default="nano")
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        lost = lost_updates(arguments.size, arguments.steps, Path(folder))
    result = {
        "size": arguments.size,
        "steps": arguments.steps,
        "lost_updates": lost,
        "second_moment_over_fp32": moments(),
        "hardware": hardware().model_dump(),
        "torch": torch.__version__,
    }
    print(json.dumps(result, indent=2))
    if arguments.json:
        arguments.json.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
