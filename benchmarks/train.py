"""Measure `l2t train` against a bare PyTorch loop, transformers' Trainer and TRL's SFTTrainer as it comes.

    OMP_NUM_THREADS=1 python benchmarks/train.py [--size nano] [--rounds 6] [--json FILE]

Every arm trains the same model on the same rows, on a GPU if there is one. In each round the arms take turns of a few
steps, in a rotating order. The first steps of a turn are warm-up; the medians of the others are compared.

- "l2t train": our trainer. "l2t train, compiled" and, on a CPU, "l2t train, mixed": the same with torch.compile, or
  with bf16 arithmetic through autocast, which goes through oneDNN.
- "bare loop": forward, backward, clipping, fused AdamW and the schedule, with the loss of transformers.
  "bare loop, our loss" has the loss of `l2t train` instead.
- "Trainer": transformers' Trainer with its defaults. On a GPU, in the precision of the run.
- "SFTTrainer": as it comes, so with TRL's loss, bf16 autocast and activation checkpointing.

Utilisation is of the peak on the GPU's data sheet, or on a CPU of the fastest fp32 matrix product that this script
measures first. Memory is the peak of a turn: allocated on a GPU, resident beyond the start of the turn on a CPU. On a
busy machine compare the CPU times.
"""

import argparse
import json
import platform
import tempfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from importlib.metadata import version
from pathlib import Path
from statistics import median
from time import perf_counter, process_time
from typing import Any

import datasets
import numpy as np
import torch
from tokenizers import Tokenizer, models
from torch.utils.data import DataLoader
from transformers import (
    PreTrainedTokenizerFast,
    PrinterCallback,
    Trainer,
    TrainerCallback,
    TrainingArguments,
    get_cosine_schedule_with_warmup,
)
from trl import SFTConfig, SFTTrainer

from l2t_hub.recipe import Recipe, recipe_from_tree
from l2t_hub.train.architecture import architecture
from l2t_hub.train.batch_layout import divide_batch
from l2t_hub.train.hardware import hardware, peak_flops
from l2t_hub.train.loss import use_sliced_loss
from l2t_hub.train.model import Precision, model_config, new_model
from l2t_hub.train.packed_data import Collator
from l2t_hub.train.row_order import EpochSampler
from l2t_hub.train.trainer import PackTrainer
from l2t_hub.train.training_log import TrainingLog, quiet_libraries

OURS, BARE = "l2t train", "bare loop"
WARM_UP = 2
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
LIBRARIES = ("torch", "transformers", "trl", "accelerate")
Arm = Callable[[Path, "Stopwatch"], None]


class Stopwatch(TrainerCallback):
    """Records the end of each step in wall and CPU time."""

    def __init__(self) -> None:
        self.ends: list[tuple[float, float]] = []

    def on_step_end(self, *_: Any, **__: Any) -> None:
        if DEVICE == "cuda":
            torch.cuda.synchronize()
        self.ends.append((perf_counter(), process_time()))

    def steps(self) -> list[tuple[float, float]]:
        """Seconds of wall and CPU time of each step after the warm-up."""
        pairs = zip(self.ends, self.ends[1:], strict=False)
        return [(b[0] - a[0], b[1] - a[1]) for a, b in pairs][WARM_UP - 1 :]


class SkipCard(SFTTrainer):  # type: ignore[misc]
    """TRL's trainer without its model card and telemetry. Its steps are unchanged."""

    def create_model_card(self, *_: Any, **__: Any) -> None:
        """Write no card."""

    def _send_telemetry(self) -> None:
        pass


def make_recipe(size: str, length: int, batch: int, steps: int, **train: Any) -> Recipe:
    """Return a recipe of `steps` steps for the arms."""
    keys = {"batch_size": batch, "per_device_train_batch_size": batch, "max_steps": steps, "warmup_steps": 1}
    tree = {
        "name": "benchmark",
        "source": {"path": "bundled:sample"},
        "packing": {"sequence_length": length},
        "model": {"size": size},
        "train": keys | {"logging_steps": 10} | train,
    }
    return recipe_from_tree(tree)


