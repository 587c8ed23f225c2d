"""From encoded texts to training sequences, a window at a time, so that memory does not grow with the source.

Raw text is one stream, cut every `sequence_length` tokens; what is left at the end of a partition is dropped and
booked. Examples are packed whole. Within a window the two kinds are spread evenly among each other, so that reading
the rows in order sees the mixture and not one kind after the other.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from l2t_hub.dataset.ledger import RAW, Key, Ledger
from l2t_hub.dataset.views import Rows, Split, packed_table
from l2t_hub.tokens.pack import PAPER_BATCH, Sequences, cut_raw, lay_out, pack_examples

WINDOW_TOKENS = 4_000_000
REMAINDER = "remainder"
PADDING = "padding"


@dataclass(frozen=True)
class PackShape:
    """What all sequences of a dataset have in common."""

    sequence_length: int
    scheme: str
    dtype: np.dtype[Any]
    pad_id: int


class Packer:
    """Gathers the encoded texts of one split and gives rows of the packed view (or, not asked to, only counts)."""

    def __init__(self, split: Split, shape: PackShape, ledger: Ledger) -> None:
        self._split, self._shape, self._ledger = split, shape, ledger
        self._raw: list[tuple[NDArray[Any], NDArray[np.int32]]] = []
        self._examples: list[tuple[NDArray[Any], NDArray[np.int32]]] = []
        self._waiting = 0

    def add_raw(self, ids: NDArray[Any], lengths: NDArray[np.int32]) -> None:
        """Add documents, BOS included: flat ids, and a length for each."""
        self._raw.append((ids, lengths))
        self._waiting += len(ids)

    def add_examples(self, ids: NDArray[Any], lengths: NDArray[np.int32]) -> None:
        """Add examples, none longer than a sequence."""
        self._examples.append((ids, lengths))
        self._waiting += len(ids)

    def rows(self, last: bool = False) -> Iterator[Rows]:
        """Give the rows of a full window, or at the end (`last`) of what is left."""
        if self._waiting < WINDOW_TOKENS and not last:
            return
        raw, packs = self._cut(last), self._pack(last)
        self._waiting = sum(len(ids) for ids, _ in (*self._raw, *self._examples))
        yield from self._merge(raw, packs)

    def _cut(self, last: bool) -> Sequences:
        """Cut the raw stream; its uncut end stays for the next window, or is dropped if there is none."""
        ids, lengths = _join(self._raw, self._shape.dtype)
        cut, rest, rest_lengths = cut_raw(ids, lengths, self._shape.sequence_length)
        if len(ids):
            dropped = len(rest) if last else 0
            key = Key("tokens", self._split, RAW)
            self._ledger.note(key, cut.tokens + dropped, cut.tokens, {REMAINDER: dropped})
        self._raw = [] if last or not len(rest) else [(rest.copy(), rest_lengths)]
        return cut

    def _pack(self, last: bool) -> Sequences:
        """Pack the examples, in whole batches of the paper's size until the last window, and lay them out."""
        ids, lengths = _join(self._examples, self._shape.dtype)
        count = len(lengths) if last else len(lengths) // PAPER_BATCH * PAPER_BATCH
        tokens = int(lengths[:count].sum(dtype=np.int64))
        self._examples = [(ids[tokens:].copy(), lengths[count:])] if count < len(lengths) else []
        packing = pack_examples(lengths[:count], self._shape.sequence_length, self._shape.scheme)
        return lay_out(ids[:tokens], lengths[:count], packing, self._shape.pad_id)

    def _merge(self, raw: Sequences, packs: Sequences) -> Iterator[Rows]:
        """Spread both kinds evenly over one table and book their positions."""
        both = (raw, packs)
        for kind, part in zip(("raw", "task"), both, strict=True):
            if len(part):
                padding = part.ids.size - part.tokens
                self._ledger.note(
                    Key("pack", self._split, kind), part.ids.size, part.tokens, {PADDING: padding}
                )
        if not len(raw) + len(packs):
            return
        at = np.concatenate([(np.arange(len(s)) + 0.5) / max(len(s), 1) for s in both])
        order = np.argsort(at, kind="stable")
        counts = np.concatenate([s.counts for s in both])
        starts = np.cumsum(counts) - counts
        lengths = np.concatenate([s.lengths for s in both])[_ranges(starts[order], counts[order])]
        ids = np.concatenate([s.ids for s in both])[order]
        kinds = ["raw" if n < len(raw) else "task" for n in order.tolist()]
        yield Rows(
            "packed", self._split, "", packed_table(ids, lengths, counts[order], kinds), int(lengths.sum())
        )


def _join(
    parts: list[tuple[NDArray[Any], NDArray[np.int32]]], dtype: np.dtype[Any]
) -> tuple[NDArray[Any], NDArray[np.int32]]:
    ids = np.concatenate([np.empty(0, dtype), *(part for part, _ in parts)])
    return ids, np.concatenate([np.empty(0, np.int32), *(lengths for _, lengths in parts)])


def _ranges(starts: NDArray[np.int64], counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """The numbers from each start on, `count` of them, one range after another."""
    ends = np.cumsum(counts)
    return np.arange(ends[-1]) + np.repeat(starts - ends + counts, counts)
