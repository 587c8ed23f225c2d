"""The work folder: its lock, full disks, two writers of a partition, and other files that are never touched."""

import errno
import json
import os
import resource
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from dataset_helpers import RecipeFactory, build_silently, hashes

from l2t_hub.dataset.build import build
from l2t_hub.dataset.ledger import Ledger
from l2t_hub.dataset.progress import SilentReporter
from l2t_hub.dataset.workspace import WORK, FinishedPartition, Workspace, open_workspace
from l2t_hub.errors import UsageError, UserError


def test_directories_with_other_files_are_never_changed(make_recipe: RecipeFactory, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.txt").write_text("years of work")
    before = hashes(tmp_path)
    with pytest.raises(UsageError, match=r"holds no L2T dataset. It holds thesis\.txt"):
        build_silently(make_recipe(), tmp_path / "out")
    (tmp_path / "file").write_text("a file")
    with pytest.raises(UsageError, match="this is a file"):
        build_silently(make_recipe(), tmp_path / "file")
    (tmp_path / "file").unlink()
    assert hashes(tmp_path) == before


def test_files_added_to_a_datasets_data_are_never_removed(make_recipe: RecipeFactory, tmp_path: Path) -> None:
    out = tmp_path / "out"
    build_silently(make_recipe({"source.limit": 30}), out)
    (out / "notes.md").write_text("mine")
    (out / "data" / "extra.csv").write_text("mine")
    with pytest.raises(UsageError, match=r"no build made: data/extra\.csv"):
        build_silently(make_recipe({"source.limit": 31}), out)
    (out / "data" / "extra.csv").unlink()
    build_silently(make_recipe({"source.limit": 31}), out)
    assert (out / "notes.md").read_text() == "mine"


def test_a_second_build_in_the_same_directory_is_refused(make_recipe: RecipeFactory, tmp_path: Path) -> None:
    with (
        open_workspace(tmp_path / "{out}"),
        pytest.raises(UserError, match=rf"another build .* \(process {os.getpid()}\)"),
    ):
        build_silently(make_recipe(), tmp_path / "{out}")
    assert not (tmp_path / "{out}").exists(), "a build that fails leaves nothing behind"
    build_silently(make_recipe({"source.limit": 30}), tmp_path / "{out}")


def test_a_lock_survives_the_removal_of_its_folder_by_the_previous_build(tmp_path: Path) -> None:
    """Threads take turns in a directory that each of them removes. Two in it at once would raise."""
    inside = 0

    def enter() -> int:
        nonlocal inside
        entered = 0
        deadline = time.monotonic() + 1.5
        while time.monotonic() < deadline:
            with suppress(UserError), open_workspace(tmp_path / "out") as workspace:
                inside += 1
                assert inside == 1
                time.sleep(0.001)
                assert workspace.stage_folder.is_dir()
                inside -= 1
                entered += 1
        return entered

    with ThreadPoolExecutor(3) as threads:
        entered = [future.result() for future in [threads.submit(enter) for _ in range(3)]]
    assert min(entered) > 1
    assert not (tmp_path / "out" / WORK).exists()


def test_a_missing_source_leaves_no_directory_behind(make_recipe: RecipeFactory, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such file"):
        build_silently(make_recipe({"source.path": str(tmp_path / "none.parquet")}), tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("moment", ["signatures", "shard", "partition", "stage", "manifest"])
def test_a_full_disk_is_reported_and_the_build_resumes_when_there_is_room(
    make_recipe: RecipeFactory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    full = OSError(errno.ENOSPC, "No space left on device")
    real_bytes, real_write, calls = Path.write_bytes, pq.ParquetWriter.write_table, 0

    def write_bytes(self: Path, content: bytes) -> int:
        is_partition = "partition.json" in self.name and ("signatures" in str(self)) == (
            moment == "signatures"
        )
        if (moment in ("partition", "signatures") and is_partition) or (
            moment == "manifest" and "manifest" in self.name
        ):
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

    small = make_recipe({"source.limit": 60})
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
    build_silently(small, tmp_path / "out")
    build_silently(small, tmp_path / "undisturbed")
    assert hashes(tmp_path / "out") == hashes(tmp_path / "undisturbed")


def test_a_real_limit_on_file_size_ends_in_one_sentence(make_recipe: RecipeFactory, tmp_path: Path) -> None:
    """The operating system limits every file of the process to 60 kB."""
    tree = tmp_path / "recipe.json"
    tree.write_text(json.dumps(make_recipe().resolved()))
    driver = Path(__file__).with_name("build_process.py")
    limit = lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, 60_000))  # noqa: E731
    command = [sys.executable, str(driver), str(tree), str(tmp_path / "out"), "1"]
    run = subprocess.run(command, preexec_fn=limit, capture_output=True, text=True, timeout=120, check=False)
    assert run.returncode == 1, run.stderr
    assert "Traceback" not in run.stderr
    assert "exceed this process's file size limit" in run.stderr
    assert not (tmp_path / "out" / "data").exists()


def test_the_second_writer_of_a_partition_keeps_the_first_result(tmp_path: Path) -> None:
    """A node that the cluster takes for lost may keep running while its task is repeated elsewhere."""
    workspace = Workspace(tmp_path)
    partition = FinishedPartition(3, "ab" * 32, [], Ledger())
    ids = np.array([1, 2], np.uint64)
    for writer in ("fast", "slow"):
        folder = workspace.begin(partition.rank, partition.key)
        (folder / "who").write_text(writer)
        workspace.commit(folder, partition, ids)
    final = workspace.partition_folder(partition.rank, partition.key)
    assert [path.name for path in workspace.stage_folder.iterdir()] == [final.name]
    assert (final / "who").read_text() == "fast"
    (final / "partition.json").unlink()
    workspace.commit(workspace.begin(partition.rank, partition.key), partition, ids)
    assert workspace.finished(partition.rank, partition.key) is not None, "a damaged result is replaced"
