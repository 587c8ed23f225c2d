"""Pack encoded texts into training sequences, one window at a time, so that memory does not grow with the source.

Raw text is one stream, cut every `sequence_length` tokens; the remainder at the end of a partition is dropped and
counted. Examples are packed whole. Within a window, raw sequences and packs of examples are spread evenly among each
other, so that reading the rows in order shows the mixture and not one kind after the other.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from l2t_hub.dataset.ledger import RAW, FlowKey, Ledger
from l2t_hub.dataset.views import RowBatch, Split, packed_table
from l2t_hub.tokens.pack import PAPER_BATCH, Sequences, cut_raw, lay_out, pack_examples

WINDOW_TOKENS = 4_000_000
REMAINDER = "remainder"
PADDING = "padding"


@dataclass(frozen=True)
class PackShape:
    """The properties that all sequences of a dataset share. `scheme` is a key of `tokens.pack.SCHEMES`."""

    sequence_length: int
    scheme: str
    dtype: np.dtype[Any]
    pad_id: int


class Packer:
    """Collects the encoded texts of one split and yields rows of the packed view."""

    def __init__(self, split: Split, shape: PackShape, ledger: Ledger) -> None:
        self._split, self._shape, self._ledger = split, shape, ledger
        self._raw: list[tuple[NDArray[Any], NDArray[np.int32]]] = []
        self._examples: list[tuple[NDArray[Any], NDArray[np.int32]]] = []
        self._tokens = 0

    def add_raw(self, ids: NDArray[Any], lengths: NDArray[np.int32]) -> None:
        """Add documents, including BOS: the token IDs of all of them, and the length of each."""
        self._raw.append((ids, lengths))
        self._tokens += len(ids)

    def add_examples(self, ids: NDArray[Any], lengths: NDArray[np.int32]) -> None:
        """Add examples in the same form. None may be longer than a sequence."""
        self._examples.append((ids, lengths))
        self._tokens += len(ids)

    def rows(self, last: bool = False) -> Iterator[RowBatch]:
        """Yield the rows of a full window, or, if this is the `last` call, of all texts that are left."""
        if self._tokens < WINDOW_TOKENS and not last:
            return
        raw, packs = self._cut_raw(last), self._pack_examples(last)
        self._tokens = sum(len(ids) for ids, _ in (*self._raw, *self._examples))
        yield from self._interleave(raw, packs)

    def _cut_raw(self, last: bool) -> Sequences:
        """Cut the raw stream. Its remainder starts the next window, or is dropped after the last."""
        ids, lengths = _concatenate(self._raw, self._shape.dtype)
        sequences, rest, rest_lengths = cut_raw(ids, lengths, self._shape.sequence_length)
        if len(ids):
            dropped = len(rest) if last else 0
            key = FlowKey("tokens", self._split, RAW)
            self._ledger.add(key, sequences.tokens + dropped, sequences.tokens, {REMAINDER: dropped})
        self._raw = [] if last or not len(rest) else [(rest.copy(), rest_lengths)]
        return sequences

    def _pack_examples(self, last: bool) -> Sequences:
        """Pack the examples. Until the last window, only whole batches of the paper's size are packed."""
        ids, lengths = _concatenate(self._examples, self._shape.dtype)
        count = len(lengths) if last else len(lengths) // PAPER_BATCH * PAPER_BATCH
        tokens = int(lengths[:count].sum(dtype=np.int64))
        self._examples = [(ids[tokens:].copy(), lengths[count:])] if count < len(lengths) else []
        packing = pack_examples(lengths[:count], self._shape.sequence_length, self._shape.scheme)
        return lay_out(ids[:tokens], lengths[:count], packing, self._shape.pad_id)

    def _interleave(self, raw: Sequences, packs: Sequences) -> Iterator[RowBatch]:
        """Spread both kinds evenly over one table, and count their positions."""
        kinds = (raw, packs)
        for name, sequences in zip(("raw", "task"), kinds, strict=True):
            if len(sequences):
                positions, tokens = sequences.ids.size, sequences.tokens
                key = FlowKey("pack", self._split, name)
                self._ledger.add(key, positions, tokens, {PADDING: positions - tokens})
        if not len(raw) + len(packs):
            return
        position = np.concatenate([(np.arange(len(s)) + 0.5) / max(len(s), 1) for s in kinds])
        order = np.argsort(position, kind="stable")
        counts = np.concatenate([s.counts for s in kinds])
        starts = np.cumsum(counts) - counts
        lengths = np.concatenate([s.lengths for s in kinds])[_ranges(starts[order], counts[order])]
        ids = np.concatenate([s.ids for s in kinds])[order]
        names = ["raw" if row < len(raw) else "task" for row in order.tolist()]
        table = packed_table(ids, lengths, counts[order], names)
        yield RowBatch("packed", self._split, "", table, int(lengths.sum()))


def _concatenate(
    texts: list[tuple[NDArray[Any], NDArray[np.int32]]], dtype: np.dtype[Any]
) -> tuple[NDArray[Any], NDArray[np.int32]]:
    ids = np.concatenate([np.empty(0, dtype), *(ids for ids, _ in texts)])
    return ids, np.concatenate([np.empty(0, np.int32), *(lengths for _, lengths in texts)])


def _ranges(starts: NDArray[np.int64], counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the integers of the ranges [start, start + count), one range after another."""
    ends = np.cumsum(counts)
    return np.arange(ends[-1]) + np.repeat(starts - ends + counts, counts)
