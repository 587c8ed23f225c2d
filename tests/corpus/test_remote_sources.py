"""Dataset repositories as sources, streamed by `datasets`: here from a local directory laid out as on the Hub."""

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from l2t_hub.corpus.document import Document
from l2t_hub.corpus.source import Source, open_source
from l2t_hub.errors import UsageError, UserError
from l2t_hub.recipe import recipe_from_tree

CARD = """---
configs:
- config_name: small
  data_files: [{split: train, path: "small/*.parquet"}, {split: test, path: "test.parquet"}]
---
"""


@pytest.fixture
def repository_folder(tmp_path: Path) -> Path:
    folder = tmp_path / "repo"
    (folder / "small").mkdir(parents=True)
    rows = [{"id": f"d{n}", "text": f"Text {n}.", "metadata": {"token_count": n}} for n in range(30)]
    for n in range(3):
        pq.write_table(pa.Table.from_pylist(rows[n * 10 : n * 10 + 10]), folder / "small" / f"{n}.parquet")
    pq.write_table(pa.Table.from_pylist(rows[:2]), folder / "test.parquet")
    (folder / "README.md").write_text(CARD)
    return folder


def source_of(folder: Path | str, build: dict[str, Any] | None = None, **keys: Any) -> Source:
    source = {"dataset": str(folder), "config": "small", **keys}
    return open_source(recipe_from_tree({"name": "t", "source": source, "build": build or {}}))


def documents(source: Source, partitions: int) -> list[Document]:
    records = [record for n in range(partitions) for record in source.read(n)]
    assert all(isinstance(record, Document) for record in records)
    return [record for record in records if isinstance(record, Document)]


@pytest.mark.parametrize(("partitions", "limit"), [(1, None), (3, None), (2, 17), (1, 5)])
def test_rows_stream_in_order_with_config_split_and_nested_column(
    repository_folder: Path, partitions: int, limit: int | None
) -> None:
    source = source_of(
        repository_folder, {"partitions": partitions}, limit=limit, token_count_column="metadata.token_count"
    )
    expected = [Document(f"d{n}", f"Text {n}.", n) for n in range(limit or 30)]
    assert documents(source, partitions) == expected
    assert documents(source_of(repository_folder, split="test"), 1) == [
        Document("d0", "Text 0."),
        Document("d1", "Text 1."),
    ]


def test_rows_without_ids_are_numbered(repository_folder: Path) -> None:
    source = source_of(repository_folder, {"partitions": 2}, id_column=None, limit=5)
    assert [d.id for d in documents(source, 2)] == [f"train:{n}" for n in range(5)]


def test_the_revision_changes_with_the_content(repository_folder: Path) -> None:
    before = source_of(repository_folder).contents
    assert source_of(repository_folder).contents == before
    (repository_folder / "small" / "0.parquet").write_bytes((repository_folder / "test.parquet").read_bytes())
    assert source_of(repository_folder).contents != before


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ({"config": "smal"}, "small"),
        ({"split": "trian"}, "trian"),
        ({"text_column": "txt"}, "Did you mean 'text'"),
        ({"id_column": "idd"}, "source.id_column: null"),
    ],
)
def test_wrong_keys_are_errors_that_name_them(
    repository_folder: Path, keys: dict[str, Any], expected: str
) -> None:
    with pytest.raises(UsageError, match=expected):
        source_of(repository_folder, **keys)


def test_parquet_is_divided_by_rows_and_other_formats_by_files(
    repository_folder: Path, tmp_path: Path
) -> None:
    assert len(documents(source_of(repository_folder, {"partitions": 7}), 7)) == 30
    lines = tmp_path / "lines"
    lines.mkdir()
    for n in range(3):
        rows = [{"id": f"d{m}", "text": f"Text {m}."} for m in range(n * 10, n * 10 + 10)]
        (lines / f"train-{n}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    found = documents(source_of(lines, {"partitions": 3}, config=None), 3)
    assert sorted(d.id for d in found) == sorted(f"d{n}" for n in range(30))
    with pytest.raises(UsageError, match=r"build\.partitions.*3 files"):
        source_of(lines, {"partitions": 4}, config=None)


def test_an_unreachable_hub_is_an_error_with_name_and_revision() -> None:
    with pytest.raises(UserError, match=r"source\.dataset: nobody/nothing at revision main"):
        source_of("nobody/nothing")
