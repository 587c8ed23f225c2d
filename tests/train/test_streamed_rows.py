"""A stream gives the rows of the built dataset, in the same order, at any place of a run and for any process of it."""

import os
import shutil
import signal
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from tiny_release import make_dataset, tiny_recipe

from l2t_hub.dataset import stream_partitions
from l2t_hub.dataset.progress import SilentReporter
from l2t_hub.dataset.stream import Stream, prepared_stream, stream_workspace
from l2t_hub.dataset.stream_partitions import PartitionMaker, SharedPartitions
from l2t_hub.dataset.views import packed_table
from l2t_hub.dataset.workspace import Workspace
from l2t_hub.errors import UserError
from l2t_hub.recipe import Recipe
from l2t_hub.train.locate import locate
from l2t_hub.train.packed_data import check_packed
from l2t_hub.train.row_order import EpochSampler
from l2t_hub.train.streamed_rows import RowsMissingError, StreamedRows, StreamOrder

SIZES = (4, 0, 5, 3)
SEED, LENGTH = 42, 40
STREAM = {"build": {"partitions": 4}, "train": {"shuffle": "partitions"}, "data": {"mode": "stream"}}


class WrittenPartitions(SharedPartitions):
    """Partitions of SIZES rows. The only number in a row, and in its length, is the row's place in the dataset."""

    def __init__(self, folder: Path) -> None:
        super().__init__(Stream(Workspace(folder), "", (), {}, ()))
        self.provided: list[list[int]] = []
        for number, size in enumerate(SIZES):
            places = np.arange(size) + sum(SIZES[:number])
            ids, lengths = places.astype(np.uint16).reshape(-1, 1), places.astype(np.int32)
            pq.write_table(
                packed_table(ids, lengths, np.ones(size, np.int64), ["raw"] * size), folder / str(number)
            )

    def rows(self, partition: int, upcoming: Iterable[int]) -> int:
        return SIZES[partition]

    def provide(self, needed: Sequence[int], upcoming: Iterable[int]) -> None:
        self.provided.append(list(needed))

    def shards(self, partition: int) -> list[Path]:
        return [self.stream.workspace.out / str(partition)]


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("written")
    WrittenPartitions(folder)
    return folder


@pytest.fixture
def rows(written: Path) -> StreamedRows:
    return StreamedRows(WrittenPartitions(written), len(SIZES), SEED, LENGTH)


def places_of(rows: list[dict[str, Any]]) -> list[int]:
    for row in rows:
        assert row["lengths"].tolist() == row["input_ids"].tolist()
    return [int(row["input_ids"][0]) for row in rows]


EXPECTED = list(EpochSampler(sum(SIZES), SEED, LENGTH, SIZES))


def test_a_run_from_any_place_reads_the_rows_of_the_built_order(written: Path) -> None:
    for start in range(LENGTH):
        rows = StreamedRows(WrittenPartitions(written), len(SIZES), SEED, LENGTH)
        places = list(range(start, LENGTH))
        assert (
            places_of([row for n in places[::3] for row in rows.__getitems__(places[n - start :][:3])])
            == (EXPECTED[start:])
        )


@pytest.mark.parametrize(("rank", "world"), [(0, 2), (1, 2), (4, 5)])
def test_every_process_reads_its_part_of_the_same_order(written: Path, rank: int, world: int) -> None:
    partitions = WrittenPartitions(written)
    rows = StreamedRows(partitions, len(SIZES), SEED, LENGTH, margin=2 * world)
    mine = range(rank, LENGTH, world)
    assert places_of([rows[place] for place in mine]) == [EXPECTED[place] for place in mine]
    # What another process may still need, or need already, was provided together with the own rows.
    assert max(map(len, partitions.provided)) > 1


def test_the_length_of_an_epoch_is_known_after_it(rows: StreamedRows) -> None:
    order = StreamOrder(rows)
    assert list(order) == list(range(LENGTH))
    rows[6]
    assert order.rows is None
    rows[12]
    assert order.rows == sum(SIZES)
    assert rows.partitions.read == {0, 2, 3}


