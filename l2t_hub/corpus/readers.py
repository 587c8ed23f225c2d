"""One reader per kind of local file: from a stretch of a file to documents and named drops, in order.

A reader holds no more than a few hundred records at a time, and every complaint says which file and row or line.
"""

import bz2
import gzip
import json
import lzma
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import PurePosixPath
from typing import IO, Any

import pyarrow as pa

from l2t_hub.corpus.columns import Columns, field_of, get, is_text, named, no_id, paths, values
from l2t_hub.corpus.document import (
    DAMAGED_FILE,
    DAMAGED_REST,
    EMPTY_TEXT,
    NOT_UTF8,
    NULL_ID,
    NULL_TEXT,
    UNREADABLE,
    Document,
    Dropped,
    Record,
)
from l2t_hub.corpus.files import SourceFile, parquet
from l2t_hub.errors import UsageError, UserError, nearest

BATCH = 512
DAMAGED = (EOFError, OSError, lzma.LZMAError, pa.ArrowInvalid)
ARRAY = " (one JSON array? write one object a line: jq -c '.[]' FILE)"
HINT = "Mend or remove it, or set build.on_error: drop to leave such records out (they are counted)."


@dataclass(frozen=True)
class Segment:
    """A stretch of a file: rows in Parquet, bytes in JSON Lines (a line belongs where it starts), else 0 to 1."""

    file: SourceFile
    start: int
    stop: int


def read(segment: Segment, columns: Columns) -> Iterator[Record]:
    """Read a stretch of a file in order. Raises UserError, with the place, for what the recipe does not drop."""
    if segment.file.kind == "damaged":
        yield Dropped(DAMAGED_FILE.format(segment.file.name))
        return
    try:
        if segment.file.kind == "parquet":
            yield from _read_parquet(segment, columns)
        elif segment.file.kind == "jsonl":
            yield from _read_lines(segment, columns)
        else:
            yield from _read_text(segment.file, columns)
    except UserError as error:
        if columns.stop or isinstance(error, UsageError):
            raise
        yield Dropped(DAMAGED_REST.format(segment.file.name))


def check_columns(file: SourceFile, columns: Columns) -> None:
    """Raise UsageError, with the nearest name, if a column the recipe names is not in the file."""
    if file.kind == "parquet":
        schema = parquet(file.path).schema_arrow
        for key, name in named(columns):
            field_of(schema, name, f"{columns.where[key]}: {file.path}")
        kind = field_of(schema, columns.text, "").type
        if not (is_text(kind) or (pa.types.is_dictionary(kind) and is_text(kind.value_type))):
            raise UsageError(
                f"{columns.where['text_column']}: {file.path}: column '{columns.text}' is {kind}, not text"
            )
    elif file.kind == "jsonl":
        seen: set[str] = set()
        with opened(file) as lines:
            for _, line in zip(range(20), lines, strict=False):
                try:
                    record = json.loads(line)
                except ValueError:  # reported with its place when it is read
                    continue
                seen.update(paths(record))
        for key, name in named(columns) if seen else ():
            if name not in seen:
                raise UsageError(
                    f"{columns.where[key]}: {file.path} has no column '{name}'. {nearest(name, seen)}",
                    no_id(key),
                )


def take(file: SourceFile, count: int, columns: Columns) -> tuple[int, int]:
    """Give the extent of the first `count` records of a file and how many there are (fewer where it ends).

    Where a damaged rest is dropped, it counts as one record.
    """
    if file.kind != "jsonl":
        extent = min(file.extent, count)
        return extent, extent
    end = taken = 0
    try:
        with opened(file) as lines:
            for line in lines:
                if taken == count:
                    break
                end += len(line)
                taken += not line.isspace()
    except UserError:
        if columns.stop:
            raise
        taken += 1
    return (end if file.compression is None else 1), taken


@contextmanager
def opened(file: SourceFile) -> Iterator[IO[bytes]]:
    """Open a file for reading bytes, decompressed; a damaged one is a UserError wherever reading meets it."""
    try:
        if file.compression == ".zst":
            with pa.input_stream(str(file.path), compression="zstd") as stream:
                yield _Lines(stream)  # type: ignore[misc]
        else:
            with _open_plain(file) as plain:
                yield plain
    except DAMAGED as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise UserError(f"{file.path}: damaged or cut short: {reason}", "Fetch it again.") from None


