"""How one optimiser step is divided over devices and accumulation steps."""

import os
from dataclasses import dataclass

from l2t_hub.errors import UsageError
from l2t_hub.recipe import Recipe
from l2t_hub.text import counted


@dataclass(frozen=True)
class BatchLayout:
    """A run of `steps` steps, each of `per_device` x `devices` x `accumulation` sequences.

    A sequence has `sequence_length` tokens.
    """

    per_device: int
    devices: int
    accumulation: int
    sequence_length: int
    steps: int

    @property
    def sequences(self) -> int:
        """The effective batch size: sequences per optimiser step."""
        return self.per_device * self.devices * self.accumulation

    @property
    def tokens_per_step(self) -> int:
        """Tokens per optimiser step, padding included."""
        return self.sequences * self.sequence_length

    @property
    def rows(self) -> int:
        """Sequences read during the run."""
        return self.sequences * self.steps

    def describe(self, rows: int | None) -> str:
        """Return one line with the effective batch size and the number of epochs over `rows` sequences, if known."""
        epochs = f" from {rows:,}: {self.rows / rows:.2f} epochs" if rows else ", made as they are read"
        return (
            f"{counted(self.sequences, 'sequence')} per step ({self.per_device} per device x "
            f"{counted(self.devices, 'device')} x {self.accumulation} accumulated) = "
            f"{self.tokens_per_step:,} tokens; {counted(self.steps, 'step')} = "
            f"{self.rows * self.sequence_length:,} tokens, {counted(self.rows, 'sequence')}{epochs}"
        )


def divide_batch(recipe: Recipe, devices: int) -> BatchLayout:
    """Return the layout for a recipe's batch size on `devices` devices, with the accumulation that it needs.

    Raises UsageError if the batch size is not a multiple of what the devices process at once. The hint names the
    nearest values that work.
    """
    train = recipe.train
    at_once = train.per_device_train_batch_size * devices
    accumulation, remainder = divmod(train.batch_size, at_once)
    if remainder or not accumulation:
        raise UsageError(
            f"{recipe.where('train.batch_size')} is {train.batch_size}, which is not a multiple of "
            f"{train.per_device_train_batch_size} per device x {counted(devices, 'device')} = {at_once}",
            _sizes_that_fit(train.batch_size, train.per_device_train_batch_size, devices),
        )
    steps = train.stop_after_steps or train.max_steps
    length = recipe.packing.sequence_length
    return BatchLayout(train.per_device_train_batch_size, devices, accumulation, length, steps)


def count_devices() -> int:
    """Return the number of processes that train together: `torchrun`'s WORLD_SIZE, or 1.

    Raises UsageError if a single process sees several GPUs, because it would use only one.
    """
    import torch

    if "WORLD_SIZE" in os.environ:
        return int(os.environ["WORLD_SIZE"])
    if torch.cuda.is_available() and torch.cuda.device_count() > 1:
        count = torch.cuda.device_count()
        raise UsageError(
            f"{count} GPUs are visible to one process",
            f"To use all of them: `torchrun --nproc-per-node {count} -m l2t_hub.cli train ...`. "
            "To use one: set CUDA_VISIBLE_DEVICES=0.",
        )
    return 1


def wait_for_all(batches: BatchLayout) -> None:
    """Wait until every process of a run has come to this point."""
    if batches.devices > 1:
        import torch
        from accelerate import PartialState

        PartialState(cpu=not torch.accelerator.is_available()).wait_for_everyone()


def _sizes_that_fit(batch_size: int, per_device: int, devices: int) -> str:
    at_once = per_device * devices
    below = batch_size // at_once * at_once
    batch_sizes = f"{below} or {below + at_once}" if below else f"{at_once}"
    if batch_size % devices:
        return f"Set `train.batch_size` to {batch_sizes}."
    share = batch_size // devices
    largest = max(n for n in range(1, share + 1) if share % n == 0 and n <= per_device)
    return f"Set `train.per_device_train_batch_size` to {largest}, or `train.batch_size` to {batch_sizes}."
