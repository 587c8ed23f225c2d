"""Turn finished partitions into a dataset directory: final names, staging, and the switch to the new dataset.

All files are staged next to the old dataset first, as hard links, and then the folders change places. The old
manifest is moved away first and the new one moved in last, so a directory with a manifest is always complete.
"""

import os
import shutil
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from l2t_hub.artifacts import MANIFEST, disk_errors
from l2t_hub.dataset.shards import Shard
from l2t_hub.dataset.workspace import IDS, FinishedPartition, Workspace
from l2t_hub.records.dataset_manifest import ShardEntry

STAGED, REPLACED = "staged", "replaced"
DATA = "data"
BUCKET_IDS = 4_000_000


@dataclass(frozen=True)
class PlacedShard:
    """A shard of a partition with its final path in the dataset."""

    partition: FinishedPartition
    shard: Shard
    path: str


def place_shards(partitions: Sequence[FinishedPartition]) -> list[PlacedShard]:
    """Give every shard its final path. Names number the shards of a view, task and split, and state their count."""
    files: dict[tuple[str, str, str], list[tuple[FinishedPartition, Shard]]] = defaultdict(list)
    for partition in partitions:
        for shard in partition.shards:
            files[shard.view, shard.task, shard.split].append((partition, shard))
    placed: list[PlacedShard] = []
    for (view, task, split), shards in sorted(files.items()):
        folder = "/".join(name for name in (DATA, view, task) if name)
        for number, (partition, shard) in enumerate(shards):
            name = f"{split}-{number:05d}-of-{len(shards):05d}.parquet"
            placed.append(PlacedShard(partition, shard, f"{folder}/{name}"))
    return placed


def shard_entries(placed: Sequence[PlacedShard], sequence_length: int) -> list[ShardEntry]:
    """Return the manifest's entries of all shards. The examples of a task are a configuration with its name."""
    entries = []
    for item in placed:
        shard = item.shard
        entry: dict[str, Any] = {
            "path": item.path,
            "config": shard.task or shard.view,
            "view": shard.view,
            "split": shard.split,
            "partition": item.partition.rank,
            "rows": shard.rows,
            "tokens": shard.tokens,
            "bytes": shard.bytes,
            "sha256": shard.sha256,
        }
        if shard.view == "packed":
            entry["fill"] = round(shard.tokens / (shard.rows * sequence_length), 6)
        entries.append(ShardEntry.model_validate(entry))
    return entries


def stage_shards(workspace: Workspace, placed: Sequence[PlacedShard]) -> Path:
    """Link the shards under their final paths in a new folder of the workspace, and return the folder."""
    folder = workspace.folder / STAGED
    shutil.rmtree(folder, ignore_errors=True)
    with disk_errors(folder):
        (folder / DATA).mkdir(parents=True)
        for item in placed:
            source = workspace.partition_folder(item.partition.rank, item.partition.key) / item.shard.file
            target = folder / item.path
            target.parent.mkdir(parents=True, exist_ok=True)
            link_or_copy(source, target)
    return folder


def link_or_copy(source: Path, target: Path) -> None:
    """Make a hard link, or a copy if the file system has no hard links."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


def switch_dataset(workspace: Workspace, staged: Path, names: Sequence[str]) -> None:
    """Replace the output directory's `names` and its manifest by those that are staged.

    If it is interrupted, the directory has no manifest but still has its workspace, and the next build completes the
    switch.
    """
    out, replaced = workspace.out, workspace.folder / REPLACED
    shutil.rmtree(replaced, ignore_errors=True)
    with disk_errors(out):
        replaced.mkdir()
        for name in (MANIFEST, *names):
            if (out / name).exists():
                (out / name).rename(replaced / name)
        for name in (*names, MANIFEST):
            if (staged / name).exists():
                (staged / name).rename(out / name)


def count_repeated_ids(workspace: Workspace, partitions: Sequence[FinishedPartition]) -> int:
    """Return how many document IDs are in more than one partition. Compares the hashes in buckets to bound memory."""
    files = [np.load(workspace.partition_folder(p.rank, p.key) / IDS, mmap_mode="r") for p in partitions]
    buckets = sum(len(ids) for ids in files) // BUCKET_IDS + 1
    bounds = np.array([(1 << 64) * n // buckets for n in range(1, buckets)], np.uint64)
    cuts = [np.concatenate(([0], np.searchsorted(f, bounds), [len(f)])).astype(np.int64) for f in files]
    repeated = 0
    for n in range(buckets):
        ids = np.concatenate([f[cut[n] : cut[n + 1]] for f, cut in zip(files, cuts, strict=True)])
        repeated += len(ids) - len(np.unique(ids))
    return repeated
