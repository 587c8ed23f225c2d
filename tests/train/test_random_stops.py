"""A run that is stopped twenty times at random moments, and continued each time, is the same run to the last bit."""

import json
import signal
import subprocess
import time
from pathlib import Path
from random import Random

import pytest
import yaml
from interrupted_process import interrupt, start, wait_for
from random_moments import seeded
from tiny_run import tiny_recipe

from l2t_hub.artifacts import sha256_of
from l2t_hub.train import train
from l2t_hub.train.training_log import read_log

STOPS = 20
# Long enough that twenty stops do not reach its end. Checkpoints are frequent, so that stops fall into their writing.
RECIPE = tiny_recipe(max_steps=2000, logging_steps=7, eval_steps=50, save_steps=5)
TIMES = {"seconds", "tokens_per_second", "mfu"}


def records(log: Path) -> list[dict[str, object]]:
    return [{k: v for k, v in record.items() if k not in TIMES} for record in read_log(log)]


def last_step(log: Path) -> int:
    return max((record["step"] for record in read_log(log)), default=-1) if log.exists() else -1


def newest_checkpoint(out: Path) -> int:
    return max((int(path.name[11:]) for path in out.glob("checkpoints/checkpoint-*")), default=-1)


def stop(process: subprocess.Popen[str], how: signal.Signals, out: Path, moments: Random) -> None:
    """Stop a run at a random moment of its training, or in one case of five while it starts."""
    if moments.random() < 0.2:
        time.sleep(moments.uniform(0, 6))
    else:
        log, start = out / "checkpoints" / "train_log.jsonl", newest_checkpoint(out)
        # Records after the checkpoint that it continues from were removed: a later one is of this process.
        truncated = log.stat().st_ino if log.exists() else 0
        wait_for(lambda: log.exists() and log.stat().st_ino != truncated and last_step(log) > start, process)
        time.sleep(moments.uniform(0, 1))
    if how == signal.SIGKILL:
        process.kill()
        process.communicate(timeout=60)
        assert process.returncode == -signal.SIGKILL
    else:
        interrupt(process, how)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM], ids=["SIGKILL", "SIGTERM"])
def test_twenty_stops_change_no_bit(packed: Path, tmp_path: Path, how: signal.Signals) -> None:
    moments = seeded()
    whole, out = tmp_path / "whole", tmp_path / "stopped"
    train(RECIPE, packed, whole)
    recipe = tmp_path / "tiny.yaml"
    recipe.write_text(yaml.safe_dump(RECIPE.resolved()))
    arguments = ["train", str(recipe), "--data", str(packed), "--out", str(out)]
    checkpoints = set()
    for _ in range(STOPS):
        stop(start(arguments, tmp_path), how, out, moments)
        checkpoints.add(newest_checkpoint(out))
    assert not (out / "training.json").exists(), "the run ended before it was stopped twenty times"
    assert len(checkpoints) > STOPS // 4, "the stops did not fall into the training"
    train(RECIPE, packed, out)
    assert records(out / "train_log.jsonl") == records(whole / "train_log.jsonl")
    assert sha256_of(out / "model.safetensors") == sha256_of(whole / "model.safetensors")
    finished = [json.loads((run / "training.json").read_text()) for run in (out, whole)]
    assert finished[0]["predicted_tokens"] == finished[1]["predicted_tokens"]
