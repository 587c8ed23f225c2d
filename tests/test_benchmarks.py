"""The benchmarks of training run: at toy size, on a CPU, and what they cannot measure there is reported as not run."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

REPOSITORY = Path(__file__).parents[1]
pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


def figures_of(script: str, out: Path, *arguments: str) -> dict[str, Any]:
    """Run a benchmark without a GPU and return the file that it writes."""
    environment = {
        **os.environ,
        "PYTHONPATH": str(REPOSITORY),
        "CUDA_VISIBLE_DEVICES": "",
        "OMP_NUM_THREADS": "1",
    }
    command = [sys.executable, str(REPOSITORY / "benchmarks" / script), "--json", str(out), *arguments]
    process = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert process.returncode == 0, process.stderr
    found: dict[str, Any] = json.loads(out.read_text())
    return found


def test_the_benchmark_of_training_measures_every_trainer(tmp_path: Path) -> None:
    small = (
        "--rounds",
        "1",
        "--steps",
        "4",
        "--sequence-length",
        "64",
        "--vocab-size",
        "512",
        "--batch-size",
        "2",
    )
    names = ["l2t train", "bare loop", "bare loop, our loss", "Trainer", "SFTTrainer"]
    figures = figures_of("train.py", tmp_path / "train.json", *small, "--arms", *names)
    assert list(figures["arms"]) == names
    for arm in figures["arms"].values():
        assert arm["steps"] == 2
        assert arm["tokens_per_second"] == pytest.approx(128e3 / arm["ms"])
        assert arm["of_bare"] > 0
        assert 0 < arm["utilisation"] < 1


def test_the_measurements_of_a_gpu_run_at_toy_size(tmp_path: Path) -> None:
    figures = figures_of("gpu.py", tmp_path / "gpu.json", "--toy")
    assert figures["toy"] is True
    arms = figures["training"]["nano"]["arms"]
    assert all(arm["tokens_per_second"] > 0 and arm["utilisation"] is None for arm in arms.values())
    assert any("GPU" in figure.get("not_run", "") for figure in figures["losses"].values())
    assert "no gradients on a CPU" in figures["attention"]["flex_attention, pack"]["not_run"]
    assert figures["attention"]["sdpa, example"]["loss"] > 0
    assert figures["tests"]["failed"] == []
    assert figures["tests"]["passed"] > 20
