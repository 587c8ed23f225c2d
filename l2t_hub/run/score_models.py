"""Scores all models of a run on the suites of its recipe, and their checkpoints if the recipe asks for it."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from l2t_hub.recipe import Recipe
from l2t_hub.run.release_job import (
    ALONG,
    HELD_OUT,
    SCORES,
    ReleaseRun,
    along_limit,
    along_suites,
    checkpoints,
)
from l2t_hub.text import counted

if TYPE_CHECKING:
    from l2t_hub.evaluate.task_suite import TaskText
    from l2t_hub.scoring import ModelSource

PSYCHOMETRIC, TASKS = "psychometric", "tasks"
Say = Callable[[str], None]


@dataclass(frozen=True)
class _Scoring:
    """A suite on the models of a run, or on their checkpoints (without labels), and the file of the results."""

    suite: str
    file: Path
    models: "tuple[ModelSource, ...]"
    labels: tuple[str, ...] | None
    limit: int | None = None
    text: "TaskText | None" = None

    @property
    def what(self) -> str:
        """What is scored, in words."""
        if self.labels is not None:
            return f"{self.suite}: {', '.join(self.labels)}"
        return f"{self.suite}: {counted(len(self.models), 'checkpoint')} along training"

    def is_current(self) -> bool:
        """Whether the results are those of these models."""
        from l2t_hub.evaluate.freshness import figures_are_current, is_current

        models = [(source.name, Path(source.location)) for source in self.models]
        if self.suite == PSYCHOMETRIC:
            return figures_are_current(self.file, models)
        return is_current(self.file, self.suite, models, self.text, self.limit)


def is_done(recipe: Recipe, runs: Sequence[ReleaseRun]) -> bool:
    """Whether every model is trained and scored."""
    from l2t_hub.train import finished

    if not all(run.model.is_dir() and finished(run.model, run.recipe, run.dataset) for run in runs):
        return False
    return all(scoring.is_current() for part in _scorings(recipe, runs) for scoring in part)


def evaluate_all(recipe: Recipe, runs: Sequence[ReleaseRun], say: Say) -> tuple[list[Path], list[Path]]:
    """Score what is out of date, and put the scores on the cards. Return the files of models and of checkpoints."""
    from l2t_hub.publish.cards import refresh_model_card

    finished, along = _scorings(recipe, runs)
    for one in (*finished, *along):
        say(one.what)
        if one.is_current():
            say(f"{one.file}: up to date, reused")
        else:
            _score(one, runs[0].folder / SCORES, say)
    files = [one.file for one in finished]
    for run in runs:
        refresh_model_card(run.model, [file for file in files if file.stem != PSYCHOMETRIC], say=say)
    return files, [one.file for one in along]


def _score(one: _Scoring, scores: Path, say: Say) -> None:
    from l2t_hub.console import error_console
    from l2t_hub.evaluate import evaluate
    from l2t_hub.evaluate.psychometric import measure_models
    from l2t_hub.evaluate.several import check_complete
    from l2t_hub.evaluate.task_store import FOLDER
    from l2t_hub.report.psychometric_sheets import psychometric_section
    from l2t_hub.report.score_report import score_section
    from l2t_hub.report.terminal_report import render_tables

    if one.suite == PSYCHOMETRIC:
        results = measure_models([source.name for source in one.models], one.file, progress=say)
        section, failed = psychometric_section(results), results.failed
    else:
        evaluation = evaluate(
            one.models,
            one.suite,
            one.file,
            labels=one.labels,
            limit=one.limit,
            text=one.text,
            tasks_folder=scores / FOLDER,
            progress=say if one.labels else None,
        )
        section, failed = score_section(evaluation, narrow=True, plots=False), evaluation.failed
    if one.labels:
        error_console().print(render_tables(section))
    check_complete(one.suite, failed)


def _scorings(recipe: Recipe, runs: Sequence[ReleaseRun]) -> tuple[list[_Scoring], list[_Scoring]]:
    """Return what is scored when all models are trained: the models, and their checkpoints if the recipe asks."""
    from l2t_hub.scoring import find_model

    scores = runs[0].folder / SCORES
    models, labels = tuple(find_model(str(run.model)) for run in runs), tuple(run.name for run in runs)
    finished = [
        _Scoring(
            suite,
            scores / f"{suite}.json",
            models,
            labels,
            text=_task_text(runs, runs[0].folder) if suite == TASKS else None,
        )
        for suite in recipe.evaluation.suites
    ]
    if recipe.evaluation.along_training is None:
        return finished, []
    sources = tuple(checkpoints(runs))
    along = [
        _Scoring(suite, scores / ALONG / f"{suite}.json", sources, None, along_limit(recipe, suite))
        for suite in along_suites(recipe)
    ]
    return finished, along


def _task_text(runs: Sequence[ReleaseRun], folder: Path) -> "TaskText":
    """Return the text of the suite tasks: the recipe's, or the raw passages that are held out from all releases."""
    from l2t_hub.artifacts import write_text
    from l2t_hub.dataset.ledger import RAW
    from l2t_hub.evaluate.held_out import held_out_file, read_held_out
    from l2t_hub.evaluate.task_suite import TaskText
    from l2t_hub.train.locate import locate

    recipe = runs[0].recipe
    tokens = recipe.blocks.tokens_per_block
    if recipe.evaluation.text is not None:
        return TaskText(recipe.evaluation.text, tokens, partial=True)
    dataset = locate(runs[0].dataset)
    file = held_out_file(folder / HELD_OUT, recipe, dataset)
    passages = file.with_name(f"{file.stem}-{RAW}.jsonl")
    texts = read_held_out(file, dataset).texts.get(RAW, ())
    write_text(passages, "".join(json.dumps({"text": text}) + "\n" for text in texts))
    return TaskText(str(passages), tokens, partial=True)
