"""The checkpoints of a run that wait to be sent to a Hub: a folder for each, in `checkpoints/push/` of the run.

A folder has the model of one checkpoint as hard links: queueing takes no time and little space, and the run may
delete the checkpoint itself. Who has sent a folder removes it: what is left is what a later run has to send.
"""

import json
import os
import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from l2t_hub import __version__
from l2t_hub.artifacts import CARD, CHECKPOINTS, CONFIG, WEIGHTS, disk_errors, write_text
from l2t_hub.dataset.card import NO_LICENSE
from l2t_hub.errors import UserError
from l2t_hub.publish.cards import model_metadata, usage
from l2t_hub.publish.stage import StagedRelease, stage
from l2t_hub.records.public_recipe import public_recipe, source_title
from l2t_hub.records.reading import read_json
from l2t_hub.records.recipe_tree import tokens_after
from l2t_hub.records.training_record import CheckpointState, DatasetUsed, RunRecord
from l2t_hub.templates import render_card
from l2t_hub.train.checkpoints import step_of
from l2t_hub.train.locate import DatasetLocation

QUEUE = "push"
REVISION = "step-"
# A Hub that cannot be reached for days must not fill the disk with checkpoints.
MAX_WAITING = 16
_PARTIAL = ".partial-"
_MODEL, _STATE = "model", "state"
_DATASET = "dataset.json"
_MODEL_FILES = ("*.safetensors", f"{WEIGHTS}.index.json", CONFIG, "generation_config.json")


@dataclass(frozen=True)
class PushQueue:
    """The queue of the run in `out`."""

    out: Path

    @property
    def folder(self) -> Path:
        """Where the checkpoints wait."""
        return self.out / CHECKPOINTS / QUEUE

    def waiting(self) -> list[Path]:
        """Return the folders of the waiting checkpoints, in the order of their steps."""
        paths = (path for path in self.folder.glob(f"{REVISION}*") if _step(path.name).isdigit())
        return sorted(paths, key=lambda path: int(_step(path.name)))

    def add(self, checkpoint: Path, dataset: DatasetLocation) -> None:
        """Queue a complete checkpoint of a run on `dataset`. Raises UserError if the disk refuses."""
        waiting = self.folder / f"{REVISION}{step_of(checkpoint)}"
        partial = self.folder / f"{_PARTIAL}{waiting.name}"
        if waiting.exists():
            return
        model = [path for pattern in _MODEL_FILES for path in sorted(checkpoint.glob(pattern))]
        tokenizer = [path for path in dataset.tokenizer_files() if path.name != CARD]
        with disk_errors(waiting):
            shutil.rmtree(partial, ignore_errors=True)
            for name in (_MODEL, _STATE):
                (partial / name).mkdir(parents=True)
            for file in (*model, *tokenizer):
                _link(file, partial / _MODEL / file.name)
            _link(checkpoint / CheckpointState.FILE, partial / _STATE / CheckpointState.FILE)
            _link(checkpoint.parent / RunRecord.FILE, partial / _STATE / RunRecord.FILE)
            write_text(partial / _STATE / _DATASET, json.dumps(dataset.used().model_dump()))
            partial.replace(waiting)

    def remove(self, waiting: Path) -> None:
        """Remove a checkpoint that has been sent."""
        gone = waiting.with_name(f"{_PARTIAL}{waiting.name}")
        shutil.rmtree(gone, ignore_errors=True)
        waiting.rename(gone)  # so that one of which only a part is deleted is not taken for a whole one
        shutil.rmtree(gone, ignore_errors=True)
        if not any(self.folder.iterdir()):
            self.folder.rmdir()


def staged_checkpoint(waiting: Path, repo: str, token: str | None) -> StagedRelease:
    """Return a waiting checkpoint as the release of a model: its files, a card and the release record.

    Raises UserError if a file is not what training wrote.
    """
    state, run = CheckpointState.read(waiting / _STATE), RunRecord.read(waiting / _STATE)
    dataset = DatasetUsed.model_validate(read_json(waiting / _STATE / _DATASET))
    staged = stage(waiting / _MODEL, token)
    for file in staged.files:
        if file.path in state.files and file.sha256 != state.files[file.path] and _is_model(file.path):
            raise UserError(f"{waiting / _MODEL / file.path}: differs from what training wrote")
    license = run.recipe["source"].get("license") or NO_LICENSE
    metadata = model_metadata(run, repo, dataset.repository, [], license)
    values = _facts(waiting, run) | {"dataset": dataset, "usage": usage(repo, waiting.name)}
    card = render_card("checkpoint.md.j2", metadata, values)
    return replace(staged, fingerprint=run.fingerprint).with_contents({CARD: card.encode()})


def _facts(waiting: Path, run: RunRecord) -> dict[str, Any]:
    """Return what the card of a checkpoint says about it."""
    train, step = run.recipe["train"], int(_step(waiting.name))
    return {
        "run": run,
        "recipe": public_recipe(run.recipe),
        "source_name": source_title(run.recipe),
        "step": step,
        "steps": train["stop_after_steps"] or train["max_steps"],
        "toolkit": __version__,
        "tokens": tokens_after(run.recipe, step),
    }


def _is_model(name: str) -> bool:
    """Whether a file is the checkpoint's own; the tokenizer's are those of the dataset."""
    return any(Path(name).match(pattern) for pattern in _MODEL_FILES)


def _step(name: str) -> str:
    return name.removeprefix(REVISION)


def _link(source: Path, target: Path) -> None:
    """Make a hard link, or a copy where the file system has none."""
    try:
        os.link(source.resolve(), target)
    except OSError:
        shutil.copyfile(source, target)
