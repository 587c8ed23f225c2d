"""The results of the suite `psychometric` as a table for the terminal: a row for each notation and figure."""

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from l2t_hub.console import WholeTable
from l2t_hub.evaluate.psychometric import FIGURES, MagnitudeSummary, PsychometricResults

CAPTION = (
    "Mean over layers, and the best layer (highest R2 and correlation, lowest stress) with its number. "
    "!N: in N layers the effect runs opposite to people's; they count in the mean and cannot be best. "
    "These figures describe a model; they have no intervals."
)


def numbers_table(results: PsychometricResults) -> Table:
    """Return a column for each model."""
    table = WholeTable(
        title=f"{results.suite}: how numbers are represented",
        caption=CAPTION,
        caption_style="dim",
        box=SIMPLE_HEAD,
        collapse_padding=True,
        pad_edge=False,
        show_edge=False,
    )
    table.add_column("numbers 1 to 8")
    for model in results.models:
        table.add_column(Text(model.label), justify="right")
    for i, row in enumerate(results.models[0].summary):
        table.add_row(
            f"{row.notation}: {FIGURES[row.figure]}",
            *(summary_text(model.summary[i]) for model in results.models),
            end_section=(i + 1) % len(FIGURES) == 0,
        )
    return table


def summary_text(row: MagnitudeSummary) -> str:
    """Return a figure such as '0.412, best 0.733 in 5', '-' if it is not defined in any layer."""
    if row.mean is None:
        return "-"
    best = "none" if row.best is None else f"{row.best:.3f} in {row.best_layer}"
    return f"{row.mean:.3f}, best {best}{f' !{row.opposite}' if row.opposite else ''}"
