"""The directory of one local Hub: the marker that claims it, and private files in it.

The Hub deletes leftovers and sets permissions in its directory, so it accepts only one that is empty or carries its
marker. It refuses links among its files, because they would lead reads and writes somewhere else.
"""

import os
import secrets
import shutil
import stat
import time
from collections.abc import Iterator
from pathlib import Path

from filelock import BaseFileLock, FileLock, Timeout

from l2t_hub.errors import UserError
from l2t_hub.hub.endpoint import SERVING

MARKER = "LOCAL_HUB"
DATABASE = "hub.sqlite"
TOKENS = "tokens.json"
PORT = "port"
LOG = "hub.log"
FOLDERS = ("blobs", "xorbs", "parts", "tmp")
FILES = (MARKER, "lock", DATABASE, f"{DATABASE}-wal", f"{DATABASE}-shm", TOKENS, PORT, SERVING, LOG)
_SIGNATURE = "This directory belongs to a local Hub of l2t_hub."
_MARKER_TEXT = f"{_SIGNATURE}\nThe Hub manages every file in it. Serve it with `l2t hub serve --dir DIR`.\n"
# `client` is the HF_HOME of the clients that `--hub local` starts; the Hub itself never opens it.
_UNMARKED = {*FOLDERS, *FILES, "client", "serving.partial"}
_MAX_BYTES = 1 << 16


def claim(directory: Path) -> BaseFileLock:
    """Make `directory` the home of a local Hub. Returns the lock that keeps other processes out.

    A missing directory is created. Raises UserError, and changes nothing, if the directory has other files or links
    in it, cannot be written, or is served by another process.
    """
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        _mark(directory)
        entries = list(_entries(directory))
        lock = FileLock(directory / "lock", timeout=0, mode=0o600, thread_local=False)
        lock.acquire()
        _make_private(directory, entries)
    except Timeout:
        raise UserError(
            f"{directory}: another local Hub serves this directory",
            "Stop it first, or choose another directory with --dir.",
        ) from None
    except OSError as error:
        raise UserError(
            f"{directory}: the local Hub cannot use this directory: {error.strerror or error}",
            "Choose a directory that you may write to.",
        ) from None
    return lock


def _mark(directory: Path) -> None:
    names = {path.name for path in directory.iterdir()}
    # A Hub made before there was a marker has exactly these names.
    unmarked = not names or {TOKENS, DATABASE} <= names <= _UNMARKED
    if not (_signed(directory / MARKER) if MARKER in names else unmarked):
        raise UserError(
            f"{directory}: this directory has files that do not belong to a local Hub",
            "Choose an empty directory, or one that a local Hub has used before.",
        )
    if MARKER not in names:
        _create(directory / MARKER, _MARKER_TEXT)


def _signed(marker: Path) -> bool:
    try:
        return read_small(marker).startswith(_SIGNATURE)
    except OSError:
        return False


def _entries(directory: Path) -> Iterator[tuple[Path, int]]:
    """The files and directories that the Hub opens by name, with the mode each should have."""
    folders = [directory / name for name in FOLDERS]
    for path in [directory / name for name in FILES] + folders:
        if os.path.lexists(path):
            yield _plain(path, folder=path in folders)
    for folder in folders[:3]:
        if folder.exists():
            yield from (_plain(path, folder=True) for path in folder.iterdir())


def _plain(path: Path, *, folder: bool) -> tuple[Path, int]:
    mode = path.lstat().st_mode
    if not (stat.S_ISDIR(mode) if folder else stat.S_ISREG(mode)):
        raise UserError(
            f"{path}: the local Hub does not follow links or open special files in its directory",
            "Choose an empty directory.",
        )
    return path, 0o700 if folder else 0o600


def _make_private(directory: Path, entries: list[tuple[Path, int]]) -> None:
    for path, mode in [(directory, 0o700), *entries]:
        path.chmod(mode)
    for name in FOLDERS:
        (directory / name).mkdir(mode=0o700, exist_ok=True)
    if not (directory / DATABASE).exists():
        _create(directory / DATABASE, "")  # SQLite itself would let everybody read it


def clear_leftovers(directory: Path, upload_seconds: int) -> None:
    """Delete the temporary files of a killed server, and the parts of uploads older than `upload_seconds`."""
    for leftover in (directory / "tmp").iterdir():
        if not leftover.is_dir():
            leftover.unlink()
    for upload in (directory / "parts").iterdir():
        if upload.stat().st_mtime < time.time() - upload_seconds:
            shutil.rmtree(upload)


def write_private(path: Path, text: str) -> None:
    """Write a file of a claimed directory. It has mode 0600 and appears under its name only when complete."""
    temporary = path.parent / "tmp" / f"{path.name}.{secrets.token_hex(8)}"
    _create(temporary, text)
    temporary.replace(path)


def _create(path: Path, text: str) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(text)


def read_small(path: Path) -> str:
    """Read at most 64 KiB of a text file; undecodable bytes are replaced. Raises OSError for a link or a device."""
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    with os.fdopen(handle, "rb") as file:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise OSError(f"{path} is not a plain file")
        return file.read(_MAX_BYTES).decode(errors="replace")
