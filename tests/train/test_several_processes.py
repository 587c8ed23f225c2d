"""Several processes train as one does, with a copy of the model each (DDP) or with shards of it (FSDP2).

They run on CPUs with gloo, as GPUs would with NCCL, and are started as a person starts them.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest
import safetensors.torch
import torch
import yaml
from interrupted_process import wait_for
from tiny_run import tiny_recipe

from l2t_hub.train import train
from l2t_hub.train.training_log import read_log

TORCHRUN = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node")
ACCELERATE = ("-m", "accelerate.commands.launch", "--multi_gpu", "--num_processes")
KEYS: dict[str, Any] = {"per_device_train_batch_size": 1, "logging_steps": 1, "save_total_limit": None}


def start(
    packed: Path, out: Path, keys: dict[str, Any], processes: int = 2, launcher: tuple[str, ...] = TORCHRUN
) -> subprocess.Popen[str]:
    """Start `l2t train --json` of the tiny recipe on several processes."""
    recipe = out.with_suffix(".yaml")
    recipe.write_text(yaml.safe_dump(tiny_recipe(**KEYS | keys).resolved()))
    verb = ["-m", "l2t_hub.cli", "train", str(recipe), "--data", str(packed), "--out", str(out), "--json"]
    return subprocess.Popen(
        [sys.executable, *launcher, str(processes), *verb],
        env={**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def launch(packed: Path, out: Path, keys: dict[str, Any], **how: Any) -> dict[str, Any]:
    """Train on several processes and return the document that they print: one, not one per process."""
    process = start(packed, out, keys, **how)
    output, errors = process.communicate(timeout=200)
    assert process.returncode == 0, errors
    result: dict[str, Any] = json.loads(output)
    return result


def alone(packed: Path, out: Path, **keys: Any) -> Path:
    """Train on this process alone."""
    train(tiny_recipe(**KEYS | keys), packed, out)
    return out


def assert_alike(a: Path, b: Path, rel: float = 1e-3) -> None:
    """Assert that two runs logged the same steps with about the same losses, and made about the same weights."""
    for one, other in zip(read_log(a / "train_log.jsonl"), read_log(b / "train_log.jsonl"), strict=True):
        assert one.keys() == other.keys()
        for name in one.keys() - {"seconds", "tokens_per_second"}:
            assert other[name] == pytest.approx(one[name], rel=rel), name
    left, right = (safetensors.torch.load_file(out / "model.safetensors") for out in (a, b))
    assert left.keys() == right.keys()
    for name in left:
        assert left[name].dtype == right[name].dtype
        torch.testing.assert_close(left[name], right[name], rtol=rel, atol=rel)
    records = [json.loads((out / "training.json").read_text()) for out in (a, b)]
    assert records[0]["predicted_tokens"] == records[1]["predicted_tokens"]
    assert records[0]["parameters"] == records[1]["parameters"]


def unfinished(out: Path, copy: Path, step: int) -> Path:
    """Copy a finished run as it was after a step that has a checkpoint."""
    (copy / "checkpoints").mkdir(parents=True)
    for name in ("run.json", f"checkpoint-{step}"):
        source = out / "checkpoints" / name
        (shutil.copytree if source.is_dir() else shutil.copy)(source, copy / "checkpoints" / name)
    shutil.copy(out / "train_log.jsonl", copy / "checkpoints")
    return copy


@pytest.mark.slow
def test_two_processes_with_shards_train_as_one_does(packed: Path, tmp_path: Path) -> None:
    one, two = alone(packed, tmp_path / "one"), tmp_path / "two"
    result = launch(packed, two, {"parallelism": "fsdp"})
    assert result["parameters"] == 31_008
    assert_alike(one, two)
    batch = json.loads((two / "training.json").read_text())["batch"]
    assert (batch["devices"], batch["accumulation"]) == (2, 2)
    # Whole weights and moments in the files of a run on one process: such a run continues from them.
    continued = alone(packed, unfinished(two, tmp_path / "continued", 8))
    assert_alike(one, continued)


MIXED = {"precision": "mixed"}
BF16 = {"precision": "bf16"}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("keys", "rel"),
    [
        ({"parallelism": "ddp"}, 1e-3),
        ({"parallelism": "ddp", **BF16}, 2e-2),
        ({"parallelism": "ddp", **MIXED}, 2e-2),
        ({"parallelism": "fsdp", **BF16}, 2e-2),
        ({"parallelism": "fsdp", **MIXED}, 2e-2),
        ({"parallelism": "fsdp", "gradient_checkpointing": True, "attention": "example"}, 1e-3),
    ],
    ids=lambda value: "-".join(map(str, value.values())) if isinstance(value, dict) else None,
)
def test_every_precision_trains_alike(packed: Path, tmp_path: Path, keys: dict[str, Any], rel: float) -> None:
    one = alone(packed, tmp_path / "one", **keys)
    launch(packed, tmp_path / "two", keys)
    assert_alike(one, tmp_path / "two", rel)


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("parallelism", ["ddp", "fsdp"])
def test_a_run_continues_on_more_and_on_fewer_processes(
    packed: Path, tmp_path: Path, parallelism: str, precision: str
) -> None:
    keys, rel = {"parallelism": parallelism, "precision": precision}, 2e-2 if precision == "bf16" else 1e-3
    one = alone(packed, tmp_path / "one", precision=precision)
    more = unfinished(one, tmp_path / "more", 4)
    launch(packed, more, keys)
    assert_alike(one, more, rel)
    fewer = alone(packed, unfinished(more, tmp_path / "fewer", 8), precision=precision)
    assert_alike(one, fewer, rel)
    again = unfinished(more, tmp_path / "again", 8)
    launch(packed, again, {**keys, "parallelism": "fsdp" if parallelism == "ddp" else "ddp"})
    assert_alike(one, again, rel)


@pytest.mark.slow
def test_accelerate_launches_a_run(packed: Path, tmp_path: Path) -> None:
    one = alone(packed, tmp_path / "one")
    launch(packed, tmp_path / "two", {}, launcher=ACCELERATE)
    assert_alike(one, tmp_path / "two")
    assert json.loads((tmp_path / "two" / "training.json").read_text())["batch"]["devices"] == 2


@pytest.mark.slow
@pytest.mark.parametrize("parallelism", ["ddp", "fsdp"])
@pytest.mark.parametrize("stopped", ["the launcher", "the second process"])
def test_a_signal_stops_all_processes_after_the_same_step(
    packed: Path, tmp_path: Path, parallelism: str, stopped: str
) -> None:
    keys: dict[str, Any] = {"parallelism": parallelism, "max_steps": 400, "save_steps": 1000}
    out, log = tmp_path / "m", tmp_path / "m" / "checkpoints" / "train_log.jsonl"
    process = start(packed, out, keys)
    wait_for(lambda: log.exists() and len(log.read_text().splitlines()) > 4, process)
    if stopped == "the launcher":
        process.terminate()
    else:
        workers = psutil.Process(process.pid).children()
        next(w for w in workers if w.environ().get("RANK") == "1").send_signal(signal.SIGTERM)
    output, errors = process.communicate(timeout=100)
    assert process.returncode != 0
    assert output == ""
    assert errors.count("stopped by SIGTERM: ") <= 1
    (checkpoint,) = (out / "checkpoints").glob("checkpoint-*")
    assert 4 <= int(checkpoint.name.split("-")[1]) < 400
    whole = alone(packed, tmp_path / "whole", **keys)
    assert_alike(whole, alone(packed, out, **keys), rel=5e-2)