def _open_plain(file: SourceFile) -> Any:
    """Open what the standard library can decompress."""
    if file.compression == ".gz":
        return gzip.open(file.path, "rb")
    if file.compression == ".bz2":
        return bz2.open(file.path, "rb")
    if file.compression == ".xz":
        return lzma.open(file.path, "rb")
    return file.path.open("rb")


class _Lines:
    """Lines of an Arrow stream, which offers bytes only."""

    def __init__(self, stream: pa.NativeFile) -> None:
        self._stream = stream

    def read(self) -> bytes:
        return bytes(self._stream.read())

    def __iter__(self) -> Iterator[bytes]:
        rest = b""
        while chunk := self._stream.read(1 << 20):
            *lines, rest = (rest + chunk).split(b"\n")
            yield from (line + b"\n" for line in lines)
        if rest:
            yield rest


def _read_text(file: SourceFile, columns: Columns) -> Iterator[Record]:
    """One document: the whole file; its id is the file's name without suffixes."""
    with opened(file) as stream:
        data = stream.read()
    name = file.name.removesuffix(file.compression or "")
    yield _document(
        data, PurePosixPath(name).with_suffix("").as_posix(), None, lambda: str(file.path), columns
    )


def _read_lines(segment: Segment, columns: Columns) -> Iterator[Record]:
    """One document a line; without an id column its id is the file's name and the byte it starts at."""
    file = segment.file
    with opened(file) as stream:
        offset = segment.start
        if offset:
            stream.seek(offset - 1)
            offset += len(stream.readline()) - 1
        whole, read = file.compression is not None, 0
        for line in stream:
            if read == file.records if whole else offset >= segment.stop:
                return
            if not line.isspace():
                yield _line(line, offset, file, columns)
                read += 1
            offset += len(line)


def _line(line: bytes, offset: int, file: SourceFile, columns: Columns) -> Record:
    """Parse one line of JSON."""

    def where() -> str:
        return f"{file.path}, line {_line_number(file, offset)}"

    try:
        text = line.decode("utf-8-sig" if offset == 0 else "utf-8")
    except UnicodeDecodeError as error:
        place = f"byte {offset + error.start:,} is not UTF-8 ({error.reason})"
        return _refuse(NOT_UTF8, where, place, columns)
    try:
        record = json.loads(text)
    except ValueError as error:
        hint = ARRAY if text.lstrip().startswith("[") else ""
        return _refuse(UNREADABLE, where, f"no JSON: {error}{hint}", columns)
    if not isinstance(record, dict):
        hint = ARRAY if isinstance(record, list) else ""
        return _refuse(UNREADABLE, where, f"no JSON object{hint}", columns)
    return from_mapping(record, f"{file.name}@{offset}", where, columns)


def from_mapping(record: dict[str, Any], fallback: str, where: Callable[[], str], columns: Columns) -> Record:
    """Make a document of a record of named values; `fallback` is its id where the recipe names no id column."""
    body = get(record, columns.text)
    if body is not None and not isinstance(body, str):
        kind = type(body).__name__
        return _refuse(UNREADABLE, where, f"column '{columns.text}' is {kind}, not text", columns)
    identity = fallback if columns.id is None else get(record, columns.id)
    count = None if columns.token_count is None else get(record, columns.token_count)
    return _document(body, identity, count, where, columns)


def _line_number(file: SourceFile, offset: int) -> int:
    """The number, from 1, of the line that starts at a byte: counted only when there is something to say of it."""
    with opened(file) as stream:
        position, number = 0, 1
        for line in stream:
            if position >= offset:
                break
            position, number = position + len(line), number + 1
    return number


