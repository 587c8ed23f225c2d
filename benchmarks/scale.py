"""Extrapolate the cost of a large build from a small one measured here: CPU per partition, memory, disk, and the work
that only one process can do.

python benchmarks/scale.py TEXT --tokenizer TOKENIZER [--partitions N] [--out TOKENIZER] [--json FILE]

TEXT is a file, a folder or a glob, as in a recipe. All times are CPU seconds of one process, so that other work on
the machine matters little. The partitions run one after the other. The first one starts with empty caches, as every
task of a cluster does; the time it takes longer than the others is counted as the start of a task. The rest of the
build (digests, checks, assembling) is also measured on an eighth of the source, which separates what grows with the
source from what does not. `benchmarks/simulate_cluster.py` draws from the partitions' times in the JSON file.
"""

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from l2t_hub.artifacts import TOKENIZER, sha256_of
from l2t_hub.corpus.document import Document
from l2t_hub.corpus.source import open_source
from l2t_hub.dataset.build import build
from l2t_hub.dataset.executors.local import LocalExecutor
from l2t_hub.dataset.progress import SilentReporter
from l2t_hub.recipe import Recipe, recipe_from_tree
from l2t_hub.records.dataset_manifest import Manifest
from l2t_hub.tokens.load import encoder_of, load_tokenizer

SHARDS, SHARD_TOKENS = 23, 5.5e9  # the paper's part of fineweb-edu-dedup, in tokens of its tokenizer
TRAINED_TOKENS = 200_000 * 256 * 2048
BANDWIDTHS = {"1 Gbit/s": 0.125e9, "10 Gbit/s": 1.25e9}


