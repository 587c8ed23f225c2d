"""`l2t report`: results from any number of evaluations as one report, in the format that is asked for."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from l2t_hub.artifacts import disk_errors, write_bytes, write_text
from l2t_hub.errors import UsageError, nearest
from l2t_hub.evaluate.conclusions import conclusions
from l2t_hub.evaluate.psychometric_results import PsychometricResults
from l2t_hub.evaluate.replicates import lone_comparisons, recipe_comparisons
from l2t_hub.evaluate.results import Estimate, Evaluation, ModelComparison
from l2t_hub.evaluate.score_rows import COLUMNS, MACRO, rows
from l2t_hub.evaluate.training_runs import last_checkpoints
from l2t_hub.extras import installed
from l2t_hub.report.curve_sheets import curve_sections
from l2t_hub.report.formats import latex, markdown
from l2t_hub.report.html_page import html_page
from l2t_hub.report.outline import Report, ReportSection
from l2t_hub.report.psychometric_sheets import figure_rows, psychometric_section
from l2t_hub.report.published import published_sections
from l2t_hub.report.score_sheets import protocol_lines, sheets_of
from l2t_hub.text import csv_text

if TYPE_CHECKING:
    from l2t_hub.report.figures import Plot

SUFFIXES = {".md": "markdown", ".tex": "latex", ".csv": "csv", ".html": "html", ".htm": "html"}
FORMATS = ("terminal", "markdown", "latex", "csv", "html")
NO_PLOTS = "There are no plots, because matplotlib is not installed: pip install 'l2t_hub[plots]'."


def make_report(
    evaluations: Sequence[Evaluation],
    notes: Sequence[str],
    compare_to: str | None = None,
    *,
    figures: Sequence[PsychometricResults] = (),
    narrow: bool = False,
    plots: bool = True,
) -> Report:
    """Return the report of some evaluations, beside published scores if `compare_to` names a source.

    `figures` are results of the suite `psychometric`. `narrow` makes tables fit on a terminal. Raises
    UsageError as `published_sections` does.
    """
    drawn = plots and installed("plots")
    sections = []
    for evaluation in evaluations:
        sections.append(score_section(last_checkpoints(evaluation), narrow, drawn))
        sections += curve_sections(evaluation, drawn)
    sections += map(psychometric_section, figures)
    if compare_to is not None:
        sections += published_sections(compare_to, evaluations)
    missing = [NO_PLOTS] if plots and not drawn else []
    rows = [*score_table(evaluations), *(row for results in figures for row in figure_rows(results))]
    return Report("Scores", (*notes, *missing), tuple(sections), tuple(rows))


def score_section(evaluation: Evaluation, narrow: bool, plots: bool) -> ReportSection:
    """Return what one evaluation says: the same in `l2t eval`, `l2t report` and the report of a run."""
    return ReportSection(
        evaluation.protocol.suite,
        tuple(conclusions(evaluation)),
        tuple(sheets_of(evaluation, narrow)),
        _plots(evaluation) if plots else {},
        tuple(protocol_lines(evaluation)),
    )


def _plots(evaluation: Evaluation) -> "dict[str, Plot]":
    from l2t_hub.report.figures import difference_plot, recipe_difference_plot, score_plot

    recipes, lone = recipe_comparisons(evaluation), lone_comparisons(evaluation)
    if recipes:
        plots = {"recipes": recipe_difference_plot(evaluation, recipes)}
    else:
        plots = {"phenomena": score_plot(evaluation)}
    if lone:
        plots["differences"] = difference_plot(replace(evaluation, comparisons=lone))
    return plots


def chosen_format(form: str | None, out: Path | None) -> str:
    """Return the format that --format and the ending of --out ask for. Raises UsageError for an unknown one."""
    if form is not None and form not in FORMATS:
        raise UsageError(f"--format {form}: unknown. {nearest(form, FORMATS)}")
    if form is not None or out is None:
        if out is not None and form == "terminal":
            raise UsageError("--format terminal is not for files", "Use --format markdown.")
        return form or "terminal"
    if out.suffix.lower() not in SUFFIXES:
        raise UsageError(
            f"{out}: its ending names no format",
            f"Use one of {', '.join(SUFFIXES)}, or add --format.",
        )
    return SUFFIXES[out.suffix.lower()]


def as_text(form: str, document: Report) -> str:
    """Return a report in one text, in any format but that of the terminal. Only an HTML page has its plots in it."""
    if form == "csv":
        return as_csv(document.rows)
    if form == "latex":
        return latex(document)
    if form == "markdown":
        return markdown(document, {})
    plots = {
        f"{number}-{name}.svg": plot
        for number, section in enumerate(document.sections)
        for name, plot in section.plots.items()
    }
    return html_page(document.title, markdown(document, {path: path for path in plots}), plots)


def write_report(form: str, document: Report, out: Path) -> None:
    """Write a report to a file. Markdown has its plots as images in a folder beside it."""
    if out.is_dir():
        raise UsageError(f"{out}: this is a directory", "Give the path of a file, such as report.html.")
    with disk_errors(out.parent):
        out.parent.mkdir(parents=True, exist_ok=True)
    if form == "markdown":
        write_text(out, markdown(document, _write_pictures(document, out)))
    else:
        write_text(out, as_text(form, document))


def _write_pictures(document: Report, out: Path) -> dict[str, str]:
    """Write the plots beside `out`, and return the path of each from there."""
    folder = out.with_name(f"{out.stem}-pictures")
    found = {}
    for number, section in enumerate(document.sections):
        for name, plot in section.plots.items():
            with disk_errors(folder):
                folder.mkdir(exist_ok=True)
            write_bytes(folder / f"{number}-{name}.png", plot.png)
            found[f"{number}-{name}.svg"] = quote(f"{folder.name}/{number}-{name}.png")
    return found


def as_csv(rows_of_report: Iterable[Mapping[str, Any]]) -> str:
    """Return the rows of a report as CSV."""
    columns = ["label", *COLUMNS, *DIFFERENCE]
    return csv_text(columns, ([row.get(column) for column in columns] for row in rows_of_report))


def score_table(evaluations: Sequence[Evaluation]) -> Iterator[dict[str, Any]]:
    """Yield a row for each model and cell of some evaluations, with its difference from the baseline."""
    for evaluation in evaluations:
        compared = {comparison.model: comparison for comparison in evaluation.comparisons}
        for model in evaluation.models:
            cells = _differences(compared[model.label]) if model.label in compared else {}
            for row in rows(evaluation, model):
                yield {"label": model.label, **row, **cells.get((row["kind"], row["cell"]), {})}


DIFFERENCE = ("baseline", "difference", "difference_low", "difference_high", "paired", "p_adjusted")


def _differences(comparison: ModelComparison) -> dict[tuple[str, str], dict[str, Any]]:
    """Return the columns of a comparison for each cell that it has."""
    estimates: list[tuple[str, str, Estimate, float | None]] = [
        ("all", comparison.micro.phenomenon, comparison.micro.difference, comparison.micro.p_value),
        ("mean", MACRO, comparison.macro, None),
        *(("phenomenon", d.phenomenon, d.difference, d.p_adjusted) for d in comparison.phenomena),
        *(("reading", r.name, r.micro.difference, r.micro.p_value) for r in comparison.readings),
    ]
    return {
        (kind, cell): {
            "baseline": comparison.baseline,
            "difference": e.value,
            "difference_low": e.low,
            "difference_high": e.high,
            "paired": comparison.paired,
            "p_adjusted": p if comparison.paired else None,
        }
        for kind, cell, e, p in estimates
    }