def _read_parquet(segment: Segment, columns: Columns) -> Iterator[Record]:
    """One document a row; without an id column its id is the file's name and the row, from 0."""
    file = parquet(segment.file.path)
    first = 0
    for group in range(file.num_row_groups):
        rows = file.metadata.row_group(group).num_rows
        start, stop = max(segment.start - first, 0), min(segment.stop - first, rows)
        if start < stop:
            yield from _read_group(file, segment.file, group, first, start, stop, columns)
        first += rows


def _read_group(
    file: Any, source: SourceFile, group: int, first: int, start: int, stop: int, columns: Columns
) -> Iterator[Record]:
    """Rows `start` to `stop` of a row group whose first row is row `first` of the file."""
    names = [name for _, name in named(columns)]
    row = 0
    try:
        for batch in file.iter_batches(BATCH, row_groups=[group], columns=names, use_threads=False):
            low, high = max(start - row, 0), min(stop - row, batch.num_rows)
            if low < high:
                yield from _read_batch(batch.slice(low, high - low), source, first + row + low, columns)
            row += batch.num_rows
            if row >= stop:
                return
    except (pa.ArrowException, OSError) as error:
        reason = " ".join(str(error).split())
        left = range(first + max(start, row), first + stop)
        where = f"{source.path}, row group {group} (rows {left.start:,} to {left.stop - 1:,})"
        yield from (_refuse(UNREADABLE, lambda: where, f"cannot be read: {reason}", columns) for _ in left)


def _read_batch(batch: Any, source: SourceFile, first: int, columns: Columns) -> Iterator[Record]:
    """The rows of one record batch, the first of which is row `first` of the file."""
    rows = range(first, first + batch.num_rows)
    texts = values(batch, columns.text)
    if pa.types.is_dictionary(texts.type):
        texts = texts.dictionary_decode()
    try:
        bodies: list[Any] = texts.to_pylist()
    except UnicodeDecodeError:
        # Parquet promises UTF-8 but nobody checks: find the rows that break the promise.
        bodies = texts.cast(pa.large_binary()).to_pylist()
    ids = (
        [f"{source.name}:{n}" for n in rows] if columns.id is None else values(batch, columns.id).to_pylist()
    )
    counts = (
        [None] * len(rows) if columns.token_count is None else values(batch, columns.token_count).to_pylist()
    )
    for n, body, identity, count in zip(rows, bodies, ids, counts, strict=True):
        yield _document(body, identity, count, partial(_row, source, n), columns)


def _row(source: SourceFile, number: int) -> str:
    """Say where a row of Parquet is."""
    return f"{source.path}, row {number:,}"


def _document(
    body: str | bytes | None, identity: Any, count: Any, where: Callable[[], str], columns: Columns
) -> Record:
    """Make a document of a record's values, or name why not; `where` is asked only then."""
    if isinstance(body, bytes):
        try:
            body = body.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            return _refuse(NOT_UTF8, where, f"byte {error.start:,} is not UTF-8 ({error.reason})", columns)
    if body is None:
        return Dropped(NULL_TEXT)
    if not body or body.isspace():
        return Dropped(EMPTY_TEXT)
    if not body.isascii():
        try:
            body.encode()
        except UnicodeEncodeError as error:  # JSON can spell half a surrogate pair, which is no character
            what = f"character {error.start:,} is half a surrogate pair, which UTF-8 cannot hold"
            return _refuse(NOT_UTF8, where, what, columns)
    if identity is None:
        return _refuse(NULL_ID, where, "the id is null", columns)
    if not isinstance(identity, str | int):
        raise UsageError(
            f"{columns.where['id_column']}: {where()}: an id is text or a whole number, not {identity!r}"
        )
    if count is not None and (not isinstance(count, int) or count < 0):
        raise UsageError(
            f"{columns.where['token_count_column']}: {where()}: a token count is a whole number, not {count!r}"
        )
    return Document(str(identity), body, count)


def _refuse(reason: str, where: Callable[[], str], what: str, columns: Columns) -> Dropped:
    """Stop at a record that cannot be read, or drop it by name, as the recipe says.

    `where` is asked only to stop: finding a line's number costs a pass over the file.
    """
    if columns.stop:
        raise UserError(f"{where()}: {what}", HINT)
    return Dropped(reason)
