"""Several processes train heads in phases as one does: a head that waits has no gradient, which DDP must expect."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from safetensors.torch import load_file
from test_several_processes import TORCHRUN, unfinished
from tiny_run import mtp_recipe
from torch.testing import assert_close

from l2t_hub.recipe import Recipe
from l2t_hub.train import train
from l2t_hub.train.training_log import read_log


def launch(recipe: Recipe, packed: Path, out: Path) -> None:
    """Train on two processes."""
    file = out.with_suffix(".yaml")
    file.write_text(yaml.safe_dump(recipe.resolved()))
    verb = ["-m", "l2t_hub.cli", "train", str(file), "--data", str(packed), "--out", str(out)]
    quiet = os.environ | {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    command = [sys.executable, *TORCHRUN, "2", *verb]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=quiet, timeout=250)
    assert done.returncode == 0, done.stderr


def assert_alike(a: Path, b: Path) -> None:
    """Assert that two runs logged the same heads with about the same losses, and made about the same weights."""
    for one, other in zip(read_log(a / "train_log.jsonl"), read_log(b / "train_log.jsonl"), strict=True):
        assert one.get("active_heads") == other.get("active_heads")
        assert other.keys() == one.keys()
        assert other.get("eval_loss", 0.0) == pytest.approx(one.get("eval_loss", 0.0), rel=1e-3)
        losses = [record.get("head_losses", []) for record in (one, other)]
        assert [loss is None for loss in losses[0]] == [loss is None for loss in losses[1]]
        assert [x for x in losses[1] if x] == pytest.approx([x for x in losses[0] if x], rel=1e-3)
    for file in ("model.safetensors", "prediction_heads.safetensors"):
        left, right = load_file(a / file), load_file(b / file)
        assert left.keys() == right.keys()
        for name, tensor in left.items():
            assert_close(right[name], tensor, rtol=1e-3, atol=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("parallelism", "head", "curriculum"),
    [
        ("ddp", "layer", "forward"),
        ("ddp", "linear", "reverse"),
        ("fsdp", "layer", "forward"),
        ("fsdp", "linear", "reverse"),
    ],
)
def test_two_processes_train_heads_as_one_does(
    packed: Path, tmp_path: Path, parallelism: str, head: str, curriculum: str
) -> None:
    keys: dict[str, object] = {"per_device_train_batch_size": 1, "logging_steps": 1, "save_total_limit": None}
    recipe = mtp_recipe({**keys, "parallelism": parallelism}, heads=3, head=head, curriculum=curriculum)
    one, two = tmp_path / "one", tmp_path / "two"
    train(recipe, packed, one)
    launch(recipe, packed, two)
    assert_alike(one, two)
    # Step 8 is where the last phase begins.
    on_one, on_two = unfinished(two, tmp_path / "on-one", 8), unfinished(one, tmp_path / "on-two", 8)
    train(recipe, packed, on_one)
    assert_alike(one, on_one)
    launch(recipe, packed, on_two)
    assert_alike(one, on_two)
