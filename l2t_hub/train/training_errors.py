"""What can go wrong outside the program while it trains, told as errors a user can act on: disk and memory."""

import errno
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from l2t_hub.errors import UserError
from l2t_hub.recipe import Recipe

NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
FORBIDDEN = {errno.EACCES, errno.EPERM, errno.EROFS}
NEARLY_FULL = 2**20


@contextmanager
def disk_errors(staging: Path) -> Iterator[None]:
    """Turn a full disk or a refusal to write into a UserError, and clear `staging`, where the half-written lies."""
    try:
        yield
    except Exception as error:
        full = _is_full(error, staging)
        if not full and getattr(error, "errno", None) not in FORBIDDEN:
            raise
        shutil.rmtree(staging, ignore_errors=True)
        reason = "the disk is full" if full else f"cannot be written: {error}"
        raise UserError(
            f"{staging.parent}: {reason}",
            "Make room, or lower `train.save_total_limit`, and go on with --resume: finished checkpoints are kept."
            if full
            else "Check the directory's permissions, and go on with --resume.",
        ) from None


@contextmanager
def out_of_memory(recipe: Recipe) -> Iterator[None]:
    """Turn a GPU's lack of memory into a UserError that says what makes a step smaller."""
    try:
        yield
    except torch.OutOfMemoryError:
        train = recipe.train
        raise UserError(
            f"the GPU's memory does not hold {train.per_device_train_batch_size} sequences at once",
            "Halve `train.per_device_train_batch_size` (the effective batch stays as it is)"
            + ("." if train.gradient_checkpointing else ", or set `train.gradient_checkpointing: true`."),
        ) from None


def _is_full(error: Exception, folder: Path) -> bool:
    """Say whether an error means a full disk. safetensors and tokenizers hide the errno, torch even the words:
    there the room that is left decides.
    """
    if getattr(error, "errno", None) in NO_ROOM or "os error 28" in str(error):
        return True
    existing = next(path for path in (folder, *folder.parents) if path.exists())
    return "inline_container" in str(error) and shutil.disk_usage(existing).free < NEARLY_FULL
