"""Every verb is stopped at random moments, by SIGKILL and by signals; the same command then gives the undisturbed result.

The seed of the moments is printed; L2T_TEST_SEED repeats it.
"""

import os
import shutil
import signal
import time
from pathlib import Path

import pytest
from interrupted_process import check_sentence, start
from random_moments import seeded

from l2t_hub.artifacts import sha256_of

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

HOWS = [signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGUSR1]
SMALL = [
    *("--set", "source.limit=60", "--set", "build.partitions=6", "--set", "train.max_steps=40"),
    *("--set", "train.warmup_steps=5", "--set", "train.save_steps=10", "--set", "train.eval_steps=20"),
]
BUILD = ["build", "nano", "--variant", "nano-l2t", *SMALL, "--out", "data", "--workers", "2"]
TRAIN = ["train", "nano", "--variant", "nano-l2t", *SMALL, "--data", "data", "--out", "model"]
RUN = ["run", "nano", *SMALL, "--hub", "none", "--out", "runs", "--workers", "2"]


def finish(command: list[str], folder: Path) -> tuple[float, str]:
    """Run a command to its end; return its seconds and what it printed."""
    begin = time.monotonic()
    process = start(command, folder)
    output, errors = process.communicate(timeout=900)
    assert process.returncode == 0, errors
    return time.monotonic() - begin, output + errors


def stop_at_random_moments(command: list[str], folder: Path, seconds: float, times: int) -> int:
    """Start a command and stop it before `seconds` have passed, several times. Returns how often it was stopped."""
    moments, stopped = seeded(), 0
    for number in range(times):
        how = HOWS[number % len(HOWS)]
        process = start(command, folder)
        time.sleep(moments.uniform(0.5, seconds))
        if process.poll() is None:
            os.killpg(process.pid, how) if how == signal.SIGINT else process.send_signal(how)
        _, errors = process.communicate(timeout=300)
        if process.returncode == 0:
            break
        stopped += 1
        # Python itself ends by a signal that comes while it exits, after the last line of ours. The shell sees 128 + how.
        if process.returncode != -how:
            assert process.returncode == 128 + how, errors
            check_sentence(errors, how)
    return stopped


def content(folder: Path) -> dict[str, str]:
    """The hashes of what a build or a training made; records with a date are left out."""
    return {
        path.relative_to(folder).as_posix(): sha256_of(path)
        for path in sorted(folder.rglob("*"))
        if path.suffix in (".parquet", ".safetensors") and not {".l2t-build", "checkpoints"} & set(path.parts)
    }


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("undisturbed")
    for command in (BUILD, TRAIN):
        finish(command, folder)
    return folder


def test_a_stopped_build(undisturbed: Path, tmp_path: Path) -> None:
    seconds, _ = finish([*BUILD[:-4], "--out", "timed", "--workers", "2"], tmp_path)
    assert stop_at_random_moments(BUILD, tmp_path, seconds, 6)
    finish(BUILD, tmp_path)
    assert content(tmp_path / "data") == content(undisturbed / "data")


def test_a_stopped_training(undisturbed: Path, tmp_path: Path) -> None:
    (tmp_path / "data").symlink_to(undisturbed / "data")
    seconds, _ = finish([*TRAIN[:-1], "timed"], tmp_path)
    assert stop_at_random_moments(TRAIN, tmp_path, seconds, 8)
    finish(TRAIN, tmp_path)
    assert content(tmp_path / "model") == content(undisturbed / "model") == content(tmp_path / "timed")


def test_a_stopped_run(tmp_path: Path) -> None:
    (tmp_path / "timed").mkdir()
    seconds, _ = finish(RUN, tmp_path / "timed")
    assert stop_at_random_moments(RUN, tmp_path, seconds, 6)
    finish(RUN, tmp_path)
    expected = content(tmp_path / "timed" / "runs")
    assert content(tmp_path / "runs") == expected
    assert len([path for path in expected if path.endswith(".safetensors")]) == 2
    assert (tmp_path / "runs" / "report.html").is_file()


@pytest.mark.parametrize(
    "command",
    [
        ["eval", "model", "--out", "scores.json"],
        ["reproduce", "model", "--steps", "10"],
        ["reproduce", "data", "--sample", "2", "--workers", "2"],
        ["verify", "model"],
        ["plan", "nano"],
    ],
    ids=lambda command: f"{command[0]}-{command[1]}",
)
def test_a_verb_that_is_stopped_and_run_again(command: list[str], undisturbed: Path, tmp_path: Path) -> None:
    for name in ("data", "model"):
        (tmp_path / name).symlink_to(undisturbed / name)
    seconds, _ = finish(command, tmp_path)
    (tmp_path / "scores.json").unlink(missing_ok=True)
    shutil.rmtree(tmp_path / ".tasks", ignore_errors=True)  # which would make the next evaluation a short one
    assert stop_at_random_moments(command, tmp_path, seconds, 4)
    finish(command, tmp_path)
