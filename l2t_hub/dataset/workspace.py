"""A build in progress: the lock, the finished partitions, and what they were made from.

Everything lies in `.l2t-build/` inside the output directory until the dataset is whole. A partition's folder is named
after its number and its key, the hash of everything that decides its bytes; it gets that name only when all of it is
written. So after any interruption the folders that are there are finished, and those whose key still holds are used
again.
"""

import fcntl
import json
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from platform import node
from typing import Any

import numpy as np
from numpy.typing import NDArray

from l2t_hub.artifacts import MANIFEST, TOKENIZER, disk_errors, sha256_of, write_text
from l2t_hub.dataset.ledger import Ledger
from l2t_hub.dataset.shards import Shard
from l2t_hub.errors import UsageError, UserError

WORK = ".l2t-build"
PART = "part.json"
IDS = "ids.npy"


@dataclass(frozen=True)
class FinishedPartition:
    """A finished partition: its shards, in the order of their files, and its ledger."""

    rank: int
    key: str
    shards: list[Shard]
    ledger: Ledger


@dataclass(frozen=True)
class Workspace:
    """The work folder of one output directory. Picklable: workers get it.

    `stage` names the folder of the partitions: those of the dataset, or of what is found out before it can be built.
    """

    out: Path
    stage: str = "parts"

    @property
    def folder(self) -> Path:
        """The work folder."""
        return self.out / WORK

    @property
    def parts(self) -> Path:
        """Where partitions lie."""
        return self.folder / self.stage

    def place(self, rank: int, key: str) -> Path:
        """The folder of a finished partition."""
        return self.parts / f"{rank:05d}-{key[:16]}"

    def begin(self, rank: int, key: str) -> Path:
        """An empty folder to write a partition in; machine and process number keep two writers apart."""
        folder = self.parts / f".{rank:05d}-{key[:16]}.{node()}.{os.getpid()}"
        with disk_errors(folder):
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
        return folder

    def commit(self, folder: Path, part: FinishedPartition, ids: NDArray[np.uint64]) -> None:
        """Give a written partition its final name, unless one that is whole has it.

        That is so where a cluster took a node for lost that went on working: the first one stays, because the build
        may be reading it already.
        """
        with disk_errors(folder):
            np.save(folder / IDS, ids)
        about = {"key": part.key, "shards": [asdict(s) for s in part.shards], "ledger": part.ledger.to_json()}
        write_text(folder / PART, json.dumps(about))
        place = self.place(part.rank, part.key)
        with disk_errors(folder):
            if self.finished(part.rank, part.key) is not None:
                shutil.rmtree(folder)
                return
            shutil.rmtree(place, ignore_errors=True)
            folder.rename(place)

    def finished(self, rank: int, key: str) -> FinishedPartition | None:
        """A partition that is there and whole, every file as long and as hashed as when it was written."""
        place = self.place(rank, key)
        try:
            about = json.loads((place / PART).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        shards = [Shard(**shard) for shard in about["shards"]]
        if about["key"] != key or not all(intact(place / s.file, s.bytes, s.sha256) for s in shards):
            return None
        return FinishedPartition(rank, key, shards, Ledger.from_json(about["ledger"]))

    def clear(self, keys: Sequence[str]) -> None:
        """Remove what earlier builds left: half-written folders, and partitions made from something else."""
        keep = {self.place(rank, key).name for rank, key in enumerate(keys)}
        for folder in list(self.parts.iterdir()) if self.parts.is_dir() else []:
            if folder.name not in keep:
                shutil.rmtree(folder, ignore_errors=True)
        for rank, key in enumerate(keys):
            if self.finished(rank, key) is None:
                shutil.rmtree(self.place(rank, key), ignore_errors=True)

    def read(self, name: str) -> Any:
        """A JSON file of the work folder; None if there is none."""
        try:
            return json.loads((self.folder / name).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None

    def write(self, name: str, value: Any) -> None:
        """Write a JSON file of the work folder."""
        write_text(self.folder / name, json.dumps(value))


def intact(path: Path, size: int, sha256: str) -> bool:
    """Whether a file is there with this size and hash."""
    return path.is_file() and path.stat().st_size == size and sha256_of(path) == sha256


@contextmanager
def workspace(out: Path) -> Iterator[Workspace]:
    """Lock an output directory for one build.

    Raises UsageError if the directory holds something other than a dataset of ours, UserError if another build is at
    work in it. On the way out an empty work folder, and an output directory made for nothing, are removed.
    """
    check_directory(out)
    made = not out.exists()
    space = Workspace(out)
    with disk_errors(out):
        space.parts.mkdir(parents=True, exist_ok=True)
        descriptor = _lock(space)
    try:
        yield space
    finally:
        if (
            space.folder.is_dir()
            and not any(space.folder.glob("*/[0-9]*"))
            and not (space.folder / TOKENIZER).is_dir()
        ):
            shutil.rmtree(space.folder, ignore_errors=True)
            if made:
                with suppress(OSError):
                    out.rmdir()
        os.close(descriptor)


def check_directory(out: Path) -> None:
    """Raise UsageError if the output directory is a file or holds something that no build of ours made."""
    if out.exists() and not out.is_dir():
        raise UsageError(f"{out}: this is a file", "Give a directory for the dataset.")
    if not out.is_dir() or (out / MANIFEST).is_file() or (out / WORK).is_dir():
        return
    names = sorted(p.name for p in out.iterdir())
    if names:
        some = ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")
        raise UsageError(
            f"{out}: this directory is not empty and not a dataset of l2t: it holds {some}",
            "Nothing in it was touched. Give a new or empty directory.",
        )


def _lock(space: Workspace) -> int:
    """Take the lock; the system frees it when the process ends, however it ends."""
    path = space.folder / "lock"
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(descriptor, 100).decode(errors="replace").strip() or "unknown"
            os.close(descriptor)
            raise UserError(
                f"{space.out}: another build is at work in this directory (process {holder})",
                "Wait for it to end, or build into another directory.",
            ) from None
        # A build that ends removes the folder with the lock in it: make sure that ours is the one that is there.
        with suppress(FileNotFoundError):
            if path.stat().st_ino == os.fstat(descriptor).st_ino:
                os.ftruncate(descriptor, 0)
                os.write(descriptor, str(os.getpid()).encode())
                return descriptor
        os.close(descriptor)
        space.parts.mkdir(parents=True, exist_ok=True)
