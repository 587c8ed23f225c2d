"""Whether a file is regular or goes to large-file storage, and how its content is read back from either.

The server alone decides: by the repo's `.gitattributes`, by size, and by whether the first bytes are text. An empty
file is always regular.
"""

import re
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

from pathspec import GitIgnoreSpec

from l2t_hub.local_hub.git_objects import TreeEntry
from l2t_hub.local_hub.http_errors import HubError
from l2t_hub.local_hub.hub_request import Hub, Reader
from l2t_hub.local_hub.storage import Store
from l2t_hub.local_hub.xet_files import XetReader, xet_file_of

PIECE_BYTES = 1 << 20
MAX_PATTERNS = 1000
# Matching takes time exponential in the number of wildcards: five take minutes on a long path.
MAX_WILDCARDS = 3
_LFS_SUFFIXES = """
7z arrow bin bz2 ckpt ftz gz h5 joblib lz4 mlmodel model msgpack npy npz onnx ot parquet pb pickle pkl pt pth rar
safetensors tar tflite tgz wasm whl xz zip zst gif jpg jpeg png webp mp3 mp4 wav flac ogg pdf
"""


def attributes_file() -> bytes:
    """Return the `.gitattributes` of a new repo."""
    rules = [f"*.{suffix}" for suffix in _LFS_SUFFIXES.split()] + ["*tfevents*", "saved_model/**/*"]
    return "".join(f"{rule} filter=lfs diff=lfs merge=lfs -text\n" for rule in rules).encode()


@lru_cache(maxsize=64)
def _lfs_rules(attributes: str) -> GitIgnoreSpec:
    rows = [line.split() for line in attributes.splitlines() if line.strip() and not line.startswith("#")]
    return _rules([row[0] for row in rows if "filter=lfs" in row[1:]], ".gitattributes")


@lru_cache(maxsize=64)
def ignore_rules(gitignore: str) -> GitIgnoreSpec:
    """Return the rules of a `.gitignore`. Raises HubError 400 if they take too long to match."""
    return _rules(gitignore.splitlines(), ".gitignore")


def _rules(patterns: list[str], file: str) -> GitIgnoreSpec:
    if len(patterns) > MAX_PATTERNS or any(len(re.findall(r"\*+", p)) > MAX_WILDCARDS for p in patterns):
        raise HubError(
            400, f"{file}: more than {MAX_PATTERNS} lines, or more than {MAX_WILDCARDS} wildcards in a line."
        )
    try:
        return GitIgnoreSpec.from_lines(patterns)
    except (ValueError, re.error):
        raise HubError(400, f"{file}: a line is not a valid pattern.") from None


def belongs_in_lfs(hub: Hub, attributes: str, path: str, size: int, sample: bytes) -> bool:
    """Whether a file of `size` bytes that starts with `sample` goes to large-file storage."""
    if size == 0:
        return False
    return size > hub.limits.regular_bytes or _lfs_rules(attributes).match_file(path) or not _is_text(sample)


def _is_text(sample: bytes) -> bool:
    try:
        sample.decode()
    except UnicodeDecodeError as error:
        # The end of the sample may cut a character in two.
        if error.start < len(sample) - 3 or error.reason != "unexpected end of data":
            return False
    return b"\0" not in sample


class BlobReader:
    """The content of a file on disk."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def chunks(self, start: int, end: int) -> Iterator[bytes]:
        """Yield the bytes from `start` to before `end`, at most a megabyte at a time."""
        with self._path.open("rb") as file:
            file.seek(start)
            while start < end:
                piece = file.read(min(PIECE_BYTES, end - start))
                if not piece:
                    raise OSError(f"{self._path.name} has become shorter")
                start += len(piece)
                yield piece


def stored_size(store: Store, sha256: str) -> int | None:
    """Return the size in bytes of the content with this hash, None if the Hub does not have it."""
    path = store.blob_path(sha256)
    if path.is_file():
        return path.stat().st_size
    xet = xet_file_of(store, sha256)
    return xet.size if xet else None


def reader_of(store: Store, entry: TreeEntry) -> Reader:
    """Return a reader for the content of a tree entry. Raises HubError 500 if it is no longer on disk."""
    path = store.blob_path(entry.sha256)
    if path.is_file():
        return BlobReader(path)
    xet = xet_file_of(store, entry.sha256)
    if xet is None:
        raise HubError(500, f"The content {entry.sha256} is missing from the directory of this Hub.")
    return XetReader(store, xet)


def read_text(hub: Hub, entry: TreeEntry | None, limit: int) -> str | None:
    """Return a file as text, undecodable bytes replaced; None without a file or if it exceeds `limit` bytes."""
    if entry is None or entry.size > limit:
        return None
    return b"".join(reader_of(hub.store, entry).chunks(0, entry.size)).decode(errors="replace")
