"""Bad input and bad luck: a clear error, nothing half-written under its final name, nothing of others touched."""

import errno
import json
import os
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from dataset_helpers import hashes, make

from l2t_hub.dataset.build import build
from l2t_hub.dataset.ledger import Ledger
from l2t_hub.dataset.progress import SilentReporter
from l2t_hub.dataset.verify import verify
from l2t_hub.dataset.workspace import WORK, open_workspace
from l2t_hub.errors import UsageError, UserError
from l2t_hub.recipe import Recipe

Recipes = Callable[..., Recipe]


def lines(path: Path, rows: list[dict[str, Any]]) -> str:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


PROSE = "The clerk counted every sheep that passed the gate, and wrote the number down in a book. " * 6


def test_null_and_empty_texts_are_counted_in_ledger_and_card(recipe: Recipes, tmp_path: Path) -> None:
    rows = [{"id": n, "text": PROSE + str(n)} for n in range(20)] + [
        {"id": "x", "text": None},
        {"id": "y", "text": " "},
    ]
    keys = {"source.path": lines(tmp_path / "a.jsonl", rows), "validation.near_duplicates": "keep"}
    manifest = make(recipe(keys), tmp_path / "out")
    read = Ledger.from_json(manifest.ledger).get("read")
    assert (read.came_in, read.went_out, dict(read.dropped)) == (22, 20, {"null text": 1, "empty text": 1})
    assert "1 empty text, 1 null text" in (tmp_path / "out" / "README.md").read_text()


def test_repeated_ids_stop_the_build_or_are_dropped_and_counted(recipe: Recipes, tmp_path: Path) -> None:
    rows = [{"id": n % 15, "text": PROSE + str(n)} for n in range(20)]
    keys = {"source.path": lines(tmp_path / "a.jsonl", rows), "build.partitions": 1}
    keys["validation.near_duplicates"] = "keep"
    with pytest.raises(UserError, match="two documents have the ID '0'"):
        make(recipe(keys), tmp_path / "out")
    manifest = make(recipe({**keys, "build.on_error": "drop"}), tmp_path / "out")
    assert Ledger.from_json(manifest.ledger).get("read").dropped == {"duplicate id": 5}
    across = {**keys, "build.partitions": 4}
    with pytest.raises(UserError, match="5 document IDs are in more than one partition"):
        make(recipe(across), tmp_path / "across")
    assert not (tmp_path / "across" / "data").exists()
    manifest = make(recipe({**across, "build.on_error": "drop"}), tmp_path / "across")
    assert manifest.source["repeated_ids"] == 5


@pytest.mark.parametrize("rows", [[], [{"id": 1, "text": None}, {"id": 2, "text": ""}]])
def test_a_source_without_text_is_an_error(
    recipe: Recipes, tmp_path: Path, rows: list[dict[str, Any]]
) -> None:
    with pytest.raises(UserError, match="no document has text"):
        make(recipe({"source.path": lines(tmp_path / "a.jsonl", rows)}), tmp_path / "out")
    assert not (tmp_path / "out" / "data").exists()


