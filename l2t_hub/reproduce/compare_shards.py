"""Finds the first difference between two Parquet shards, a batch of rows at a time."""

from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from l2t_hub.text import counted

ROWS = 1024
SHOWN = 60


def first_difference(published: Path, here: Path) -> str:
    """Describe the first difference of two shards whose bytes differ: schema, value, number of rows, or encoding."""
    try:
        theirs, ours = pq.ParquetFile(published), pq.ParquetFile(here)
    except (pa.ArrowException, OSError) as error:
        return f"the published file is not readable: {' '.join(str(error).split())}"
    with theirs, ours:
        if theirs.schema_arrow != ours.schema_arrow:
            return _schema_difference(theirs.schema_arrow, ours.schema_arrow)
        row = 0
        for their_rows, our_rows in zip_longest(_batches(theirs), _batches(ours)):
            count = min(len(their_rows or ()), len(our_rows or ()))
            if count:
                difference = _value_difference(their_rows.slice(0, count), our_rows.slice(0, count), row)
                if difference:
                    return difference
            row += count
        rows = theirs.metadata.num_rows, ours.metadata.num_rows
        if rows[0] != rows[1]:
            return f"{counted(rows[0], 'row')} published, {rows[1]:,} here; the first {min(rows):,} are equal"
        writers = theirs.metadata.created_by, ours.metadata.created_by
        return f"{counted(rows[0], 'row')}, all equal; only their encoding differs ({writers[0]}, here {writers[1]})"


def _batches(file: pq.ParquetFile) -> Iterator[pa.RecordBatch]:
    """Yield batches of exactly ROWS rows whatever the row groups are, so that the batches of two files align."""
    buffered = file.schema_arrow.empty_table()
    for batch in file.iter_batches(ROWS):
        buffered = pa.concat_tables([buffered, pa.Table.from_batches([batch])])
        while buffered.num_rows >= ROWS:
            yield buffered.slice(0, ROWS).combine_chunks().to_batches()[0]
            buffered = buffered.slice(ROWS)
    if buffered.num_rows:
        yield buffered.combine_chunks().to_batches()[0]


def _value_difference(theirs: pa.RecordBatch, ours: pa.RecordBatch, first_row: int) -> str | None:
    """Describe the first differing value of two batches of one schema and length, None if they are equal."""
    if theirs.equals(ours):
        return None
    for n in range(theirs.num_rows):
        if theirs.slice(n, 1).equals(ours.slice(n, 1)):
            continue
        for name in theirs.schema.names:
            their_value, our_value = theirs.column(name)[n].as_py(), ours.column(name)[n].as_py()
            if their_value != our_value:
                return f"row {first_row + n:,}, column {name}: {_compare_values(their_value, our_value)}"
    return None


def _compare_values(theirs: object, ours: object) -> str:
    """Show two values, long ones from the place where they first differ."""
    if (
        isinstance(theirs, str | list)
        and isinstance(ours, str | list)
        and max(len(theirs), len(ours)) > SHOWN
    ):
        pairs = enumerate(zip(theirs, ours, strict=False))
        start = next((n for n, (a, b) in pairs if a != b), min(len(theirs), len(ours)))
        unit = "character" if isinstance(theirs, str) else "element"
        return f"from {unit} {start:,} on {_short(theirs[start:])} published, {_short(ours[start:])} here"
    return f"{_short(theirs)} published, {_short(ours)} here"


def _short(value: object) -> str:
    text = repr(value[:SHOWN] if isinstance(value, str | list) else value)
    return text if len(text) <= SHOWN else text[:SHOWN] + "..."


def _schema_difference(theirs: pa.Schema, ours: pa.Schema) -> str:
    for name in dict.fromkeys([*theirs.names, *ours.names]):
        types = [str(s.field(name).type) if name in s.names else "missing" for s in (theirs, ours)]
        if types[0] != types[1]:
            return f"column {name}: {types[0]} published, {types[1]} here"
    return "the order of the columns or their metadata differs"
