"""Shards: the same bytes for the same rows, and what the Hub advises for their sizes and options."""

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from dataset_helpers import RecipeFactory, build_silently

from l2t_hub.artifacts import sha256_of
from l2t_hub.dataset import shards
from l2t_hub.dataset.shards import Shard, ShardWriter


def table_of(n: int) -> pa.Table:
    return pa.table(
        {"document_id": [f"d{n}-{i}" for i in range(300)], "tokens": pa.array(range(300), pa.int32())}
    )


def written(folder: Path) -> Iterator[Shard]:
    folder.mkdir()
    writer = ShardWriter(folder, "examples", "train", "typo")
    for n in range(10):
        writer.write(table_of(n), 300)
    yield from writer.close()


def test_shards_are_deterministic_with_small_row_groups_and_a_page_index(tmp_path: Path) -> None:
    first, second = list(written(tmp_path / "a")), list(written(tmp_path / "b"))
    assert first == second
    (shard,) = first
    file = pq.ParquetFile(tmp_path / "a" / shard.file)
    assert (shard.rows, shard.tokens) == (3000, 3000) == (file.metadata.num_rows, 3000)
    assert shard.sha256 == sha256_of(tmp_path / "a" / shard.file)
    assert all(file.metadata.row_group(n).num_rows <= 1200 for n in range(file.num_row_groups))
    column = file.metadata.row_group(0).column(0)
    assert column.compression == "ZSTD"
    assert column.has_column_index
    assert column.has_offset_index


def test_a_shard_that_reaches_its_size_is_followed_by_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shards, "SHARD_BYTES", 2000)
    parts = list(written(tmp_path / "a"))
    assert len(parts) > 1
    assert sum(s.rows for s in parts) == 3000
    ids = [i for s in parts for i in pq.read_table(tmp_path / "a" / s.file).column("document_id").to_pylist()]
    assert ids == [i for n in range(10) for i in table_of(n).column("document_id").to_pylist()]


def test_shards_of_a_partition_are_split_and_keep_to_the_hubs_advice(
    make_recipe: RecipeFactory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sizes and row groups within what `datasets` itself writes, a page index on every column of every view."""
    from dataset_helpers import build_silently
    from datasets import config, load_dataset
    from datasets.utils.py_utils import convert_file_size_to_int

    from l2t_hub.dataset.verify import verify

    assert convert_file_size_to_int(config.MAX_SHARD_SIZE) >= shards.SHARD_BYTES
    monkeypatch.setattr("l2t_hub.dataset.packer.WINDOW_TOKENS", 10_000)
    whole = build_silently(make_recipe({"build.partitions": 2}), tmp_path / "whole")
    monkeypatch.setattr(shards, "SHARD_BYTES", 20_000)
    monkeypatch.setattr(shards, "ROW_GROUP_ROWS", 10)
    manifest = build_silently(make_recipe({"build.partitions": 2}), tmp_path / "out")
    assert verify(tmp_path / "out").problems == []
    packed = [s for s in manifest.shards if (s.view, s.split) == ("packed", "train")]
    assert len(packed) > 2, "more shards than partitions"
    assert [s.path for s in packed] == sorted(s.path for s in packed)
    assert all(s.path.endswith(f"-of-{len(packed):05d}.parquet") for s in packed)
    assert [s.partition for s in packed] == sorted(s.partition for s in packed)
    limit = convert_file_size_to_int(config.MAX_ROW_GROUP_SIZE)
    for shard in manifest.shards:
        metadata = pq.read_metadata(tmp_path / "out" / shard.path)
        for group in (metadata.row_group(n) for n in range(metadata.num_row_groups)):
            assert group.total_byte_size < limit
            columns = [group.column(n) for n in range(group.num_columns)]
            assert all(c.has_offset_index and c.compression == "ZSTD" for c in columns)
    rows = load_dataset(str(tmp_path / "out"), "packed", split="train", streaming=True)
    assert sum(1 for _ in rows) == sum(s.rows for s in packed)
    assert whole.totals == manifest.totals


def test_token_ids_are_stored_as_byte_streams(make_recipe: RecipeFactory, tmp_path: Path) -> None:
    build_silently(make_recipe({"source.limit": 20}), tmp_path / "out")
    (first, *_) = sorted((tmp_path / "out" / "data" / "packed").glob("*.parquet"))
    group = pq.read_metadata(first).row_group(0)
    columns = {group.column(n).path_in_schema: group.column(n) for n in range(group.num_columns)}
    assert "BYTE_STREAM_SPLIT" in columns["input_ids.list.element"].encodings
    assert columns["input_ids.list.element"].compression == "ZSTD"
    assert "BYTE_STREAM_SPLIT" not in columns["kind"].encodings
