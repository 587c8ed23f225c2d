"""Whether the manifest of a build will be small enough to be read: checked before the first partition is built."""

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from l2t_hub.corpus.source import Source
from l2t_hub.dataset.ledger import RAW, STAGES
from l2t_hub.errors import UsageError
from l2t_hub.recipe import Recipe
from l2t_hub.records.dataset_manifest import DroppedRecords, Manifest
from l2t_hub.records.reading import MAX_BYTES
from l2t_hub.text import counted

# What a manifest has beside partitions, shards and source: recipe, totals, tasks, tokenizer, files.
_FIXED_BYTES = 100_000
# Typical of large partitions. A partition reads few files, and a flow has drops for no reason, one or two;
# all are taken to have one.
_DROPS = 10
_DIGEST, _COUNT, _REASON = "0" * 64, 10**8, "under min_words"


def check_manifest_size(
    recipe: Recipe,
    tasks: Collection[str],
    source: Source,
    limit: int = MAX_BYTES,
    dropped: Sequence[DroppedRecords | None] = (),
) -> None:
    """Raise UsageError if the manifest could become larger than readers accept, with the partitions that would do.

    Every partition is taken to have every flow and every shard that the recipe allows.
    """
    known = {"contents": source.contents, "dropped": list(dropped)}
    fixed = _FIXED_BYTES + _size(known)
    each = partition_bytes(recipe, tasks)
    partitions = recipe.build.partitions
    if fixed + partitions * each <= limit:
        return
    where, megabytes = recipe.where("build.partitions"), limit // 1_000_000
    if fixed + each > limit:
        raise UsageError(
            f"{recipe.where('source.path')}: the manifest would be larger than the {megabytes} MB that can be read, "
            f"because the source has {counted(len(source.contents), 'file')}",
            "Join small files into larger ones.",
        )
    raise UsageError(
        f"{where} is {partitions:,}: the manifest would take about {(fixed + partitions * each) // 1_000_000} MB, "
        f"and at most {megabytes} MB can be read",
        f"Use at most {counted((limit - fixed) // each, 'partition')}, or divide the source into several datasets.",
    )


def partition_bytes(recipe: Recipe, tasks: Collection[str]) -> int:
    """Return how many bytes of a manifest one partition can take: its entry, its ledger and its shards."""
    splits = ("train", "validation") if recipe.validation.share else ("train",)
    ledger = [
        {
            "stage": stage,
            "split": split,
            "what": what,
            "unit": unit,
            "in": _COUNT,
            "out": _COUNT,
            "dropped": {_REASON: _COUNT},
        }
        for stage, (unit, _, _) in STAGES.items()
        for split in splits
        for what in _kinds(stage, tasks)
    ]
    drops = [{"file": "part-00000-of-00000.parquet", "reason": _REASON, "count": _COUNT}] * _DROPS
    entry = {"key": _DIGEST, "inputs": _DIGEST, "ledger": ledger, "drops": drops}
    return _size([entry, *_shards(recipe, tasks, splits)])


def _kinds(stage: str, tasks: Collection[str]) -> Collection[str]:
    """Return what has a flow of its own at a stage: raw text, each task, or both."""
    if stage in ("read", "pack"):
        return (RAW, "task")
    return (RAW, *tasks) if stage in ("assign", "document", "tokens") else tasks


def _shards(recipe: Recipe, tasks: Collection[str], splits: Collection[str]) -> Iterator[Mapping[str, Any]]:
    """Yield the largest entries of the shards that one partition can have."""
    views = [("examples", task) for task in tasks if recipe.build.examples != "none"]
    views += [("raw", "raw")] * (recipe.build.raw != "none") + [("packed", "packed")] * recipe.build.packed
    for view, config in views:
        folder = f"data/examples/{config}" if view == "examples" else f"data/{view}"
        for split in splits:
            yield {
                "path": f"{folder}/{split}-00000-of-00000.parquet",
                "config": config,
                "view": view,
                "split": split,
                "partition": recipe.build.partitions,
                "rows": _COUNT,
                "tokens": _COUNT,
                "bytes": _COUNT,
                "sha256": _DIGEST,
                "fill": 0.123456,
            }


def _size(tree: Any) -> int:
    """Return the bytes of a tree in a manifest, where it is two levels deep."""
    text = json.dumps(tree, indent=Manifest.INDENT, ensure_ascii=False)
    return len(text.encode()) + 2 * text.count("\n")
