"""One reader for each kind of local file: from a segment of a file to documents and drops, in order.

A reader holds at most a few hundred records in memory. Every error names the file and the row or line.
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import PurePosixPath
from typing import Any

import pyarrow as pa

from l2t_hub.corpus.columns import (
    Columns,
    array_of,
    field_names,
    field_of,
    is_text,
    key_names,
    missing_column,
    named_columns,
    value_of,
)
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
from l2t_hub.corpus.files import SourceFile, open_parquet, opened
from l2t_hub.errors import UsageError, UserError

BATCH = 512
ARRAY = ". A JSON array must be written as one object per line: jq -c '.[]' FILE"
HINT = "Repair or remove the record, or set build.on_error: drop to drop and count such records."


@dataclass(frozen=True)
class Segment:
    """A part of a file: rows of Parquet, bytes of JSON Lines (a line belongs where it starts), else 0 to 1."""

    file: SourceFile
    start: int
    stop: int


def read_segment(segment: Segment, columns: Columns) -> Iterator[Record]:
    """Yield the records of a segment in order. Raises UserError for an unreadable one unless the recipe drops it."""
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
    """Raise UsageError if a column that the recipe names is not in the file. JSON Lines are checked by 20 records."""
    if file.kind == "parquet":
        schema = open_parquet(file.path).schema_arrow
        fields = {key: field_of(schema, name) for key, name in named_columns(columns)}
        for key, name in named_columns(columns):
            if fields[key] is None:
                raise missing_column(f"{columns.where[key]}: {file.path}", key, name, field_names(schema))
        kind = fields["text_column"].type  # type: ignore[union-attr]
        if not (is_text(kind) or (pa.types.is_dictionary(kind) and is_text(kind.value_type))):
            raise UsageError(
                f"{columns.where['text_column']}: {file.path}: column '{columns.text}' is {kind}, not text"
            )
    elif file.kind == "jsonl":
        names: set[str] = set()
        with opened(file) as lines:
            for _, line in zip(range(20), lines, strict=False):
                try:
                    record = json.loads(line)
                except ValueError:  # reported with its line number when it is read
                    continue
                names.update(key_names(record))
        for key, name in named_columns(columns) if names else ():
            if name not in names:
                raise missing_column(f"{columns.where[key]}: {file.path}", key, name, names)


def first_records(file: SourceFile, count: int, columns: Columns) -> tuple[int, int]:
    """Return the extent of the first `count` records of a file and their number, which is lower in a short file.

    The damaged rest of a file, if it is dropped, counts as one record.
    """
    if file.kind != "jsonl":
        extent = min(file.extent, count)
        return extent, extent
    end = records = 0
    try:
        with opened(file) as lines:
            for line in lines:
                if records == count:
                    break
                end += len(line)
                records += not line.isspace()
    except UserError:
        if columns.stop:
            raise
        records += 1
    return (end if file.compression is None else 1), records


def _read_text(file: SourceFile, columns: Columns) -> Iterator[Record]:
    """Yield the whole file as one document. Its id is the file's name without suffixes."""
    with opened(file) as stream:
        data = stream.read()
    name = file.name.removesuffix(file.compression or "")
    yield _document(
        data, PurePosixPath(name).with_suffix("").as_posix(), None, lambda: str(file.path), columns
    )


def _read_lines(segment: Segment, columns: Columns) -> Iterator[Record]:
    """Yield one record per line. Without an id column, its id is the file's name and the byte at which it starts."""
    file = segment.file
    with opened(file) as stream:
        offset = segment.start
        if offset:
            stream.seek(offset - 1)
            offset += len(stream.readline()) - 1
        whole, records = file.compression is not None, 0
        for line in stream:
            if records == file.records if whole else offset >= segment.stop:
                return
            if not line.isspace():
                yield _record_of_line(line, offset, file, columns)
                records += 1
            offset += len(line)


def _record_of_line(line: bytes, offset: int, file: SourceFile, columns: Columns) -> Record:
    """Parse one line of JSON, which starts at byte `offset` of the file."""

    def where() -> str:
        return f"{file.path}, line {_line_number(file, offset)}"

    try:
        text = line.decode("utf-8-sig" if offset == 0 else "utf-8")
    except UnicodeDecodeError as error:
        problem = f"byte {offset + error.start:,} is not UTF-8 ({error.reason})"
        return _refuse(NOT_UTF8, where, problem, columns)
    try:
        record = json.loads(text)
    except ValueError as error:
        remedy = ARRAY if text.lstrip().startswith("[") else ""
        return _refuse(UNREADABLE, where, f"not JSON: {error}{remedy}", columns)
    if not isinstance(record, dict):
        remedy = ARRAY if isinstance(record, list) else ""
        return _refuse(UNREADABLE, where, f"not a JSON object{remedy}", columns)
    return from_mapping(record, f"{file.name}@{offset}", where, columns)