def test_text_without_a_training_sequence_is_an_error(written: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(WrittenPartitions, "rows", lambda self, partition, upcoming: 0)
    rows = StreamedRows(WrittenPartitions(written), len(SIZES), SEED, LENGTH)
    with pytest.raises(RowsMissingError, match="no training sequence") as error:
        rows[0]
    assert isinstance(error.value.reason, UserError)


@contextmanager
def streamed(recipe: Recipe, folder: Path, cache_gb: float = 10.0) -> Iterator[PartitionMaker]:
    """Stream a recipe beside `folder`, with room for so many GB of partitions."""
    roomy = recipe.model_copy(update={"data": recipe.data.model_copy(update={"cache_gb": cache_gb})})
    with prepared_stream(recipe, stream_workspace(folder), SilentReporter()) as (stream, prepared):
        maker = PartitionMaker(roomy, stream, prepared, SilentReporter())
        try:
            yield maker
        finally:
            maker.close()


def test_a_stream_gives_the_rows_of_the_built_dataset_over_several_epochs(tmp_path: Path) -> None:
    recipe = tiny_recipe("streamed", **STREAM)
    dataset = locate(make_dataset(recipe, tmp_path / "data"))
    packed = check_packed(dataset, recipe)
    train, validation = (
        packed.open("train", tmp_path / "cache"),
        packed.open("validation", tmp_path / "cache"),
    )
    length = int(2.4 * packed.rows["train"])
    order = list(packed.order(recipe, length))

    def check(maker: PartitionMaker, first: int, last: int) -> None:
        rows = StreamedRows(maker, 4, recipe.seed, length)
        for start in range(first, last, 7):
            places = list(range(start, min(start + 7, last)))
            ours, theirs = rows.__getitems__(places), train[[order[place] for place in places]]
            np.testing.assert_array_equal(np.stack([row["input_ids"] for row in ours]), theirs["input_ids"])
            for row, lengths in zip(ours, theirs["lengths"], strict=True):
                np.testing.assert_array_equal(row["lengths"], lengths)

    # With room for nothing, an epoch makes the partitions that the one before has removed.
    with streamed(recipe, tmp_path / "model", 1e-9) as maker:
        stream = maker.stream
        assert stream.fingerprint == dataset.fingerprint
        held_out = np.concatenate(
            [np.stack(pq.read_table(path)["input_ids"].to_numpy()) for path in stream.held_out]
        )
        np.testing.assert_array_equal(held_out, np.stack(validation["input_ids"]))
        check(maker, 0, length)
    # A run that continues counts the partitions it has read, and makes only the one in use and two ahead.
    shutil.rmtree(stream.workspace.stage_folder)
    with streamed(recipe, tmp_path / "model") as maker:
        check(maker, length - 1, length)
    assert 1 <= sum(stream.folder(partition).is_dir() for partition in range(4)) <= 3
    # If even the counts are lost, they are made again.
    stream.remove_partitions()
    with streamed(recipe, tmp_path / "model") as maker:
        check(maker, length - 9, length)


def test_a_damaged_partition_is_made_again(tmp_path: Path) -> None:
    recipe = tiny_recipe("streamed", **STREAM, validation={"share": 0})
    with streamed(recipe, tmp_path / "model") as maker:
        maker.provide([0], [])
        (shard,) = maker.shards(0)
        content = shard.read_bytes()
    shard.write_bytes(content[:-1])
    with streamed(recipe, tmp_path / "model") as maker:
        assert not shard.exists()
        maker.provide([0], [])
        assert shard.read_bytes() == content
    # Nothing is held out, so there was no pass for it.
    assert replace(maker.stream.workspace, stage="held-out").stage_folder.exists() is False


def test_a_worker_that_is_killed_is_replaced_and_in_the_end_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = tiny_recipe("streamed", **STREAM, validation={"share": 0})
    kills = [1, 10]

    def kill_first(maker: PartitionMaker) -> None:
        start = maker._start

        def started(partition: int) -> None:
            start(partition)
            if kills[0]:
                kills[0] -= 1
                for pid in list(maker._pool._processes):
                    os.kill(pid, signal.SIGKILL)

        monkeypatch.setattr(maker, "_start", started)

    monkeypatch.setattr(stream_partitions, "PAUSES", (0.0, 0.0))
    with streamed(recipe, tmp_path / "model") as maker:
        kill_first(maker)
        maker.provide([1], [])
        assert maker.stream.folder(1).is_dir()
        kills[:1] = []
        with pytest.raises(UserError, match="worker process that makes sequences was killed"):
            maker.provide([2], [])


def test_a_wait_for_another_process_ends_with_a_stop_signal(tmp_path: Path) -> None:
    partitions = SharedPartitions(Stream(Workspace(tmp_path), "", ("k" * 64,), {}, ()))
    partitions.must_stop = lambda: True
    for wait in (lambda: partitions.rows(0, ()), lambda: partitions.provide([0], ())):
        with pytest.raises(KeyboardInterrupt):
            wait()
    rows = StreamedRows(partitions, 1, SEED, LENGTH)
    with pytest.raises(RowsMissingError) as error:
        rows[0]
    assert isinstance(error.value.reason, KeyboardInterrupt)
