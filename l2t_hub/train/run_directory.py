"""What an output directory holds, and what a run may do there: reuse a finished model, go on from a checkpoint,
start, or refuse. Everything is keyed on content: the recipe's fingerprint and the dataset's.
"""

import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from l2t_hub.artifacts import CHECKPOINTS, CONFIG, TRAINING_LOG, TRAINING_RECORD, WEIGHTS
from l2t_hub.errors import UsageError, UserError
from l2t_hub.recipe import Recipe
from l2t_hub.recipe.schema import SCOPES, UNFINGERPRINTED_KEYS
from l2t_hub.train.locate import DatasetLocation

RUN = "run.json"
STATE = "l2t_state.json"
PARTIAL = ".partial"
CACHE = "cache"
PREFIX = "checkpoint-"
FINAL_FILES = (WEIGHTS, CONFIG, "generation_config.json", TRAINING_LOG)
Json = dict[str, Any]


@dataclass(frozen=True)
class RunIdentity:
    """What decides a model: the recipe's fingerprint (model, training, seed) and the dataset's."""

    recipe: Recipe
    dataset: str

    @property
    def fingerprint(self) -> str:
        """64 hex digits; the same for the same data, wherever they lie."""
        return self.recipe.fingerprint("model", source=self.dataset, tokenizer=self.dataset)

    def as_dict(self) -> Json:
        """Give what is saved in an output directory, enough to say later what has changed."""
        return {
            "fingerprint": self.fingerprint,
            "dataset_fingerprint": self.dataset,
            "recipe": self.recipe.resolved(),
        }

    def differs_from(self, saved: Json) -> str:
        """Say what has changed since `saved` was written, naming recipe keys with both values."""
        changes: list[str] = []
        if saved.get("dataset_fingerprint") != self.dataset:
            was = str(saved.get("dataset_fingerprint"))
            changes.append(f"another dataset (fingerprint {was[:12]}, now {self.dataset[:12]})")
        was_keys, now_keys = _decisive(saved.get("recipe", {})), _decisive(self.recipe.resolved())
        for key in sorted(was_keys.keys() | now_keys.keys()):
            old, new = was_keys.get(key), now_keys.get(key)
            if old != new:
                changes.append(f"{key} was {old!r}, now {new!r}")
        shown = changes[:4] + ([f"and {len(changes) - 4} more"] if len(changes) > 4 else [])
        return "; ".join(shown) or "another version of l2t_hub"


def finished(out: Path, recipe: Recipe, dataset: DatasetLocation) -> bool:
    """Say whether `out` holds the finished model of exactly this recipe and dataset."""
    saved = _read(out / TRAINING_RECORD)
    return (
        saved is not None
        and saved.get("fingerprint") == RunIdentity(recipe, dataset.fingerprint).fingerprint
        and all((out / name).is_file() for name in FINAL_FILES)
    )


def claim(out: Path, identity: RunIdentity, resume: bool) -> Path | None:
    """Make `out` this run's own and give the checkpoint to go on from, None to start at step 0.

    Raises UsageError rather than touch what another run or somebody else put there.
    """
    if out.exists() and not out.is_dir():
        raise UsageError(f"{out}: this is a file; `--out` names a directory")
    _refuse_finished(out, identity)
    saved = _read(out / CHECKPOINTS / RUN)
    checkpoint = newest_checkpoint(out)
    if saved is None:
        _refuse_strangers(out)
    elif checkpoint is not None and saved.get("fingerprint") != identity.fingerprint:
        raise UsageError(
            f"{out}: holds an unfinished run of something else: {identity.differs_from(saved)}",
            "Choose another --out, or undo the change and go on with --resume.",
        )
    if checkpoint is not None and not resume:
        raise UsageError(
            f"{out}: holds an unfinished run of this recipe, at step {step_of(checkpoint)} of "
            f"{_steps(identity.recipe)}",
            "Add --resume to go on from there, or choose another --out.",
        )
    if is_main_process():
        _take(out, identity)
    return checkpoint


