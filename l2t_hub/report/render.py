"""Writes `report.md` and `report.html` from a run's manifests, training logs and scores."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from l2t_hub import __version__
from l2t_hub.artifacts import disk_errors, write_bytes, write_text
from l2t_hub.evaluate import Evaluation
from l2t_hub.evaluate.psychometric_results import PsychometricResults
from l2t_hub.extras import installed
from l2t_hub.records.dataset_manifest import Manifest
from l2t_hub.records.training_record import TrainingRecord
from l2t_hub.report.along_training import (
    PAIRS_RIGHT,
    EqualRow,
    Point,
    TrainingCurve,
    at_equal,
    held_out_table,
    training_curve,
)
from l2t_hub.report.formats import markdown_section
from l2t_hub.report.html_page import html_page
from l2t_hub.report.outline import ReportSection
from l2t_hub.report.psychometric_sheets import psychometric_section
from l2t_hub.report.score_report import score_section
from l2t_hub.templates import Markdown, render
from l2t_hub.text import rounded

if TYPE_CHECKING:
    from l2t_hub.report.figures import Plot

HERE = Path(__file__).parent
PICTURES = "pictures"


@dataclass(frozen=True)
class ReleaseReport:
    """One release of a run: its dataset's manifest, its `training.json`, and the records of its training log."""

    name: str
    manifest: Manifest
    training: TrainingRecord
    log: Sequence[Mapping[str, Any]]


def write_run_report(
    folder: Path,
    title: str,
    description: str,
    releases: Sequence[ReleaseReport],
    evaluations: Sequence[Evaluation],
    published: Mapping[str, str],
    figures: Sequence[PsychometricResults] = (),
) -> Path:
    """Write `report.md`, `report.html` and `pictures/*.png` into `folder`, and return the path of the HTML page.

    `published` maps what the run published to its URL, `figures` are those of the suite psychometric. Without
    matplotlib there are no plots, and the report says so.
    """
    table = held_out_table([release.training for release in releases])
    curves = [training_curve(release.name, release.training, release.log, table) for release in releases]
    drawn = installed("plots")
    sections = [score_section(evaluation, narrow=False, plots=drawn) for evaluation in evaluations]
    sections += map(psychometric_section, figures)
    plots = _plots(releases, curves, sections) if drawn else {}
    with disk_errors(folder):
        (folder / PICTURES).mkdir(parents=True, exist_ok=True)
    for name, plot in plots.items():
        write_bytes(folder / PICTURES / f"{name}.png", plot.png)
    values = {
        "title": title,
        "description": description,
        "releases": releases,
        "conclusions": [sentence for section in sections for sentence in section.sentences],
        "scores": [_scores(section) for section in sections],
        "published": published,
        "plots": {name: f"{PICTURES}/{name}.png" for name in plots},
        "version": __version__,
        "dropped": _dropped,
        "held_out": table,
        "equal": at_equal(curves),
        "measured": _measured,
        "short": _short,
    }
    markdown = render("report.md.j2", values, HERE)
    write_text(folder / "report.md", markdown)
    pictures = {f"{PICTURES}/{name}.png": plot for name, plot in plots.items()}
    write_text(folder / "report.html", html_page(title, markdown, pictures))
    return folder / "report.html"


def _plots(
    releases: Sequence[ReleaseReport], along: Sequence[TrainingCurve], sections: Sequence[ReportSection]
) -> "dict[str, Plot]":
    """Draw the losses of training and what was measured along it, and add the plots of the scores."""
    from l2t_hub.report.figures import Curve, loss_plot
    from l2t_hub.report.training_figures import learning_curves

    def points(release: ReleaseReport, key: str) -> list[tuple[int, float]]:
        return [(record["tokens"], record[key]) for record in release.log if key in record]

    curves = [
        Curve(release.name, points(release, "loss"), points(release, "eval_loss")) for release in releases
    ]
    scores = {_picture(section, name): plot for section in sections for name, plot in section.plots.items()}
    measured = learning_curves(along)
    return {"loss": loss_plot(curves), **scores, **({"along-training": measured} if measured else {})}


def _measured(row: EqualRow, point: Point | None) -> str:
    """Return a value of a row, and where it was measured if that is earlier."""
    if point is None:
        return "not measured"
    place = point.tokens if row.unit == "tokens" else point.flops
    value = f"{100 * point.value:.1f}%" if row.what == PAIRS_RIGHT else f"{point.value:.4f}"
    return value if place == row.limit else f"{value} (at {_short(place)})"


def _short(count: float) -> str:
    """Return a count of tokens or operations, of which 1e9 are a giga."""
    return rounded(count, letters="kMGT")


def _scores(section: ReportSection) -> Markdown:
    """Return a section of scores. What it concludes stands at the beginning of the report."""
    pictures = {name: f"{PICTURES}/{_picture(section, name)}.png" for name in section.plots}
    titled = replace(section, title=f"Scores: {section.title}", sentences=())
    return Markdown("\n".join(markdown_section(titled, pictures)))


def _picture(section: ReportSection, name: str) -> str:
    return f"scores-{section.title}-{name}"


def _dropped(manifest: Manifest) -> list[tuple[str, str, int]]:
    """Return what the build dropped: (stage and unit, reason, count), summed over splits and tasks."""
    sums: dict[tuple[str, str, str], int] = {}
    for row in manifest.ledger:
        for reason, count in row["dropped"].items():
            key = (row["stage"], row["unit"], reason)
            sums[key] = sums.get(key, 0) + count
    return [(f"{stage} ({unit})", reason, count) for (stage, unit, reason), count in sorted(sums.items())]
