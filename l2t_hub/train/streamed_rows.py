"""The rows of a run straight from text, by their place in the run: those of the built dataset, in the same order.

How many rows an epoch has is not known before all its partitions were made. So a row's index is its place in the
whole run, and the partitions are walked in the order of the run (`row_order.py`) up to that place.
"""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from numpy.typing import NDArray
from torch.utils.data import Sampler

from l2t_hub.dataset.stream_partitions import SharedPartitions
from l2t_hub.errors import UserError
from l2t_hub.recipe import Recipe
from l2t_hub.text import counted
from l2t_hub.tokens.load import load_exact_tokenizer
from l2t_hub.train.batch_layout import BatchLayout
from l2t_hub.train.packed_data import PackedData, check_footer, vocabulary
from l2t_hub.train.row_order import order_within, partition_order
from l2t_hub.train.stream_location import StreamLocation


class RowsMissingError(Exception):
    """The next rows cannot be had, for this `reason`. What was trained until now is to be saved first."""

    def __init__(self, reason: BaseException) -> None:
        super().__init__(str(reason))
        self.reason = reason


@dataclass(frozen=True)
class Stretch:
    """The rows of one partition in one epoch: from place `start` of the run up to, but not including, `stop`."""

    start: int
    stop: int
    epoch: int
    partition: int


class StreamedRows(torch.utils.data.Dataset[dict[str, NDArray[Any]]]):
    """The first `length` rows of a run, read in ascending order. A process may skip rows, but not go back.

    `margin` is by how many rows the processes of a run may be apart: partitions are there for all of them.
    """

    def __init__(
        self, partitions: SharedPartitions, count: int, seed: int, length: int, margin: int = 0
    ) -> None:
        self.partitions, self.count = partitions, count
        self.seed, self.length, self.margin = seed, length, margin
        self._walked = 0
        self._stretches: list[Stretch] = []
        self._starts: list[int] = []
        self._provided: list[Stretch] = []
        self._loaded: dict[Stretch, _Loaded] = {}
        self._order = lru_cache(maxsize=3)(lambda epoch: partition_order(count, seed, epoch))

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, place: int) -> dict[str, NDArray[Any]]:
        return self.__getitems__([place])[0]

    def __getitems__(self, places: Sequence[int]) -> list[dict[str, NDArray[Any]]]:
        """Return rows of `input_ids` and `lengths`. Raises RowsMissingError if a partition cannot be made."""
        try:
            self._provide(min(places), max(places))
            return [self._row(place) for place in places]
        except (UserError, KeyboardInterrupt) as error:
            raise RowsMissingError(error) from None

    @property
    def epoch_rows(self) -> int | None:
        """The number of rows of an epoch, None if no epoch was read to its end."""
        if self._walked < self.count:
            return None
        return sum(stretch.stop - stretch.start for stretch in self._stretches if stretch.epoch == 0)

    def _provide(self, first: int, last: int) -> None:
        """Let the partitions of the places from `first` to `last` be on disk, with a margin on both sides."""
        while self._end <= min(last + self.margin, self.length - 1):
            self._walk()
        needed = self._stretches[self._at(max(first - self.margin, 0)) : self._at(last + self.margin) + 1]
        if needed == self._provided:
            return
        self.partitions.provide([stretch.partition for stretch in needed], self._upcoming())
        self._provided = needed
        for stretch in [stretch for stretch in self._loaded if stretch not in needed]:
            del self._loaded[stretch]

    @property
    def _end(self) -> int:
        return self._stretches[-1].stop if self._stretches else 0

    def _walk(self) -> None:
        """Take the next partition of the run. One without rows has no stretch."""
        epoch, place = divmod(self._walked, self.count)
        if epoch and not self._stretches:
            raise UserError(
                "the text gives no training sequence",
                "Give more text, or a smaller `packing.sequence_length` or `validation.share`.",
            )
        partition = int(self._order(epoch)[place])
        self._walked += 1
        rows = self.partitions.rows(partition, self._upcoming())
        if rows:
            self.partitions.read.add(partition)
            self._starts.append(self._end)
            self._stretches.append(Stretch(self._end, self._end + rows, epoch, partition))

    def _upcoming(self) -> list[int]:
        """Return the partitions after those that were walked, to the end of the next epoch."""
        epoch, place = divmod(self._walked, self.count)
        return [*self._order(epoch)[place:].tolist(), *self._order(epoch + 1).tolist()]

    def _at(self, place: int) -> int:
        return bisect_right(self._starts, place) - 1

    def _row(self, place: int) -> dict[str, NDArray[Any]]:
        stretch = self._stretches[self._at(place)]
        if stretch not in self._loaded:
            self._loaded[stretch] = _load(self.partitions.shards(stretch.partition), stretch, self.seed)
        return self._loaded[stretch].row(place - stretch.start)


