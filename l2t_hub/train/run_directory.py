"""What an output directory holds, and what a run may do with it: reuse a finished model, continue from a checkpoint,
start, or refuse. The decision depends on the fingerprints of the recipe and the dataset.
"""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

from l2t_hub.artifacts import CHECKPOINTS, CONFIG, TRAINING_LOG, WEIGHTS, disk_errors, locked
from l2t_hub.errors import UsageError, UserError
from l2t_hub.interruption import is_main_process
from l2t_hub.recipe import Recipe
from l2t_hub.recipe.schema import SCOPES, UNFINGERPRINTED_KEYS
from l2t_hub.records.training_record import CheckpointState, RunRecord, TrainingRecord
from l2t_hub.train.checkpoints import (
    PARTIAL,
    FoundCheckpoints,
    complete_checkpoints,
    find_checkpoints,
    set_damaged_aside,
)
from l2t_hub.train.locate import TrainingText

CACHE = "cache"
LOCK = "lock"
FINAL_FILES = (WEIGHTS, CONFIG, "generation_config.json", TRAINING_LOG)
Json = dict[str, Any]

_CHANGES_SHOWN = 4
_START_OVER = "Add --fresh to start over (what is there is kept under another name), or choose another --out."


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


def finished(out: Path, recipe: Recipe, dataset: TrainingText) -> bool:
    """Whether `out` holds the finished model of exactly this recipe and dataset."""
    saved = TrainingRecord.find(out)
    return (
        saved is not None
        and saved.fingerprint == RunIdentity(recipe, dataset.fingerprint).fingerprint
        and all((out / name).is_file() for name in FINAL_FILES)
    )


def claim(out: Path, identity: RunIdentity, fresh: bool) -> FoundCheckpoints:
    """Decide how a run starts in `out`, and change nothing: return the checkpoints that it found.

    A `fresh` run uses none. Raises UsageError if `out` holds another run, a finished model or other files, and
    UserError if all checkpoints are damaged.
    """
    if _is_fresh(out, fresh):
        return FoundCheckpoints(None, {})
    _refuse_finished(out, identity)
    _refuse_others(out, identity)
    found = find_checkpoints(out)
    if found.newest is None and found.damaged:
        checkpoint, problem = next(iter(found.damaged.items()))
        others = f", and so are {len(found.damaged) - 1} older ones" if len(found.damaged) > 1 else ""
        raise UserError(f"{checkpoint}: damaged ({problem}){others}; no other is left", _START_OVER)
    return found


def claim_early(out: Path, recipe: Recipe, fresh: bool) -> None:
    """Refuse what `claim` would refuse whatever the data are, before they are made from text. Raises UsageError."""
    if _is_fresh(out, fresh):
        return
    saved = TrainingRecord.find(out) or RunRecord.find(out / CHECKPOINTS)
    identity = RunIdentity(recipe, saved.dataset_fingerprint if saved else "")
    if isinstance(saved, TrainingRecord):
        if saved.fingerprint != identity.fingerprint:
            _refuse_finished(out, identity)
    else:
        _refuse_others(out, identity)


@contextmanager
def prepared(
    out: Path, identity: RunIdentity, found: FoundCheckpoints, fresh: bool, say: Callable[[str], None]
) -> Iterator[None]:
    """Own `out` for a block and make it ready for the run: only the main process does, after all have claimed it.

    Raises UserError if another run owns it.
    """
    if not is_main_process():
        yield
        return
    if fresh and out.exists():
        with _owned(out):
            kept = set_aside(out)
            (kept / CHECKPOINTS / LOCK).unlink(missing_ok=True)
        say(f"starting over: what {out} held is kept as {kept}")
    with _owned(out):
        shutil.rmtree(out / CHECKPOINTS / PARTIAL, ignore_errors=True)
        shutil.rmtree(out / PARTIAL, ignore_errors=True)
        for line in set_damaged_aside(found):
            say(line)
        identity.record().write(out / CHECKPOINTS)
        yield


def set_aside(out: Path) -> Path:
    """Rename the directory of a run to one that does not exist yet, and return that."""
    names = (out.with_name(f"{out.name}.old-{number}") for number in count(1))
    kept = next(path for path in names if not path.exists())
    with disk_errors(out):
        out.rename(kept)
    return kept


@contextmanager
def _owned(out: Path) -> Iterator[None]:
    lock = out / CHECKPOINTS / LOCK
    busy = f"{out}: another process trains in this directory (process {{pid}})"
    with locked(lock, busy, "Wait for it to end, or choose another --out."):
        try:
            yield
        finally:
            lock.unlink(missing_ok=True)


def check_precision(checkpoint: Path | None, precision: str) -> None:
    """Raise UsageError if a checkpoint has another precision, as `auto` can resolve to on another machine."""
    saved = CheckpointState.find(checkpoint) if checkpoint is not None else None
    if saved is not None and saved.precision != precision:
        raise UsageError(
            f"{checkpoint}: was trained in {saved.precision}, but this run would use {precision}",
            f"Continue with --set train.precision={saved.precision}, or choose another --out.",
        )


def _is_fresh(out: Path, fresh: bool) -> bool:
    """Whether a run starts over in `out`, where there is one. Raises UsageError if `out` is a file."""
    if out.exists() and not out.is_dir():
        raise UsageError(f"{out}: this is a file", "Give `--out` a directory.")
    return fresh and (RunRecord.find(out / CHECKPOINTS) or TrainingRecord.find(out)) is not None


def _refuse_others(out: Path, identity: RunIdentity) -> None:
    """Raise UsageError if `out` holds an unfinished run that differs, or other files."""
    saved = RunRecord.find(out / CHECKPOINTS)
    if saved is None:
        if out.is_dir() and any(path.name != CHECKPOINTS for path in out.iterdir()):
            raise UsageError(
                f"{out}: is not empty and holds no training run",
                "Choose another --out, or empty the directory.",
            )
    elif complete_checkpoints(out) and saved.fingerprint != identity.fingerprint:
        raise UsageError(
            f"{out}: holds an unfinished run that differs from this one: {identity.differs_from(saved)}",
            f"Undo the change to continue it. {_START_OVER}",
        )


def _refuse_finished(out: Path, identity: RunIdentity) -> None:
    saved = TrainingRecord.find(out)
    if saved is None:
        return
    if saved.fingerprint != identity.fingerprint:
        reason = f"holds a finished model that differs from this one: {identity.differs_from(saved)}"
    else:
        missing = [name for name in FINAL_FILES if not (out / name).is_file()]
        reason = f"holds this recipe's finished model, but {', '.join(missing)} is missing"
    raise UsageError(f"{out}: {reason}", _START_OVER)


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
