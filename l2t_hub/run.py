"""`l2t run`, the whole pipeline: build the datasets, train and score the models, publish them, write the report.

With a Hub, each dataset is published before a model is trained on it, and each model before it is scored: every
record names a published revision. Every stage reuses finished work that is up to date.
"""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rich.markup import escape

from l2t_hub.console import error_console
from l2t_hub.dataset.build import build
from l2t_hub.plan import check_names
from l2t_hub.recipe import Recipe
from l2t_hub.records.dataset_manifest import Manifest
from l2t_hub.records.training_record import RunRecord, TrainingRecord, read_training_record

if TYPE_CHECKING:
    from l2t_hub.publish.publisher import Publisher
    from l2t_hub.publish.release import Release

DATASETS, MODELS, SCORES, SPACES = "datasets", "models", "scores", "spaces"
_console = error_console(soft_wrap=True)


@dataclass(frozen=True)
class ReleaseRun:
    """One release of the recipe, with the directories of its dataset and its model."""

    recipe: Recipe
    dataset: Path
    model: Path

    @property
    def name(self) -> str:
        """The name of the release."""
        return self.recipe.name


@dataclass(frozen=True)
class RunResult:
    """What a pipeline run produced. `published` maps what is on the Hub to its URL."""

    folder: Path
    models: tuple[Path, ...]
    page: Path
    conclusions: tuple[str, ...]
    published: Mapping[str, str]

    def closing_lines(self) -> list[str]:
        """Return the lines that end the run: the result, where everything is, and what to do next."""
        lines = ["", *self.conclusions, ""]
        if self.published:
            width = max(map(len, self.published))
            urls = (f"  {what:<{width}}  {url}" for what, url in self.published.items())
            lines += ["Published:", *urls, ""]
        demo = shlex.join(["l2t", "demo", *(str(path) for path in self.models[:2])])
        return [
            *lines,
            f"All files are in {self.folder}: {DATASETS}/ {MODELS}/ {SCORES}/ report.md report.html",
            f"Read the report:              {self.page}",
            f"Compare the models yourself:  {demo}",
        ]


def run_recipe(
    recipe: Recipe,
    releases: Sequence[Recipe],
    folder: Path,
    *,
    workers: int | None = None,
    publisher: "Publisher | None" = None,
) -> RunResult:
    """Run the pipeline for all `releases` of a recipe, with output in `folder` and `workers` build processes.

    With a publisher, models are trained on the published datasets and scored under their published names and
    revisions. Raises UsageError for an invalid recipe, before anything is written, and UserError for later failures;
    finished work is kept for the next run.
    """
    for release in releases:
        check_names(release)
    runs = [
        ReleaseRun(release, folder / DATASETS / release.name, folder / MODELS / release.name)
        for release in _baseline_first(recipe, releases)
    ]
    manifests = []
    for run in runs:
        _announce("build", run.name)
        manifests.append(build(run.recipe, run.dataset, workers=workers))
    scores = [folder / SCORES / f"{suite}.json" for suite in recipe.evaluation.suites]
    published: dict[str, str] = {}
    if publisher is None:
        _train(runs, [str(run.dataset) for run in runs])
        _evaluate(scores, runs, [str(run.model) for run in runs])
    else:
        published = _publish(runs, scores, folder / SPACES / f"{recipe.name}-compare", publisher)
    return _report(recipe, runs, folder, manifests, scores, published)


def _baseline_first(recipe: Recipe, releases: Sequence[Recipe]) -> list[Recipe]:
    """Return the releases in the recipe's order, with the baseline moved to the front."""
    baseline = recipe.evaluation.baseline
    return sorted(releases, key=lambda release: release.name != baseline) if baseline else list(releases)


