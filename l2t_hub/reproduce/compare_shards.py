"""Where two Parquet shards differ: the first row and column, found a batch at a time."""

from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

ROWS = 1024
SHOWN = 60


def first_difference(published: Path, here: Path) -> str:
    """Say where two shards of different bytes first differ: schema, row and column, number of rows, or only bytes."""
    try:
        theirs, ours = pq.ParquetFile(published), pq.ParquetFile(here)
    except (pa.ArrowException, OSError) as error:
        return f"the published file cannot be read: {' '.join(str(error).split())}"
    with theirs, ours:
        if theirs.schema_arrow != ours.schema_arrow:
            return _schemas(theirs.schema_arrow, ours.schema_arrow)
        row = 0
        for one, other in zip_longest(_batches(theirs), _batches(ours)):
            count = min(one.num_rows if one else 0, other.num_rows if other else 0)
            if count:
                found = _row(one.slice(0, count), other.slice(0, count), row)
                if found:
                    return found
            row += count
        rows = theirs.metadata.num_rows, ours.metadata.num_rows
        if rows[0] != rows[1]:
            return (
                f"row {min(rows):,} on: {rows[0]:,} rows published, {rows[1]:,} here; those before are equal"
            )
        made = theirs.metadata.created_by, ours.metadata.created_by
        return f"all {rows[0]:,} rows are equal, only their encoding differs (written by {made[0]}, here {made[1]})"


def _batches(file: pq.ParquetFile) -> Iterator[pa.RecordBatch]:
    """Batches of exactly ROWS rows, whatever the row groups, so that two files' batches lie side by side."""
    waiting = file.schema_arrow.empty_table()
    for batch in file.iter_batches(ROWS):
        waiting = pa.concat_tables([waiting, pa.Table.from_batches([batch])])
        while waiting.num_rows >= ROWS:
            yield waiting.slice(0, ROWS).combine_chunks().to_batches()[0]
            waiting = waiting.slice(ROWS)
    if waiting.num_rows:
        yield waiting.combine_chunks().to_batches()[0]


def _row(one: pa.RecordBatch, other: pa.RecordBatch, before: int) -> str | None:
    if one.equals(other):
        return None
    for n in range(one.num_rows):
        if one.slice(n, 1).equals(other.slice(n, 1)):
            continue
        for name in one.schema.names:
            a, b = one.column(name)[n].as_py(), other.column(name)[n].as_py()
            if a != b:
                return f"row {before + n:,}, column {name}: {_where(a, b)}"
    return None


def _where(a: object, b: object) -> str:
    """The two values, from where they first differ if they are long."""
    if isinstance(a, str | list) and isinstance(b, str | list) and max(len(a), len(b)) > SHOWN:
        at = next((n for n, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))
        unit = "character" if isinstance(a, str) else "element"
        return f"from {unit} {at:,} on {_short(a[at:])} published, {_short(b[at:])} here"
    return f"{_short(a)} published, {_short(b)} here"


def _short(value: object) -> str:
    text = repr(value[:SHOWN] if isinstance(value, str | list) else value)
    return text if len(text) <= SHOWN else text[:SHOWN] + "..."


def _schemas(theirs: pa.Schema, ours: pa.Schema) -> str:
    for name in dict.fromkeys([*theirs.names, *ours.names]):
        types = [str(s.field(name).type) if name in s.names else "missing" for s in (theirs, ours)]
        if types[0] != types[1]:
            return f"column {name}: {types[0]} published, {types[1]} here"
    return "the columns stand in another order, or their metadata differ"
