"""The files a dataset, model or run consists of, and the one way to write, hash and lock them.

File names are part of the published format: readers of other versions look for them under these names.
"""

import errno
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from l2t_hub.errors import UserError

CARD = "README.md"
CONFIG = "config.json"
MANIFEST = "l2t_manifest.json"
RELEASE_RECORD = "l2t_release.json"
TRAINING_RECORD = "training.json"
TRAINING_LOG = "train_log.jsonl"
WEIGHTS = "model.safetensors"
PREDICTION_HEADS = "prediction_heads.safetensors"
TOKENIZER = "tokenizer"
MODULES = "modules"
PACKED = "data/packed"
CHECKPOINTS = "checkpoints"

# Long enough to try again where the owner has just removed the lock file together with its folder.
_LOCK_SECONDS = 0.2
_LOCK_ATTEMPTS = 100

# What a write reports when there is no room: full disk, used-up quota, file size limit.
NO_ROOM = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the disk quota is used up",
    errno.EFBIG: "the file would exceed this process's file size limit",
}


def sha256_of(*paths: Path) -> str:
    """Return the SHA-256 of a file, or of several files in a row, as 64 hex digits.

    Raises OSError if a file cannot be read.
    """
    digest = hashlib.sha256()
    for path in paths:
        with path.open("rb") as file:
            hashlib.file_digest(file, lambda: digest)
    return digest.hexdigest()


def intact(path: Path, size: int, sha256: str) -> bool:
    """Whether a file exists with this size in bytes and this SHA-256."""
    return path.is_file() and path.stat().st_size == size and sha256_of(path) == sha256


def write_text(path: Path, text: str) -> None:
    """Write a UTF-8 text file that appears under its name only when complete. Raises UserError as `disk_errors`."""
    write_bytes(path, text.encode("utf-8"))


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file that appears under its name only when complete. Raises UserError as `disk_errors` does."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with disk_errors(path):
        try:
            temporary.write_bytes(content)
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)


@contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """Turn an OSError of a write (no room, no permission) into a UserError that names `path`."""
    try:
        yield
    except OSError as error:
        raise disk_error(path, error) from None


def disk_error(path: Path, error: OSError) -> UserError:
    """Explain a failed write to `path`."""
    code = error.errno or next((e for e in NO_ROOM if f"[errno {e}]" in str(error).lower()), 0)
    if code in NO_ROOM:
        return UserError(
            f"{path}: {NO_ROOM[code]}", "Free some space and rerun the command: finished work is kept."
        )
    reason = error.strerror or error
    return UserError(f"{path}: cannot be written: {reason}", "Check the permissions of the directory.")


@contextmanager
def locked(path: Path, busy: str, hint: str) -> Iterator[None]:
    """Hold the lock file `path` for the length of a block; the system frees it when the process ends.

    The file holds the owner's process ID, which `{pid}` in `busy` stands for. An owner may remove the file and its
    folder before it releases the lock.
    Raises UserError(busy, hint) if another process holds the lock, or as `disk_errors` does.
    """
    lock = FileLock(path, timeout=_LOCK_SECONDS)
    with disk_errors(path):
        try:
            _acquire(lock)
        except Timeout:
            pid = "unknown"
            with suppress(OSError, ValueError):
                pid = str(int(path.read_text(encoding="utf-8")))
            raise UserError(busy.replace("{pid}", pid), hint) from None
        path.write_text(str(os.getpid()), encoding="utf-8")
    try:
        yield
    finally:
        lock.release()


def _acquire(lock: FileLock) -> None:
    """Acquire a lock; filelock creates its folder. Repeat if the owner removed the folder at that moment."""
    for _ in range(_LOCK_ATTEMPTS):
        with suppress(FileNotFoundError):
            lock.acquire()
            return
    lock.acquire()
