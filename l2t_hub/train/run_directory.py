"""What an output directory holds, and what a run may do with it: reuse a finished model, continue from a checkpoint,
start, or refuse. The decision depends on the fingerprints of the recipe and the dataset.
"""

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from l2t_hub.artifacts import CHECKPOINTS, CONFIG, TRAINING_LOG, WEIGHTS, disk_errors
from l2t_hub.errors import UsageError
from l2t_hub.interruption import is_main_process
from l2t_hub.recipe import Recipe
from l2t_hub.recipe.schema import SCOPES, UNFINGERPRINTED_KEYS
from l2t_hub.records.training_record import CheckpointState, RunRecord, TrainingRecord
from l2t_hub.train.locate import DatasetLocation

PARTIAL = ".partial"
CACHE = "cache"
CHECKPOINT_PREFIX = "checkpoint-"
FINAL_FILES = (WEIGHTS, CONFIG, "generation_config.json", TRAINING_LOG)
Json = dict[str, Any]

_CHANGES_SHOWN = 4


@dataclass(frozen=True)
class RunIdentity:
    """What determines a model: the recipe (architecture, training, seed) and the dataset's fingerprint."""

    recipe: Recipe
    dataset: str

    @property
    def fingerprint(self) -> str:
        """64 hex digits. The location of the dataset does not change them."""
        return self.recipe.fingerprint("model", source=self.dataset, tokenizer=self.dataset)

    def record(self) -> RunRecord:
        """Return what is saved in an output directory: the fingerprints, and the recipe to explain a difference."""
        return RunRecord(
            fingerprint=self.fingerprint,
            dataset_fingerprint=self.dataset,
            recipe=self.recipe.resolved(),
            format=1,
        )

    def differs_from(self, saved: RunRecord | TrainingRecord) -> str:
        """Return what has changed since `saved` was written: recipe keys with their old and new values."""
        changes: list[str] = []
        if saved.dataset_fingerprint != self.dataset:
            changes.append(
                f"another dataset (fingerprint {saved.dataset_fingerprint[:12]}, now {self.dataset[:12]})"
            )
        before, now = _decisive(saved.recipe), _decisive(self.recipe.resolved())
        changes += [
            f"{key} was {before.get(key)!r}, now {now.get(key)!r}"
            for key in sorted(before.keys() | now.keys())
            if before.get(key) != now.get(key)
        ]
        if len(changes) > _CHANGES_SHOWN:
            changes[_CHANGES_SHOWN:] = [f"and {len(changes) - _CHANGES_SHOWN} more"]
        return "; ".join(changes) or "another version of l2t_hub"


def finished(out: Path, recipe: Recipe, dataset: DatasetLocation) -> bool:
    """Whether `out` holds the finished model of exactly this recipe and dataset."""
    saved = TrainingRecord.find(out)
    return (
        saved is not None
        and saved.fingerprint == RunIdentity(recipe, dataset.fingerprint).fingerprint
        and all((out / name).is_file() for name in FINAL_FILES)
    )


def claim(out: Path, identity: RunIdentity, resume: bool) -> Path | None:
    """Prepare `out` for this run and return the checkpoint to continue from, or None to start at step 0.

    Raises UsageError, and changes nothing, if `out` holds another run, a finished model or other files.
    """
    if out.exists() and not out.is_dir():
        raise UsageError(f"{out}: this is a file", "Give `--out` a directory.")
    _refuse_finished(out, identity)
    saved = RunRecord.find(out / CHECKPOINTS)
    checkpoint = newest_checkpoint(out)
    if saved is None:
        _refuse_other_files(out)
    elif checkpoint is not None and saved.fingerprint != identity.fingerprint:
        raise UsageError(
            f"{out}: holds an unfinished run that differs from this one: {identity.differs_from(saved)}",
            "Choose another --out, or undo the change and add --resume.",
        )
    if checkpoint is not None and not resume:
        steps = identity.recipe.train.stop_after_steps or identity.recipe.train.max_steps
        raise UsageError(
            f"{out}: holds an unfinished run of this recipe, at step {step_of(checkpoint)} of {steps}",
            "Add --resume to continue it, or choose another --out.",
        )
    if is_main_process():
        _prepare(out, identity)
    return checkpoint


def check_precision(checkpoint: Path | None, precision: str) -> None:
    """Raise UsageError if a checkpoint has another precision, as `auto` can resolve to on another machine."""
    saved = CheckpointState.find(checkpoint) if checkpoint is not None else None
    if saved is not None and saved.precision != precision:
        raise UsageError(
            f"{checkpoint}: was trained in {saved.precision}, but this run would use {precision}",
            f"Continue with --set train.precision={saved.precision}, or choose another --out.",
        )


def newest_checkpoint(out: Path) -> Path | None:
    """Return the newest complete checkpoint in `out`, or None."""
    return max(_checkpoints(out), key=step_of, default=None)


def step_of(checkpoint: Path) -> int:
    """Return the optimiser step after which a checkpoint was written."""
    return int(checkpoint.name.removeprefix(CHECKPOINT_PREFIX))


def drop_old_checkpoints(out: Path, keep: int | None) -> None:
    """Delete all but the newest `keep` checkpoints; None keeps all."""
    oldest_first = sorted(_checkpoints(out), key=step_of)
    for checkpoint in oldest_first[:-keep] if keep else []:
        shutil.rmtree(checkpoint, ignore_errors=True)


def _checkpoints(out: Path) -> list[Path]:
    """Return the complete checkpoints in `out`: they get their final name only when complete."""
    paths = (out / CHECKPOINTS).glob(f"{CHECKPOINT_PREFIX}*")
    return [path for path in paths if path.name.removeprefix(CHECKPOINT_PREFIX).isdigit()]


def _prepare(out: Path, identity: RunIdentity) -> None:
    with disk_errors(out):
        (out / CHECKPOINTS).mkdir(parents=True, exist_ok=True)
    shutil.rmtree(out / CHECKPOINTS / PARTIAL, ignore_errors=True)
    shutil.rmtree(out / PARTIAL, ignore_errors=True)
    identity.record().write(out / CHECKPOINTS)


def _refuse_finished(out: Path, identity: RunIdentity) -> None:
    saved = TrainingRecord.find(out)
    if saved is None:
        return
    if saved.fingerprint != identity.fingerprint:
        reason = f"holds a finished model that differs from this one: {identity.differs_from(saved)}"
    else:
        missing = [name for name in FINAL_FILES if not (out / name).is_file()]
        reason = f"holds this recipe's finished model, but {', '.join(missing)} is missing"
    raise UsageError(f"{out}: {reason}", "Choose another --out, or delete the directory yourself.")


def _refuse_other_files(out: Path) -> None:
    if out.is_dir() and any(path.name != CHECKPOINTS for path in out.iterdir()):
        raise UsageError(
            f"{out}: is not empty and holds no training run", "Choose another --out, or empty the directory."
        )


def _decisive(tree: Json) -> Json:
    """Return the keys of a resolved recipe that a model depends on, as {dotted key: value}."""
    sections = {"seed", *SCOPES["data"], *SCOPES["model"]}
    ignored = {f"{section}.{key}" for section, keys in UNFINGERPRINTED_KEYS.items() for key in keys}
    flat = _flatten({section: tree[section] for section in sections if section in tree})
    return {key: value for key, value in flat.items() if key not in ignored}


def _flatten(tree: Json, prefix: str = "") -> Json:
    flat: Json = {}
    for key, value in tree.items():
        flat |= _flatten(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
    return flat
