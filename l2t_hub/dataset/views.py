"""The tables of a dataset: one Arrow schema per view, and how examples, documents and sequences become rows of it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

View = Literal["examples", "raw", "packed"]
Split = Literal["train", "validation"]

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


@dataclass(frozen=True)
class Rows:
    """Some rows of one file: a table, and how many tokens that are not padding it holds."""

    view: View
    split: Split
    task: str
    table: pa.Table
    tokens: int


def packed_schema(dtype: np.dtype[Any], sequence_length: int) -> pa.Schema:
    """Sequences: `input_ids` padded to `sequence_length`, `lengths` of the texts in them, `kind` raw or task."""
    ids = pa.list_(pa.from_numpy_dtype(dtype), sequence_length)
    return pa.schema({"input_ids": ids, "lengths": pa.list_(pa.int32()), "kind": pa.string()})


@dataclass
class RowBuffer:
    """Rows of one schema while they are gathered, column by column."""

    schema: pa.Schema
    rows: list[tuple[Any, ...]] = field(default_factory=list)
    tokens: int = 0

    def add(self, *values: Any) -> None:
        """Add one row; its last value is its number of tokens."""
        self.rows.append(values)
        self.tokens += values[-1]

    def take(self) -> tuple[pa.Table, int]:
        """Give the rows gathered so far, and their tokens, and start afresh."""
        columns = zip(*self.rows, strict=True)
        arrays = [pa.array(c, type=f.type) for c, f in zip(columns, self.schema, strict=True)]
        tokens, self.rows, self.tokens = self.tokens, [], 0
        return pa.Table.from_arrays(arrays, schema=self.schema), tokens


def packed_table(
    ids: NDArray[Any], lengths: NDArray[np.int32], counts: NDArray[np.int64], kinds: Sequence[str]
) -> pa.Table:
    """Sequences as a table: `ids` of shape (rows, sequence length), all `lengths` flat, `counts` of them per row."""
    schema = packed_schema(ids.dtype, ids.shape[1])
    offsets = np.zeros(len(counts) + 1, np.int32)
    np.cumsum(counts, out=offsets[1:])
    columns = [
        pa.FixedSizeListArray.from_arrays(pa.array(ids.reshape(-1)), ids.shape[1]),
        pa.ListArray.from_arrays(pa.array(offsets), pa.array(lengths.astype(np.int32, copy=False))),
        pa.array(kinds, type=pa.string()),
    ]
    return pa.Table.from_arrays(columns, schema=schema)
