"""`l2t run`, the whole pipeline: build the datasets, train and score the models, publish them, write the report.

It does what the verbs do one by one: build, train, eval, space, release. Every stage reuses finished work that is up
to date, also for another Hub or namespace: only a release gives things their names.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rich.text import Text

from l2t_hub.console import command, error_console
from l2t_hub.dataset.build import build
from l2t_hub.errors import UsageError
from l2t_hub.plan import check_names
from l2t_hub.recipe import Recipe
from l2t_hub.records.dataset_manifest import Manifest
from l2t_hub.records.public_recipe import language_codes
from l2t_hub.records.training_record import RunRecord, TrainingRecord, read_training_record

if TYPE_CHECKING:
    from l2t_hub.evaluate.task_suite import TaskText
    from l2t_hub.publish.publisher import Publisher

DATASETS, MODELS, SCORES, SPACES, HELD_OUT = "datasets", "models", "scores", "spaces", "held-out"
PSYCHOMETRIC = "psychometric"
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

    def closing_lines(self, browse: str | None = None) -> list[str]:
        """Return the lines that end the run: the result, where everything is, and what to do next.

        `browse` is the command that serves the Hub on which things were published, if it is not served any more.
        """
        lines = ["", *self.conclusions, ""]
        if self.published:
            width = max(map(len, self.published))
            urls = (f"  {what:<{width}}  {url}" for what, url in self.published.items())
            lines += [f"Published. `{browse}` shows it at:" if browse else "Published:", *urls, ""]
        demo = command("demo", *(str(path) for path in self.models[:2]))
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

    With a publisher, datasets, models and a Space are published in the end. Raises UsageError for an invalid recipe,
    or one without the licence that publishing needs, before anything is written, and UserError for later failures;
    finished work is kept for the next run.
    """
    for release in releases:
        check_names(release)
        _check_mode(release)
        _check_task_text(release, releases)
        if publisher is not None:
            _check_license(release)
    runs = [
        ReleaseRun(release, folder / DATASETS / release.name, folder / MODELS / release.name)
        for release in _baseline_first(recipe, releases)
    ]
    manifests = []
    for run in runs:
        _announce("build", run.name)
        manifests.append(build(run.recipe, run.dataset, workers=workers))
    scores = [folder / SCORES / f"{suite}.json" for suite in recipe.evaluation.suites]
    _train(runs, folder)
    _evaluate(scores, runs, folder)
    published: dict[str, str] = {}
    if publisher is not None:
        published = _publish(runs, folder / SPACES / f"{recipe.name}-compare", publisher)
    return _report(recipe, runs, folder, manifests, scores, published)


def _baseline_first(recipe: Recipe, releases: Sequence[Recipe]) -> list[Recipe]:
    """Return the releases in the recipe's order, with the baseline moved to the front."""
    baseline = recipe.evaluation.baseline
    return sorted(releases, key=lambda release: release.name != baseline) if baseline else list(releases)


def _check_mode(release: Recipe) -> None:
    """Raise UsageError if the recipe trains straight from text: a run builds, reports on and publishes datasets."""
    if release.data.mode == "stream":
        raise UsageError(
            f"{release.where('data.mode')}: `l2t run` builds a dataset for each release, and a stream has none",
            "Add `--set data.mode=built`: the weights are the same. To train without a dataset, use `l2t train`, "
            "`l2t eval` and `l2t release`.",
        )


def _check_task_text(release: Recipe, releases: Sequence[Recipe]) -> None:
    """Raise UsageError if the suite tasks is to be made of held-out passages, but no text is held out from all."""
    evaluation, first = release.evaluation, releases[0]
    if "tasks" not in evaluation.suites or evaluation.text is not None:
        return
    where = f"{release.where('evaluation.suites')}: tasks asks about text that no model was trained on"
    remedy = "Name such text, in English: `--set evaluation.text=FILE`."
    if (release.seed, release.source, release.validation) != (first.seed, first.source, first.validation):
        raise UsageError(f"{where}, but {release.name} and {first.name} hold out different documents", remedy)
    if not evaluation.held_out_documents or not release.validation.share:
        raise UsageError(f"{where}, but nothing is held out", remedy)
    if language_codes(release.resolved()) != ["en"]:
        raise UsageError(f"{where}, and its examples are English, as the recipe's text is not", remedy)


def _check_license(release: Recipe) -> None:
    """Raise UsageError if the recipe does not say under which licence its text may be published."""
    if release.source.license is None:
        raise UsageError(
            f"{release.where('source.license')}: without a licence of the text, nothing can be published",
            "Add `--set source.license=ID`, such as cc-by-4.0, or publish nothing with `--hub none`.",
        )


def _publish(runs: Sequence[ReleaseRun], space: Path, publisher: "Publisher") -> dict[str, str]:
    """Publish datasets, models and a Space that compares them. Return URLs by what they show."""
    from l2t_hub.publish.space import stage_space

    _announce("publish", f"{', '.join(run.name for run in runs)} and {space.name}")
    stage_space(space, models=[run.name for run in runs])
    directories = [*(run.dataset for run in runs), *(run.model for run in runs), space]
    releases = publisher.release(directories)
    urls = {f"{release.kind} {release.repo}": release.url for release in releases}
    collection = releases[-1].collection
    return urls | ({"collection": collection} if collection else {})


