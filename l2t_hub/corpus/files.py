"""The local files of a source: which they are, in which order, how large, and what their bytes hash to.

Everything a build divides or compares is decided here, before any text is read, from the files alone.
"""

import glob
import hashlib
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pyarrow as pa
import pyarrow.parquet as pq

from l2t_hub.errors import UsageError, UserError, nearest

Kind = Literal["parquet", "jsonl", "text", "damaged"]

SAMPLE = "bundled:sample"
SUFFIXES: dict[str, Kind] = {
    ".parquet": "parquet",
    ".pq": "parquet",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "jsonl",
    ".txt": "text",
    ".text": "text",
}
COMPRESSED = (".gz", ".zst", ".bz2", ".xz")
CHUNK = 1 << 20


@dataclass(frozen=True)
class SourceFile:
    """One file of a source.

    `name` is relative to the source's root, with forward slashes; `extent` counts the positions it may be cut at
    (rows in Parquet, bytes in plain JSON Lines, 1 where it can only be read whole) and `size` its bytes.
    `records` is the number of records to read where it is known (counting them is cheap, or a limit was set).
    """

    name: str
    path: Path
    kind: Kind
    compression: str | None
    size: int
    extent: int
    records: int | None
    sha256: str


def find(path: str, where: str) -> tuple[Path, list[Path]]:
    """Give the root and the files of a source path: `bundled:sample`, a file, a folder or a glob.

    Files come sorted by their name relative to the root, character by character, so that the order is the same
    on every file system. Raises UsageError if nothing is there or nothing has a known suffix.
    """
    if path == SAMPLE:
        root = Path(__file__).with_name("sample")
        return root, _sorted(root.rglob("*.txt"), root)
    if path.startswith("bundled:"):
        raise UsageError(f"{where}: unknown bundled corpus '{path}'. {nearest(path, [SAMPLE])}")
    place = Path(path).expanduser()
    if place.is_file():
        if kind_of(place) is None:
            raise UsageError(f"{where}: {path}: not a kind of file that is known", _known())
        return place.parent, [place]
    if place.is_dir():
        return place, _of_known_kind(
            _sorted((p for p in place.rglob("*") if p.is_file()), place), path, where
        )
    if glob.has_magic(path):
        root = Path(os.path.expanduser(re.split(r"[*?\[]", path, maxsplit=1)[0] + "x")).parent  # noqa: PTH111
        matches = (Path(p) for p in glob.glob(str(place), recursive=True))  # noqa: PTH207 (absolute patterns)
        return root, _of_known_kind(_sorted((p for p in matches if p.is_file()), root), path, where)
    raise UsageError(f"{where}: {path}: no such file or folder", _neighbour(place))


def kind_of(path: Path) -> tuple[Kind, str | None] | None:
    """Tell a file's kind and compression by its suffixes; None if they are not known."""
    suffix, compression = path.suffix.lower(), None
    if suffix in COMPRESSED:
        compression, suffix = suffix, Path(path.stem).suffix.lower()
    kind = SUFFIXES.get(suffix)
    if kind is None or (kind == "parquet" and compression):
        return None
    return kind, compression


def look_at(path: Path, root: Path) -> SourceFile:
    """Read a file once for its hash and, where that is cheap, its number of records."""
    known = kind_of(path)
    if known is None:
        raise UsageError(f"{path}: not a kind of file that is known", _known())
    kind, compression = known
    try:
        sha256, lines = _digest(path)
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror or error}") from None
    size = path.stat().st_size
    records: int | None = 1 if kind == "text" else None
    extent = 1
    if kind == "parquet":
        records = extent = parquet(path).metadata.num_rows
    elif kind == "jsonl" and compression is None:
        records, extent = lines, size
    name = path.relative_to(root).as_posix()
    return SourceFile(name, path, kind, compression, size, extent, records, sha256)


def damaged(path: Path, root: Path) -> SourceFile:
    """A file that cannot be opened as what its suffix says, as one record that can only be dropped."""
    sha256, _ = _digest(path)
    name = path.relative_to(root).as_posix()
    return SourceFile(name, path, "damaged", None, path.stat().st_size, 1, 1, sha256)


def parquet(path: Path) -> pq.ParquetFile:
    """Open a Parquet file; UserError if it is none."""
    try:
        return pq.ParquetFile(path, page_checksum_verification=True)
    except (pa.ArrowInvalid, OSError) as error:
        reason = " ".join(str(error).split())
        raise UserError(
            f"{path}: not a Parquet file: {reason}",
            "It may be cut short or have the wrong suffix; fetch it again, or rename it.",
        ) from None


def _digest(path: Path) -> tuple[str, int]:
    """SHA-256 and number of lines that are not blank at the end (a last line may lack its newline)."""
    digest, lines, last = hashlib.sha256(), 0, b"\n"
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
            lines += chunk.count(b"\n")
            last = chunk[-1:]
    return digest.hexdigest(), lines + (last != b"\n")


def _sorted(paths: Iterator[Path], root: Path) -> list[Path]:
    """Sort by relative name, hidden files and folders (`.cache`, `.git`) left out."""
    kept = [p for p in paths if not any(part.startswith(".") for part in p.relative_to(root).parts)]
    return sorted(kept, key=lambda p: p.relative_to(root).as_posix())


def _of_known_kind(paths: list[Path], said: str, where: str) -> list[Path]:
    known = [p for p in paths if kind_of(p)]
    if not known:
        found = f"{len(paths)} files, none of a known kind" if paths else "no files"
        raise UsageError(f"{where}: {said}: {found}", _known())
    by_kind: dict[str, Path] = {}
    for path in known:
        by_kind.setdefault(kind_of(path)[0], path)  # type: ignore[index]  # only known kinds are left
    if len(by_kind) > 1:
        found = ", ".join(f"{kind} ({path.name})" for kind, path in by_kind.items())
        raise UsageError(
            f"{where}: {said} holds several kinds of file: {found}", "Give a glob such as '*.parquet'."
        )
    return known


def _known() -> str:
    return f"Known suffixes: {', '.join(SUFFIXES)}; JSON Lines and text also with {', '.join(COMPRESSED)}."


def _neighbour(place: Path) -> str | None:
    """Name the most similar file beside a missing one."""
    if not place.parent.is_dir():
        return f"There is no folder {place.parent} either."
    names = [p.name for p in place.parent.iterdir()][:500]
    suggestion = nearest(place.name, names)
    return suggestion if suggestion.startswith("Did you mean") else None