def from_mapping(
    record: dict[str, Any], default_id: str, where: Callable[[], str], columns: Columns
) -> Record:
    """Make a document from a mapping. `default_id` is its id if the recipe names no id column."""
    text = value_of(record, columns.text)
    if text is not None and not isinstance(text, str):
        kind = type(text).__name__
        return _refuse(UNREADABLE, where, f"column '{columns.text}' is {kind}, not text", columns)
    document_id = default_id if columns.id is None else value_of(record, columns.id)
    count = None if columns.token_count is None else value_of(record, columns.token_count)
    return _document(text, document_id, count, where, columns)


def _line_number(file: SourceFile, offset: int) -> int:
    """Return the number, from 1, of the line that starts at byte `offset`. This reads the file up to that line."""
    with opened(file) as stream:
        position, number = 0, 1
        for line in stream:
            if position >= offset:
                break
            position, number = position + len(line), number + 1
    return number


def _read_parquet(segment: Segment, columns: Columns) -> Iterator[Record]:
    """Yield one record per row. Without an id column, its id is the file's name and the row number from 0."""
    file = open_parquet(segment.file.path)
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
    """Yield rows `start` to `stop` of a row group that begins at row `first` of the file."""
    names = [name for _, name in named_columns(columns)]
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
        unread = range(first + max(start, row), first + stop)
        where = f"{source.path}, row group {group} (rows {unread.start:,} to {unread.stop - 1:,})"
        yield from (_refuse(UNREADABLE, lambda: where, f"cannot be read: {reason}", columns) for _ in unread)


def _read_batch(batch: Any, source: SourceFile, first: int, columns: Columns) -> Iterator[Record]:
    """Yield the records of a batch that begins at row `first` of the file."""
    rows = range(first, first + batch.num_rows)
    column = array_of(batch, columns.text)
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    try:
        texts: list[Any] = column.to_pylist()
    except UnicodeDecodeError:
        # A string column should be UTF-8, but no writer is forced to check. Decode row by row to find the bad ones.
        texts = column.cast(pa.large_binary()).to_pylist()
    numbered = [f"{source.name}:{n}" for n in rows]
    ids = numbered if columns.id is None else array_of(batch, columns.id).to_pylist()
    key = columns.token_count
    counts = [None] * len(rows) if key is None else array_of(batch, key).to_pylist()
    for n, text, document_id, count in zip(rows, texts, ids, counts, strict=True):
        where = partial("{}, row {:,}".format, source.path, n)
        yield _document(text, document_id, count, where, columns)


def _document(
    text: str | bytes | None, document_id: Any, count: Any, where: Callable[[], str], columns: Columns
) -> Record:
    """Make a document from the values of a record, or drop it. `where` returns the record's location for errors."""
    if isinstance(text, bytes):
        try:
            text = text.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            return _refuse(NOT_UTF8, where, f"byte {error.start:,} is not UTF-8 ({error.reason})", columns)
    if text is None:
        return Dropped(NULL_TEXT)
    if not text or text.isspace():
        return Dropped(EMPTY_TEXT)
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError as error:  # JSON can escape half a surrogate pair, which is not a character
            problem = f"character {error.start:,} is half a surrogate pair, which UTF-8 cannot encode"
            return _refuse(NOT_UTF8, where, problem, columns)
    if document_id is None:
        return _refuse(NULL_ID, where, "the id is null", columns)
    if not isinstance(document_id, str | int):
        raise UsageError(
            f"{columns.where['id_column']}: {where()}: an id must be text or an integer, not {document_id!r}"
        )
    if count is not None and (not isinstance(count, int) or count < 0):
        raise UsageError(
            f"{columns.where['token_count_column']}: {where()}: a token count must be an integer of at least 0, "
            f"not {count!r}"
        )
    return Document(str(document_id), text, count)


def _refuse(reason: str, where: Callable[[], str], problem: str, columns: Columns) -> Dropped:
    """Stop at a record that cannot be read, or drop it, as the recipe says.

    `where` is called only to stop, because finding a line number takes a pass over the file.
    """
    if columns.stop:
        raise UserError(f"{where()}: {problem}", HINT)
    return Dropped(reason)
