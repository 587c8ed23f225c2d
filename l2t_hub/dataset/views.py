"""The views of a dataset: one Arrow schema and one row type each, and batches of rows as Arrow tables."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

View = Literal["examples", "raw", "packed"]
Split = Literal["train", "validation"]
SPLITS: tuple[Split, ...] = ("train", "validation")

EXAMPLES = pa.schema(
    {
        "document_id": pa.string(),
        "block": pa.int32(),
        "task": pa.string(),
        "level": pa.string(),
        "prompt": pa.string(),
        "anchor": pa.string(),
        "completion": pa.string(),
        "text": pa.string(),
        "tokens": pa.int32(),
    }
)
RAW_TEXT = pa.schema({"document_id": pa.string(), "text": pa.string(), "tokens": pa.int32()})
RAW_IDS = pa.schema({"document_id": pa.string(), "tokens": pa.int32()})


class ExampleRow(NamedTuple):
    """A row of the schema EXAMPLES. `tokens` counts the tokens of `text`; it is 0 until `text` is encoded."""

    document_id: str
    block: int
    task: str
    level: str
    prompt: str
    anchor: str
    completion: str
    text: str
    tokens: int = 0


class RawTextRow(NamedTuple):
    """A row of the schema RAW_TEXT."""

    document_id: str
    text: str
    tokens: int


class RawIdRow(NamedTuple):
    """A row of the schema RAW_IDS, for sources whose text is not published."""

    document_id: str
    tokens: int


Row = ExampleRow | RawTextRow | RawIdRow


@dataclass(frozen=True)
class RowBatch:
    """Rows of one view, split and task (empty for views without tasks). `tokens` does not count padding."""

    view: View
    split: Split
    task: str
    table: pa.Table
    tokens: int


@dataclass
class RowBuffer:
    """Collects rows of one schema until they are worth a table."""

    schema: pa.Schema
    rows: list[Row] = field(default_factory=list)
    tokens: int = 0

    def add(self, row: Row) -> None:
        """Add a row."""
        self.rows.append(row)
        self.tokens += row.tokens

    def take(self) -> tuple[pa.Table, int]:
        """Empty the buffer and return its rows as a table, and their tokens."""
        columns = zip(*self.rows, strict=True)
        arrays = [
            pa.array(values, type=column.type) for values, column in zip(columns, self.schema, strict=True)
        ]
        tokens, self.rows, self.tokens = self.tokens, [], 0
        return pa.Table.from_arrays(arrays, schema=self.schema), tokens


def packed_schema(dtype: np.dtype[Any], sequence_length: int) -> pa.Schema:
    """Return the schema of training sequences.

    `input_ids` is padded to `sequence_length`, `lengths` are the tokens of each text in it, `kind` is raw or task.
    """
    ids = pa.list_(pa.from_numpy_dtype(dtype), sequence_length)
    return pa.schema({"input_ids": ids, "lengths": pa.list_(pa.int32()), "kind": pa.string()})


def packed_table(
    ids: NDArray[Any], lengths: NDArray[np.int32], counts: NDArray[np.int64], kinds: Sequence[str]
) -> pa.Table:
    """Return training sequences as a table of `packed_schema`.

    `ids` has shape (rows, sequence length). `lengths` lists the lengths of the texts of all rows, and `counts` the
    number of texts in each row.
    """
    schema = packed_schema(ids.dtype, ids.shape[1])
    offsets = np.zeros(len(counts) + 1, np.int32)
    np.cumsum(counts, out=offsets[1:])
    columns = [
        pa.FixedSizeListArray.from_arrays(pa.array(ids.reshape(-1)), ids.shape[1]),
        pa.ListArray.from_arrays(pa.array(offsets), pa.array(lengths.astype(np.int32, copy=False))),
        pa.array(kinds, type=pa.string()),
    ]
    return pa.Table.from_arrays(columns, schema=schema)
