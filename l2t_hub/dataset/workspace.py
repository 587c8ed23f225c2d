"""The work folder of an unfinished build: its lock, its finished partitions, and what they were made from.

Until the dataset is complete, everything is in `.l2t-build/` inside the output directory. A partition's folder is
named after its number and its key, the hash of everything that decides its bytes, and gets that name only when all of
it is written. So after any interruption the folders that exist are finished, and those whose key still applies are
reused.
"""

import json
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from platform import node
from typing import Any

import numpy as np
from numpy.typing import NDArray

from l2t_hub.artifacts import MANIFEST, TOKENIZER, disk_errors, intact, locked, write_text
from l2t_hub.dataset.ledger import Ledger
from l2t_hub.dataset.shards import Shard
from l2t_hub.errors import UsageError
from l2t_hub.records.dataset_manifest import FileDrops
from l2t_hub.text import counted

WORK = ".l2t-build"
LOCK = "lock"
JOBS = "slurm.json"
PARTITION = "partition.json"
IDS = "ids.npy"


@dataclass(frozen=True)
class FinishedPartition:
    """A finished partition: its shards, in the order of their files, its ledger, and its drops by file."""

    rank: int
    key: str
    shards: list[Shard]
    ledger: Ledger
    drops: list[FileDrops] = field(default_factory=list)


