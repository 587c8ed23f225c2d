"""Measure an optimiser step of `l2t train` against transformers' Trainer, TRL's SFTTrainer and torch's loss.

    python benchmarks/train_step.py [--size nano] [--rounds 8] [--json FILE]

Every arm trains the same model on the same rows in fp32. In each round the arms take turns of a few steps, in a
rotating order. The first two steps of a turn are warm-up; the medians of the other steps are compared. The SFTTrainer
differs from the plain Trainer only in TRL's loss: bf16 autocast and activation checkpointing are off. The last arm is
`l2t train` with torch's chunked linear_cross_entropy as its loss (benchmarks/loss.py measures the two losses alone).
On a busy machine compare the CPU time, with OMP_NUM_THREADS=1.
"""

import argparse
import json
import platform
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median
from time import perf_counter, process_time
from typing import Any

import datasets
import numpy as np
import torch
from torch.nn import LinearCrossEntropyOptions
from torch.nn.functional import linear_cross_entropy, pad
from transformers import PreTrainedTokenizerFast, PrinterCallback, Trainer, TrainerCallback, TrainingArguments
from trl import SFTConfig, SFTTrainer

from l2t_hub.recipe import Recipe, recipe_from_tree
from l2t_hub.train.architecture import architecture
from l2t_hub.train.batch_layout import divide_batch
from l2t_hub.train.hardware import hardware
from l2t_hub.train.loss import SLICE
from l2t_hub.train.loss_paths import IGNORED
from l2t_hub.train.model import model_config, new_model
from l2t_hub.train.packed_data import Collator
from l2t_hub.train.trainer import PackTrainer
from l2t_hub.train.training_log import TrainingLog, quiet_libraries

WARM_UP = 2
PLAIN = "transformers Trainer"
Spent = tuple[float, float]


class Stopwatch(TrainerCallback):
    """Records the end of each step in wall and CPU time."""

    def __init__(self) -> None:
        self.ends: list[Spent] = []

    def on_step_end(self, *_: Any, **__: Any) -> None:
        self.ends.append((perf_counter(), process_time()))

    def seconds(self) -> list[Spent]:
        pairs = zip(self.ends, self.ends[1:], strict=False)
        return [(b[0] - a[0], b[1] - a[1]) for a, b in pairs][WARM_UP - 1 :]


class SkipCard(SFTTrainer):
    """TRL's trainer without its model card and telemetry. Its steps are unchanged."""

    def create_model_card(self, *_: Any, **__: Any) -> None:
        pass

    def _send_telemetry(self) -> None:
        pass


