"""The checkpoints of a run: which one a resumed run uses, and which ones may be deleted.

A checkpoint gets its final name only when it is complete. Its record has the hash of every file, so that one which a
disk damaged later is found before it is used.
"""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from l2t_hub.artifacts import CHECKPOINTS, sha256_of
from l2t_hub.errors import UserError
from l2t_hub.records.file_list import ExpectedFile, compare_directory
from l2t_hub.records.training_record import CheckpointState
from l2t_hub.train.locate import DatasetLocation

# What is to be done with each complete checkpoint of a run on a dataset.
CheckpointSaved = Callable[[Path, DatasetLocation], None]
PREFIX = "checkpoint-"
PARTIAL = ".partial"
DAMAGED = "damaged-"


@dataclass(frozen=True)
class FoundCheckpoints:
    """The newest intact checkpoint, None if there is none, and what is wrong with each one that is newer."""

    newest: Path | None
    damaged: dict[Path, str]


def find_checkpoints(out: Path) -> FoundCheckpoints:
    """Check the checkpoints of a run by their hashes, newest first, up to the first intact one."""
    damaged: dict[Path, str] = {}
    for checkpoint in complete_checkpoints(out):
        problem = _problem(checkpoint)
        if problem is None:
            return FoundCheckpoints(checkpoint, damaged)
        damaged[checkpoint] = problem
    return FoundCheckpoints(None, damaged)


def complete_checkpoints(out: Path) -> list[Path]:
    """Return the checkpoints that have their final names, newest first. Their content is not read."""
    paths = (out / CHECKPOINTS).glob(f"{PREFIX}*")
    complete = [path for path in paths if path.name.removeprefix(PREFIX).isdigit()]
    return sorted(complete, key=step_of, reverse=True)


def step_of(checkpoint: Path) -> int:
    """Return the optimiser step after which a checkpoint was written."""
    return int(checkpoint.name.removeprefix(PREFIX))


def hash_files(checkpoint: Path) -> dict[str, str]:
    """Return the SHA-256 of every file of a checkpoint by its path."""
    files = (path for path in sorted(checkpoint.rglob("*")) if path.is_file())
    return {path.relative_to(checkpoint).as_posix(): sha256_of(path) for path in files}


def set_damaged_aside(found: FoundCheckpoints) -> list[str]:
    """Rename the damaged checkpoints, since a run writes their steps again. Return a line about each."""
    lines = []
    for checkpoint, problem in found.damaged.items():
        kept = checkpoint.with_name(f"{DAMAGED}{step_of(checkpoint)}")
        shutil.rmtree(kept, ignore_errors=True)
        checkpoint.rename(kept)
        lines.append(f"{checkpoint}: damaged ({problem}). It is kept as {kept.name} and not used.")
    return lines


def drop_old_checkpoints(out: Path, keep: int | None) -> None:
    """Delete all but the newest `keep` checkpoints; None keeps all."""
    for checkpoint in complete_checkpoints(out)[keep:] if keep else []:
        shutil.rmtree(checkpoint, ignore_errors=True)


def _problem(checkpoint: Path) -> str | None:
    """Say what is wrong with a checkpoint, None if every file is as its record says."""
    try:
        files = CheckpointState.read(checkpoint).files
    except UserError as error:
        return error.message.removeprefix(f"{checkpoint}/")
    expected = {path: ExpectedFile(digest) for path, digest in files.items()}
    problems = compare_directory(checkpoint, expected, CheckpointState.FILE)
    return next((f"{path}: {problem}" for path, problem in problems.items()), None)
