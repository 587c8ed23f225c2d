"""Builds that were killed or stopped: the same bytes in the end, and finished work is reused."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import psutil
import pytest
from dataset_helpers import RecipeFactory, RecordingReporter, build_silently, hashes
from random_moments import seeded

from l2t_hub.dataset.build import build
from l2t_hub.dataset.verify import verify
from l2t_hub.dataset.workspace import WORK
from l2t_hub.recipe import Recipe

KILLS = 60
BUILD_PROCESS = Path(__file__).with_name("build_process.py")


def start(recipe: Recipe, out: Path, workers: int, kill_at: int | None = None) -> subprocess.Popen[str]:
    """Start a build in a separate process."""
    tree = out.with_name(f"{out.name}.json")
    tree.write_text(json.dumps(recipe.resolved()))
    moment = [] if kill_at is None else [str(kill_at)]
    command = [sys.executable, str(BUILD_PROCESS), str(tree), str(out), str(workers), *moment]
    return subprocess.Popen(
        command, stderr=subprocess.PIPE, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"}
    )


@pytest.mark.parametrize(
    ("keys", "moments"),
    [
        ({"validation.near_duplicates": "keep"}, [2, 6, 8, 14]),
        ({"mixture.unit": "tokens"}, [1, 14, 16, 18, 20, 26]),
        pytest.param({"validation.near_duplicates": "keep"}, range(1, 15), marks=pytest.mark.slow),
        pytest.param({"mixture.unit": "tokens"}, range(1, 27), marks=pytest.mark.slow),
    ],
)
def test_a_build_killed_at_any_moment_ends_in_the_same_bytes(
    make_recipe: RecipeFactory, tmp_path: Path, keys: dict[str, object], moments: Sequence[int]
) -> None:
    """Kills from the first partition to the last step of the switch, each followed by an undisturbed build."""
    small = make_recipe({"source.limit": 45, "tokenizer.name": None, "tokenizer.vocab_size": 400, **keys})
    build_silently(small, tmp_path / "undisturbed")
    expected = hashes(tmp_path / "undisturbed")
    finished = []
    for moment in moments:
        out = tmp_path / str(moment)
        process = start(small, out, 1, kill_at=moment)
        _, errors = process.communicate(timeout=120)
        assert process.returncode == -signal.SIGKILL, f"moment {moment} was not reached: {errors}"
        assert not (out / "l2t_manifest.json").exists() or verify(out).problems != []
        finished.append(len(list((out / WORK / "partitions").glob("0*"))))
        build_silently(small, out)
        assert hashes(out) == expected, f"killed at moment {moment}"
    assert set(finished) == {0, 1, 2, 3}, "kills before, between and after the partitions"


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_a_build_killed_at_random_moments_ends_in_the_same_bytes(
    make_recipe: RecipeFactory, tmp_path: Path
) -> None:
    """SIGKILL at any time of the build, with one worker and with two; what is there afterwards is whole or no dataset."""
    moments = seeded()
    keys = {"source.limit": 45, "tokenizer.name": None, "tokenizer.vocab_size": 400, "mixture.unit": "tokens"}
    small = make_recipe(keys)
    process, began = begin(small, tmp_path / "undisturbed", 2)
    process.communicate(timeout=120)
    length, expected, killed = time.monotonic() - began, hashes(tmp_path / "undisturbed"), 0
    for kill in range(KILLS):
        out = tmp_path / str(kill)
        process, _ = begin(small, out, 1 + kill % 2)
        time.sleep(moments.uniform(0, length * 0.9))
        process.kill()
        process.communicate(timeout=60)
        killed += process.returncode == -signal.SIGKILL
        if (out / "l2t_manifest.json").exists() and not verify(out).problems:
            assert hashes(out) == expected
        build_silently(small, out)
        assert hashes(out) == expected
        shutil.rmtree(out)
    assert killed, "every build ended before it was killed"


def begin(recipe: Recipe, out: Path, workers: int) -> tuple[subprocess.Popen[str], float]:
    """Start a build, and wait until it has begun to work; return when that was."""
    process = start(recipe, out, workers)
    while not (out / WORK).exists() and process.poll() is None:
        time.sleep(0.01)
    return process, time.monotonic()


@pytest.mark.parametrize("moment", [11, 15])
def test_a_build_killed_in_the_switch_shows_no_dataset_and_then_the_new_one(
    make_recipe: RecipeFactory, tmp_path: Path, moment: int
) -> None:
    out, keys = tmp_path / "out", {"source.limit": 30, "validation.near_duplicates": "keep"}
    build_silently(make_recipe(keys), out)
    new = make_recipe({**keys, "seed": 1})
    process = start(new, out, 1, kill_at=moment)
    process.communicate(timeout=120)
    assert process.returncode == -signal.SIGKILL
    assert not (out / "l2t_manifest.json").exists(), "killed within the switch"
    build_silently(new, out)
    build_silently(new, tmp_path / "fresh")
    assert hashes(out) == hashes(tmp_path / "fresh")


def test_only_the_unfinished_partition_is_repeated(make_recipe: RecipeFactory, tmp_path: Path) -> None:
    out = tmp_path / "out"
    keys = {"build.partitions": 4, "validation.near_duplicates": "keep"}
    process = start(make_recipe(keys), out, 1, kill_at=6)
    process.communicate(timeout=120)
    reporter = RecordingReporter()
    build(make_recipe(keys), out, workers=1, progress=reporter)
    done = [line for line in reporter.lines if "already finished" in line]
    assert done == ["2 of 4 partitions are already finished"]


@pytest.mark.parametrize(
    ("how", "stage"),
    [
        pytest.param(signal.SIGKILL, "partitions", marks=pytest.mark.slow),
        (signal.SIGINT, "partitions"),
        pytest.param(signal.SIGKILL, "signatures", marks=pytest.mark.slow),
        (signal.SIGKILL, "survey"),
    ],
)
def test_a_stopped_build_of_two_workers_leaves_no_process_and_resumes(
    make_recipe: RecipeFactory, tmp_path: Path, how: signal.Signals, stage: str
) -> None:
    many = make_recipe({"build.partitions": 20, "mixture.unit": "tokens"})
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
    build_silently(many, out)
    build_silently(many, tmp_path / "undisturbed")
    assert hashes(out) == hashes(tmp_path / "undisturbed")


def test_a_finished_build_is_reused_and_repaired_if_damaged(
    make_recipe: RecipeFactory, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    first = build_silently(make_recipe(), out)
    expected = hashes(out)
    times = {p: p.stat().st_mtime_ns for p in out.rglob("*.parquet")}
    reporter = RecordingReporter()
    assert build(make_recipe(), out, workers=1, progress=reporter) == first
    assert "nothing has changed" in reporter.text
    assert times == {p: p.stat().st_mtime_ns for p in out.rglob("*.parquet")}
    assert not (out / WORK).exists()
    victim = next((out / "data/raw").glob("train-00001-*"))
    data = bytearray(victim.read_bytes())
    data[len(data) // 2] ^= 1
    victim.write_bytes(data)
    reporter = RecordingReporter()
    build(make_recipe(), out, workers=1, progress=reporter)
    assert "2 of 3 partitions are already finished" in reporter.text
    assert hashes(out) == expected
