"""The effective batch: how it is divided over devices, and the error if it cannot be divided evenly."""

import re
from typing import Any

import pytest
import torch
from tiny_run import tiny_recipe

from l2t_hub.errors import UsageError
from l2t_hub.train.batch_layout import BatchLayout, count_devices, divide_batch


@pytest.mark.parametrize(
    ("batch_size", "per_device", "devices", "accumulation"),
    [(256, 128, 2, 1), (256, 32, 4, 2), (256, 64, 2, 2), (4, 4, 1, 1), (12, 3, 1, 4)],
)
def test_division(batch_size: int, per_device: int, devices: int, accumulation: int) -> None:
    batches = divide_batch(
        tiny_recipe(batch_size=batch_size, per_device_train_batch_size=per_device), devices
    )
    assert (batches.accumulation, batches.sequences) == (accumulation, batch_size)
    assert batches.tokens_per_step == batch_size * 64
    assert batches.rows == 12 * batch_size


@pytest.mark.parametrize(
    ("batch_size", "per_device", "devices", "hint"),
    [
        (10, 4, 1, "per_device_train_batch_size` to 2, or `train.batch_size` to 8 or 12"),
        (4, 8, 1, "per_device_train_batch_size` to 4, or `train.batch_size` to 8"),
        (20, 4, 3, "`train.batch_size` to 12 or 24"),
        (256, 48, 2, "per_device_train_batch_size` to 32, or `train.batch_size` to 192 or 288"),
    ],
)
def test_nearest_values_that_work_are_named_and_do_work(
    batch_size: int, per_device: int, devices: int, hint: str
) -> None:
    keys: dict[str, Any] = {"batch_size": batch_size, "per_device_train_batch_size": per_device}
    with pytest.raises(UsageError) as error:
        divide_batch(tiny_recipe(**keys), devices)
    assert error.value.hint is not None
    assert hint in error.value.hint
    for size in re.findall(r"`train.batch_size` to (\d+)(?: or (\d+))?", error.value.hint)[0]:
        if size:
            assert divide_batch(tiny_recipe(**keys | {"batch_size": int(size)}), devices).sequences == int(
                size
            )
    for per in re.findall(r"per_device_train_batch_size` to (\d+)", error.value.hint):
        fitted = divide_batch(tiny_recipe(**keys | {"per_device_train_batch_size": int(per)}), devices)
        assert fitted.sequences == batch_size


def test_the_description_has_the_effective_batch_and_the_epochs() -> None:
    line = BatchLayout(per_device=32, devices=4, accumulation=2, sequence_length=2048, steps=1000).describe(
        100_000
    )
    assert "256 sequences per step (32 per device x 4 devices x 2 accumulated) = 524,288 tokens" in line
    assert "1,000 steps = 524,288,000 tokens, 256,000 sequences from 100,000: 2.56 epochs" in line


def test_several_gpus_under_one_process_are_refused_with_the_launch_command(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    assert count_devices() == 1
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    with pytest.raises(UsageError, match="2 GPUs are visible to one process") as error:
        count_devices()
    assert "torchrun --nproc-per-node 2" in str(error.value)
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert count_devices() == 2