def check_precision(checkpoint: Path | None, precision: str) -> None:
    """Refuse to go on in another precision than a checkpoint's, as `auto` would on another machine."""
    saved = _read(checkpoint / STATE) if checkpoint is not None else None
    if saved is not None and saved["precision"] != precision:
        raise UsageError(
            f"{checkpoint}: was trained in {saved['precision']}; here the recipe means {precision}",
            f"Go on with --set train.precision={saved['precision']}, or train into another --out.",
        )


def newest_checkpoint(out: Path) -> Path | None:
    """Give the newest complete checkpoint; one is complete exactly when it has its final name."""
    found = [p for p in (out / CHECKPOINTS).glob(f"{PREFIX}*") if p.name.removeprefix(PREFIX).isdigit()]
    return max(found, key=step_of, default=None)


def step_of(checkpoint: Path) -> int:
    """The optimiser step a checkpoint was written after."""
    return int(checkpoint.name.removeprefix(PREFIX))


def drop_old_checkpoints(out: Path, keep: int | None) -> None:
    """Keep only the newest `keep` checkpoints (all of them for None)."""
    found = sorted((out / CHECKPOINTS).glob(f"{PREFIX}*"), key=step_of)
    for checkpoint in found[:-keep] if keep else []:
        shutil.rmtree(checkpoint, ignore_errors=True)


def is_main_process() -> bool:
    """Whether this process writes: the only one, or the first of those `torchrun` started."""
    return int(os.environ.get("RANK", "0")) == 0


def write_json(path: Path, content: Json) -> None:
    """Write a JSON file under its final name only when it is complete."""
    temporary = path.with_name(f".{path.name}.partial")
    temporary.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    temporary.replace(path)


def _take(out: Path, identity: RunIdentity) -> None:
    try:
        (out / CHECKPOINTS).mkdir(parents=True, exist_ok=True)
        shutil.rmtree(out / CHECKPOINTS / PARTIAL, ignore_errors=True)
        shutil.rmtree(out / PARTIAL, ignore_errors=True)
        write_json(out / CHECKPOINTS / RUN, identity.as_dict())
    except OSError as error:
        raise UserError(f"{out}: cannot be written: {error.strerror}", "Choose another --out.") from None


def _refuse_finished(out: Path, identity: RunIdentity) -> None:
    saved = _read(out / TRAINING_RECORD)
    if saved is None:
        return
    if saved.get("fingerprint") != identity.fingerprint:
        what = f"holds a finished model of something else: {identity.differs_from(saved)}"
    else:
        missing = [name for name in FINAL_FILES if not (out / name).is_file()]
        what = f"holds this recipe's finished model, but {', '.join(missing)} is gone"
    raise UsageError(f"{out}: {what}", "Choose another --out, or delete the directory yourself.")


def _refuse_strangers(out: Path) -> None:
    """An output directory is new, empty, or one of ours."""
    if out.is_dir() and any(p.name != CHECKPOINTS for p in out.iterdir()):
        raise UsageError(
            f"{out}: is not empty, and holds no training run", "Choose another --out, or empty it yourself."
        )


def _steps(recipe: Recipe) -> int:
    return recipe.train.stop_after_steps or recipe.train.max_steps


def _read(path: Path) -> Json | None:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: cannot be read: {error}", "Choose another --out.") from None
    return content if isinstance(content, dict) else {}


def _decisive(tree: Json) -> Json:
    """The dotted keys of a resolved recipe that a model depends on."""
    sections = {"seed", *SCOPES["data"], *SCOPES["model"]}
    traceless = {f"{section}.{key}" for section, keys in UNFINGERPRINTED_KEYS.items() for key in keys}
    flat = _flat({section: tree[section] for section in sections if section in tree})
    return {key: value for key, value in flat.items() if key not in traceless}


def _flat(tree: Json, prefix: str = "") -> Json:
    flat: Json = {}
    for key, value in tree.items():
        flat |= _flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
    return flat
