"""What training straight from text costs: tokens/s of training and of the bare loader, built dataset against stream.

    python benchmarks/stream.py [--text FILE] [--steps N] [--rounds N] [--workers N] [--size nano] [--json FILE]

The two take turns, on the same text and the same rows. Training is timed from its first record of the log to its
last, so the wait for a stream's first partition does not count; it is reported by itself. The bare loader reads one
epoch into batches, timed from its second batch, and does nothing with them: for a stream, that is how fast its
workers make sequences.
"""

import argparse
import json
import platform
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from l2t_hub.dataset.build import build
from l2t_hub.dataset.progress import SilentReporter
from l2t_hub.recipe import Recipe, recipe_from_tree
from l2t_hub.train import train
from l2t_hub.train.batch_layout import BatchLayout, divide_batch
from l2t_hub.train.locate import locate
from l2t_hub.train.packed_data import Collator, PackedData, check_packed
from l2t_hub.train.stream_location import open_stream
from l2t_hub.train.streamed_rows import streamed_data
from l2t_hub.train.training_log import read_log

SAMPLE = Path(__file__).resolve().parents[1] / "l2t_hub" / "corpus" / "sample"
MODES = ("built", "stream")
ROWS = 16


def main() -> None:
    """Measure, print, and write the result file."""
    options = _options()
    with tempfile.TemporaryDirectory(prefix="l2t-stream-") as scratch:
        folder = Path(scratch)
        text = options.text or _sample(folder / "text.jsonl", options.copies)
        recipes = {mode: _recipe(options, text, mode) for mode in MODES}
        manifest = build(recipes["built"], folder / "data", progress=SilentReporter())
        epoch = manifest.totals["train"]["sequences"] // options.batch
        rounds = [_round(recipes, folder, n, epoch) for n in range(options.rounds)]
    result = {
        "machine": f"{platform.processor() or platform.machine()}, {platform.system()}",
        "options": {name: str(value) for name, value in vars(options).items()},
        "train_sequences": manifest.totals["train"]["sequences"],
        "rounds": rounds,
        "summary": {part: _summary(rounds, part) for part in ("training", "loader")},
    }
    print(json.dumps(result["summary"], indent=2))
    if options.json:
        options.json.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--text", type=Path, help="JSON Lines or Parquet; default: the bundled sample, repeated"
    )
    parser.add_argument("--copies", type=int, default=10, help="how often the sample is repeated")
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--partitions", type=int, default=16)
    parser.add_argument("--size", default="nano")
    parser.add_argument("--length", type=int, default=512)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--json", type=Path)
    return parser.parse_args()


def _sample(path: Path, copies: int) -> Path:
    texts = [file.read_text(encoding="utf-8") for file in sorted(SAMPLE.rglob("*.txt"))]
    lines = (json.dumps({"id": f"{n}-{m}", "text": t}) for n in range(copies) for m, t in enumerate(texts))
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def _recipe(options: argparse.Namespace, text: Path, mode: str) -> Recipe:
    return recipe_from_tree(
        {
            "name": "stream-benchmark",
            "source": {"path": str(text)},
            "blocks": {"tokens_per_block": options.length // 3},
            "packing": {"sequence_length": options.length},
            "validation": {"near_duplicates": "keep", "share": 0.01},
            "build": {"partitions": options.partitions},
            "data": {"mode": mode, "workers": options.workers},
            "model": {"size": options.size},
            "train": {
                "max_steps": options.steps,
                "warmup_steps": 1,
                "batch_size": options.batch,
                "per_device_train_batch_size": options.batch,
                "shuffle": "partitions",
                "logging_steps": max(options.steps // 10, 1),
                "eval_steps": options.steps,
                "save_steps": options.steps,
            },
        }
    )


def _round(recipes: dict[str, Recipe], folder: Path, number: int, epoch: int) -> dict[str, Any]:
    """Measure both once; which of them is first changes from round to round. `epoch` is the steps of one."""
    found: dict[str, Any] = {"training": {}, "loader": {}}
    for mode in MODES if number % 2 == 0 else MODES[::-1]:
        recipe, out = recipes[mode], folder / f"{mode}-{number}"
        train(recipe, None if mode == "stream" else folder / "data", out)
        records = [record for record in read_log(out / "train_log.jsonl") if "loss" in record]
        first, last = records[0], records[-1]
        rate = (last["tokens"] - first["tokens"]) / (last["seconds"] - first["seconds"])
        found["training"][mode] = {"tokens_per_second": rate, "first_seconds": first["seconds"]}
        recipe = recipe.model_copy(update={"train": recipe.train.model_copy(update={"max_steps": epoch})})
        with _opened(recipe, folder, folder / f"loader-{mode}-{number}") as (data, batches):
            found["loader"][mode] = {"tokens_per_second": _load(data, recipe, batches, folder)}
    return found


@contextmanager
def _opened(recipe: Recipe, folder: Path, out: Path) -> Iterator[tuple[PackedData, BatchLayout]]:
    batches = divide_batch(recipe, 1)
    if recipe.data.mode == "built":
        yield check_packed(locate(folder / "data"), recipe), batches
        return
    with open_stream(recipe, out, batches) as text:
        yield streamed_data(text, recipe, batches), batches


def _load(data: PackedData, recipe: Recipe, batches: BatchLayout, folder: Path) -> float:
    """Read the rows of a run into batches, and return tokens per second from the second batch on."""
    rows, order = data.open("train", folder / "cache"), list(data.order(recipe, batches.rows))
    collate, start = Collator(), 0.0
    for first in range(0, len(order), ROWS):
        collate(rows.__getitems__(order[first : first + ROWS]))
        start = start or time.perf_counter()
    return (len(order) - ROWS) * batches.sequence_length / (time.perf_counter() - start)


def _summary(rounds: list[dict[str, Any]], part: str) -> dict[str, float]:
    rates = {mode: [r[part][mode]["tokens_per_second"] for r in rounds] for mode in MODES}
    medians = {mode: round(statistics.median(values), 1) for mode, values in rates.items()}
    costs = [
        1 - r[part]["stream"]["tokens_per_second"] / r[part]["built"]["tokens_per_second"] for r in rounds
    ]
    return {**medians, "cost_median": round(statistics.median(costs), 4), "cost_worst": round(max(costs), 4)}


if __name__ == "__main__":
    main()
