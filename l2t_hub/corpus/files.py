"""The local files of a source: their order, kinds, sizes and digests, and how to open them.

A build divides and compares a source by these facts, before it reads any text.
"""

import glob
import hashlib
import io
import lzma
import os
import re
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Literal

import pyarrow as pa
import pyarrow.parquet as pq
from fsspec.compression import register_compression
from fsspec.core import OpenFile
from fsspec.implementations.local import LocalFileSystem

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
# Suffix -> name of the codec in fsspec.
CODECS = {".gz": "gzip", ".zst": "zstd", ".bz2": "bz2", ".xz": "xz"}
CHUNK = 1 << 20
# What the codecs raise for a damaged file.
DAMAGE = (EOFError, OSError, zlib.error, lzma.LZMAError, pa.ArrowInvalid)


def _zstd(file: IO[bytes], **_: Any) -> io.BufferedReader:
    """Decompress zstd with Arrow; fsspec needs another library for it."""
    return io.BufferedReader(pa.CompressedInputStream(file, "zstd"), CHUNK)


register_compression("zstd", _zstd, "zst", force=True)


@dataclass(frozen=True)
class SourceFile:
    """One file of a source.

    `name` is relative to the source's root, with forward slashes. `extent` is the number of positions at which the
    file can be cut: rows in Parquet, bytes in uncompressed JSON Lines, 1 if it can only be read whole. `size` is in
    bytes. `records` is the number of records to read, or None if it is not known.
    """

    name: str
    path: Path
    kind: Kind
    compression: str | None
    size: int
    extent: int
    records: int | None
    sha256: str


def find_files(path: str, where: str) -> tuple[Path, list[Path]]:
    """Return the root and the files of a source path: `bundled:sample`, a file, a directory or a glob.

    Files are sorted by their name relative to the root, character by character, so that the order is the same on
    every file system. Raises UsageError if there is no file, or none with a known suffix.
    """
    if path == SAMPLE:
        root = Path(__file__).with_name("sample")
        return root, _sorted(root.rglob("*.txt"), root)
    if path.startswith("bundled:"):
        raise UsageError(f"{where}: unknown bundled corpus '{path}'. {nearest(path, [SAMPLE])}")
    source = Path(path).expanduser()
    if source.is_file():
        if kind_of(source) is None:
            raise UsageError(f"{where}: {path}: unknown kind of file", _known_suffixes())
        return source.parent, [source]
    if source.is_dir():
        files = _sorted((p for p in source.rglob("*") if p.is_file()), source)
        return source, _of_one_kind(files, path, where)
    if glob.has_magic(path):
        root = Path(os.path.expanduser(re.split(r"[*?\[]", path, maxsplit=1)[0] + "x")).parent  # noqa: PTH111
        matches = (Path(p) for p in glob.glob(str(source), recursive=True))  # noqa: PTH207 (absolute patterns)
        return root, _of_one_kind(_sorted((p for p in matches if p.is_file()), root), path, where)
    raise UsageError(f"{where}: {path}: no such file or directory", _similar_file(source))


def kind_of(path: Path) -> tuple[Kind, str | None] | None:
    """Return a file's kind and the suffix of its compression, judged by its name; None if they are unknown."""
    suffix, compression = path.suffix.lower(), None
    if suffix in CODECS:
        compression, suffix = suffix, Path(path.stem).suffix.lower()
    kind = SUFFIXES.get(suffix)
    if kind is None or (kind == "parquet" and compression):
        return None
    return kind, compression


def inspect_file(path: Path, root: Path) -> SourceFile:
    """Read a file once for its digest and, if this needs no parsing, its number of records.

    Raises UserError if the file cannot be read or is not what its suffix says.
    """
    kind_and_compression = kind_of(path)
    if kind_and_compression is None:
        raise UsageError(f"{path}: unknown kind of file", _known_suffixes())
    kind, compression = kind_and_compression
    try:
        sha256, lines = _digest(path)
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror or error}") from None
    size = path.stat().st_size
    records: int | None = 1 if kind == "text" else None
    extent = 1
    if kind == "parquet":
        records = extent = open_parquet(path).metadata.num_rows
    elif kind == "jsonl" and compression is None:
        records, extent = lines, size
    name = path.relative_to(root).as_posix()
    return SourceFile(name, path, kind, compression, size, extent, records, sha256)


def damaged_file(path: Path, root: Path) -> SourceFile:
    """Return a file that is not what its suffix says as a file with one record, which is dropped."""
    sha256, _ = _digest(path)
    name = path.relative_to(root).as_posix()
    return SourceFile(name, path, "damaged", None, path.stat().st_size, 1, 1, sha256)


@contextmanager
def opened(file: SourceFile) -> Iterator[IO[bytes]]:
    """Open a file for reading bytes, decompressed. Raises UserError where reading finds it damaged."""
    codec = CODECS[file.compression] if file.compression else None
    try:
        with (
            OpenFile(LocalFileSystem(), str(file.path), compression=codec)
            if codec
            else file.path.open("rb") as stream
        ):
            yield stream
    except DAMAGE as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise UserError(f"{file.path}: damaged or cut short: {reason}", "Get the file again.") from None


def open_parquet(path: Path) -> pq.ParquetFile:
    """Open a Parquet file. Raises UserError if it is not one."""
    try:
        return pq.ParquetFile(path, page_checksum_verification=True)
    except (pa.ArrowInvalid, OSError) as error:
        reason = " ".join(str(error).split())
        raise UserError(
            f"{path}: not a Parquet file: {reason}",
            "It may be cut short or have the wrong suffix. Get it again, or rename it.",
        ) from None


def _digest(path: Path) -> tuple[str, int]:
    """Return the SHA-256 and the number of lines, counting a last line without a newline."""
    digest, lines, last = hashlib.sha256(), 0, b"\n"
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
            lines += chunk.count(b"\n")
            last = chunk[-1:]
    return digest.hexdigest(), lines + (last != b"\n")


def _sorted(paths: Iterator[Path], root: Path) -> list[Path]:
    """Sort files by relative name and leave out hidden files and directories (`.cache`, `.git`)."""
    kept = [p for p in paths if not any(part.startswith(".") for part in p.relative_to(root).parts)]
    return sorted(kept, key=lambda p: p.relative_to(root).as_posix())


def _of_one_kind(paths: list[Path], source: str, where: str) -> list[Path]:
    """Return the files of a known kind. Raises UsageError if there are none or they differ in kind."""
    known = [p for p in paths if kind_of(p)]
    if not known:
        problem = f"{len(paths)} files, none of a known kind" if paths else "no files"
        raise UsageError(f"{where}: {source}: {problem}", _known_suffixes())
    by_kind: dict[str, Path] = {}
    for path in known:
        by_kind.setdefault(kind_of(path)[0], path)  # type: ignore[index]  # only known kinds are left
    if len(by_kind) > 1:
        kinds = ", ".join(f"{kind} ({path.name})" for kind, path in by_kind.items())
        raise UsageError(
            f"{where}: {source}: several kinds of file: {kinds}",
            "Choose one with a glob such as '*.parquet'.",
        )
    return known


def _known_suffixes() -> str:
    return (
        f"Known suffixes: {', '.join(SUFFIXES)}. JSON Lines and text may be compressed: {', '.join(CODECS)}."
    )


def _similar_file(path: Path) -> str | None:
    """Suggest a file of the same directory with a similar name."""
    if not path.parent.is_dir():
        return f"There is no directory {path.parent} either."
    names = [p.name for p in path.parent.iterdir()][:500]
    suggestion = nearest(path.name, names)
    return suggestion if suggestion.startswith("Did you mean") else None
