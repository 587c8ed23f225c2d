"""How a batch is divided over devices and accumulation steps, and what a run of steps reads of a dataset."""

import os
from dataclasses import dataclass

from l2t_hub.errors import UsageError
from l2t_hub.recipe import Recipe


@dataclass(frozen=True)
class BatchLayout:
    """One optimiser step = `per_device` x `devices` x `accumulation` sequences of `sequence_length` tokens."""

    per_device: int
    devices: int
    accumulation: int
    sequence_length: int
    steps: int

    @property
    def sequences(self) -> int:
        """The effective batch: sequences per optimiser step."""
        return self.per_device * self.devices * self.accumulation

    @property
    def tokens_per_step(self) -> int:
        """Positions per optimiser step, padding included."""
        return self.sequences * self.sequence_length

    @property
    def rows(self) -> int:
        """Sequences the whole run reads."""
        return self.sequences * self.steps

    def describe(self, rows: int) -> str:
        """Say the effective batch and how often a dataset of `rows` sequences is read."""
        return (
            f"{self.sequences} sequences per step ({self.per_device} per device x {self.devices} "
            f"{'device' if self.devices == 1 else 'devices'} x {self.accumulation} accumulated) = "
            f"{self.tokens_per_step:,} tokens; {self.steps:,} steps = {self.rows * self.sequence_length:,} tokens, "
            f"{self.rows:,} sequences from {rows:,}: {self.rows / rows:.2f} epochs"
        )


def divide_batch(recipe: Recipe, devices: int) -> BatchLayout:
    """Work out the accumulation; UsageError, with the nearest values that work, where it does not come out even."""
    train = recipe.train
    steps = train.stop_after_steps or train.max_steps
    accumulation, rest = divmod(train.batch_size, train.per_device_train_batch_size * devices)
    if rest == 0 and accumulation > 0:
        length = recipe.packing.sequence_length
        return BatchLayout(train.per_device_train_batch_size, devices, accumulation, length, steps)
    at_once = train.per_device_train_batch_size * devices
    lower = train.batch_size // at_once * at_once
    sizes = f"{lower} or {lower + at_once}" if lower else f"{at_once}"
    if train.batch_size % devices == 0:
        share = train.batch_size // devices
        fits = max(
            n for n in range(1, share + 1) if share % n == 0 and n <= train.per_device_train_batch_size
        )
        hint = f"Set `train.per_device_train_batch_size` to {fits}, or `train.batch_size` to {sizes}."
    else:
        hint = f"Set `train.batch_size` to {sizes}."
    per_device = f"{train.per_device_train_batch_size} per device"
    raise UsageError(
        f"{recipe.where('train.batch_size')} is {train.batch_size}, which {per_device} x {devices} "
        f"{'device' if devices == 1 else 'devices'} = {at_once} does not divide",
        hint,
    )


def count_devices() -> int:
    """Count the processes training together; UsageError for several GPUs under a single process."""
    import torch

    if "WORLD_SIZE" in os.environ:
        return int(os.environ["WORLD_SIZE"])
    if torch.cuda.is_available() and torch.cuda.device_count() > 1:
        count = torch.cuda.device_count()
        raise UsageError(
            f"{count} GPUs are visible to one process",
            f"All of them: `torchrun --nproc-per-node {count} -m l2t_hub.cli train ...`. "
            "One of them: set CUDA_VISIBLE_DEVICES=0.",
        )
    return 1
