"""`l2t run`: the whole road. Build every release's dataset, train its model, evaluate all, write the report; with a
Hub, publish each of them and go on from what was published.

Every stage reuses what is finished and unchanged, so that a second run, or one after an interruption, goes on.
"""

import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from l2t_hub.dataset import Manifest, build
from l2t_hub.errors import UserError
from l2t_hub.extras import require
from l2t_hub.plan import check_names
from l2t_hub.recipe import Recipe

if TYPE_CHECKING:
    from l2t_hub.publish.publisher import Publisher
    from l2t_hub.publish.release import Release

DATASETS, MODELS, SCORES, SPACES = "datasets", "models", "scores", "spaces"
_console = Console(stderr=True, highlight=False, soft_wrap=True)


@dataclass(frozen=True)
class ReleaseRun:
    """One release on its way: its recipe, its dataset's directory and its model's."""

    recipe: Recipe
    dataset: Path
    model: Path

    @property
    def name(self) -> str:
        """What the release is called."""
        return self.recipe.name


@dataclass(frozen=True)
class RunResult:
    """Where a run's results are, what its scores say, and what of it is on the Hub (what -> URL)."""

    folder: Path
    models: tuple[Path, ...]
    page: Path
    verdicts: tuple[str, ...]
    published: Mapping[str, str]

    def closing_lines(self) -> list[str]:
        """What to tell the user at the end: the result, where everything is, what to do next."""
        lines = ["", *self.verdicts, ""]
        if self.published:
            width = max(map(len, self.published))
            lines += [
                "Published:",
                *(f"  {what:<{width}}  {url}" for what, url in self.published.items()),
                "",
            ]
        demo = shlex.join(["l2t", "demo", *(str(path) for path in self.models[:2])])
        lines += [f"Everything is in {self.folder}: {DATASETS}/ {MODELS}/ {SCORES}/ report.md report.html"]
        return [*lines, f"Read the report:              {self.page}", f"Compare the models yourself:  {demo}"]


def run_recipe(
    recipe: Recipe,
    releases: Sequence[Recipe],
    folder: Path,
    *,
    workers: int | None = None,
    publisher: "Publisher | None" = None,
) -> RunResult:
    """Walk the road for all `releases` of a recipe, into `folder`; `workers` build processes.

    With a publisher, models are trained from the published datasets and evaluated as published, by name and revision.
    Raises UsageError before anything is made if a recipe is wrong, UserError for what goes wrong on the way;
    what was made until then is kept and used by the next run.
    """
    require("plots", "the report")
    for release in releases:
        check_names(release)
    lanes = [
        ReleaseRun(release, folder / DATASETS / release.name, folder / MODELS / release.name)
        for release in _baseline_first(recipe, releases)
    ]
    manifests = []
    for lane in lanes:
        _head("build", lane.name)
        manifests.append(build(lane.recipe, lane.dataset, workers=workers))
    files = [folder / SCORES / f"{suite}.json" for suite in recipe.evaluation.suites]
    published: dict[str, str] = {}
    if publisher is None:
        _train(lanes, [str(lane.dataset) for lane in lanes])
        _evaluate(files, lanes, [str(lane.model) for lane in lanes])
    else:
        published = _publish(lanes, files, folder / SPACES / f"{recipe.name}-compare", publisher)
    return _report(recipe, lanes, folder, manifests, files, published)


def _baseline_first(recipe: Recipe, releases: Sequence[Recipe]) -> list[Recipe]:
    """The releases in the recipe's order, the one the others are compared with in front."""
    baseline = recipe.evaluation.baseline
    return sorted(releases, key=lambda release: release.name != baseline) if baseline else list(releases)


def _publish(
    lanes: Sequence[ReleaseRun], files: Sequence[Path], space: Path, publisher: "Publisher"
) -> dict[str, str]:
    """Publish everything, training on and evaluating what was published; URLs by what they show."""
    _head("publish", "datasets")
    datasets = [publisher.dataset(lane.dataset) for lane in lanes]
    _train(lanes, [f"{release.repo}@{release.revision}" for release in datasets])
    repos = {lane.name: publisher.repo(lane.name) for lane in lanes}

    def models(scores: Sequence[Path]) -> "list[Release]":
        _head("publish", f"models{', with their scores' if scores else ''}")
        pairs = zip(lanes, datasets, strict=True)
        return [publisher.model(lane.model, dataset, scores, repos) for lane, dataset in pairs]

    if not all(_current(file, lanes, list(repos.values())) for file in files):
        _evaluate(files, lanes, [f"{release.repo}@{release.revision}" for release in models(())])
    released = models(files)
    _head("publish", "Space")
    page = publisher.space(space, list(repos.values()), [dataset.repo for dataset in datasets])
    everything = [*datasets, *released, page]
    urls = {f"{release.kind} {release.repo}": release.url for release in everything}
    return urls | ({"collection": str(page.collection)} if page.collection else {})


