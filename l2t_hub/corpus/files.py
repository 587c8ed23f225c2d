"""The local files of a source: their order, their kinds, what is known of each, and how to open one."""

import codecs
import glob
import io
import lzma
import os
import re
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Any, Literal

import pyarrow as pa
import pyarrow.parquet as pq
from fsspec.compression import register_compression
from fsspec.core import OpenFile
from fsspec.implementations.local import LocalFileSystem

from l2t_hub.corpus.encodings import UTF8, has_lines, recoded
from l2t_hub.errors import UsageError, UserError, nearest
from l2t_hub.text import counted

Kind = Literal["parquet", "jsonl", "json", "csv", "text", "damaged"]

SAMPLE = "bundled:sample"
SUFFIXES: dict[str, Kind] = {
    ".parquet": "parquet",
    ".pq": "parquet",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "jsonl",
    ".csv": "csv",
    ".tsv": "csv",
    ".txt": "text",
    ".text": "text",
}
# Suffix -> name of the codec in fsspec.
CODECS = {".gz": "gzip", ".zst": "zstd", ".bz2": "bz2", ".xz": "xz"}
CHUNK = 1 << 20
# What the codecs raise for a damaged file.
DAMAGE = (EOFError, OSError, UnicodeDecodeError, zlib.error, lzma.LZMAError, pa.ArrowInvalid)


def _zstd(file: IO[bytes], **_: Any) -> io.BufferedReader:
    """Decompress zstd with Arrow; fsspec needs another library for it."""
    return io.BufferedReader(pa.CompressedInputStream(file, "zstd"), CHUNK)


register_compression("zstd", _zstd, "zst", force=True)


@dataclass(frozen=True)
class SourceFile:
    """One file of a source.

    `name` is relative to the source's root, with forward slashes. `extent` is the number of positions at which the
    file can be cut: rows in Parquet, bytes in uncompressed files of lines, 1 if it can only be read whole. `size` is
    in bytes. `records` is the number of records to read, or None if it is not known.

    `encoding` is Python's name of the encoding, `delimiter` that of CSV, and `split_on` the recipe's key for text.
    `starts` are the bytes, ascending, at which a file can be cut whose records do not start at every line.
    """

    name: str
    path: Path
    kind: Kind
    compression: str | None
    size: int
    extent: int
    records: int | None
    sha256: str
    encoding: str = UTF8
    delimiter: str = ","
    split_on: str | int = "none"
    starts: tuple[int, ...] = ()

    @property
    def line_encoding(self) -> str:
        """The encoding of the bytes that `opened` gives."""
        return self.encoding if has_lines(self.encoding) else UTF8

    @property
    def is_whole(self) -> bool:
        """Whether the file can only be read from its first byte, because what `opened` gives is not what it holds."""
        return self.compression is not None or not has_lines(self.encoding)

    @property
    def stem(self) -> str:
        """The name without its suffixes."""
        return PurePosixPath(self.name.removesuffix(self.compression or "")).with_suffix("").as_posix()


@dataclass(frozen=True)
class Segment:
    """A part of a file: rows of Parquet, bytes of a file of lines (a record belongs where it starts), else 0 to 1."""

    file: SourceFile
    start: int
    stop: int


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
            raise UsageError(f"{where}: {path}: unknown kind of file", known_suffixes())
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


@contextmanager
def opened(file: SourceFile) -> Iterator[IO[bytes]]:
    """Open a file for reading bytes: decompressed, and in UTF-8 if its own encoding has no lines.

    Raises UserError where reading finds it damaged.
    """
    codec = CODECS[file.compression] if file.compression else None
    try:
        with (
            OpenFile(LocalFileSystem(), str(file.path), compression=codec)
            if codec
            else file.path.open("rb") as stream
        ):
            yield stream if has_lines(file.encoding) else recoded(stream, file.encoding)
    except DAMAGE as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise UserError(f"{file.path}: damaged or cut short: {reason}", "Get the file again.") from None


def numbered_lines(stream: IO[bytes], start: int = 0) -> Iterator[tuple[int, bytes]]:
    """Yield each line with the byte at which it starts. `start` must be the start of a record.

    UTF-8's byte order mark is left out: the first line starts after it.
    """
    offset = start
    if start:
        stream.seek(start)
    for line in stream:
        if offset == 0 and line.startswith(codecs.BOM_UTF8):
            offset = len(codecs.BOM_UTF8)
            yield offset, line[offset:]
            offset = len(line)
        else:
            yield offset, line
            offset += len(line)


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


def _sorted(paths: Iterator[Path], root: Path) -> list[Path]:
    """Sort files by relative name and leave out hidden files and directories (`.cache`, `.git`)."""
    kept = [p for p in paths if not any(part.startswith(".") for part in p.relative_to(root).parts)]
    return sorted(kept, key=lambda p: p.relative_to(root).as_posix())


def _of_one_kind(paths: list[Path], source: str, where: str) -> list[Path]:
    """Return the files of a known kind. Raises UsageError if there are none or they differ in kind."""
    known = [p for p in paths if kind_of(p)]
    if not known:
        problem = f"{counted(len(paths), 'file')}, none of a known kind" if paths else "no files"
        raise UsageError(f"{where}: {source}: {problem}", known_suffixes())
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


def known_suffixes() -> str:
    """Return the sentence that lists the suffixes of files that can be read."""
    return f"Known suffixes: {', '.join(SUFFIXES)}. All but Parquet may be compressed: {', '.join(CODECS)}."


def _similar_file(path: Path) -> str | None:
    """Suggest a file of the same directory with a similar name."""
    if not path.parent.is_dir():
        return f"There is no directory {path.parent} either."
    names = [p.name for p in path.parent.iterdir()][:500]
    suggestion = nearest(path.name, names)
    return suggestion if suggestion.startswith("Did you mean") else None