def main() -> None:
    arguments = parse()
    recipe = recipe_of(arguments)
    with tempfile.TemporaryDirectory() as folder:
        measured = measure(recipe, arguments.out or Path(folder) / "data")
    measured["paper"] = extrapolate(measured)
    print(table(measured))
    if arguments.json:
        arguments.json.write_text(json.dumps(measured, indent=1) + "\n")


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("text", help="a source: a file, a folder or a glob")
    parser.add_argument("--tokenizer", required=True, help="a tokenizer's folder or Hub name")
    parser.add_argument("--partitions", type=int, default=52)
    parser.add_argument("--set", dest="sets", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--out", type=Path, help="keep the dataset here")
    parser.add_argument("--json", type=Path)
    return parser.parse_args()


def recipe_of(arguments: argparse.Namespace) -> Recipe:
    """Return a recipe with the paper's disjoint mixture and all three views."""
    tree: dict[str, Any] = {
        "name": "scale",
        "source": {"path": arguments.text},
        "tokenizer": {"name": arguments.tokenizer},
        "blocks": {"tokens_per_block": 512},
        "packing": {"sequence_length": 2048},
        "build": {"partitions": arguments.partitions},
    }
    for text in arguments.sets:
        key, _, value = text.partition("=")
        section, _, name = key.partition(".")
        tree.setdefault(section, {})[name] = json.loads(value)
    return recipe_from_tree(tree)


def measure(recipe: Recipe, out: Path) -> dict[str, Any]:
    """Time the partitions and the rest of a build, and count the source's tokens."""
    tasks, manifest, other = timed_build(recipe, out)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    tokens, documents = source_tokens(recipe)
    eighth = {**recipe.resolved()["source"], "limit": sum(documents) // 8}
    small = recipe_from_tree({**recipe.resolved(), "source": eighth})
    less = sum(tokens) - sum(source_tokens(small)[0])
    growth = max(other - timed_build(small, out.with_name(f"{out.name}-eighth"))[2], 0) / less
    files = [out / shard.path for shard in manifest.shards]
    stages = sorted({task["stage"] for task in tasks})
    for task in tasks:
        task["source_tokens"], task["documents"] = tokens[task["rank"]], documents[task["rank"]]
    warm = {stage: [t for t in tasks if t["stage"] == stage and t["rank"] > 0] for stage in stages}
    rates = {
        s: sum(t["seconds"] for t in some) / sum(t["source_tokens"] for t in some) for s, some in warm.items()
    }
    cold = {
        t["stage"]: t["seconds"] - rates[t["stage"]] * t["source_tokens"] for t in tasks if t["rank"] == 0
    }
    return {
        "source": {
            "tokens": sum(tokens),
            "documents": sum(documents),
            "bytes": sum(file.size for file in open_source(recipe).files),
        },
        "cpu_seconds_per_token": rates,
        "other_cpu_seconds": other,
        "other_cpu_seconds_per_token": growth,
        "start_cpu_seconds": start_seconds(recipe, out) + max(cold["shards"], 0),
        "sha256_bytes_per_cpu_second": hash_rate(files),
        "peak_bytes": peak,
        "views": views(manifest),
        "tasks": [task for stage in stages for task in warm[stage]],
    }


def timed_build(recipe: Recipe, out: Path) -> tuple[list[dict[str, Any]], Manifest, float]:
    """Build, and return the times of all partitions, the manifest, and the CPU seconds of the rest."""
    tasks: list[dict[str, Any]] = []
    start = time.process_time()
    with TimedPartitions(tasks):
        manifest = build(recipe, out, workers=1, progress=SilentReporter())
    whole = time.process_time() - start
    return tasks, manifest, whole - sum(task["seconds"] for task in tasks)


class TimedPartitions:
    """A context that records the CPU seconds of every partition."""

    def __init__(self, tasks: list[dict[str, Any]]) -> None:
        self.tasks = tasks

    def __enter__(self) -> None:
        self.original: Callable[..., Any] = LocalExecutor._run_for_rank
        original, tasks = self.original, self.tasks

        def run(executor: LocalExecutor, rank: int, local_rank: int = 0, node_rank: int = -1) -> Any:
            start = time.process_time()
            stats = original(executor, rank, local_rank, node_rank)
            stage = executor.pipeline[-1].name
            tasks.append({"stage": stage, "rank": rank, "seconds": time.process_time() - start})
            return stats

        LocalExecutor._run_for_rank = run

    def __exit__(self, *error: object) -> None:
        LocalExecutor._run_for_rank = self.original


def source_tokens(recipe: Recipe) -> tuple[list[int], list[int]]:
    """Return the numbers of tokens and of documents in every partition."""
    source = open_source(recipe)
    encoder = encoder_of(load_tokenizer(str(recipe.tokenizer.name)))
    tokens, documents = [], []
    for partition in range(recipe.build.partitions):
        texts = [r.text for r in source.read(partition) if isinstance(r, Document)]
        tokens.append(int(encoder.count(texts).sum()))
        documents.append(len(texts))
    return tokens, documents


def start_seconds(recipe: Recipe, out: Path) -> float:
    """Return the CPU seconds until a new process can read its first document: imports, tokenizer, task lists."""
    code = (
        "import sys, time; from pathlib import Path; from l2t_hub.dataset.pipeline import transform_setup;"
        "from l2t_hub.records.dataset_manifest import read_manifest;"
        "from l2t_hub.recipe import recipe_from_tree; m = read_manifest(Path(sys.argv[1]));"
        "transform_setup(recipe_from_tree(m.recipe), Path(sys.argv[1]) / sys.argv[2], m.tokenizer);"
        "print(time.process_time())"
    )
    command = [sys.executable, "-c", code, str(out), TOKENIZER]
    outputs = [subprocess.check_output(command, text=True) for _ in range(3)]
    return statistics.median(float(output) for output in outputs)


def hash_rate(files: list[Path]) -> float:
    """Return the bytes per CPU second of SHA-256 over a dataset's files."""
    start = time.process_time()
    for file in files:
        sha256_of(file)
    return sum(file.stat().st_size for file in files) / (time.process_time() - start)


def views(manifest: Manifest) -> dict[str, Any]:
    """Return bytes, tokens and rows of each view, over all its shards."""
    totals: dict[str, Any] = {}
    for shard in manifest.shards:
        view = totals.setdefault(shard.view, {"bytes": 0, "tokens": 0, "rows": 0})
        for key in view:
            view[key] += getattr(shard, key)
    return totals


def extrapolate(measured: dict[str, Any]) -> dict[str, Any]:
    """Return the costs of two sizes: the tokens that the paper trains on, and all 23 shards of its source."""
    source, packed = measured["source"], measured["views"]["packed"]
    sizes = {
        "105B packed tokens": TRAINED_TOKENS * source["tokens"] / packed["tokens"],
        "23 shards": SHARDS * SHARD_TOKENS,
    }
    return {name: cost(measured, tokens / source["tokens"]) for name, tokens in sizes.items()}


def cost(measured: dict[str, Any], times: float) -> dict[str, Any]:
    """Return the cost of `times` the measured source."""
    written = {view: totals["bytes"] * times for view, totals in measured["views"].items()}
    everything = sum(written.values())
    return {
        "source_tokens": measured["source"]["tokens"] * times,
        "packed_tokens": measured["views"]["packed"]["tokens"] * times,
        "core_hours": {
            stage: seconds * measured["source"]["tokens"] * times / 3600
            for stage, seconds in measured["cpu_seconds_per_token"].items()
        },
        "bytes": written,
        "one_process_hours": measured["other_cpu_seconds_per_token"]
        * measured["source"]["tokens"]
        * times
        / 3600,
        "upload_hours": {
            f"{what}, {name}": size / rate / 3600
            for what, size in (("packed", written["packed"]), ("all views", everything))
            for name, rate in BANDWIDTHS.items()
        },
    }


def table(measured: dict[str, Any]) -> str:
    """Return the measurement and the extrapolation as text."""
    source, packed = measured["source"], measured["views"]["packed"]
    spread = [t["seconds"] / t["source_tokens"] for t in measured["tasks"] if t["stage"] == "shards"]
    lines = [
        f"source: {source['tokens']:,} tokens in {source['documents']:,} documents, {source['bytes']:,} bytes",
        *(
            f"{stage}: {1e-6 / seconds:.2f}M source tokens per CPU second"
            for stage, seconds in measured["cpu_seconds_per_token"].items()
        ),
        f"partitions: slowest {max(spread) / statistics.mean(spread):.2f} times the mean, "
        f"spread (standard deviation / mean) {statistics.pstdev(spread) / statistics.mean(spread):.1%}",
        f"start of a task: {measured['start_cpu_seconds']:.1f} CPU seconds",
        f"rest of the build, in one process: {measured['other_cpu_seconds']:.1f} CPU seconds, of which "
        f"{measured['other_cpu_seconds_per_token'] * source['tokens']:.1f} grow with the source",
        f"SHA-256: {measured['sha256_bytes_per_cpu_second'] / 1e9:.2f} GB per CPU second",
        f"peak memory: {measured['peak_bytes'] / 1e6:,.0f} MB",
        f"packed tokens per source token: {packed['tokens'] / source['tokens']:.2f}",
        *(
            f"{view}: {totals['bytes'] / totals['tokens']:.3f} bytes per token of the view"
            for view, totals in measured["views"].items()
        ),
        f"packed: {packed['bytes'] / (2 * packed['tokens']):.1%} of 2 bytes per token",
    ]
    for name, paper in measured["paper"].items():
        hours = ", ".join(f"{stage} {hours:.1f}" for stage, hours in paper["core_hours"].items())
        disk = ", ".join(f"{view} {size / 1e9:,.0f} GB" for view, size in paper["bytes"].items())
        upload = ", ".join(f"{what}: {hours:.1f} h" for what, hours in paper["upload_hours"].items())
        lines += [
            "",
            f"{name}: {paper['source_tokens'] / 1e9:.1f}B source tokens, {paper['packed_tokens'] / 1e9:.1f}B packed",
            f"  core-hours: {hours}",
            f"  disk: {disk}",
            f"  rest of the build, in one process: {paper['one_process_hours']:.2f} h",
            f"  upload: {upload}",
        ]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
