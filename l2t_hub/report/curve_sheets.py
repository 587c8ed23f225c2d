"""Scores along training: curves over tokens and over compute, and tables at equal tokens and equal compute."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from l2t_hub.evaluate.results import Evaluation
from l2t_hub.evaluate.training_runs import Run, budgets, counts_attention, training_runs
from l2t_hub.report.outline import ReportSection
from l2t_hub.report.recipe_curves import (
    DocumentsRead,
    RecipeCurve,
    band,
    equal_documents_sheet,
    equal_tokens_sheet,
    recipe_curves,
)
from l2t_hub.report.sheet import Cell, Sheet, accuracy, sheet
from l2t_hub.text import counted

if TYPE_CHECKING:
    from l2t_hub.report.figures import Plot

UNITS = {"tokens": "tokens", "compute": "floating-point operations"}
WITH_ATTENTION = (
    "Compute is 6N + 12LHQT operations per token, as PaLM counts them, and those of further prediction heads."
)
WITHOUT_ATTENTION = (
    "Compute is 6 × parameters × tokens, which leaves out attention: not every model's record has its shape."
)


def curve_sections(
    evaluation: Evaluation, plots: bool, read: Mapping[str, DocumentsRead] | None = None
) -> list[ReportSection]:
    """Return the section on the checkpoints of an evaluation, none if no run has several.

    Where recipes have several seeds, it is about the recipes; `read` is as in `recipe_curves`.
    """
    suite = evaluation.protocol.suite
    if curves := recipe_curves(evaluation, read or {}):
        return [_recipes_section(evaluation, curves, plots)]
    runs = training_runs(evaluation)
    if not runs:
        return []
    sheets = [made for unit in UNITS if (made := budget_sheet(suite, runs, unit)) is not None]
    drawn = _plots(suite, runs) if plots else {}
    compute = WITH_ATTENTION if counts_attention(evaluation) else WITHOUT_ATTENTION
    return [ReportSection(f"{suite}: along training", (), tuple(sheets), drawn, (compute,))]


def _recipes_section(evaluation: Evaluation, curves: Sequence[RecipeCurve], plots: bool) -> ReportSection:
    suite = evaluation.protocol.suite
    tables = (equal_tokens_sheet(evaluation, curves), equal_documents_sheet(evaluation, curves))
    drawn = {}
    if plots:
        from l2t_hub.report.figures import curve_plot

        drawn["tokens"] = curve_plot(
            [(curve.name, band(curve)) for curve in curves],
            UNITS["tokens"],
            f"Accuracy on {suite} over tokens: means over seeds, and bands from the lowest to the highest seed",
            y="accuracy in %, mean and range of seeds",
        )
    limit = evaluation.protocol.limit
    scored = "all examples" if limit is None else f"the first {counted(limit, 'example')} of each task"
    seeds = ", ".join(f"{curve.name} {len(curve.points[0].scores)}" for curve in curves)
    return ReportSection(
        f"{suite}: along training",
        (),
        tuple(table for table in tables if table is not None),
        drawn,
        (
            f"Scored on {scored}. Seeds: {seeds}. The band of a curve goes from its lowest to its highest seed.",
        ),
    )


def budget_sheet(suite: str, runs: Sequence[Run], unit: str) -> Sheet | None:
    """Return the scores of runs at equal tokens or equal compute; None for one run, or without a common budget."""
    found = budgets(runs, unit) if len(runs) > 1 else []
    if not found:
        return None
    rows: list[list[Cell]] = []
    for budget in found:
        row: list[Cell] = [_amount(budget, unit)]
        for run in runs:
            checkpoint = run.within(budget, unit)
            own = getattr(checkpoint, unit) if checkpoint else budget
            row += [
                accuracy(checkpoint.accuracy) if checkpoint else None,
                None if own == budget else _amount(own, unit),
            ]
        rows.append(row)
    header = [UNITS[unit], *(word for run in runs for word in (run.name, "at"))]
    caption = (
        f"{suite}: accuracy in % over all items at equal {unit}, with 95% intervals. Each run has its last "
        "checkpoint within the budget; “at” says where that is if it is not the budget itself."
    )
    return sheet(caption, header, rows)


def _amount(value: int, unit: str) -> str:
    return f"{value:,}" if unit == "tokens" else f"{value:.2e}"


def _plots(suite: str, runs: Sequence[Run]) -> "Mapping[str, Plot]":
    from l2t_hub.report.figures import curve_plot

    return {
        unit: curve_plot(
            [(run.name, [(getattr(c, unit), c.accuracy) for c in run.checkpoints]) for run in runs],
            UNITS[unit],
            f"Accuracy on {suite} over {UNITS[unit]}",
        )
        for unit in UNITS
    }
