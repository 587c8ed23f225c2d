"""Sources with missing, repeated or unreadable text: a located error, or drops that are counted."""

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from dataset_helpers import PROSE, RecipeFactory, build_silently, write_rows

from l2t_hub.dataset.ledger import Ledger
from l2t_hub.dataset.verify import verify
from l2t_hub.errors import UserError


def test_null_and_empty_texts_are_counted_in_ledger_and_card(
    make_recipe: RecipeFactory, tmp_path: Path
) -> None:
    rows = [{"id": n, "text": PROSE + str(n)} for n in range(20)] + [
        {"id": "x", "text": None},
        {"id": "y", "text": " "},
    ]
    keys = {"source.path": write_rows(tmp_path / "a.jsonl", rows), "validation.near_duplicates": "keep"}
    manifest = build_silently(make_recipe(keys), tmp_path / "out")
    read = Ledger.from_json(manifest.ledger).get("read")
    assert (read.came_in, read.went_out, dict(read.dropped)) == (22, 20, {"null text": 1, "empty text": 1})
    assert "1 empty text, 1 null text" in (tmp_path / "out" / "README.md").read_text()


def test_repeated_ids_stop_the_build_or_are_dropped_and_counted(
    make_recipe: RecipeFactory, tmp_path: Path
) -> None:
    rows = [{"id": n % 15, "text": PROSE + str(n)} for n in range(20)]
    keys = {"source.path": write_rows(tmp_path / "a.jsonl", rows), "build.partitions": 1}
    keys["validation.near_duplicates"] = "keep"
    with pytest.raises(UserError, match="two documents have the ID '0'"):
        build_silently(make_recipe(keys), tmp_path / "out")
    manifest = build_silently(make_recipe({**keys, "build.on_error": "drop"}), tmp_path / "out")
    assert Ledger.from_json(manifest.ledger).get("read").dropped == {"duplicate id": 5}
    across = {**keys, "build.partitions": 4}
    with pytest.raises(UserError, match="5 document IDs are in more than one partition"):
        build_silently(make_recipe(across), tmp_path / "across")
    assert not (tmp_path / "across" / "data").exists()
    manifest = build_silently(make_recipe({**across, "build.on_error": "drop"}), tmp_path / "across")
    assert manifest.source["repeated_ids"] == 5


@pytest.mark.parametrize("rows", [[], [{"id": 1, "text": None}, {"id": 2, "text": ""}]])
def test_a_source_without_text_is_an_error(
    make_recipe: RecipeFactory, tmp_path: Path, rows: list[dict[str, Any]]
) -> None:
    with pytest.raises(UserError, match="no document has text"):
        build_silently(make_recipe({"source.path": write_rows(tmp_path / "a.jsonl", rows)}), tmp_path / "out")
    assert not (tmp_path / "out" / "data").exists()


def rewritten(corpus: Path, path: Path, groups: int = 20) -> Path:
    """The corpus as Parquet, of several row groups."""
    rows = [json.loads(line) for line in corpus.read_text(encoding="utf-8").splitlines()]
    pq.write_table(pa.Table.from_pylist(rows), path, row_group_size=groups)
    return path


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("near", ["drop", "keep"])
def test_a_damaged_row_group_is_located_or_dropped_and_counted(
    make_recipe: RecipeFactory, corpus: Path, tmp_path: Path, workers: int, near: str
) -> None:
    path = rewritten(corpus, tmp_path / "a.parquet")
    start = pq.ParquetFile(path).metadata.row_group(4).column(1).data_page_offset
    data = bytearray(path.read_bytes())
    data[start : start + 40] = b"\xff" * 40
    path.write_bytes(data)
    keys = {"source.path": str(path), "build.partitions": 2, "validation.near_duplicates": near}
    with pytest.raises(UserError, match=r"a\.parquet, row group 4 \(rows \d+ to \d+\): cannot be read"):
        build_silently(make_recipe(keys), tmp_path / "out", workers=workers)
    assert not (tmp_path / "out" / "data").exists()
    manifest = build_silently(
        make_recipe({**keys, "build.on_error": "drop"}), tmp_path / "out", workers=workers
    )
    read = Ledger.from_json(manifest.ledger).get("read")
    assert (read.came_in, dict(read.dropped)) == (180, {"unreadable row": 20})
    assert verify(tmp_path / "out").problems == []


def test_a_file_that_cannot_be_opened_is_named_in_ledger_and_card(
    make_recipe: RecipeFactory, corpus: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "source"
    folder.mkdir()
    data = rewritten(corpus, folder / "a.parquet").read_bytes()
    (folder / "b|c.parquet").write_bytes(data[: len(data) // 2])
    keys = {"source.path": str(folder), "build.partitions": 3}
    with pytest.raises(UserError, match=r"b\|c\.parquet: not a Parquet file"):
        build_silently(make_recipe(keys), tmp_path / "out")
    manifest = build_silently(make_recipe({**keys, "build.on_error": "drop"}), tmp_path / "out")
    read = Ledger.from_json(manifest.ledger).get("read")
    assert (read.came_in, dict(read.dropped)) == (181, {"unreadable file: b|c.parquet": 1})
    assert "unreadable file: b\\|c.parquet" in (tmp_path / "out" / "README.md").read_text(encoding="utf-8")