class StreamOrder(Sampler[int]):
    """The places of a run, one after another: the order is that of the rows themselves."""

    def __init__(self, rows: StreamedRows) -> None:
        self._rows = rows

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[int]:
        return iter(range(len(self._rows)))

    @property
    def rows(self) -> int | None:
        """The number of rows of an epoch, None if no epoch was read to its end."""
        return self._rows.epoch_rows


@dataclass(frozen=True)
class _Loaded:
    """A partition in memory. `order` is that of the epoch; the texts of row n end at `ends[n]` in `lengths`."""

    order: NDArray[np.int64]
    ids: NDArray[Any]
    lengths: NDArray[np.int32]
    ends: NDArray[np.int64]

    def row(self, number: int) -> dict[str, NDArray[Any]]:
        row = int(self.order[number])
        start = int(self.ends[row - 1]) if row else 0
        return {"input_ids": self.ids[row], "lengths": self.lengths[start : int(self.ends[row])]}


def _load(shards: Sequence[Path], stretch: Stretch, seed: int) -> _Loaded:
    try:
        tables = [pq.read_table(path, columns=["input_ids", "lengths"]) for path in shards]
    except (pa.ArrowException, OSError) as error:
        raise UserError(
            f"partition {stretch.partition} cannot be read: {error}", "Rerun the command."
        ) from None
    ids = np.concatenate([_flat(table, "input_ids") for table in tables])
    lengths = np.concatenate([_flat(table, "lengths") for table in tables])
    counts = np.concatenate(
        [chunk.value_lengths().to_numpy() for table in tables for chunk in table["lengths"].chunks]
    )
    rows = stretch.stop - stretch.start
    if len(counts) != rows:
        raise UserError(
            f"partition {stretch.partition} has {counted(len(counts), 'row')}, not {rows:,} as when it was made",
            "Rerun the command.",
        )
    order = order_within(stretch.partition, rows, seed, stretch.epoch)
    return _Loaded(order, ids.reshape(rows, -1), lengths, np.cumsum(counts, dtype=np.int64))


def _flat(table: pa.Table, column: str) -> NDArray[Any]:
    """Return the values of all lists of a column, one list after another."""
    return np.concatenate([chunk.flatten().to_numpy() for chunk in table[column].chunks])


@dataclass(frozen=True)
class StreamedData(PackedData):
    """What a stream gives to training: rows that are made as they are read, and a validation split on disk."""

    training: StreamedRows

    def open(self, split: str, cache: Path) -> Any:
        """Return the rows of "train", or those of "validation" as those of a dataset."""
        return self.training if split == "train" else super().open(split, cache)

    def order(self, recipe: Recipe, length: int) -> StreamOrder:
        """Return the order in which a run reads the training rows: theirs."""
        return StreamOrder(self.training)


def streamed_data(location: StreamLocation, recipe: Recipe, batches: BatchLayout) -> StreamedData:
    """Return the data of a stream. Raises UserError if the held-out sequences cannot be read."""
    stream = location.stream
    tokenizer = load_exact_tokenizer(stream.tokenizer)
    margin = 2 * batches.sequences if batches.devices > 1 else 0
    rows = StreamedRows(location.partitions, len(stream.keys), recipe.seed, batches.rows, margin)
    held_out = list(stream.held_out)
    counts = {"validation": sum(check_footer(path, recipe) for path in held_out)}
    shards = {"validation": held_out}
    return StreamedData(location.name, shards, counts, (), tokenizer, vocabulary(tokenizer), rows)
