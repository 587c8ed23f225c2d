"""The same bytes for any number of workers, after any kill, over any old dataset."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from dataset_helpers import RecordingReporter, hashes, make

from l2t_hub.dataset.build import build
from l2t_hub.dataset.verify import verify
from l2t_hub.dataset.workspace import WORK
from l2t_hub.errors import UserError
from l2t_hub.recipe import Recipe
from l2t_hub.records.dataset_manifest import read_manifest

Recipes = Callable[..., Recipe]
BUILD_PROCESS = Path(__file__).with_name("build_process.py")


def start(recipe: Recipe, out: Path, workers: int, kill_at: int | None = None) -> subprocess.Popen[str]:
    """A build in a process of its own."""
    tree = out.with_name(f"{out.name}.json")
    tree.write_text(json.dumps(recipe.resolved()))
    moment = [] if kill_at is None else [str(kill_at)]
    command = [sys.executable, str(BUILD_PROCESS), str(tree), str(out), str(workers), *moment]
    return subprocess.Popen(
        command, stderr=subprocess.PIPE, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"}
    )


def test_one_two_and_five_workers_give_the_same_bytes(recipe: Recipes, tmp_path: Path) -> None:
    seven = recipe({"build.partitions": 7, "source.limit": 100})
    make(seven, tmp_path / "1", workers=1)
    wanted = hashes(tmp_path / "1")
    assert len(wanted) > 40
    for workers in (2, 5):
        make(seven, tmp_path / str(workers), workers=workers)
        assert hashes(tmp_path / str(workers)) == wanted


@pytest.mark.parametrize(
    ("keys", "moments"),
    [
        ({"validation.near_duplicates": "keep"}, [2, 4, 6, 8, 10, 12, 14]),
        ({"mixture.unit": "tokens"}, [1, 3, 6, 7, 8, 11, 14, 15, 16, 18, 20, 21, 24, 26]),
    ],
)
def test_a_build_killed_at_any_moment_ends_in_the_same_bytes(
    recipe: Recipes, tmp_path: Path, keys: dict[str, object], moments: list[int]
) -> None:
    """From the first partition to the last step of the switch, then once more without a kill."""
    small = recipe({"source.limit": 45, "tokenizer.name": None, "tokenizer.vocab_size": 400, **keys})
    make(small, tmp_path / "undisturbed")
    wanted = hashes(tmp_path / "undisturbed")
    finished = []
    for moment in moments:
        out = tmp_path / str(moment)
        process = start(small, out, 1, kill_at=moment)
        _, errors = process.communicate(timeout=120)
        assert process.returncode == -signal.SIGKILL, f"moment {moment} was never reached: {errors}"
        assert not (out / "l2t_manifest.json").exists() or verify(out).problems != []
        finished.append(len(list((out / WORK / "partitions").glob("0*"))))
        make(small, out)
        assert hashes(out) == wanted, f"killed at moment {moment}"
    assert set(finished) == {0, 1, 2, 3}, "the moments lie before, between and after the partitions"


@pytest.mark.parametrize("moment", [11, 15])
def test_killed_while_it_replaces_a_dataset_it_shows_none_and_then_the_new_one(
    recipe: Recipes, tmp_path: Path, moment: int
) -> None:
    out, keys = tmp_path / "out", {"source.limit": 30, "validation.near_duplicates": "keep"}
    make(recipe(keys), out)
    new = recipe({**keys, "seed": 1})
    process = start(new, out, 1, kill_at=moment)
    process.communicate(timeout=120)
    assert process.returncode == -signal.SIGKILL
    assert not (out / "l2t_manifest.json").exists(), "killed within the switch"
    make(new, out)
    make(new, tmp_path / "fresh")
    assert hashes(out) == hashes(tmp_path / "fresh")


def test_only_the_partition_at_work_is_repeated(recipe: Recipes, tmp_path: Path) -> None:
    out = tmp_path / "out"
    keys = {"build.partitions": 4, "validation.near_duplicates": "keep"}
    process = start(recipe(keys), out, 1, kill_at=6)
    process.communicate(timeout=120)
    reporter = RecordingReporter()
    build(recipe(keys), out, workers=1, progress=reporter)
    done = [line for line in reporter.lines if "already finished" in line]
    assert done == ["2 of 4 partitions are already finished"]


@pytest.mark.parametrize(
    ("how", "stage"),
    [
        (signal.SIGKILL, "partitions"),
        (signal.SIGINT, "partitions"),
        (signal.SIGKILL, "signatures"),
        (signal.SIGKILL, "survey"),
    ],
)
def test_a_stopped_build_of_two_workers_leaves_no_process_and_resumes(
    recipe: Recipes, tmp_path: Path, how: signal.Signals, stage: str
) -> None:
    many = recipe({"build.partitions": 20, "mixture.unit": "tokens"})
    out = tmp_path / "out"
    process = start(many, out, 2)
    deadline = time.monotonic() + 100
    while not list((out / WORK / stage).glob("0*")) and time.monotonic() < deadline:
        time.sleep(0.01)
    workers = psutil.Process(process.pid).children(recursive=True)
    process.send_signal(how)
    process.communicate(timeout=60)
    assert process.returncode != 0
    _, alive = psutil.wait_procs(workers, timeout=20)
    assert alive == []
    assert not (out / "l2t_manifest.json").exists()
    make(many, out)
    make(many, tmp_path / "undisturbed")
    assert hashes(out) == hashes(tmp_path / "undisturbed")


def test_a_finished_build_is_used_at_once_and_repaired_if_damaged(recipe: Recipes, tmp_path: Path) -> None:
    out = tmp_path / "out"
    first = make(recipe(), out)
    wanted = hashes(out)
    times = {p: p.stat().st_mtime_ns for p in out.rglob("*.parquet")}
    reporter = RecordingReporter()
    assert build(recipe(), out, workers=1, progress=reporter) == first
    assert "nothing has changed" in reporter.text
    assert times == {p: p.stat().st_mtime_ns for p in out.rglob("*.parquet")}
    assert not (out / WORK).exists()
    victim = next((out / "data/raw").glob("train-00001-*"))
    data = bytearray(victim.read_bytes())
    data[len(data) // 2] ^= 1
    victim.write_bytes(data)
    reporter = RecordingReporter()
    build(recipe(), out, workers=1, progress=reporter)
    assert "2 of 3 partitions are already finished" in reporter.text
    assert hashes(out) == wanted


STALE = [
    ({"mixture.raw_share": 0.3}, "mixture.raw_share changed from 0.5 to 0.3"),
    ({"seed": 7}, "seed changed from 42 to 7"),
    ({"build.partitions": 2}, "build.partitions changed from 3 to 2"),
    ({"tokenizer.bos": False}, "tokenizer.bos changed from True to False"),
]


@pytest.mark.parametrize(("keys", "said"), STALE)
def test_a_changed_recipe_is_rebuilt_and_the_reason_told(
    recipe: Recipes, tmp_path: Path, keys: dict[str, object], said: str
) -> None:
    limit = {"source.limit": 30}
    make(recipe(limit), tmp_path / "out")
    reporter = RecordingReporter()
    build(recipe({**limit, **keys}), tmp_path / "out", workers=1, progress=reporter)
    assert said in reporter.text
    assert "already finished" not in reporter.text
    make(recipe({**limit, **keys}), tmp_path / "fresh")
    assert hashes(tmp_path / "out") == hashes(tmp_path / "fresh")


def test_a_changed_description_rewrites_the_card_and_no_shard(recipe: Recipes, tmp_path: Path) -> None:
    out = tmp_path / "out"
    make(recipe({"source.limit": 30}), out)
    reporter = RecordingReporter()
    build(recipe({"source.limit": 30, "description": "Said anew."}), out, workers=1, progress=reporter)
    assert "3 of 3 partitions are already finished" in reporter.text
    assert "Said anew." in (out / "README.md").read_text()
    assert verify(out).problems == []


def test_a_changed_file_rebuilds_what_reads_it(recipe: Recipes, tmp_path: Path, corpus: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    lines = corpus.read_text(encoding="utf-8").splitlines(keepends=True)
    for n in range(3):
        (source / f"{n}.jsonl").write_text("".join(lines[n * 20 : n * 20 + 20]), encoding="utf-8")
    (source / "1.jsonl").write_text((source / "0.jsonl").read_text().replace('{"id": "', '{"id": "x'))
    keys = {"source.path": str(source), "build.partitions": 3}
    make(recipe(keys), tmp_path / "out")
    text = (source / "2.jsonl").read_text(encoding="utf-8")
    (source / "2.jsonl").write_text(text.replace(" the ", " The ", 1), encoding="utf-8")
    reporter = RecordingReporter()
    build(recipe(keys), tmp_path / "out", workers=1, progress=reporter)
    assert "source file 2.jsonl changed" in reporter.text
    assert "partitions are already finished" in reporter.text
    make(recipe(keys), tmp_path / "fresh")
    assert hashes(tmp_path / "out") == hashes(tmp_path / "fresh")


def test_another_version_of_a_library_rebuilds(
    recipe: Recipes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from l2t_hub.dataset import keys as plan
    from l2t_hub.dataset import manifest

    make(recipe({"source.limit": 30}), tmp_path / "out")
    tools = manifest.made_by("sentencex")
    monkeypatch.setattr(plan, "made_by", lambda sentences: {**tools, "pyarrow": "99.0.0"})
    reporter = RecordingReporter()
    build(recipe({"source.limit": 30}), tmp_path / "out", workers=1, progress=reporter)
    assert f"version of pyarrow changed from {tools['pyarrow']} to 99.0.0" in reporter.text
    assert read_manifest(tmp_path / "out").made_by["pyarrow"] == "99.0.0"


def test_a_worker_killed_by_the_system_is_named_and_the_rest_kept(recipe: Recipes, tmp_path: Path) -> None:
    module, flag = tmp_path / "mine.py", tmp_path / "killed"
    module.write_text(
        "import os, signal, pathlib\nfrom l2t_hub.tasks import Example, Task\n"
        f"flag = pathlib.Path({str(flag)!r})\n"
        "def lethal(block, other, rng):\n"
        "    if not flag.exists():\n        flag.touch()\n        os.kill(os.getpid(), signal.SIGKILL)\n"
        "    return Example(block.text.upper(), block.text)\n"
        "TASKS = [Task('lethal', 'word', 'Once.', lethal)]\n"
    )
    keys = {"mixture.scheme": "single", "mixture.task": "lethal", "mixture.modules": [str(module)]}
    with pytest.raises(UserError, match="worker process was killed by the system"):
        make(recipe(keys), tmp_path / "out", workers=2)
    assert not (tmp_path / "out" / "data").exists()
    make(recipe(keys), tmp_path / "out", workers=2)
    assert verify(tmp_path / "out").problems == []
