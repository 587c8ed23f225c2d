"""Writes `report.md` and `report.html` from a run's manifests, training logs and scores."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from l2t_hub import __version__
from l2t_hub.artifacts import disk_errors, write_bytes, write_text
from l2t_hub.extras import installed
from l2t_hub.records.dataset_manifest import Manifest
from l2t_hub.report.along_training import (
    PAIRS_RIGHT,
    EqualRow,
    Point,
    TrainingCurve,
    at_equal,
    held_out_table,
    training_curve,
)
from l2t_hub.report.curve_sheets import curve_sections
from l2t_hub.report.formats import markdown_section, markdown_sheet
from l2t_hub.report.html_page import html_page
from l2t_hub.report.outline import ReportSection
from l2t_hub.report.psychometric_sheets import psychometric_section
from l2t_hub.report.recipe_losses import documents_read, held_out_plot, held_out_sheets, recipe_losses
from l2t_hub.report.run_results import ReleaseReport, RunReport
from l2t_hub.report.score_report import score_section
from l2t_hub.report.sheet import Sheet
from l2t_hub.templates import Markdown, render
from l2t_hub.text import rounded

if TYPE_CHECKING:
    from l2t_hub.report.figures import Plot

HERE = Path(__file__).parent
PICTURES = "pictures"


def write_run_report(folder: Path, report: RunReport, published: Mapping[str, str]) -> Path:
    """Write `report.md`, `report.html` and `pictures/*.png` into `folder`, and return the path of the HTML page.

    `published` maps what the run published to its URL. Without matplotlib there are no plots, and the report says so.
    """
    releases, drawn = report.releases, installed("plots")
    table = held_out_table([release.training for release in releases])
    losses = recipe_losses(releases)
    # The seeds of a recipe are measured on texts of their own, which one figure of all runs would mix.
    alone = [] if losses else releases
    curves = [training_curve(release.name, release.training, release.log, table) for release in alone]
    sections = _sections(report, drawn)
    plots = _plots(releases, curves, sections) if drawn else {}
    if drawn and losses:
        plots["held-out"] = held_out_plot(losses)
    with disk_errors(folder):
        (folder / PICTURES).mkdir(parents=True, exist_ok=True)
    for name, plot in plots.items():
        write_bytes(folder / PICTURES / f"{name}.png", plot.png)
    values = {
        "title": report.title,
        "description": report.description,
        "releases": releases,
        "conclusions": [sentence for section in sections for sentence in section.sentences],
        "scores": [_scores(section) for section in sections],
        "published": published,
        "plots": {name: f"{PICTURES}/{name}.png" for name in plots},
        "version": __version__,
        "dropped": _dropped,
        "held_out": table,
        "held_out_recipes": _sheets(held_out_sheets(losses)),
        "equal": at_equal(curves) if curves else [],
        "measured": _measured,
        "short": _short,
    }
    markdown = render("report.md.j2", values, HERE)
    write_text(folder / "report.md", markdown)
    pictures = {f"{PICTURES}/{name}.png": plot for name, plot in plots.items()}
    write_text(folder / "report.html", html_page(report.title, markdown, pictures))
    return folder / "report.html"


def _sections(report: RunReport, drawn: bool) -> list[ReportSection]:
    """Return the sections of scores: of finished models, of the suite psychometric, of checkpoints along training."""
    sections = [score_section(evaluation, narrow=False, plots=drawn) for evaluation in report.evaluations]
    sections += map(psychometric_section, report.figures)
    read = {release.name: documents_read(release.manifest, release.training) for release in report.releases}
    return sections + [each for scores in report.along for each in curve_sections(scores, drawn, read)]


def _sheets(sheets: Sequence[Sheet]) -> Markdown:
    """Return tables with their captions."""
    return Markdown("\n".join(line for each in sheets for line in markdown_sheet(each)))


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
    measured = learning_curves(along) if along else None
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
    return f"scores-{section.title}-{name}".replace(": ", "-").replace(" ", "-")


def _dropped(manifest: Manifest) -> list[tuple[str, str, int]]:
    """Return what the build dropped: (stage and unit, reason, count), summed over splits and tasks."""
    sums: dict[tuple[str, str, str], int] = {}
    for row in manifest.ledger:
        for reason, count in row["dropped"].items():
            key = (row["stage"], row["unit"], reason)
            sums[key] = sums.get(key, 0) + count
    return [(f"{stage} ({unit})", reason, count) for (stage, unit, reason), count in sorted(sums.items())]