def test_a_missing_source_leaves_no_directory_behind(recipe: Recipes, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such file"):
        make(recipe({"source.path": str(tmp_path / "none.parquet")}), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_tokenizer_without_bos_is_refused_where_the_recipe_wants_one(
    recipe: Recipes, tmp_path: Path, tokenizer: Path
) -> None:
    lone = tmp_path / "lone.json"
    lone.write_bytes((tokenizer / "tokenizer.json").read_bytes())
    with pytest.raises(UsageError, match="no BOS token"):
        make(recipe({"tokenizer.name": str(lone)}), tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("workers", [1, 2])
def test_an_unreadable_row_stops_any_number_of_workers_with_its_place(
    recipe: Recipes, tmp_path: Path, workers: int
) -> None:
    path = tmp_path / "a.jsonl"
    lines(path, [{"id": n, "text": PROSE + str(n)} for n in range(30)])
    before, _, after = path.read_bytes().rpartition(b"gate")
    path.write_bytes(before + b"g\xffte" + after)
    keys = {"source.path": str(path), "build.partitions": 2}
    with pytest.raises(UserError, match=r"a\.jsonl, line 30: byte [\d,]+ is not UTF-8"):
        make(recipe(keys), tmp_path / "out", workers=workers)
    assert not (tmp_path / "out" / "data").exists()


def test_other_peoples_directories_are_never_touched(recipe: Recipes, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.txt").write_text("years of work")
    before = hashes(tmp_path)
    with pytest.raises(UsageError, match=r"holds no L2T dataset. It holds thesis\.txt"):
        make(recipe(), tmp_path / "out")
    (tmp_path / "file").write_text("a file")
    with pytest.raises(UsageError, match="this is a file"):
        make(recipe(), tmp_path / "file")
    (tmp_path / "file").unlink()
    assert hashes(tmp_path) == before


def test_files_added_to_a_datasets_data_are_never_removed(recipe: Recipes, tmp_path: Path) -> None:
    out = tmp_path / "out"
    make(recipe({"source.limit": 30}), out)
    (out / "notes.md").write_text("mine")
    (out / "data" / "extra.csv").write_text("mine")
    with pytest.raises(UsageError, match=r"no build made: data/extra\.csv"):
        make(recipe({"source.limit": 31}), out)
    (out / "data" / "extra.csv").unlink()
    make(recipe({"source.limit": 31}), out)
    assert (out / "notes.md").read_text() == "mine"


def test_a_second_build_in_the_same_directory_refuses(recipe: Recipes, tmp_path: Path) -> None:
    with (
        open_workspace(tmp_path / "out"),
        pytest.raises(UserError, match=rf"another build .* \(process {os.getpid()}\)"),
    ):
        make(recipe(), tmp_path / "out")
    assert not (tmp_path / "out").exists(), "a build that failed leaves nothing"
    make(recipe({"source.limit": 30}), tmp_path / "out")


@pytest.mark.parametrize("moment", ["signatures", "shard", "part", "stage", "manifest"])
def test_a_full_disk_is_named_and_the_build_goes_on_when_there_is_room(
    recipe: Recipes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    full = OSError(errno.ENOSPC, "No space left on device")
    real_bytes, real_write, calls = Path.write_bytes, pq.ParquetWriter.write_table, 0

    def write_bytes(self: Path, content: bytes) -> int:
        part = "partition.json" in self.name and ("signatures" in str(self)) == (moment == "signatures")
        if (moment in ("part", "signatures") and part) or (moment == "manifest" and "manifest" in self.name):
            raise full
        return real_bytes(self, content)

    def write_table(self: Any, *arguments: Any, **keys: Any) -> None:
        nonlocal calls
        calls += 1
        if moment == "shard" and calls == 5:
            raise full
        real_write(self, *arguments, **keys)

    def copyfile(*arguments: Any) -> None:
        raise full

    small = recipe({"source.limit": 60})
    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", write_bytes)
        patch.setattr(pq.ParquetWriter, "write_table", write_table)
        if moment == "stage":
            patch.setattr(os, "link", copyfile)
            patch.setattr("shutil.copyfile", copyfile)
        with pytest.raises(UserError, match="the disk is full") as caught:
            build(small, tmp_path / "out", workers=1, progress=SilentReporter())
    assert caught.value.exit_code == 1
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == [WORK]
    make(small, tmp_path / "out")
    make(small, tmp_path / "undisturbed")
    assert hashes(tmp_path / "out") == hashes(tmp_path / "undisturbed")


def test_a_real_limit_on_file_size_ends_in_one_sentence(recipe: Recipes, tmp_path: Path) -> None:
    """The same through the operating system: no file of the process may grow beyond 60 kB."""
    tree = tmp_path / "recipe.json"
    tree.write_text(json.dumps(recipe().resolved()))
    driver = Path(__file__).with_name("build_process.py")
    limit = lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, 60_000))  # noqa: E731
    command = [sys.executable, str(driver), str(tree), str(tmp_path / "out"), "1"]
    run = subprocess.run(command, preexec_fn=limit, capture_output=True, text=True, timeout=120, check=False)
    assert run.returncode == 1, run.stderr
    assert "Traceback" not in run.stderr
    assert "exceed this process's file size limit" in run.stderr
    assert not (tmp_path / "out" / "data").exists()


def test_damage_of_every_kind_is_found_by_verify(recipe: Recipes, tmp_path: Path) -> None:
    out = tmp_path / "out"
    make(recipe({"source.limit": 60}), out)
    shard = next((out / "data/packed").glob("train-00000-*"))
    manifest = out / "l2t_manifest.json"
    tree = json.loads(manifest.read_text())
    name = shard.relative_to(out).as_posix()
    entry = next(n for n, s in enumerate(tree["shards"]) if s["path"] == name)

    def edited(change: Callable[[dict[str, Any]], None]) -> list[str]:
        copy = json.loads(json.dumps(tree))
        change(copy)
        manifest.write_text(json.dumps(copy))
        problems = verify(out).problems
        manifest.write_text(json.dumps(tree))
        return problems

    assert verify(out).problems == []
    assert any("tokens" in p for p in edited(lambda t: t["shards"][entry].update(tokens=1)))
    assert any("rows" in p for p in edited(lambda t: t["shards"][entry].update(rows=1)))
    assert any("bytes" in p for p in edited(lambda t: t["shards"][entry].update(bytes=1)))
    assert any("SHA-256" in p for p in edited(lambda t: t["shards"][entry].update(sha256="0" * 64)))
    assert any("not in the manifest" in p for p in edited(lambda t: t["shards"].pop(entry)))
    assert any("ledger" in p for p in edited(lambda t: t["ledger"][0].update({"in": 0})))
    assert any("tokenizer" in p for p in edited(lambda t: t["tokenizer"].update(vocab_size=5)))
    assert any("README.md" in p for p in edited(lambda t: t["files"].update({"README.md": "0" * 64})))
    shard.unlink()
    assert verify(out).problems[0] == f"{name}: missing, but listed in the manifest"
    with pytest.raises(UserError, match=r"l2t_manifest\.json is missing"):
        verify(tmp_path)
    manifest.write_text("{")
    with pytest.raises(UserError, match="cannot be read as a manifest"):
        verify(out)


def rewritten(corpus: Path, path: Path, groups: int = 20) -> Path:
    """The corpus as Parquet, of several row groups."""
    rows = [json.loads(line) for line in corpus.read_text(encoding="utf-8").splitlines()]
    pq.write_table(pa.Table.from_pylist(rows), path, row_group_size=groups)
    return path


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("near", ["drop", "keep"])
def test_a_row_group_damaged_in_the_middle_stops_with_its_place_or_is_counted(
    recipe: Recipes, corpus: Path, tmp_path: Path, workers: int, near: str
) -> None:
    path = rewritten(corpus, tmp_path / "a.parquet")
    start = pq.ParquetFile(path).metadata.row_group(4).column(1).data_page_offset
    data = bytearray(path.read_bytes())
    data[start : start + 40] = b"\xff" * 40
    path.write_bytes(data)
    keys = {"source.path": str(path), "build.partitions": 2, "validation.near_duplicates": near}
    with pytest.raises(UserError, match=r"a\.parquet, row group 4 \(rows \d+ to \d+\): cannot be read"):
        make(recipe(keys), tmp_path / "out", workers=workers)
    assert not (tmp_path / "out" / "data").exists()
    manifest = make(recipe({**keys, "build.on_error": "drop"}), tmp_path / "out", workers=workers)
    read = Ledger.from_json(manifest.ledger).get("read")
    assert (read.came_in, dict(read.dropped)) == (180, {"unreadable row": 20})
    assert verify(tmp_path / "out").problems == []


def test_a_file_that_cannot_be_opened_is_named_in_ledger_and_card(
    recipe: Recipes, corpus: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "source"
    folder.mkdir()
    data = rewritten(corpus, folder / "a.parquet").read_bytes()
    (folder / "b|c.parquet").write_bytes(data[: len(data) // 2])
    keys = {"source.path": str(folder), "build.partitions": 3}
    with pytest.raises(UserError, match=r"b\|c\.parquet: not a Parquet file"):
        make(recipe(keys), tmp_path / "out")
    manifest = make(recipe({**keys, "build.on_error": "drop"}), tmp_path / "out")
    read = Ledger.from_json(manifest.ledger).get("read")
    assert (read.came_in, dict(read.dropped)) == (181, {"unreadable file: b|c.parquet": 1})
    assert "unreadable file: b\\|c.parquet" in (tmp_path / "out" / "README.md").read_text(encoding="utf-8")