class TorchLoss(PackTrainer):
    """`l2t train` with torch's chunked loss, and as many positions in a chunk as our loss has in a slice."""

    def compute_loss(
        self, model: Any, inputs: Any, return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        labels = pad(inputs["labels"][:, 1:], (0, 1), value=IGNORED).reshape(-1)
        hidden = model.model(input_ids=inputs["input_ids"], use_cache=False).last_hidden_state
        weight = model.lm_head.weight
        chunks = LinearCrossEntropyOptions(batch_chunk_size=max(1, SLICE["cpu"] // weight.shape[0]))
        flat = hidden.reshape(-1, hidden.shape[-1])
        total = linear_cross_entropy(flat, weight, labels, reduction="sum", options=chunks)
        return total / num_items_in_batch


def arms(
    recipe: Recipe, rows: datasets.Dataset, tokenizer: Any, vocab_size: int
) -> dict[str, Callable[[Path], Any]]:
    """Return a builder for each trainer; it gets a new directory for every turn."""
    train = recipe.train
    common: dict[str, Any] = {
        "max_steps": train.max_steps,
        "per_device_train_batch_size": train.per_device_train_batch_size,
        "learning_rate": train.learning_rate,
        "warmup_steps": train.warmup_steps,
        "weight_decay": train.weight_decay,
        "logging_steps": train.logging_steps,
        "remove_unused_columns": False,
        "dataloader_pin_memory": False,
        "save_strategy": "no",
        "report_to": "none",
        "disable_tqdm": True,
    }

    def model() -> Any:
        return new_model(model_config(recipe, vocab_size, 0, 1, 1), recipe.seed)

    def collate(batch: Any) -> Any:
        tensors = Collator()(batch)
        return tensors | {"attention_mask": torch.ones_like(tensors["input_ids"])}

    def pack_trainer(kind: type[PackTrainer], folder: Path) -> Any:
        batches = divide_batch(recipe, 1)
        training_log = TrainingLog(None, batches.steps, recipe.name)
        return kind(recipe, model(), rows, None, tokenizer, batches, "fp32", folder, training_log)

    def plain(folder: Path) -> Any:
        arguments = TrainingArguments(str(folder), **common)
        return Trainer(model(), arguments, data_collator=Collator(), train_dataset=rows)

    def sft(folder: Path) -> Any:
        prepared = {"dataset_kwargs": {"skip_prepare_dataset": True}, "max_length": None}
        arguments = SFTConfig(str(folder), **common, **prepared, bf16=False, activation_checkpointing=False)
        return SkipCard(model(), arguments, collate, rows, processing_class=tokenizer)

    return {
        PLAIN: plain,
        "l2t train": partial(pack_trainer, PackTrainer),
        "SFTTrainer's loss": sft,
        "torch's chunked loss": partial(pack_trainer, TorchLoss),
    }


def packed_rows(vocab_size: int, length: int, count: int) -> datasets.Dataset:
    """Return random sequences; the last twentieth of each is padding."""
    ids = np.random.default_rng(0).integers(2, vocab_size, (count, length))
    filled = length - length // 20
    ids[:, filled:] = 1
    rows = datasets.Dataset.from_dict({"input_ids": ids.tolist(), "lengths": [[filled]] * count})
    return rows.with_format("numpy")


def measure(builders: dict[str, Callable[[Path], Any]], rounds: int) -> dict[str, list[Spent]]:
    """Return the wall and CPU seconds of each arm's steps, over all rounds."""
    seconds: dict[str, list[Spent]] = {name: [] for name in builders}
    for turn in range(rounds):
        names = list(builders)
        for name in names[turn % len(names) :] + names[: turn % len(names)]:
            with tempfile.TemporaryDirectory() as folder:
                trainer, watch = builders[name](Path(folder)), Stopwatch()
                trainer.add_callback(watch)
                trainer.remove_callback(PrinterCallback)
                trainer.train()
            seconds[name] += watch.seconds()
    return seconds


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--size", default="nano", help="a size of the family")
    parser.add_argument("--vocab-size", type=int, default=4096)
    parser.add_argument("--sequence-length", type=int, default=256)
    parser.add_argument("--batch-size", type=int, default=8, help="sequences per step")
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--steps", type=int, default=8, help="steps per turn; the first two do not count")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures to this file")
    asked = parser.parse_args()
    quiet_libraries()
    keys = {
        "batch_size": asked.batch_size,
        "per_device_train_batch_size": asked.batch_size,
        "precision": "fp32",
    }
    recipe = recipe_from_tree(
        {
            "name": "benchmark",
            "source": {"path": "bundled:sample"},
            "packing": {"sequence_length": asked.sequence_length},
            "model": {"size": asked.size},
            "train": keys | {"max_steps": asked.steps, "warmup_steps": 1, "logging_steps": 10},
        }
    )
    rows = packed_rows(asked.vocab_size, asked.sequence_length, 64)
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=_tokenizer(), bos_token="<s>", eos_token="</s>")
    seconds = measure(arms(recipe, rows, tokenizer, asked.vocab_size), asked.rounds)
    tokens = asked.batch_size * asked.sequence_length
    parameters = architecture(recipe).parameters(asked.vocab_size)
    figures = summarise(seconds, tokens)
    print(
        f"{asked.size}, {parameters:,} parameters, {tokens:,} tokens per step, {torch.get_num_threads()} threads"
    )
    print(f"{'':22}{'ms/step':>9}{'tokens/s':>10}{'of plain':>10}{'CPU ms':>9}{'of plain':>10}{'steps':>7}")
    for name, f in figures.items():
        times = f"{f['ms']:9.1f}{f['tokens_per_second']:10,.0f}{f['of_plain']:10.2f}"
        print(f"{name:22}{times}{f['cpu_ms']:9.1f}{f['of_plain_cpu']:10.2f}{f['steps']:7.0f}")
    if asked.json:
        machine = {
            "size": asked.size,
            "parameters": parameters,
            "tokens_per_step": tokens,
            "hardware": hardware(),
        }
        machine |= {"python": platform.python_version(), "torch": torch.__version__, "arms": figures}
        asked.json.write_text(json.dumps(machine, indent=2) + "\n")


def summarise(seconds: dict[str, list[Spent]], tokens: int) -> dict[str, dict[str, float]]:
    """Return medians per arm, and its speed relative to the plain Trainer (above 1 is faster)."""
    medians = {name: [median(column) for column in zip(*v, strict=True)] for name, v in seconds.items()}
    wall, cpu = medians[PLAIN]
    return {
        name: {
            "ms": own_wall * 1e3,
            "tokens_per_second": tokens / own_wall,
            "of_plain": wall / own_wall,
            "cpu_ms": own_cpu * 1e3,
            "of_plain_cpu": cpu / own_cpu,
            "steps": len(seconds[name]),
        }
        for name, (own_wall, own_cpu) in medians.items()
    }


def _tokenizer() -> Any:
    from tokenizers import Tokenizer, models

    return Tokenizer(models.WordLevel({"<s>": 0, "</s>": 1}))


if __name__ == "__main__":
    main()
