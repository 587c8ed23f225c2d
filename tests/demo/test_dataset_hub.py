"""Datasets on a Hub, read in place with the real clients: the right rows, few bytes, and nothing private."""

import ast
import json
import random
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from release_hub import CLIENTS, WatchedHub, put

from l2t_hub.artifacts import MANIFEST
from l2t_hub.dataset.views import RAW_TEXT

LARGE = "data/raw/train-00000-of-00001.parquet"
Read = Callable[..., list[dict[str, Any]]]


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory, tiny_dataset: Path) -> Iterator[WatchedHub]:
    """A Hub with the dataset of the tests, one with a raw file of 4 MB, a private one, and one that is not ours."""
    files = {
        path.relative_to(tiny_dataset).as_posix(): path.read_bytes()
        for path in tiny_dataset.rglob("*")
        if path.is_file()
    }
    watched = WatchedHub(tmp_path_factory.mktemp("hub"))
    watched.start()
    put(watched, "dataset", "org/tiny", files)
    put(watched, "dataset", "org/large", with_large_file(files, tmp_path_factory.mktemp("large")))
    put(watched, "dataset", "org/secret", files)
    with watched._store.transaction() as db:
        db.execute("UPDATE repos SET private=1 WHERE name='secret'")
    put(watched, "dataset", "org/other", {"README.md": b"Not made by l2t."})
    yield watched
    watched.stop()


def with_large_file(files: dict[str, bytes], folder: Path) -> dict[str, bytes]:
    """Return the files with other raw text in them: 1,000 rows that cannot be compressed, in 20 row groups."""
    draw = random.Random(0)
    texts = [draw.randbytes(2000).hex() for _ in range(1000)]
    table = pa.table([[f"d{n}" for n in range(1000)], texts, [1] * 1000], schema=RAW_TEXT)
    pq.write_table(table, folder / "raw.parquet", row_group_size=50, compression="none", use_dictionary=False)
    tree = json.loads(files[MANIFEST])
    raw = next(shard for shard in tree["shards"] if (shard["view"], shard["split"]) == ("raw", "train"))
    others = [shard for shard in tree["shards"] if (shard["view"], shard["split"]) != ("raw", "train")]
    tree["shards"] = [*others, {**raw, "path": LARGE, "rows": 1000}]
    return {**files, LARGE: (folder / "raw.parquet").read_bytes(), MANIFEST: json.dumps(tree).encode()}


@pytest.fixture
def read(hub: WatchedHub, tmp_path: Path) -> Read:
    """Read pages in a child process whose clients use only this Hub, with its token."""

    def answers(
        *calls: dict[str, Any], offered: dict[str, str] | None = None, **environment: str
    ) -> list[dict[str, Any]]:
        done = subprocess.run(
            [sys.executable, str(CLIENTS / "dataset_pages.py")],
            input=json.dumps({"offered": offered or {}, "calls": calls}),
            env=hub.environment(tmp_path / "home") | environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stderr[-3000:]
        result: list[dict[str, Any]] = json.loads(done.stdout)
        return result

    return answers


def call(dataset: str, *page: Any, run: bool = False) -> dict[str, Any]:
    return {"dataset": dataset, "page": page, "run": run}


def test_the_code_on_the_screen_loads_the_rows_on_the_screen(read: Read, hub: WatchedHub) -> None:
    examples, typo, packed = read(
        call("org/tiny", "examples", "", "train", 4, 20, run=True),
        call("org/tiny@main", "examples", "typo", "train", 2, 5, run=True),
        call("org/tiny", "packed", "", "train", 2, 5, run=True),
    )
    head = hub.history.resolve(hub.number("dataset", "org/tiny"), "main")
    for page in (examples, typo):
        assert page["revision"] == head
        assert f'revision="{head}"' in page["code"]
        loaded = [ast.literal_eval(line) for line in page["printed"].splitlines()]
        assert len(loaded) == len(page["rows"]) > 0
        for row, there in zip(page["rows"], loaded, strict=True):
            kept = {name: value for name, value in row.items() if name in there and name not in row["cut"]}
            assert kept.keys() >= {"document_id", "task", "tokens"}
            assert kept == {name: there[name] for name in kept}
    assert {row["number"] for row in examples["rows"]} == set(range(60, 80))
    texts = [text for row in packed["rows"] for text in row["texts"]]
    assert len(texts) > 5
    assert packed["printed"] == "".join(f"{text}\n" for text in texts)


def test_a_page_takes_few_bytes_of_a_large_dataset(read: Read, hub: WatchedHub) -> None:
    before = len(hub.recorder.requests)
    first, last = read(
        call("org/large", "raw", "", "train", 1, 10), call("org/large", "raw", "", "train", -1, 10)
    )
    assert [row["number"] for row in last["rows"]] == list(range(990, 1000))
    assert first["rows"][0]["document_id"] == "d0"
    sent = [seen for seen in hub.recorder.requests[before:] if LARGE in seen.path]
    # A footer, and two row groups of 50 rows with 4,000 characters each.
    assert sum(seen.sent for seen in sent) < 700_000
    assert len(sent) <= 8
    assert not any(
        ".parquet" in seen.path and LARGE not in seen.path for seen in hub.recorder.requests[before:]
    )


def test_what_a_visitor_may_not_see_or_misspells_gets_a_sentence(read: Read) -> None:
    where = ("raw", "", "train", 1, 5)
    offered = {"ours": "org/secret", "pinned": "org/tiny@main"}
    secret, missing, revision, other, ours, pinned = read(
        *(
            call(name, *where)
            for name in ("org/secret", "org/nothing", "org/tiny@v9", "org/other", "ours", "pinned")
        ),
        offered=offered,
    )
    for refused in (secret, missing, revision):
        assert "or no such revision of it" in refused["error"]
    assert "is not a dataset made by l2t" in other["error"]
    assert len(ours["rows"]) == len(pinned["rows"]) == 5


def test_a_hub_that_does_not_answer_is_named(read: Read) -> None:
    (refused,) = read(call("org/tiny", "raw", "", "train"), HF_ENDPOINT="http://127.0.0.1:9")
    assert refused["error"].startswith("org/tiny: ")
    assert "http://127.0.0.1:9" in refused["error"]
