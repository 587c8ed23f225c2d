"""Which example goes into which training sequence, and the sequences themselves: pure numpy on lengths and
flat ids.

Examples stay whole. "best_fit" is best-fit decreasing, the packing that Ding et al. ("Fewer Truncations
Improve Language Modeling", ICML 2024) use to train without cutting documents; "paper" is the L2T paper's
scheme, which packs each 1,000 examples by themselves, longest example first into the shortest pack. Raw text
is concatenated and cut.
"""

import heapq
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

PAPER_BATCH = 1_000


@dataclass(frozen=True, slots=True)
class Packing:
    """An assignment of examples to packs.

    `order`: the examples' numbers, pack after pack, ascending within a pack; packs stand in the order of
    their first example. `counts`: examples in each pack. `tokens`: tokens in each pack. `dropped`: the
    numbers of examples over `capacity`, ascending. Every example stands exactly once in `order` or `dropped`.
    """

    capacity: int
    order: NDArray[np.int64]
    counts: NDArray[np.int64]
    tokens: NDArray[np.int64]
    dropped: NDArray[np.int64]

    @property
    def fill(self) -> float:
        """Share of all positions that hold a token; 1.0 if there is no pack."""
        return float(self.tokens.sum() / (len(self.tokens) * self.capacity)) if len(self.tokens) else 1.0


@dataclass(frozen=True, slots=True)
class Sequences:
    """Training sequences: `ids` (rows, capacity); `lengths` (int32) of the texts in them, row after row;
    `counts` per row.

    The lengths of a row add up to its tokens; what follows them is padding.
    """

    ids: NDArray[Any]
    lengths: NDArray[np.int32]
    counts: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def tokens(self) -> int:
        """Tokens in all rows, without padding."""
        return int(self.lengths.sum(dtype=np.int64))


def pack_examples(lengths: NDArray[np.integer], capacity: int, scheme: str = "best_fit") -> Packing:
    """Assign examples of these `lengths` (tokens) to packs of at most `capacity` tokens.

    Deterministic: a function of its arguments alone. Best fit takes about half a microsecond per example (a
    lookup of the tightest room that suffices is a shift of one `capacity`-bit number). KeyError for a scheme
    that is not in SCHEMES.
    """
    lengths = np.asarray(lengths)
    fits = np.flatnonzero(lengths <= capacity)
    pack_of = SCHEMES[scheme](lengths[fits], capacity)
    first_of_pack = np.unique(pack_of, return_index=True)[1]
    rank = np.empty(len(first_of_pack), np.int64)
    rank[np.argsort(first_of_pack)] = np.arange(len(rank))
    pack_of = rank[pack_of]
    order = np.argsort(pack_of, kind="stable")
    counts = np.bincount(pack_of, minlength=len(rank))
    tokens = np.bincount(pack_of, weights=lengths[fits], minlength=len(rank)).astype(np.int64)
    return Packing(capacity, fits[order], counts, tokens, np.flatnonzero(lengths > capacity))


def lay_out(ids: NDArray[Any], lengths: NDArray[np.integer], packing: Packing, pad_id: int) -> Sequences:
    """Write examples, given as flat `ids` with their `lengths`, into the sequences of `packing`; the rest is
    `pad_id`.
    """
    capacity = packing.capacity
    padding = np.full(capacity, pad_id, ids.dtype)
    ends = np.cumsum(lengths, dtype=np.int64)
    ends_taken = ends[packing.order]
    starts_taken = ends_taken - np.asarray(lengths)[packing.order]
    pieces = [ids[start:end] for start, end in zip(starts_taken.tolist(), ends_taken.tolist(), strict=True)]
    rows: list[NDArray[Any]] = [np.empty(0, ids.dtype)]
    at = 0
    for count, tokens in zip(packing.counts.tolist(), packing.tokens.tolist(), strict=True):
        rows += pieces[at : at + count]
        rows.append(padding[tokens:])
        at += count
    flat = np.concatenate(rows)
    taken = (ends_taken - starts_taken).astype(np.int32)
    return Sequences(flat.reshape(len(packing.counts), capacity), taken, packing.counts)


def cut_raw(
    ids: NDArray[Any], lengths: NDArray[np.integer], capacity: int
) -> tuple[Sequences, NDArray[Any], NDArray[np.int32]]:
    """Concatenate texts and cut them every `capacity` tokens.

    Returns the full sequences, whose lengths are those of the pieces of texts in them, and what is left over:
    fewer than `capacity` ids and the lengths of their pieces. Give the rest in front of the next texts to go
    on, or count it as dropped.
    """
    rows = len(ids) // capacity
    cut = rows * capacity
    boundaries = np.union1d(np.cumsum(lengths, dtype=np.int64), np.arange(1, rows + 1) * capacity)
    boundaries = boundaries[boundaries > 0].astype(np.int64)
    pieces = np.diff(boundaries, prepend=0).astype(np.int32)
    inside = boundaries <= cut
    counts = np.bincount((boundaries[inside] - 1) // capacity, minlength=rows)
    return Sequences(ids[:cut].reshape(rows, capacity), pieces[inside], counts), ids[cut:], pieces[~inside]


def _best_fit(lengths: NDArray[np.integer], capacity: int) -> NDArray[np.int64]:
    """Longest first, ties in their order; each into the pack with the least room that suffices, of those the
    one that got that room last; else into a new pack. Bit r of `rooms` says that some pack has room for
    exactly r tokens.
    """
    order = np.argsort(-lengths.astype(np.int64), kind="stable")
    with_room: list[list[int]] = [[] for _ in range(capacity + 1)]
    rooms = packs = 0
    chosen = []
    for length in lengths[order].tolist():
        enough = rooms >> length
        if enough:
            room = length + (enough & -enough).bit_length() - 1
            pack = with_room[room].pop()
            if not with_room[room]:
                rooms ^= 1 << room
        else:
            room, pack = capacity, packs
            packs += 1
        with_room[room - length].append(pack)
        rooms |= 1 << (room - length)
        chosen.append(pack)
    pack_of = np.empty(len(lengths), np.int64)
    pack_of[order] = chosen
    return pack_of


def _paper(lengths: NDArray[np.integer], capacity: int) -> NDArray[np.int64]:
    """Each PAPER_BATCH examples by themselves: longest first (ties in their order), each into the shortest
    pack of the batch (of equal ones the oldest), or into a new pack if it does not fit there.
    """
    pack_of = np.empty(len(lengths), np.int64)
    packs = 0
    for start in range(0, len(lengths), PAPER_BATCH):
        batch = lengths[start : start + PAPER_BATCH].astype(np.int64)
        order = np.argsort(-batch, kind="stable")
        heap: list[tuple[int, int]] = []
        for example, length in zip(order.tolist(), batch[order].tolist(), strict=True):
            if heap and heap[0][0] + length <= capacity:
                tokens, pack = heap[0]
                heapq.heapreplace(heap, (tokens + length, pack))
            else:
                pack = packs
                packs += 1
                heapq.heappush(heap, (length, pack))
            pack_of[start + example] = pack
    return pack_of


SCHEMES: dict[str, Callable[[NDArray[np.integer], int], NDArray[np.int64]]] = {
    "best_fit": _best_fit,
    "paper": _paper,
}
