"""`l2t run`: the whole road. Build every release's dataset, train its model, evaluate all, write the report.

Every stage reuses what is finished and unchanged, so that a second run, or one after an interruption, goes on.
"""

import json
import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from l2t_hub.build import Manifest, build
from l2t_hub.errors import UserError
from l2t_hub.plan import check_names
from l2t_hub.recipe import Recipe

DATASETS, MODELS, SCORES = "datasets", "models", "scores"


@dataclass(frozen=True)
class Road:
    """Where a run's results are, and what its scores say."""

    folder: Path
    datasets: tuple[Path, ...]
    models: tuple[Path, ...]
    scores: tuple[Path, ...]
    report: Path
    page: Path
    verdicts: tuple[str, ...]

    def closing_lines(self) -> list[str]:
        """What to tell the user at the end: the result, where everything is, what to do next."""
        lines = ["", *self.verdicts, ""]
        for label, paths in (("datasets", self.datasets), ("models", self.models), ("scores", self.scores)):
            lines.append(f"{label + ':':<10}{'  '.join(str(path) for path in paths)}")
        lines += [f"{'report:':<10}{self.report}", f"{'page:':<10}{self.page}"]
        return [
            *lines,
            "",
            f"Compare the models yourself:  l2t demo {shlex.join(str(path) for path in self.models[:2])}",
        ]


def run_road(recipe: Recipe, releases: Sequence[Recipe], folder: Path, *, workers: int | None = None) -> Road:
    """Walk the road for all `releases` of a recipe, into `folder`; `workers` build processes.

    Raises UsageError before anything is made if a recipe is wrong, UserError for what goes wrong on the way;
    what was made until then is kept and used by the next run.
    """
    say = Console(stderr=True, highlight=False, soft_wrap=True).print
    for release in releases:
        check_names(release)
    ordered = _baseline_first(recipe, releases)
    datasets = [folder / DATASETS / release.name for release in ordered]
    models = [folder / MODELS / release.name for release in ordered]
    manifests = []
    for release, dataset in zip(ordered, datasets, strict=True):
        say(f"[bold]build[/] {release.name}")
        manifests.append(build(release, dataset, workers=workers))
    from l2t_hub.train import train

    for release, dataset, model in zip(ordered, datasets, models, strict=True):
        say(f"[bold]train[/] {release.name}")
        _set_aside(model, release, dataset, say)
        say(train(release, dataset, model, resume=True).summary(), markup=False)
    scores = [
        _evaluate(suite, models, folder / SCORES / f"{suite}.json", say) for suite in recipe.evaluation.suites
    ]
    say("[bold]report[/]")
    return _report(recipe, ordered, folder, manifests, datasets, models, scores)


def _baseline_first(recipe: Recipe, releases: Sequence[Recipe]) -> list[Recipe]:
    """The releases in the recipe's order, the one the others are compared with in front."""
    baseline = recipe.evaluation.baseline
    return sorted(releases, key=lambda release: release.name != baseline) if baseline else list(releases)


def _set_aside(model: Path, release: Recipe, dataset: Path, say: Callable[..., None]) -> None:
    """Rename a model directory that was made from another recipe or dataset: it is kept, and out of the way."""
    from l2t_hub.train.locate import locate
    from l2t_hub.train.resume import CHECKPOINTS, RECORD, RUN, Identity

    for record in (model / RECORD, model / CHECKPOINTS / RUN):
        if not record.is_file():
            continue
        saved = json.loads(record.read_text(encoding="utf-8"))
        identity = Identity(release, locate(dataset).fingerprint)
        if saved["fingerprint"] != identity.fingerprint:
            kept = model.with_name(f"{model.name}.{saved['fingerprint'][:8]}")
            say(f"{model}: {identity.differs_from(saved)}; the old one is kept as {kept}", markup=False)
            model.rename(kept)
        return


def _evaluate(suite: str, models: Sequence[Path], out: Path, say: Callable[..., None]) -> Path:
    """Evaluate the models on a suite, unless `out` already says how exactly these did."""
    from l2t_hub.evaluate import evaluate, render_table
    from l2t_hub.evaluate.current import current_report

    say(f"[bold]evaluate[/] {suite}: {', '.join(model.name for model in models)}")
    names = [str(model) for model in models]
    if current_report(out, names, suite):
        say(f"{out}: evaluated already, reused", markup=False)
    else:
        report = evaluate(names, suite, out, progress=lambda line: say(line, markup=False))
        say(render_table(report), soft_wrap=False)
    return out


def _report(
    recipe: Recipe,
    releases: Sequence[Recipe],
    folder: Path,
    manifests: Sequence[Manifest],
    datasets: Sequence[Path],
    models: Sequence[Path],
    scores: Sequence[Path],
) -> Road:
    from l2t_hub.evaluate import read_report
    from l2t_hub.report import Release, write_run_report
    from l2t_hub.report.write import verdict
    from l2t_hub.train.journal import read_log
    from l2t_hub.train.resume import LOG, RECORD

    reports = [read_report(path) for path in scores]
    chapters = [
        Release(
            release.name,
            manifest,
            json.loads((model / RECORD).read_text(encoding="utf-8")),
            read_log(model / LOG),
        )
        for release, manifest, model in zip(releases, manifests, models, strict=True)
    ]
    try:
        markdown, page = write_run_report(folder, recipe.name, recipe.description, chapters, reports)
    except OSError as error:
        raise UserError(f"{folder}: the report cannot be written: {error.strerror}") from None
    verdicts = tuple(verdict(comparison) for report in reports for comparison in report.comparisons)
    return Road(folder, tuple(datasets), tuple(models), tuple(scores), markdown, page, verdicts)
