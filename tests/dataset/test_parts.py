"""The build's parts by themselves: other documents, sequences, shards, progress."""

import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from l2t_hub.artifacts import sha256_of
from l2t_hub.corpus.document import Document
from l2t_hub.corpus.sentences import splitter
from l2t_hub.dataset import shards as write
from l2t_hub.dataset.card import configs, size_category
from l2t_hub.dataset.ledger import RAW, Ledger
from l2t_hub.dataset.packer import Packer, PackShape
from l2t_hub.dataset.progress import LineReporter, Meter, MeterWatch
from l2t_hub.dataset.shards import ShardWriter
from l2t_hub.dataset.transform import PartitionTransform, TransformSetup
from l2t_hub.dataset.views import RowBatch
from l2t_hub.mixture import is_validation
from l2t_hub.recipe import Recipe
from l2t_hub.tasks.registry import TASKS
from l2t_hub.tokens.load import encoder_of, load_tokenizer

Recipes = Callable[..., Recipe]


def partition_of(recipe: Recipe) -> PartitionTransform:
    encoder = encoder_of(load_tokenizer(str(recipe.tokenizer.name)))
    return PartitionTransform(TransformSetup(recipe, TASKS, splitter("sentencex"), encoder, 1))


def test_the_other_document_is_the_one_before_of_the_same_split_and_never_itself(recipe: Recipes) -> None:
    mixed = recipe({"validation.share": 0.3})
    documents = [Document(f"d{n}", f"Text {n}.") for n in range(700)]
    batches = partition_of(mixed).batches(iter(documents))
    pairs = [(e.document.id, e.other.document.id, e.split) for batch in batches for e in batch if e.other]
    assert len(pairs) == 700
    for split in ("train", "validation"):
        mine = [d.id for d in documents if is_validation(42, d.id, 0.3) == (split == "validation")]
        wanted = list(zip(mine, [mine[1], *mine[:-1]], strict=True))
        assert [(a, b) for a, b, s in pairs if s == split] == wanted


def test_memory_does_not_hold_on_to_documents_that_are_done(recipe: Recipes) -> None:
    kept = [
        e
        for batch in partition_of(recipe()).batches(Document(f"d{n}", "T.") for n in range(600))
        for e in batch
    ]
    assert all(entry.other is None for entry in kept), (
        "after its batch an entry lets go of its other document"
    )


texts = st.lists(st.integers(1, 70), min_size=1, max_size=40)


def run(raw: list[int], examples: list[int], windows: int, scheme: str) -> tuple[list[RowBatch], Ledger]:
    """Feed texts of these lengths (first id 1, then twos) to a sequencer, in some number of windows."""
    ledger = Ledger()
    sequencer = Packer("train", PackShape(64, scheme, np.dtype(np.uint16), 0), ledger)
    rows: list[RowBatch] = []
    for n in range(windows):
        for add, lengths in (
            (sequencer.add_raw, raw[n::windows]),
            (sequencer.add_examples, examples[n::windows]),
        ):
            ids = [t for length in lengths for t in [1] + [2] * (length - 1)]
            add(np.array(ids, np.uint16), np.array(lengths, np.int32))
        rows += sequencer.rows(last=n == windows - 1)
    return rows, ledger


@given(
    raw=texts,
    examples=st.lists(st.integers(1, 64), max_size=40),
    windows=st.integers(1, 4),
    scheme=st.sampled_from(["best_fit", "paper"]),
)
def test_sequences_hold_every_token_once(
    raw: list[int], examples: list[int], windows: int, scheme: str
) -> None:
    rows, ledger = run(raw, examples, windows, scheme)
    table = [row for r in rows for row in r.table.to_pylist()]
    task = [row for row in table if row["kind"] == "task"]
    assert sorted(n for row in task for n in row["lengths"]) == sorted(examples)
    assert sum(sum(row["lengths"]) for row in table if row["kind"] == "raw") == sum(raw) // 64 * 64
    for row in table:
        used = sum(row["lengths"])
        assert row["input_ids"][used:] == [0] * (64 - used)
        if row["kind"] == "task":
            starts = np.cumsum([0, *row["lengths"][:-1]])
            assert [n for n, t in enumerate(row["input_ids"][:used]) if t == 1] == starts.tolist()
    assert sum(r.tokens for r in rows) == ledger.total("pack").went_out
    assert ledger.get("tokens", "train", RAW).dropped.total() == sum(raw) % 64


