"""The bounded table from words to token ids: one dict lookup per different word of a batch, then only numpy.

A dict that gives each missing key the next row number does the lookups without Python code per word. The rows point
into flat arrays, from which the ids of a whole batch are gathered at once.
"""

import sys
from collections import defaultdict
from collections.abc import Sequence
from itertools import compress, count, islice
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

Key = bytes | None
"""A piece of text (`pieces.cut`), or None for the BOS token."""

NEEDS_LIBRARY, OPEN_END = 1, 2
"""Flags of a word. Texts that contain it must be encoded whole, by the library; for OPEN_END, unless the word is the
last one of its text (`decision.Decision.closed`).
"""

_INT_BYTES = 32


class Growing:
    """A one-dimensional array that grows at its end. Its capacity increases by half when it is full."""

    def __init__(self, dtype: DTypeLike, capacity: int = 1024) -> None:
        self._array: NDArray[Any] = np.empty(capacity, dtype)
        self._size = 0

    @property
    def values(self) -> NDArray[Any]:
        """The values as a view that is valid until the next `extend`."""
        return self._array[: self._size]

    @property
    def nbytes(self) -> int:
        """Bytes of memory, including spare capacity."""
        return int(self._array.nbytes)

    def extend(self, values: NDArray[Any]) -> None:
        """Append `values`."""
        needed = self._size + len(values)
        if needed > len(self._array):
            grown = np.empty(max(needed, len(self._array) * 3 // 2), self._array.dtype)
            grown[: self._size] = self.values
            self._array = grown
        self._array[self._size : needed] = values
        self._size = needed


class WordTable:
    """Words with their ids, lengths and flags, in at most `limit` bytes between batches.

    For each batch call `lookup`, then `store` for the missing words, `lengths` and `gather`, and `settle` at the end.
    Over the limit, the words that no later batch has used again are removed (most words of a text are rare); if
    that frees too little memory, all are.
    """

    def __init__(self, limit: int, dtype: DTypeLike, bos_ids: Sequence[int]) -> None:
        self.limit = limit
        self.evictions = 0
        self._dtype = np.dtype(dtype)
        self._bos_ids = np.asarray(bos_ids, self._dtype)
        self._settled = 0
        self.clear()

    def clear(self) -> None:
        """Remove every word; row 0 stays the BOS token."""
        lengths = np.array([len(self._bos_ids)], np.int32)
        self._fill([None], self._bos_ids, lengths, np.zeros(1, np.uint8))

    @property
    def nbytes(self) -> int:
        """Bytes of memory: keys, row numbers, the dict and the arrays."""
        arrays = (self._ids, self._starts, self._lengths, self._flags, self._used)
        return sys.getsizeof(self._rows) + self._key_bytes + sum(array.nbytes for array in arrays)

    def __len__(self) -> int:
        return len(self._rows) - 1

    def lookup(self, keys: Sequence[Key]) -> tuple[NDArray[np.int32], list[Key]]:
        """Return the row of each key, and the missing keys in the order of their new rows."""
        before = len(self._rows)
        self._rows.default_factory = count(before).__next__
        rows = np.fromiter(map(self._rows.__getitem__, keys), np.int32, count=len(keys))
        missing = list(islice(reversed(self._rows), len(self._rows) - before))
        missing.reverse()
        return rows, missing

    def store(
        self, keys: Sequence[Key], ids: NDArray[Any], lengths: NDArray[np.int32], flags: NDArray[np.uint8]
    ) -> None:
        """Fill the rows that `lookup` created for missing `keys`: flat ids, and a length and flags for each key."""
        self._starts.extend(len(self._ids.values) + np.cumsum(lengths, dtype=np.int64) - lengths)
        self._ids.extend(ids)
        self._lengths.extend(lengths)
        self._flags.extend(flags)
        self._used.extend(np.zeros(len(lengths), bool))
        self._key_bytes += sum(map(_key_bytes, keys))

    def flags(self, rows: NDArray[np.int32]) -> NDArray[np.uint8]:
        """Return the flags of each row."""
        return self._flags.values[rows]

    def lengths(self, rows: NDArray[np.int32]) -> NDArray[np.int32]:
        """Return the number of ids of each row."""
        return self._lengths.values[rows]

    def gather(self, rows: NDArray[np.int32], lengths: NDArray[np.int32]) -> NDArray[Any]:
        """Return the ids of all `rows`, one row after another; `lengths` is `self.lengths(rows)`."""
        return gather(self._ids.values, self._starts.values[rows], lengths)

    def settle(self, rows: NDArray[np.int32]) -> None:
        """End the batch that looked up `rows`: mark them as used again, and free memory if over the limit."""
        self._used.values[rows] = True
        self._used.values[self._settled :] = False
        self._settled = len(self._rows)
        if self.nbytes > self.limit:
            self.evictions += 1
            self._remove_unused()
            if self.nbytes > self.limit // 2:
                self.clear()

    def _remove_unused(self) -> None:
        used = self._used.values
        used[0] = True
        kept = np.flatnonzero(used).astype(np.int32)
        lengths = self.lengths(kept)
        keys = list(compress(self._rows, used.tolist()))
        self._fill(keys, self.gather(kept, lengths), lengths, self.flags(kept))

    def _fill(
        self, keys: list[Key], ids: NDArray[Any], lengths: NDArray[np.int32], flags: NDArray[np.uint8]
    ) -> None:
        """Set the contents to exactly `keys`, the first of them in row 0."""
        self._rows: defaultdict[Key, int] = defaultdict(None, zip(keys, count()))
        self._ids, self._starts = Growing(self._dtype), Growing(np.int64)
        self._lengths, self._flags, self._used = Growing(np.int32), Growing(np.uint8), Growing(np.bool_)
        self._key_bytes = 0
        self._settled = len(keys)
        self.store(keys, ids, lengths, flags)


def gather(ids: NDArray[Any], starts: NDArray[np.integer], lengths: NDArray[np.integer]) -> NDArray[Any]:
    """Concatenate the slices of `ids` that begin at `starts` and have `lengths`."""
    ends = np.cumsum(lengths, dtype=np.int64)
    total = int(ends[-1]) if len(ends) else 0
    # int32 halves the memory traffic where it is wide enough.
    index_type = np.dtype(np.int32 if max(total, len(ids)) < 1 << 31 else np.int64)
    index: NDArray[np.integer] = np.repeat((starts - ends + lengths).astype(index_type), lengths)
    index += np.arange(total, dtype=index_type)
    gathered: NDArray[Any] = ids.take(index)
    return gathered


def _key_bytes(key: Key) -> int:
    """Return the bytes of memory of a key and its row number."""
    return sys.getsizeof(key) + _INT_BYTES