def _train(lanes: Sequence[ReleaseRun], data: Sequence[str]) -> None:
    from l2t_hub.train import train

    for lane, source in zip(lanes, data, strict=True):
        _head("train", lane.name)
        _set_aside(lane, source)
        _console.print(train(lane.recipe, source, lane.model, resume=True).summary(), markup=False)


def _set_aside(lane: ReleaseRun, data: str) -> None:
    """Rename a model directory that was made from another recipe or dataset: it is kept, and out of the way."""
    from l2t_hub.artifacts import CHECKPOINTS, TRAINING_RECORD
    from l2t_hub.train.locate import locate
    from l2t_hub.train.run_directory import RUN, RunIdentity

    for record in (lane.model / TRAINING_RECORD, lane.model / CHECKPOINTS / RUN):
        if not record.is_file():
            continue
        saved = json.loads(record.read_text(encoding="utf-8"))
        identity = RunIdentity(lane.recipe, locate(data).fingerprint)
        if saved["fingerprint"] != identity.fingerprint:
            kept = lane.model.with_name(f"{lane.model.name}.{saved['fingerprint'][:8]}")
            changes = identity.differs_from(saved)
            _console.print(f"{lane.model}: {changes}; the old model is kept as {kept}", markup=False)
            lane.model.rename(kept)
        return


def _evaluate(files: Sequence[Path], lanes: Sequence[ReleaseRun], names: Sequence[str]) -> None:
    """Evaluate the models, as they are called in `names`, on the suite of each file that is not up to date."""
    from l2t_hub.evaluate import evaluate, render_table

    for file in files:
        _head("evaluate", f"{file.stem}: {', '.join(lane.name for lane in lanes)}")
        if _current(file, lanes, names):
            _console.print(f"{file}: evaluated already, reused", markup=False)
            continue
        labels = [lane.name for lane in lanes]
        report = evaluate(
            names, file.stem, file, labels=labels, progress=lambda line: _console.print(line, markup=False)
        )
        _console.print(render_table(report), soft_wrap=False)


def _current(file: Path, lanes: Sequence[ReleaseRun], names: Sequence[str]) -> bool:
    from l2t_hub.evaluate.freshness import is_current

    return is_current(file, file.stem, [(name, lane.model) for name, lane in zip(names, lanes, strict=True)])


def _report(
    recipe: Recipe,
    lanes: Sequence[ReleaseRun],
    folder: Path,
    manifests: Sequence[Manifest],
    files: Sequence[Path],
    published: Mapping[str, str],
) -> RunResult:
    from l2t_hub.artifacts import TRAINING_LOG, TRAINING_RECORD
    from l2t_hub.evaluate import read_evaluation
    from l2t_hub.report import ReleaseReport, write_run_report
    from l2t_hub.report.render import verdict
    from l2t_hub.train.training_log import read_log

    _head("report", str(folder / "report.html"))
    scores = [read_evaluation(file) for file in files]
    chapters = []
    for lane, manifest in zip(lanes, manifests, strict=True):
        training = json.loads((lane.model / TRAINING_RECORD).read_text(encoding="utf-8"))
        chapters.append(ReleaseReport(lane.name, manifest, training, read_log(lane.model / TRAINING_LOG)))
    try:
        _, page = write_run_report(folder, recipe.name, recipe.description, chapters, scores, published)
    except OSError as error:
        raise UserError(f"{folder}: the report cannot be written: {error.strerror}") from None
    verdicts = tuple(verdict(comparison) for report in scores for comparison in report.comparisons)
    return RunResult(folder, tuple(lane.model for lane in lanes), page, verdicts, published)


def _head(stage: str, what: str) -> None:
    _console.print(f"[bold]{stage}[/] {what}")