def test_full_windows_are_given_as_they_fill(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("l2t_hub.dataset.packer.WINDOW_TOKENS", 1000)
    ledger = Ledger()
    sequencer = Packer("train", PackShape(64, "paper", np.dtype(np.uint16), 0), ledger)
    sequencer.add_examples(np.ones(1500 * 2, np.uint16), np.full(1500, 2, np.int32))
    first = list(sequencer.rows())
    assert sum(len(row["lengths"]) for row in first[0].table.to_pylist()) == 1000, (
        "whole batches of the paper's size"
    )
    rest = list(sequencer.rows(last=True))
    assert sum(len(row["lengths"]) for row in rest[0].table.to_pylist()) == 500
    assert list(sequencer.rows(last=True)) == []


def table_of(n: int) -> pa.Table:
    return pa.table(
        {"document_id": [f"d{n}-{i}" for i in range(300)], "tokens": pa.array(range(300), pa.int32())}
    )


def written(folder: Path) -> Iterator[write.Shard]:
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
    monkeypatch.setattr(write, "SHARD_BYTES", 2000)
    shards = list(written(tmp_path / "a"))
    assert len(shards) > 1
    assert sum(s.rows for s in shards) == 3000
    ids = [
        i for s in shards for i in pq.read_table(tmp_path / "a" / s.file).column("document_id").to_pylist()
    ]
    assert ids == [i for n in range(10) for i in table_of(n).column("document_id").to_pylist()]


@pytest.mark.parametrize(("rows", "name"), [(999, "n<1K"), (1000, "1K<n<10K"), (10**12, "n>1T")])
def test_size_categories_are_the_hubs(rows: int, name: str) -> None:
    assert size_category(rows) == name


def test_lines_tell_the_rate_and_what_is_left(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("l2t_hub.dataset.progress.LINE_SECONDS", 0.0)
    stream = io.StringIO()
    lines = LineReporter(stream)
    meter = Meter(tmp_path / "progress", 2).create()
    with MeterWatch(meter, lines, 400):
        for partition in range(2):
            with meter.slot(partition) as tick:
                for n in range(1, 101):
                    tick(n)
        lines.update(meter.total(), 400)
    assert meter.total() == 200
    assert "200 documents of 400" in stream.getvalue()
    assert "s left" in stream.getvalue()


def test_the_front_matter_points_at_files_that_exist(recipe: Recipes, tmp_path: Path) -> None:
    from dataset_helpers import make

    manifest = make(recipe({"source.limit": 60}), tmp_path / "out")
    names = [c["config_name"] for c in configs(manifest)]
    assert names[0] == "examples"
    assert [c.get("default") for c in configs(manifest)][:2] == [True, None]
    for config in configs(manifest):
        for files in config["data_files"]:
            assert list((tmp_path / "out").glob(files["path"])), files
    tree = json.loads((tmp_path / "out" / "l2t_manifest.json").read_text())
    assert tree == manifest.as_dict()
    assert not [key for key in ("time", "workers", "date", "hostname") if f'"{key}"' in json.dumps(tree)]


def test_shards_of_a_partition_are_split_and_keep_to_the_hubs_advice(
    recipe: Recipes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sizes and row groups within what `datasets` itself writes, a page index on every column of every view."""
    from dataset_helpers import make
    from datasets import config, load_dataset
    from datasets.utils.py_utils import convert_file_size_to_int

    from l2t_hub.dataset.verify import verify

    assert convert_file_size_to_int(config.MAX_SHARD_SIZE) >= write.SHARD_BYTES
    monkeypatch.setattr("l2t_hub.dataset.packer.WINDOW_TOKENS", 10_000)
    whole = make(recipe({"build.partitions": 2}), tmp_path / "whole")
    monkeypatch.setattr(write, "SHARD_BYTES", 20_000)
    monkeypatch.setattr(write, "ROW_GROUP_ROWS", 10)
    manifest = make(recipe({"build.partitions": 2}), tmp_path / "out")
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