def packed_rows(vocab_size: int, length: int, count: int) -> datasets.Dataset:
    """Return random sequences; the last twentieth of each is padding."""
    ids = np.random.default_rng(0).integers(2, vocab_size, (count, length))
    filled = length - length // 20
    ids[:, filled:] = 1
    rows = datasets.Dataset.from_dict({"input_ids": ids.tolist(), "lengths": [[filled]] * count})
    return rows.with_format("numpy")


def tokenizer() -> PreTrainedTokenizerFast:
    words = Tokenizer(models.WordLevel({"<s>": 0, "</s>": 1}))
    return PreTrainedTokenizerFast(tokenizer_object=words, bos_token="<s>", eos_token="</s>")


def l2t_train(
    recipe: Recipe, rows: datasets.Dataset, vocab: int, precision: Precision, folder: Path, watch: Stopwatch
) -> None:
    batches = divide_batch(recipe, 1)
    model = new_model(model_config(recipe, vocab, 0, 1, 1), recipe.seed, precision)
    log = TrainingLog(None, batches.steps, recipe.name)
    order = EpochSampler(len(rows), recipe.seed, batches.rows)
    trainer = PackTrainer(recipe, model, rows, order, None, tokenizer(), batches, precision, folder, log)
    trainer.args.save_strategy = "no"
    trainer.add_callback(watch)
    trainer.train()


def bare_loop(
    recipe: Recipe,
    rows: datasets.Dataset,
    vocab: int,
    precision: Precision,
    our_loss: bool,
    folder: Path,
    watch: Stopwatch,
) -> None:
    train, model = recipe.train, new_model(model_config(recipe, vocab, 0, 1, 1), recipe.seed, precision)
    model.to(DEVICE).train()
    if our_loss:
        use_sliced_loss(model)
    rates = {"lr": train.learning_rate, "weight_decay": train.weight_decay, "fused": True}
    optimizer = torch.optim.AdamW(model.parameters(), **rates)
    schedule = get_cosine_schedule_with_warmup(optimizer, train.warmup_steps, train.max_steps)
    order = EpochSampler(len(rows), recipe.seed, train.max_steps * train.batch_size)
    size = train.per_device_train_batch_size
    batches = iter(DataLoader(rows, size, sampler=order, collate_fn=Collator(), pin_memory=DEVICE == "cuda"))
    parts = train.batch_size // size
    for _ in range(train.max_steps):
        for _ in range(parts):
            batch = {name: tensor.to(DEVICE) for name, tensor in next(batches).items()}
            with torch.autocast(DEVICE, torch.bfloat16, enabled=precision == "mixed"):
                loss = model(**batch, use_cache=False)["loss"] / parts
            loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), train.max_grad_norm)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
        watch.on_step_end()


def library_trainer(
    kind: str,
    recipe: Recipe,
    rows: datasets.Dataset,
    vocab: int,
    precision: Precision,
    folder: Path,
    watch: Stopwatch,
) -> None:
    """Train with transformers' Trainer, or with the SFTTrainer as it comes."""
    train = recipe.train
    common: dict[str, Any] = {
        "max_steps": train.max_steps,
        "per_device_train_batch_size": train.per_device_train_batch_size,
        "gradient_accumulation_steps": train.batch_size // train.per_device_train_batch_size,
        "learning_rate": train.learning_rate,
        "warmup_steps": train.warmup_steps,
        "weight_decay": train.weight_decay,
        "logging_steps": train.logging_steps,
        "use_cpu": DEVICE == "cpu",
        "remove_unused_columns": False,
        "dataloader_pin_memory": DEVICE == "cuda",
        "save_strategy": "no",
        "report_to": "none",
        "disable_tqdm": True,
    }
    model = new_model(model_config(recipe, vocab, 0, 1, 1), recipe.seed, precision)
    trainer: Any
    if kind == "SFTTrainer":
        prepared = {"dataset_kwargs": {"skip_prepare_dataset": True}, "max_length": None}
        trainer = SkipCard(
            model,
            SFTConfig(str(folder), **common, **prepared),
            _with_mask,
            rows,
            processing_class=tokenizer(),
        )
    else:
        checkpointing = {"activation_checkpointing": train.gradient_checkpointing}
        arguments = TrainingArguments(str(folder), **common, **checkpointing, bf16=precision == "mixed")
        trainer = Trainer(model, arguments, data_collator=Collator(), train_dataset=rows)
    trainer.remove_callback(PrinterCallback)
    trainer.add_callback(watch)
    trainer.train()


