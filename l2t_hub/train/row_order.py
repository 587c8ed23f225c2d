"""The order in which a run reads rows. It depends only on the seed, the epoch and the number of rows.

With `train.shuffle: rows`, an epoch is one permutation of all rows. With `partitions`, it reads the partitions in an
order of its own, and the rows of each in an order of their own: so it can be followed without the rows of the
partitions that come later (`streamed_rows.py`).
"""

import hashlib
from collections.abc import Iterator, Sequence
from itertools import islice

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import Sampler


def epoch_order(rows: int, seed: int, epoch: int) -> NDArray[np.int64]:
    """Return the order in which an epoch reads `rows` rows: a permutation that depends only on seed and epoch."""
    return _permutation(rows, f"{seed}/training order/{epoch}")


def partition_order(partitions: int, seed: int, epoch: int) -> NDArray[np.int64]:
    """Return the order in which an epoch reads `partitions` partitions."""
    return _permutation(partitions, f"{seed}/order of partitions/{epoch}")


def order_within(partition: int, rows: int, seed: int, epoch: int) -> NDArray[np.int64]:
    """Return the order in which an epoch reads the `rows` rows of a partition."""
    return _permutation(rows, f"{seed}/order within partition {partition}/{epoch}")


class EpochSampler(Sampler[int]):
    """Row indices for a whole run of `length` rows: epochs of `rows` rows, each in its own order.

    Epochs follow each other without a gap, so one batch may hold the end of an epoch and the start of the next.
    With `partitions`, the rows of each partition in order, an epoch reads one partition after another.
    """

    def __init__(self, rows: int, seed: int, length: int, partitions: Sequence[int] | None = None) -> None:
        self.rows, self.seed, self.length, self.partitions = rows, seed, length, partitions

    def __len__(self) -> int:
        return self.length

    def __iter__(self) -> Iterator[int]:
        for epoch in range(-(-self.length // self.rows)):
            yield from islice(self._epoch(epoch), self.length - epoch * self.rows)

    def _epoch(self, epoch: int) -> Iterator[int]:
        if self.partitions is None:
            yield from epoch_order(self.rows, self.seed, epoch).tolist()
            return
        starts = np.cumsum([0, *self.partitions])
        for partition in partition_order(len(self.partitions), self.seed, epoch).tolist():
            rows = order_within(partition, self.partitions[partition], self.seed, epoch)
            yield from (starts[partition] + rows).tolist()


def _permutation(count: int, address: str) -> NDArray[np.int64]:
    digest = hashlib.blake2b(address.encode(), digest_size=16).digest()
    generator = np.random.Generator(np.random.PCG64(int.from_bytes(digest, "big")))
    order: NDArray[np.int64] = generator.permutation(count)
    return order
