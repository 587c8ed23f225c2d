"""Two processes train as one does: same rows, same losses. They run on CPUs with gloo, as GPUs would with NCCL."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from tiny_run import tiny_recipe

from l2t_hub.train import train
from l2t_hub.train.training_log import read_log

SCRIPT = """
import sys
sys.path[:0] = {tests!r}
from tiny_run import tiny_recipe
from l2t_hub.train import train
print(train(tiny_recipe(per_device_train_batch_size=1, logging_steps=1), {data!r}, {out!r}).summary())
"""


@pytest.mark.slow
def test_two_processes_train_as_one_does(packed: Path, tmp_path: Path) -> None:
    one, two, script = tmp_path / "one", tmp_path / "two", tmp_path / "script.py"
    train(tiny_recipe(per_device_train_batch_size=2, logging_steps=1), packed, one)
    script.write_text(
        SCRIPT.format(
            tests=[str(path) for path in Path(__file__).parents[:2]], data=str(packed), out=str(two)
        )
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
        assert a.keys() == b.keys()
        for name in a.keys() - {"seconds", "tokens_per_second"}:
            assert b[name] == pytest.approx(a[name], rel=1e-3), name
    records = [json.loads((out / "training.json").read_text()) for out in (one, two)]
    assert records[0]["predicted_tokens"] == records[1]["predicted_tokens"]
    assert records[1]["batch"]["devices"] == 2
    assert records[1]["batch"]["accumulation"] == 2
