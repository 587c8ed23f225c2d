"""Read rows of a Parquet file, a few hundred at a time."""

from codecs import BOM_UTF8
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

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
from l2t_hub.corpus.files import Segment, open_parquet
from l2t_hub.errors import UsageError

BATCH = 512


@dataclass(frozen=True)
class RowNames:
    """What the rows of a file are called: its name in messages, and default IDs, numbered from `first` on."""

    where: str
    prefix: str
    first: int = 0


def check_parquet(schema: pa.Schema, where: str | Path, columns: Columns) -> None:
    """Raise UsageError if a column that the recipe names is not in a file, or the text column holds no text."""
    fields = {key: field_of(schema, name) for key, name in named_columns(columns)}
    for key, name in named_columns(columns):
        if fields[key] is None:
            raise missing_column(f"{columns.where[key]}: {where}", key, name, field_names(schema))
    kind = fields["text_column"].type  # type: ignore[union-attr]
    if not (is_text(kind) or (pa.types.is_dictionary(kind) and is_text(kind.value_type))):
        raise UsageError(
            f"{columns.where['text_column']}: {where}: column '{columns.text}' is {kind}, not text"
        )


def read_parquet(segment: Segment, columns: Columns) -> Iterator[Record]:
    """Yield one record per row. Without an id column, its id is the file's name and the row number from 0."""
    file = segment.file
    names = RowNames(str(file.path), file.name)
    with open_parquet(file.path) as parquet:
        yield from read_rows(parquet, segment.start, segment.stop, names, columns)


def read_rows(
    file: pq.ParquetFile,
    start: int,
    stop: int,
    names: RowNames,
    columns: Columns,
    damage: tuple[type[Exception], ...] = (pa.ArrowException, OSError),
) -> Iterator[Record]:
    """Yield the records of rows `start` to `stop`. Errors of the types `damage` are those of a damaged row group."""
    first = 0
    for group in range(file.num_row_groups):
        rows = file.metadata.row_group(group).num_rows
        low, high = max(start - first, 0), min(stop - first, rows)
        if low < high:
            yield from _read_group(file, names, group, first, range(low, high), columns, damage)
        first += rows


def _read_group(
    file: pq.ParquetFile,
    names: RowNames,
    group: int,
    first: int,
    wanted: range,
    columns: Columns,
    damage: tuple[type[Exception], ...],
) -> Iterator[Record]:
    """Yield the `wanted` rows of a row group that begins at row `first` of the file."""
    read = [name for _, name in named_columns(columns)]
    row = 0
    try:
        for batch in file.iter_batches(BATCH, row_groups=[group], columns=read, use_threads=False):
            low, high = max(wanted.start - row, 0), min(wanted.stop - row, batch.num_rows)
            if low < high:
                yield from _read_batch(batch.slice(low, high - low), names, first + row + low, columns)
            row += batch.num_rows
            if row >= wanted.stop:
                return
    except damage as error:
        reason = " ".join(str(error).split())
        unread = range(first + max(wanted.start, row), first + wanted.stop)
        where = f"{names.where}, row group {group} (rows {unread.start:,} to {unread.stop - 1:,})"
        yield from (refuse(UNREADABLE, lambda: where, f"cannot be read: {reason}", columns) for _ in unread)


def _read_batch(batch: Any, names: RowNames, first: int, columns: Columns) -> Iterator[Record]:
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
    numbered = [f"{names.prefix}:{names.first + n}" for n in rows]
    ids = numbered if columns.id is None else array_of(batch, columns.id).to_pylist()
    key = columns.token_count
    counts = [None] * len(rows) if key is None else array_of(batch, key).to_pylist()
    key = columns.language
    languages = [None] * len(rows) if key is None else array_of(batch, key).to_pylist()
    for n, text, document_id, count, written in zip(rows, texts, ids, counts, languages, strict=True):
        where = partial("{}, row {:,}".format, names.where, n)
        if isinstance(text, bytes):
            text = decoded(text.removeprefix(BOM_UTF8), "utf-8", 0, where, columns, HINT)
        if isinstance(text, Dropped):
            yield text
        else:
            yield document_of(text, document_id, count, where, columns, written)