def _with_mask(batch: Any) -> Any:
    tensors = Collator()(batch)
    return tensors | {"attention_mask": torch.ones_like(tensors["input_ids"])}


def all_arms(recipe: Recipe, rows: datasets.Dataset, vocab: int, precision: Precision) -> dict[str, Arm]:
    compiled = recipe_from_tree(
        {**recipe.resolved(), "train": recipe.resolved()["train"] | {"torch_compile": True}}
    )
    arms: dict[str, Arm] = {
        OURS: partial(l2t_train, recipe, rows, vocab, precision),
        BARE: partial(bare_loop, recipe, rows, vocab, precision, False),
        f"{BARE}, our loss": partial(bare_loop, recipe, rows, vocab, precision, True),
        "Trainer": partial(library_trainer, "Trainer", recipe, rows, vocab, precision),
        "SFTTrainer": partial(library_trainer, "SFTTrainer", recipe, rows, vocab, precision),
        f"{OURS}, compiled": partial(l2t_train, compiled, rows, vocab, precision),
    }
    if DEVICE == "cpu":
        arms[f"{OURS}, mixed"] = partial(l2t_train, recipe, rows, vocab, "mixed")
    return arms


def take_turns(arms: dict[str, Arm], rounds: int) -> dict[str, dict[str, Any]]:
    """Run all arms in each round. Return by arm the seconds of its steps, its peak MB, or its error."""
    found: dict[str, dict[str, Any]] = {name: {"steps": [], "mb": 0.0} for name in arms}
    names = list(arms)
    for turn in range(rounds):
        for name in names[turn % len(names) :] + names[: turn % len(names)]:
            if "error" in found[name]:
                continue
            watch, before = Stopwatch(), _reset_peak()
            try:
                with tempfile.TemporaryDirectory() as folder:
                    arms[name](Path(folder), watch)
            except Exception as error:
                found[name]["error"] = f"{type(error).__name__}: {error}"[:500]
            found[name]["mb"] = max(found[name]["mb"], _peak_mb() - before)
            found[name]["steps"] += watch.steps()
            torch.compiler.reset()
    return found


def summarise(
    found: dict[str, dict[str, Any]], tokens: int, flops_per_token: int, peak: float | None
) -> dict[str, dict[str, Any]]:
    """Return by arm its tokens/s, its speed relative to the bare loop with our loss, memory and utilisation."""
    figures: dict[str, dict[str, Any]] = {}
    for name, arm in found.items():
        figures[name] = {"peak_mb": round(arm["mb"]), "steps": len(arm["steps"])}
        if "error" in arm:
            figures[name]["error"] = arm["error"]
        if arm["steps"]:
            wall, cpu = (median(column) for column in zip(*arm["steps"], strict=True))
            rate = tokens / wall
            figures[name] |= {"ms": wall * 1e3, "cpu_ms": cpu * 1e3, "tokens_per_second": rate}
            figures[name]["utilisation"] = rate * flops_per_token / peak if peak else None
    for key, column in (("of_bare", "ms"), ("of_bare_cpu", "cpu_ms")):
        bare = figures.get(f"{BARE}, our loss", {}).get(column)
        for figure in figures.values():
            if bare and column in figure:
                figure[key] = bare / figure[column]
    return figures


