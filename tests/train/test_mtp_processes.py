"""Two processes train heads in phases as one does: a head that waits has no gradient, which DDP must expect."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from safetensors.torch import load_file
from tiny_run import mtp_recipe
from torch.testing import assert_close

from l2t_hub.train import train
from l2t_hub.train.training_log import read_log

SCRIPT = """
import sys
sys.path[:0] = {tests!r}
from tiny_run import mtp_recipe
from l2t_hub.train import train
keys = {{"per_device_train_batch_size": 1, "logging_steps": 1}}
train(mtp_recipe(keys, heads=3, head={head!r}, curriculum={curriculum!r}), {data!r}, {out!r})
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("head", "curriculum"), [("layer", "forward"), ("linear", "reverse"), ("layer", "none")]
)
def test_two_processes_train_heads_as_one_does(
    packed: Path, tmp_path: Path, head: str, curriculum: str
) -> None:
    one, two, script = tmp_path / "one", tmp_path / "two", tmp_path / "script.py"
    keys: dict[str, object] = {"per_device_train_batch_size": 2, "logging_steps": 1}
    train(mtp_recipe(keys, heads=3, head=head, curriculum=curriculum), packed, one)
    tests = [str(path) for path in Path(__file__).parents[:2]]
    script.write_text(
        SCRIPT.format(tests=tests, data=str(packed), out=str(two), head=head, curriculum=curriculum)
    )
    launch = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--standalone",
        "--nproc-per-node",
        "2",
        str(script),
    ]
    quiet = os.environ | {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    process = subprocess.run(launch, capture_output=True, text=True, check=False, env=quiet)
    assert process.returncode == 0, process.stderr
    for a, b in zip(read_log(one / "train_log.jsonl"), read_log(two / "train_log.jsonl"), strict=True):
        assert a.get("active_heads") == b.get("active_heads")
        for name in ("loss", "eval_loss"):
            assert b.get(name) == pytest.approx(a.get(name), rel=1e-3)
        losses = [[loss for loss in log.get("head_losses", []) if loss is not None] for log in (a, b)]
        assert losses[1] == pytest.approx(losses[0], rel=1e-3)
    left, right = (load_file(out / "prediction_heads.safetensors") for out in (one, two))
    for name, tensor in left.items():
        assert_close(right[name], tensor, rtol=1e-2, atol=1e-4)
