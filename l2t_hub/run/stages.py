"""`l2t run`, the whole pipeline: build the datasets, train and score the models, publish them, write the report.

It does what the verbs do one by one: build, train, eval, space, release. Every stage reuses finished work that is up
to date, also for another Hub or namespace: only a release gives things their names.
"""

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
from l2t_hub.records.training_record import read_training_record
from l2t_hub.run.release_job import (
    DATASETS,
    MODELS,
    SCORES,
    SPACES,
    ReleaseRun,
    train_release,
)
from l2t_hub.run.schedule import default_jobs, train_side_by_side
from l2t_hub.run.score_models import PSYCHOMETRIC, evaluate_all, is_done
from l2t_hub.text import counted

if TYPE_CHECKING:
    from l2t_hub.publish.publisher import Publisher

_console = error_console(soft_wrap=True)


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
    jobs: int | None = None,
    publisher: "Publisher | None" = None,
    record: Path | None = None,
) -> RunResult:
    """Run the pipeline for all `releases` of a recipe, with output in `folder` and `workers` build processes.

    `jobs` models are trained and scored side by side; the default is one per GPU. With a publisher, datasets, models
    and a Space are published in the end; of a recipe with `seeds`, those of the first. `record` is a folder for the
    record of an experiment.

    Raises UsageError for an invalid recipe, or one without the licence that publishing needs, before anything is
    written, and UserError for later failures; finished work is kept for the next run.
    """
    for release in releases:
        check_names(release)
        _check_mode(release)
        _check_task_text(release, releases)
        if publisher is not None:
            _check_license(release)
    runs = [ReleaseRun(release, folder) for release in _baseline_first(recipe, releases)]
    manifests = []
    for run in runs:
        _announce("build", run.name)
        manifests.append(build(run.recipe, run.dataset, workers=workers))
    jobs = jobs or default_jobs(len(runs))
    if (jobs > 1 or recipe.seeds) and not is_done(recipe, runs):
        _announce("train and score", counted(len(runs), "run"))
        train_side_by_side(runs, jobs, _print)
    elif jobs == 1 and not recipe.seeds:
        for run in runs:
            _announce("train", run.name)
            train_release(run, _print)
    _announce("evaluate", ", ".join(recipe.evaluation.suites))
    scores = evaluate_all(recipe, runs, _print)
    published: dict[str, str] = {}
    if publisher is not None:
        chosen = [run for run in runs if not recipe.seeds or run.recipe.seed == runs[0].recipe.seed]
        published = _publish(chosen, folder / SPACES / f"{recipe.name}-compare", publisher)
    return _report(recipe, runs, manifests, scores, published, record)


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


def _report(
    recipe: Recipe,
    runs: Sequence[ReleaseRun],
    manifests: Sequence[Manifest],
    scores: tuple[Sequence[Path], Sequence[Path]],
    published: Mapping[str, str],
    record: Path | None,
) -> RunResult:
    from l2t_hub.artifacts import TRAINING_LOG
    from l2t_hub.evaluate import read_evaluation
    from l2t_hub.evaluate.conclusions import conclusions
    from l2t_hub.evaluate.psychometric_results import read_psychometric
    from l2t_hub.report import ReleaseReport, RunReport, write_record, write_run_report
    from l2t_hub.train.training_log import read_log

    folder = runs[0].folder
    _announce("report", str(folder / "report.html"))
    evaluations, along = (
        [read_evaluation(file) for file in files if file.stem != PSYCHOMETRIC] for files in scores
    )
    figures = [read_psychometric(file) for file in scores[0] if file.stem == PSYCHOMETRIC]
    releases = []
    for run, manifest in zip(runs, manifests, strict=True):
        training = read_training_record(run.model)
        releases.append(ReleaseReport(run.name, manifest, training, read_log(run.model / TRAINING_LOG)))
    report = RunReport(recipe.name, recipe.description, releases, evaluations, along, figures)
    page = write_run_report(folder, report, published)
    if record is not None:
        _announce("record", str(write_record(record, report)))
    said = tuple(sentence for evaluation in evaluations for sentence in conclusions(evaluation))
    # The closing lines name the first models: of several seeds, the first seed of each recipe.
    by_seed = sorted(runs, key=lambda run: run.recipe.seed)
    return RunResult(folder, tuple(run.model for run in by_seed), page, said, published)


def _announce(stage: str, what: str) -> None:
    _console.print(Text(stage, style="bold"), what)


def _print(line: str) -> None:
    _console.print(line)