def table(figures: dict[str, dict[str, Any]]) -> str:
    """Return the figures as a Markdown table. Speeds are relative to the bare loop with our loss."""
    lines = [
        "| arm | tokens/s | of bare | CPU ms/step | of bare, CPU | MB | utilisation |",
        "|---|--:|--:|--:|--:|--:|--:|",
    ]
    for name, f in figures.items():
        if "ms" not in f:
            lines.append(f"| {name} | {f.get('error', 'not run')} | | | | | |")
            continue
        share = f"{f['utilisation']:.1%}" if f["utilisation"] is not None else "unknown"
        of_bare = [f"{f[key]:.2f}" if key in f else "" for key in ("of_bare", "of_bare_cpu")]
        lines.append(
            f"| {name} | {f['tokens_per_second']:,.0f} | {of_bare[0]} | {f['cpu_ms']:.1f} | {of_bare[1]} "
            f"| {f['peak_mb']:,} | {share} |"
        )
    return "\n".join(lines)


def peak_of_device(precision: Precision) -> tuple[float | None, str]:
    """Return the peak in FLOP/s and where it is from."""
    if DEVICE == "cuda":
        return peak_flops(precision), "the GPU's data sheet"
    matrix, best = torch.randn(1024, 1024), float("inf")
    for _ in range(10):
        start = perf_counter()
        matrix @ matrix
        best = min(best, perf_counter() - start)
    return 2 * 1024**3 / best, "an fp32 product of 1,024 x 1,024 matrices, measured here"


def machine() -> dict[str, Any]:
    """Return what the figures were measured on."""
    libraries = {name: version(name) for name in LIBRARIES}
    return {"hardware": hardware().model_dump(), "python": platform.python_version(), **libraries}


def _reset_peak() -> float:
    """Start to measure the peak memory, and return what is in use now, in MB."""
    if DEVICE == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
        return 0.0
    with suppress(OSError):  # not Linux, or not permitted: the peak is then that of the process so far
        Path("/proc/self/clear_refs").write_text("5")
    return _status("VmRSS")


def _peak_mb() -> float:
    return torch.cuda.max_memory_allocated() / 1e6 if DEVICE == "cuda" else _status("VmHWM")


def _status(field: str) -> float:
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return 0.0
    return next((int(s.split()[1]) * 1024 / 1e6 for s in lines if s.startswith(field)), 0.0)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--size", default="nano", help="a size of the family")
    parser.add_argument("--vocab-size", type=int, default=4096)
    parser.add_argument("--sequence-length", type=int, default=256)
    parser.add_argument("--batch-size", type=int, default=8, help="sequences per step")
    parser.add_argument(
        "--precision", choices=["fp32", "mixed", "bf16"], default="mixed" if DEVICE == "cuda" else "fp32"
    )
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--steps", type=int, default=8, help="steps per turn; the first two do not count")
    parser.add_argument("--arms", nargs="*", help="only these arms")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures to this file")
    asked = parser.parse_args(arguments)
    quiet_libraries()
    recipe = make_recipe(
        asked.size, asked.sequence_length, asked.batch_size, asked.steps, precision=asked.precision
    )
    arms = all_arms(
        recipe, packed_rows(asked.vocab_size, asked.sequence_length, 64), asked.vocab_size, asked.precision
    )
    if asked.arms:
        arms = {name: arms[name] for name in asked.arms}
    peak, source = peak_of_device(asked.precision)
    flops = architecture(recipe).flops_per_token(asked.vocab_size, asked.sequence_length)
    tokens = asked.batch_size * asked.sequence_length
    figures = summarise(take_turns(arms, asked.rounds), tokens, flops, peak)
    parameters = architecture(recipe).parameters(asked.vocab_size)
    print(
        f"{asked.size}, {parameters:,} parameters, {asked.precision}, {tokens:,} tokens per step, on {DEVICE}"
    )
    print(f"{torch.get_num_threads()} threads; utilisation of {source}\n\n{table(figures)}")
    if asked.json:
        setting = {"size": asked.size, "parameters": parameters, "precision": asked.precision}
        setting |= {"tokens_per_step": tokens, "threads": torch.get_num_threads()}
        setting |= {"peak_flops": peak, "peak_from": source, "rounds": asked.rounds}
        asked.json.write_text(json.dumps(machine() | setting | {"arms": figures}, indent=2) + "\n")


if __name__ == "__main__":
    main()