def _train(runs: Sequence[ReleaseRun], folder: Path) -> None:
    """Train each model on its dataset and write its card. All are measured on the same held-out text."""
    from l2t_hub.evaluate.held_out import held_out_file
    from l2t_hub.evaluate.training_curves import measurements
    from l2t_hub.publish.cards import refresh_model_card
    from l2t_hub.train import train
    from l2t_hub.train.locate import locate

    for run in runs:
        _announce("train", run.name)
        _move_outdated(run)
        dataset = locate(run.dataset)
        file = held_out_file(folder / HELD_OUT, run.recipe, dataset)
        measured = measurements(run.recipe, dataset, file, _print)
        _print(train(run.recipe, dataset, run.model, measurements=measured, tracking=True).summary())
        refresh_model_card(run.model, say=_print)


def _move_outdated(run: ReleaseRun) -> None:
    """Rename a model directory that was made from another recipe or dataset, so that nothing is overwritten."""
    from l2t_hub.artifacts import CHECKPOINTS
    from l2t_hub.train.locate import locate
    from l2t_hub.train.run_directory import RunIdentity, set_aside

    saved = TrainingRecord.find(run.model) or RunRecord.find(run.model / CHECKPOINTS)
    if saved is None:
        return
    identity = RunIdentity(run.recipe, locate(run.dataset).fingerprint)
    if saved.fingerprint != identity.fingerprint:
        _print(
            f"{run.model}: {identity.differs_from(saved)}. The old model is kept as {set_aside(run.model)}."
        )


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


def _evaluate(scores: Sequence[Path], runs: Sequence[ReleaseRun], folder: Path) -> None:
    """Score the models on the suite of each file that is out of date, and put the scores on their cards."""
    from l2t_hub.evaluate import evaluate
    from l2t_hub.evaluate.freshness import is_current
    from l2t_hub.evaluate.several import check_complete
    from l2t_hub.publish.cards import refresh_model_card
    from l2t_hub.report.score_report import score_section
    from l2t_hub.report.terminal_report import render_tables

    labels, models = [run.name for run in runs], [str(run.model) for run in runs]
    places = list(zip(models, (run.model for run in runs), strict=True))
    for file in scores:
        _announce("evaluate", f"{file.stem}: {', '.join(labels)}")
        if file.stem == PSYCHOMETRIC:
            _measure(file, places)
            continue
        text = _task_text(runs, folder) if file.stem == "tasks" else None
        if is_current(file, file.stem, places, text):
            _print(f"{file}: up to date, reused")
        else:
            evaluation = evaluate(models, file.stem, file, labels=labels, text=text, progress=_print)
            _console.print(
                render_tables(score_section(evaluation, narrow=True, plots=False)), soft_wrap=False
            )
            check_complete(evaluation.protocol.suite, evaluation.failed)
    cards = [file for file in scores if file.stem != PSYCHOMETRIC]
    for run in runs:
        refresh_model_card(run.model, cards, say=_print)


def _measure(file: Path, models: Sequence[tuple[str, Path]]) -> None:
    """Measure the models' figures of the suite psychometric if those of the file are out of date."""
    from l2t_hub.evaluate.freshness import figures_are_current
    from l2t_hub.evaluate.psychometric import measure_models
    from l2t_hub.evaluate.several import check_complete
    from l2t_hub.report.psychometric_sheets import psychometric_section
    from l2t_hub.report.terminal_report import render_tables

    if figures_are_current(file, models):
        _print(f"{file}: up to date, reused")
        return
    results = measure_models([name for name, _ in models], file, progress=_print)
    _console.print(render_tables(psychometric_section(results)), soft_wrap=False)
    check_complete(results.suite, results.failed)


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
    from l2t_hub.evaluate.conclusions import conclusions
    from l2t_hub.evaluate.psychometric_results import read_psychometric
    from l2t_hub.report import ReleaseReport, write_run_report
    from l2t_hub.train.training_log import read_log

    _announce("report", str(folder / "report.html"))
    evaluations = [read_evaluation(file) for file in scores if file.stem != PSYCHOMETRIC]
    figures = [read_psychometric(file) for file in scores if file.stem == PSYCHOMETRIC]
    reports = []
    for run, manifest in zip(runs, manifests, strict=True):
        training = read_training_record(run.model)
        reports.append(ReleaseReport(run.name, manifest, training, read_log(run.model / TRAINING_LOG)))
    page = write_run_report(folder, recipe.name, recipe.description, reports, evaluations, published, figures)
    said = tuple(sentence for evaluation in evaluations for sentence in conclusions(evaluation))
    return RunResult(folder, tuple(run.model for run in runs), page, said, published)


def _announce(stage: str, what: str) -> None:
    _console.print(Text(stage, style="bold"), what)


def _print(line: str) -> None:
    _console.print(line)
