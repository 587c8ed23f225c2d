"""From finished partitions to a dataset directory: final names, tokenizer, card, manifest, and the switch.

Everything is laid out beside the old dataset first (hard links, no copies), then the folders change places; the
manifest goes first and comes last, so that a directory with a manifest is always whole.
"""

import os
import shutil
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from l2t_hub.artifacts import MANIFEST, disk_errors
from l2t_hub.dataset.shards import Shard
from l2t_hub.dataset.workspace import IDS, FinishedPartition, Workspace
from l2t_hub.records.dataset_manifest import ShardEntry

STAGE = "stage"
DATA = "data"
BUCKET = 4_000_000


def final_shards(parts: Sequence[FinishedPartition]) -> list[tuple[FinishedPartition, Shard, str]]:
    """Every shard with its final path: numbered through the partitions, with the number of them in the name."""
    files: dict[tuple[str, str, str], list[tuple[FinishedPartition, Shard]]] = defaultdict(list)
    for part in parts:
        for shard in part.shards:
            files[shard.view, shard.task, shard.split].append((part, shard))
    named: list[tuple[FinishedPartition, Shard, str]] = []
    for (view, task, split), found in sorted(files.items()):
        folder = "/".join(name for name in (DATA, view, task) if name)
        for number, (part, shard) in enumerate(found):
            named.append((part, shard, f"{folder}/{split}-{number:05d}-of-{len(found):05d}.parquet"))
    return named


def shard_entries(
    named: Sequence[tuple[FinishedPartition, Shard, str]], sequence_length: int
) -> list[ShardEntry]:
    """The manifest's entries of all shards, by path; a task's examples are a configuration of its name."""
    entries = []
    for part, shard, path in named:
        entry: dict[str, Any] = {
            "path": path,
            "config": shard.task or shard.view,
            "view": shard.view,
            "split": shard.split,
            "partition": part.rank,
            "rows": shard.rows,
            "tokens": shard.tokens,
            "bytes": shard.bytes,
            "sha256": shard.sha256,
        }
        if shard.view == "packed":
            entry["fill"] = round(shard.tokens / (shard.rows * sequence_length), 6)
        entries.append(ShardEntry.model_validate(entry))
    return entries


def stage(space: Workspace, named: Sequence[tuple[FinishedPartition, Shard, str]]) -> Path:
    """Lay the shards out under their final paths in a folder of the workspace."""
    folder = space.folder / STAGE
    shutil.rmtree(folder, ignore_errors=True)
    with disk_errors(folder):
        (folder / DATA).mkdir(parents=True)
        for part, shard, path in named:
            place = folder / path
            place.parent.mkdir(parents=True, exist_ok=True)
            link(space.place(part.rank, part.key) / shard.file, place)
    return folder


def link(source: Path, target: Path) -> None:
    """Give a file a second name, or a copy on file systems that have no such thing."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


def switch(space: Workspace, staged: Path, names: Sequence[str]) -> None:
    """Replace the output directory's `names` (and its manifest, last) by the staged ones.

    Killed in between, the directory has no manifest but still its workspace, and the next build ends the switch.
    """
    old = space.folder / "old"
    shutil.rmtree(old, ignore_errors=True)
    with disk_errors(space.out):
        old.mkdir()
        for name in (MANIFEST, *names):
            if (space.out / name).exists():
                (space.out / name).rename(old / name)
        for name in (*names, MANIFEST):
            (staged / name).rename(space.out / name)


def repeated_ids(space: Workspace, parts: Sequence[FinishedPartition]) -> int:
    """How many ids stand in more than one partition, counted over slices of the sorted hashes to bound memory."""
    files = [np.load(space.place(p.rank, p.key) / IDS, mmap_mode="r") for p in parts]
    total = sum(len(f) for f in files)
    buckets = total // BUCKET + 1
    bounds = np.array([(1 << 64) * n // buckets for n in range(1, buckets)], np.uint64)
    cuts = [np.concatenate(([0], np.searchsorted(f, bounds), [len(f)])).astype(np.int64) for f in files]
    repeated = 0
    for n in range(buckets):
        both = np.concatenate([f[c[n] : c[n + 1]] for f, c in zip(files, cuts, strict=True)])
        repeated += len(both) - len(np.unique(both))
    return repeated
