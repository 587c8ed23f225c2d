"""Parquet datasets on the Hub: a partition downloads its own row groups and columns, and not what comes before it."""

import json
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from release_hub import WatchedHub

from l2t_hub.corpus.document import Document
from l2t_hub.corpus.source import open_source
from l2t_hub.errors import UsageError, UserError
from l2t_hub.recipe import recipe_from_tree

ROWS, FILES, GROUP = 2000, 4, 100
UPLOAD = """
import sys
from huggingface_hub import HfApi
HfApi().create_repo("org/texts", repo_type="dataset")
HfApi().upload_folder(repo_id="org/texts", repo_type="dataset", folder_path=sys.argv[1])
"""
READ = """
import json, sys
from l2t_hub.corpus.source import open_source
from l2t_hub.recipe import recipe_from_tree
source = open_source(recipe_from_tree(json.loads(sys.argv[1])))
partitions = json.loads(sys.argv[2])
print(json.dumps([[[r.id, r.text] for r in source.read(n)] for n in partitions]))
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Texts that do not compress, beside a column as large that no recipe names."""
    rng = random.Random(1)
    folder = tmp_path_factory.mktemp("texts") / "repo"
    (folder / "data").mkdir(parents=True)
    for n in range(FILES):
        numbers = range(n * ROWS // FILES, (n + 1) * ROWS // FILES)
        table = pa.table(
            {
                "id": [f"d{m}" for m in numbers],
                "text": [rng.randbytes(600).hex() for _ in numbers],
                "html": [rng.randbytes(600).hex() for _ in numbers],
            }
        )
        pq.write_table(table, folder / "data" / f"train-{n}.parquet", row_group_size=GROUP)
    return folder


@pytest.fixture(scope="module")
def hub(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[WatchedHub]:
    watched = WatchedHub(tmp_path_factory.mktemp("hub"))
    watched.start()
    try:
        child(watched, tmp_path_factory.mktemp("home"), UPLOAD, str(folder))
        yield watched
    finally:
        watched.stop()


def child(hub: WatchedHub, home: Path, code: str, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        env=hub.environment(home),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def read(
    hub: WatchedHub, home: Path, partitions: list[int], count: int, **keys: Any
) -> tuple[list[list[str]], int]:
    """Return the documents of some partitions, and the bytes of files that the Hub sent for them."""
    hub.recorder.requests.clear()
    tree = {"name": "t", "source": {"dataset": "org/texts", **keys}, "build": {"partitions": count}}
    read = json.loads(child(hub, home, READ, json.dumps(tree), json.dumps(partitions)))
    sent = sum(seen.sent for seen in hub.recorder.requests if "/api/" not in seen.path)
    return [row for partition in read for row in partition], sent


def test_a_partition_downloads_its_own_row_groups_alone(
    hub: WatchedHub, folder: Path, tmp_path: Path
) -> None:
    expected = [
        [row["id"], row["text"]]
        for path in sorted((folder / "data").iterdir())
        for row in pq.read_table(path, columns=["id", "text"]).to_pylist()
    ]
    texts = sum(len(text) for _, text in expected)
    rows, everything = read(hub, tmp_path, list(range(10)), 10)
    assert rows == expected
    assert everything < 1.6 * texts, "the column that no key names stays where it is"
    first, of_first = read(hub, tmp_path, [0], 10)
    last, of_last = read(hub, tmp_path, [9], 10)
    assert first + last == expected[:200] + expected[-200:]
    assert of_last < 0.3 * texts, "a tenth of the texts, and the footers"
    assert of_last < 1.2 * of_first + 100_000


def test_globs_choose_among_the_files_and_a_limit_spares_the_other_footers(
    hub: WatchedHub, tmp_path: Path
) -> None:
    rows, _ = read(hub, tmp_path, [0, 1], 2, data_files=["data/train-2.parquet", "train-0*"])
    assert [id for id, _ in rows] == [f"d{n}" for n in (*range(500), *range(1000, 1500))]
    rows, sent = read(hub, tmp_path, [0], 1, limit=150, id_column=None)
    assert [id for id, _ in rows] == [f"train:{n}" for n in range(150)]
    assert sent < 900_000


def local(folder: Path, **keys: Any) -> Any:
    sections = {name: keys.pop(name, {}) for name in ("build", "validation")}
    return open_source(
        recipe_from_tree({"name": "t", "source": {"dataset": str(folder), **keys}, **sections})
    )


def test_a_local_directory_is_read_the_same_way(folder: Path) -> None:
    source = local(folder, id_column=None, build={"partitions": 7})
    assert source.records == ROWS
    records = [record for n in range(7) for record in source.read(n)]
    assert [r.id for r in records if isinstance(r, Document)] == [f"train:{n}" for n in range(ROWS)]
    chosen = local(folder, data_files=["train-1.parquet"])
    assert chosen.records == ROWS // FILES
    assert chosen.inputs(0)[0]["data_files"] == ["train-1.parquet"]


@pytest.mark.parametrize(("limit", "rows"), [(None, ROWS), (700, 700)])
def test_documents_are_held_out_from_the_files_of_the_recipe_alone(
    folder: Path, limit: int | None, rows: int
) -> None:
    files = ["train-1.parquet", "train-3*"]
    source = local(folder, limit=limit, build={"partitions": 3}, validation={"files": files})
    records = [record for n in range(3) for record in source.read(n)]
    assert len(records) == rows
    for record in records:
        assert isinstance(record, Document)
        number = int(record.id.removeprefix("d"))
        assert record.may_be_held_out == (number // (ROWS // FILES) in (1, 3)), record.id


def test_wrong_globs_columns_and_files_are_named(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(
        UsageError,
        match=r"source\.data_files: no data file of the split matches 'train-9\*'.*\n.*data/train-0",
    ):
        local(folder, data_files=["train-9*"])
    with pytest.raises(
        UsageError, match=r"validation\.files: no data file of the split matches 'train-0'\. Known: "
    ):
        local(folder, validation={"files": ["train-1*", "train-0"]})
    with pytest.raises(UsageError, match=r"data/train-0\.parquet has no column 'body'"):
        local(folder, text_column="body")
    lines = tmp_path / "lines"
    lines.mkdir()
    (lines / "train.jsonl").write_text('{"id": "a", "text": "b"}\n')
    with pytest.raises(
        UsageError, match=r"source\.data_files applies to Parquet datasets, and this split of .* is none"
    ):
        local(lines, data_files=["*.jsonl"])
    with pytest.raises(UsageError, match=r"validation\.files applies to Parquet datasets, and this split of"):
        local(lines, validation={"files": ["*.jsonl"]})
    with pytest.raises(
        UsageError, match=r"`source\.data_files` applies to a Hub dataset, not to `source\.path`"
    ):
        recipe_from_tree({"name": "t", "source": {"path": "x.parquet", "data_files": ["a"]}})


def test_a_damaged_row_group_is_located(folder: Path, tmp_path: Path) -> None:
    copy = tmp_path / "repo" / "data"
    copy.mkdir(parents=True)
    data = bytearray((folder / "data" / "train-0.parquet").read_bytes())
    start = (
        pq.ParquetFile(folder / "data" / "train-0.parquet").metadata.row_group(2).column(1).data_page_offset
    )
    data[start : start + 60] = b"\xff" * 60
    (copy / "train-0.parquet").write_bytes(data)
    with pytest.raises(UserError, match=r"row group 2|reading stopped"):
        list(local(copy.parent).read(0))