@dataclass(frozen=True)
class Workspace:
    """The work folder of one output directory. Workers receive it pickled.

    `stage` names the folder of the partitions: those of the dataset, or those of a pass over the source before it.
    `work` names the work folder in `out`.
    """

    out: Path
    stage: str = "partitions"
    work: str = WORK

    @property
    def folder(self) -> Path:
        """The work folder."""
        return self.out / self.work

    @property
    def stage_folder(self) -> Path:
        """The folder that holds the partitions of this stage."""
        return self.folder / self.stage

    def partition_folder(self, rank: int, key: str) -> Path:
        """The final folder of a partition."""
        return self.stage_folder / f"{rank:05d}-{key[:16]}"

    def begin(self, rank: int, key: str) -> Path:
        """Return an empty folder to write a partition to. No two processes of any machine share one."""
        folder = self.stage_folder / f".{rank:05d}-{key[:16]}.{node()}.{os.getpid()}"
        with disk_errors(folder):
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
        return folder

    def commit(
        self, folder: Path, partition: FinishedPartition, ids: NDArray[np.uint64] | None = None
    ) -> None:
        """Give a written partition its final name, unless another process has finished it first.

        That happens when a cluster takes a slow node for lost and repeats its task. The first result stays, because
        the build may already be reading it. `ids` are the sorted hashes of the document IDs.
        """
        with disk_errors(folder):
            np.save(folder / IDS, np.empty(0, np.uint64) if ids is None else ids)
        content = {
            "key": partition.key,
            "shards": [asdict(shard) for shard in partition.shards],
            "ledger": partition.ledger.to_json(),
            "drops": partition.drops,
        }
        write_text(folder / PARTITION, json.dumps(content))
        final = self.partition_folder(partition.rank, partition.key)
        with disk_errors(folder):
            if self.finished(partition.rank, partition.key) is not None:
                shutil.rmtree(folder)
                return
            shutil.rmtree(final, ignore_errors=True)
            folder.rename(final)

    def finished(self, rank: int, key: str) -> FinishedPartition | None:
        """Return a partition if it is complete: every shard has the size and hash it was written with."""
        folder = self.partition_folder(rank, key)
        try:
            content = json.loads((folder / PARTITION).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        shards = [Shard(**shard) for shard in content["shards"]]
        if content["key"] != key or not all(intact(folder / s.file, s.bytes, s.sha256) for s in shards):
            return None
        return FinishedPartition(
            rank, key, shards, Ledger.from_json(content["ledger"]), content.get("drops", [])
        )

    def remove_stale(self, keys: Sequence[str]) -> None:
        """Remove half-written folders, and partitions that are damaged or have another key."""
        current = {self.partition_folder(rank, key).name for rank, key in enumerate(keys)}
        for folder in list(self.stage_folder.iterdir()) if self.stage_folder.is_dir() else []:
            if folder.name not in current:
                shutil.rmtree(folder, ignore_errors=True)
        for rank, key in enumerate(keys):
            if self.finished(rank, key) is None:
                shutil.rmtree(self.partition_folder(rank, key), ignore_errors=True)

    def clear(self) -> None:
        """Remove everything but the lock, which this build still holds."""
        for path in self.folder.iterdir() if self.folder.is_dir() else ():
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            elif path.name != LOCK:
                path.unlink()

    def remove(self) -> None:
        """Remove the work folder, the lock last. A build that takes a new lock meanwhile keeps the folder."""
        self.clear()
        (self.folder / LOCK).unlink(missing_ok=True)
        with suppress(OSError):
            self.folder.rmdir()

    def read_json(self, name: str) -> Any:
        """Return the content of a JSON file of the work folder, or None if it cannot be read."""
        try:
            return json.loads((self.folder / name).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None

    def write_json(self, name: str, content: Any) -> None:
        """Write a JSON file of the work folder."""
        write_text(self.folder / name, json.dumps(content))


@contextmanager
def open_workspace(out: Path) -> Iterator[Workspace]:
    """Lock an output directory for one build.

    Afterwards a work folder without results and without submitted jobs, and an output directory that was created for
    it, are removed.
    Raises UsageError if the directory holds anything but a dataset, UserError if another build is running in it.
    """
    check_directory(out)
    is_new = not out.exists()
    workspace = Workspace(out)
    busy = f"{out}: another build is running in this directory (process {{pid}})"
    with locked(workspace.folder / LOCK, busy, "Wait for it to end, or build into another directory."):
        with disk_errors(out):
            workspace.stage_folder.mkdir(parents=True, exist_ok=True)
        try:
            yield workspace
        finally:
            if not _is_needed(workspace.folder):
                workspace.remove()
                if is_new:
                    with suppress(OSError):
                        out.rmdir()


def _is_needed(folder: Path) -> bool:
    """Whether a work folder has results, or Slurm jobs that may still write to it."""
    has_results = any(folder.glob("*/[0-9]*")) or (folder / TOKENIZER).is_dir()
    return has_results or (folder / JOBS).is_file()


def say_what_is_kept(out: Path, partitions: int) -> tuple[str, str]:
    """Say of a stopped build of so many `partitions` what is kept, and how to go on."""
    workspace = Workspace(out)
    jobs = (workspace.read_json(JOBS) or {}).get("jobs", ())
    finished = len(list(workspace.stage_folder.glob("[0-9]*")))
    if jobs:
        cancel = f"To cancel {'it' if len(jobs) == 1 else 'them'}: scancel {' '.join(jobs)}"
        running = f"{out}: Slurm job {', '.join(jobs)} continues without this command"
        return running, f"Rerun the command to wait for it. {cancel}"
    if finished:
        verb = "is" if finished == 1 else "are"
        kept = f"{finished} of {counted(partitions, 'partition')} {verb} finished and kept"
    elif (out / MANIFEST).is_file():
        kept = "the dataset that was there is unchanged"
    elif workspace.folder.is_dir() and _is_needed(workspace.folder):
        kept = "no partition is finished yet; what was found out before is kept"
    else:
        kept = "nothing is finished yet"
    return f"{out}: {kept}", "Rerun the command to continue."


def check_directory(out: Path) -> None:
    """Raise UsageError if the output directory is a file, or holds anything but a dataset or an unfinished build."""
    if out.exists() and not out.is_dir():
        raise UsageError(f"{out}: this is a file", "Choose a directory for the dataset.")
    if not out.is_dir() or (out / MANIFEST).is_file() or (out / WORK).is_dir():
        return
    names = sorted(path.name for path in out.iterdir() if path.name != WORK)
    if names:
        listed = ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")
        raise UsageError(
            f"{out}: this directory is not empty and holds no L2T dataset. It holds {listed}",
            "Nothing was changed. Choose a new or empty directory.",
        )
