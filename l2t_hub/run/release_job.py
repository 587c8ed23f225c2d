"""Trains and scores the model of one release, in this process or as one of several side by side."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from l2t_hub.console import error_console
from l2t_hub.recipe import Recipe
from l2t_hub.records.training_record import RunRecord, TrainingRecord

if TYPE_CHECKING:
    from l2t_hub.scoring import ModelSource

DATASETS, MODELS, SCORES, SPACES, HELD_OUT = "datasets", "models", "scores", "spaces", "held-out"
ALONG = "along-training"
Say = Callable[[str], None]


@dataclass(frozen=True)
class ReleaseRun:
    """One release of the recipe, with the directories of its dataset and its model, in the `folder` of the run."""

    recipe: Recipe
    folder: Path

    @property
    def name(self) -> str:
        """The name of the release."""
        return self.recipe.name

    @property
    def dataset(self) -> Path:
        """The directory of its dataset."""
        return self.folder / DATASETS / self.name

    @property
    def model(self) -> Path:
        """The directory of its model."""
        return self.folder / MODELS / self.name


def train_release(run: ReleaseRun, say: Say) -> None:
    """Train a model on its dataset and write its card. It is measured on the held-out text of the run."""
    from l2t_hub.evaluate.held_out import held_out_file
    from l2t_hub.evaluate.training_curves import measurements
    from l2t_hub.publish.cards import refresh_model_card
    from l2t_hub.train import train
    from l2t_hub.train.locate import locate

    _move_outdated(run, say)
    dataset = locate(run.dataset)
    file = held_out_file(run.folder / HELD_OUT, run.recipe, dataset)
    measured = measurements(run.recipe, dataset, file, say)
    say(train(run.recipe, dataset, run.model, measurements=measured, tracking=True).summary())
    refresh_model_card(run.model, say=say)


def _move_outdated(run: ReleaseRun, say: Say) -> None:
    """Rename a model directory that was made from another recipe or dataset, so that nothing is overwritten."""
    from l2t_hub.artifacts import CHECKPOINTS
    from l2t_hub.train.locate import locate
    from l2t_hub.train.run_directory import RunIdentity, set_aside

    saved = TrainingRecord.find(run.model) or RunRecord.find(run.model / CHECKPOINTS)
    if saved is None:
        return
    identity = RunIdentity(run.recipe, locate(run.dataset).fingerprint)
    if saved.fingerprint != identity.fingerprint:
        say(f"{run.model}: {identity.differs_from(saved)}. The old model is kept as {set_aside(run.model)}.")


def train_and_score(run: ReleaseRun) -> None:
    """Train a model, and score it and its checkpoints: the scores are kept for the evaluation of all models."""
    from l2t_hub.evaluate import evaluate
    from l2t_hub.evaluate.task_store import FOLDER

    say = error_console(soft_wrap=True).print
    train_release(run, say)
    store = run.folder / SCORES / FOLDER
    for suite in along_suites(run.recipe):
        evaluate([str(run.model)], suite, labels=[run.name], tasks_folder=store, progress=say)
        if run.recipe.evaluation.along_training is not None:
            limit = along_limit(run.recipe, suite)
            evaluate(checkpoints([run]), suite, limit=limit, tasks_folder=store, progress=say)


def along_suites(recipe: Recipe) -> list[str]:
    """Return the suites of a recipe whose examples do not depend on the other models that are scored with them."""
    from l2t_hub.evaluate.suites import get_suite

    return [suite for suite in recipe.evaluation.suites if get_suite(suite).kind == "harness"]


def checkpoints(runs: Sequence[ReleaseRun]) -> "list[ModelSource]":
    """Return the kept checkpoints of some models, by run and step: not those that only an interruption left."""
    from l2t_hub.evaluate.run_checkpoints import expanded

    found = []
    for run in runs:
        train = run.recipe.train
        last = train.stop_after_steps or train.max_steps
        kept = expanded([str(run.model)])
        found += [each for each in kept if each.step == last or (each.step or 0) % train.save_steps == 0]
    return found


def along_limit(recipe: Recipe, suite: str) -> int | None:
    """Return how many examples of each task checkpoints are scored on: of a bundled suite, all."""
    from l2t_hub.evaluate.suites import get_suite

    return recipe.evaluation.along_training if get_suite(suite).digest() is None else None
