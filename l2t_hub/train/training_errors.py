"""Disk and memory failures during training, turned into errors a user can act on."""

import errno
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from l2t_hub.artifacts import NO_ROOM
from l2t_hub.errors import UserError
from l2t_hub.recipe import Recipe
from l2t_hub.text import counted

_FORBIDDEN = {errno.EACCES, errno.EPERM, errno.EROFS}
_NEARLY_FULL = 2**20


@contextmanager
def checkpoint_errors(staging: Path) -> Iterator[None]:
    """Turn a full disk or a missing permission into a UserError, and delete the incomplete files in `staging`."""
    try:
        yield
    except Exception as error:
        full = _disk_is_full(error, staging)
        if not full and getattr(error, "errno", None) not in _FORBIDDEN:
            raise
        shutil.rmtree(staging, ignore_errors=True)
        reason = "the disk is full" if full else f"cannot be written: {error}"
        remedy = (
            "Free some space, or lower `train.save_total_limit`"
            if full
            else "Check the permissions of the directory"
        )
        raise UserError(
            f"{staging.parent}: {reason}",
            f"{remedy}. Then rerun the command to continue: complete checkpoints are kept.",
        ) from None


@contextmanager
def out_of_memory_errors(recipe: Recipe) -> Iterator[None]:
    """Turn a GPU's out-of-memory error into a UserError that says how to use less memory."""
    try:
        yield
    except torch.OutOfMemoryError:
        size = recipe.train.per_device_train_batch_size
        sequences = counted(size, "sequence") + (" at once" if size > 1 else "")
        message = f"the GPU does not have enough memory for {sequences}"
        raise UserError(message, _use_less_memory(recipe)) from None


def _use_less_memory(recipe: Recipe) -> str:
    """Say which settings need less memory. They may change within a run."""
    size, overrides = recipe.train.per_device_train_batch_size, []
    if size > 1:
        overrides.append(f"--set train.per_device_train_batch_size={size // 2}")
    if not recipe.train.gradient_checkpointing:
        overrides.append("--set train.gradient_checkpointing=true")
    if not overrides:
        return "Use a GPU with more memory, or a smaller model or `packing.sequence_length`."
    return (
        f"Add {' or '.join(overrides)} to the command. The effective batch size stays the same, and the run "
        "continues from the last checkpoint."
    )


def _disk_is_full(error: Exception, folder: Path) -> bool:
    """Whether an error means a full disk.

    safetensors and tokenizers report it only in the text of the error. torch does not report it at all, so the free
    space decides.
    """
    if getattr(error, "errno", None) in NO_ROOM or "os error 28" in str(error):
        return True
    existing = next(path for path in (folder, *folder.parents) if path.exists())
    return "inline_container" in str(error) and shutil.disk_usage(existing).free < _NEARLY_FULL