def _publish(
    runs: Sequence[ReleaseRun], scores: Sequence[Path], space: Path, publisher: "Publisher"
) -> dict[str, str]:
    """Publish, train on what was published, score what was published. Return URLs by what they show."""
    _announce("publish", "datasets")
    datasets = [publisher.dataset(run.dataset) for run in runs]
    _train(runs, [f"{release.repo}@{release.revision}" for release in datasets])
    repos = {run.name: publisher.repo(run.name) for run in runs}

    def publish_models(with_scores: Sequence[Path]) -> "list[Release]":
        _announce("publish", "models and their scores" if with_scores else "models")
        return [
            publisher.model(run.model, dataset, with_scores, repos)
            for run, dataset in zip(runs, datasets, strict=True)
        ]

    if not all(_is_current(file, runs, list(repos.values())) for file in scores):
        _evaluate(scores, runs, [f"{release.repo}@{release.revision}" for release in publish_models(())])
    models = publish_models(scores)
    _announce("publish", "Space")
    page = publisher.space(space, list(repos.values()), [dataset.repo for dataset in datasets])
    urls = {f"{release.kind} {release.repo}": release.url for release in [*datasets, *models, page]}
    return urls | ({"collection": str(page.collection)} if page.collection else {})


def _train(runs: Sequence[ReleaseRun], data: Sequence[str]) -> None:
    """Train each model on its dataset: `data` holds a directory or `name@revision` per run."""
    from l2t_hub.train import train

    for run, dataset in zip(runs, data, strict=True):
        _announce("train", run.name)
        _move_outdated(run, dataset)
        _print(train(run.recipe, dataset, run.model).summary())


def _move_outdated(run: ReleaseRun, data: str) -> None:
    """Rename a model directory that was made from another recipe or dataset, so that nothing is overwritten."""
    from l2t_hub.artifacts import CHECKPOINTS
    from l2t_hub.train.locate import locate
    from l2t_hub.train.run_directory import RunIdentity, set_aside

    saved = TrainingRecord.find(run.model) or RunRecord.find(run.model / CHECKPOINTS)
    if saved is None:
        return
    identity = RunIdentity(run.recipe, locate(data).fingerprint)
    if saved.fingerprint != identity.fingerprint:
        _print(
            f"{run.model}: {identity.differs_from(saved)}. The old model is kept as {set_aside(run.model)}."
        )


def _evaluate(scores: Sequence[Path], runs: Sequence[ReleaseRun], models: Sequence[str]) -> None:
    """Score `models` (a directory or `name@revision` per run) on the suite of each file that is out of date."""
    from l2t_hub.evaluate import evaluate, render_table

    labels = [run.name for run in runs]
    for file in scores:
        _announce("evaluate", f"{file.stem}: {', '.join(labels)}")
        if _is_current(file, runs, models):
            _print(f"{file}: up to date, reused")
        else:
            evaluation = evaluate(models, file.stem, file, labels=labels, progress=_print)
            _console.print(render_table(evaluation), soft_wrap=False)


def _is_current(file: Path, runs: Sequence[ReleaseRun], models: Sequence[str]) -> bool:
    from l2t_hub.evaluate.freshness import is_current

    directories = (run.model for run in runs)
    return is_current(file, file.stem, list(zip(models, directories, strict=True)))


def _report(
    recipe: Recipe,
    runs: Sequence[ReleaseRun],
    folder: Path,
    manifests: Sequence[Manifest],
    scores: Sequence[Path],
    published: Mapping[str, str],
) -> RunResult:
    from l2t_hub.artifacts import TRAINING_LOG
    from l2t_hub.evaluate import read_evaluation
    from l2t_hub.evaluate.conclusions import conclusion
    from l2t_hub.report import ReleaseReport, write_run_report
    from l2t_hub.train.training_log import read_log

    _announce("report", str(folder / "report.html"))
    evaluations = [read_evaluation(file) for file in scores]
    reports = []
    for run, manifest in zip(runs, manifests, strict=True):
        training = read_training_record(run.model)
        reports.append(ReleaseReport(run.name, manifest, training, read_log(run.model / TRAINING_LOG)))
    page = write_run_report(folder, recipe.name, recipe.description, reports, evaluations, published)
    conclusions = tuple(
        conclusion(evaluation, c) for evaluation in evaluations for c in evaluation.comparisons
    )
    return RunResult(folder, tuple(run.model for run in runs), page, conclusions, published)


def _announce(stage: str, what: str) -> None:
    _console.print(f"[bold]{stage}[/] {escape(what)}")


def _print(line: str) -> None:
    _console.print(line, markup=False)
