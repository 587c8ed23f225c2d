"""A scoreboard as files: plots, CSV and Markdown of what is shown, and the pairs of a cell as CSV."""

from typing import TYPE_CHECKING

from l2t_hub.demo.pairs_behind import CellPairs
from l2t_hub.demo.scoreboard import Board
from l2t_hub.demo.view import download_link
from l2t_hub.evaluate.replicates import recipe_comparisons
from l2t_hub.extras import installed
from l2t_hub.report.curve_sheets import curve_sections
from l2t_hub.report.formats import markdown
from l2t_hub.report.outline import Report
from l2t_hub.report.score_report import NO_PLOTS, as_csv, score_section, score_table
from l2t_hub.text import SPREADSHEET_ENCODING, csv_text

if TYPE_CHECKING:
    from l2t_hub.report.figures import Plot

PAIR_COLUMNS = ("model", "phenomenon", "paradigm", "id", "right", "good", "bad", "bits", "bits_other_spacing")
MAX_LISTED = 1_000
"""Pairs in the file of a cell: it is part of the page."""


def board_plots(shown: Board) -> "dict[str, Plot]":
    """Return the plots of a board: differences of recipes or models, or one model's scores; curves of training runs.

    Empty without matplotlib.
    """
    if not installed("plots"):
        return {}
    from l2t_hub.report.figures import difference_plot, recipe_difference_plot, score_plot

    if recipes := recipe_comparisons(shown.evaluation):
        plots = {"recipes": recipe_difference_plot(shown.evaluation, recipes)}
    elif shown.evaluation.comparisons:
        plots = {"differences": difference_plot(shown.evaluation)}
    else:
        plots = {"accuracies": score_plot(shown.evaluation)}
    for section in curve_sections(shown.everything, plots=True):
        plots |= {f"by-{unit}": plot for unit, plot in section.plots.items()}
    return plots


def plot_note() -> tuple[str, ...]:
    """Return the sentence that says why there are no plots, if there are none."""
    return () if installed("plots") else (NO_PLOTS,)


def board_downloads(shown: Board, plots: "dict[str, Plot]") -> str:
    """Return links that save what a board shows."""
    name = "".join(c if c.isascii() and c.isalnum() else "-" for c in shown.suite.name)[:60]
    section = score_section(shown.evaluation, narrow=False, plots=False)
    document = Report("Scores", shown.notes, (section,))
    table = as_csv(score_table([shown.evaluation]))
    links = [
        download_link(table.encode(SPREADSHEET_ENCODING), "text/csv", f"{name}.csv", "CSV"),
        download_link(markdown(document, {}).encode(), "text/markdown", f"{name}.md", "Markdown"),
        *(
            download_link(plot.png, "image/png", f"{name}-{what}.png", f"PNG ({what.replace('-', ' ')})")
            for what, plot in plots.items()
        ),
    ]
    return f'<p class="l2t l2t-downloads">Download: {" ".join(links)}</p>'


def pairs_csv(cell: CellPairs) -> str:
    """Return the pairs of a cell as CSV, at most `MAX_LISTED`."""
    about = (cell.model, cell.phenomenon)
    return csv_text(
        PAIR_COLUMNS,
        (
            (*about, row.paradigm, row.id, row.right, row.good, row.bad, row.bits, row.other_bits)
            for row in cell.rows[:MAX_LISTED]
        ),
    )


def pairs_download(cell: CellPairs) -> str:
    """Return the link that saves the pairs of a cell."""
    link = download_link(pairs_csv(cell).encode(SPREADSHEET_ENCODING), "text/csv", "pairs.csv", "CSV")
    return f'<p class="l2t-downloads">Download: {link}</p>'
