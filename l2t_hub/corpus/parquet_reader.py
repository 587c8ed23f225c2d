"""Read rows of a Parquet file, a few hundred at a time."""

from codecs import BOM_UTF8
from collections.abc import Iterator
from functools import partial
from typing import Any

import pyarrow as pa

from l2t_hub.corpus.columns import (
    Columns,
    array_of,
    field_names,
    field_of,
    is_text,
    missing_column,
    named_columns,
)
from l2t_hub.corpus.document import HINT, UNREADABLE, Dropped, Record, decoded, document_of, refuse
from l2t_hub.corpus.files import Segment, SourceFile, open_parquet
from l2t_hub.errors import UsageError

BATCH = 512


def check_parquet(file: SourceFile, columns: Columns) -> None:
    """Raise UsageError if a column that the recipe names is not in the file, or the text column holds no text."""
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


def read_parquet(segment: Segment, columns: Columns) -> Iterator[Record]:
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
        yield from (refuse(UNREADABLE, lambda: where, f"cannot be read: {reason}", columns) for _ in unread)


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
        if isinstance(text, bytes):
            text = decoded(text.removeprefix(BOM_UTF8), "utf-8", 0, where, columns, HINT)
        yield text if isinstance(text, Dropped) else document_of(text, document_id, count, where, columns)
