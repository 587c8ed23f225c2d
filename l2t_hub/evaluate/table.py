"""An evaluation as tables for the terminal: accuracies by phenomenon, readings of minimal pairs, other measures.

A column per model and per difference.
"""

from collections.abc import Sequence
from typing import TypeVar

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from l2t_hub.console import WholeTable
from l2t_hub.evaluate.results import Estimate, Evaluation, MeasureDifference, Reading, ReadingDifference

AnyReading = TypeVar("AnyReading", Reading, ReadingDifference)


def render_tables(evaluation: Evaluation) -> list[Table]:
    """Return the tables of an evaluation, the accuracies first."""
    tables = [render_table(evaluation)]
    if evaluation.models[0].readings:
        tables.append(_readings_table(evaluation))
    if any(model.measures for model in evaluation.models):
        tables.append(_measures_table(evaluation))
    return tables


def render_table(evaluation: Evaluation) -> Table:
    """Return a table of accuracies and differences in percent with 95% intervals; the overall figures come last."""
    first = evaluation.models[0]
    table = _table(evaluation, "accuracy in %", "phenomenon")
    for i, row in enumerate(first.phenomena):
        scores = [_percent(model.phenomena[i].accuracy) for model in evaluation.models]
        differences = [
            _difference(comparison.phenomena[i].difference) for comparison in evaluation.comparisons
        ]
        table.add_row(Text(row.phenomenon), str(row.total), *scores, *differences)
    table.add_section()
    table.add_row(
        "every example (micro)",
        str(first.micro.total),
        *(_percent(model.micro.accuracy) for model in evaluation.models),
        *(_difference(comparison.micro.difference) for comparison in evaluation.comparisons),
    )
    table.add_row(
        "mean of phenomena (macro)",
        "",
        *(_percent(model.macro) for model in evaluation.models),
        *(_difference(comparison.macro) for comparison in evaluation.comparisons),
    )
    return table


def _readings_table(evaluation: Evaluation) -> Table:
    """Return the accuracy in every reading. Models may differ in the pairs that one-prefix applies to."""
    table = _table(evaluation, "accuracy in % by reading of the pairs", "reading")
    for i, reading in enumerate(evaluation.models[0].readings):
        named = [_named(model.readings, reading.name) for model in evaluation.models]
        differences = [_named(comparison.readings, reading.name) for comparison in evaluation.comparisons]
        table.add_row(
            f"{reading.name} *" if i == 0 else reading.name,
            str(reading.micro.total),
            *("" if found is None else _percent(found.micro.accuracy) for found in named),
            *("" if found is None else _difference(found.micro.difference) for found in differences),
        )
    table.caption = "* the suite's own reading"
    return table


def _measures_table(evaluation: Evaluation) -> Table:
    table = _table(evaluation, "other measures", "measure")
    for key in dict.fromkeys((m.name, m.cell) for model in evaluation.models for m in model.measures):
        found = [
            next((m for m in model.measures if (m.name, m.cell) == key), None) for model in evaluation.models
        ]
        differences = [
            next((d for d in comparison.measures if (d.name, d.cell) == key), None)
            for comparison in evaluation.comparisons
        ]
        table.add_row(
            Text(f"{key[0]}, {key[1]}"),
            str(next((m.examples for m in found if m), "")),
            *("" if m is None else _figures(m.value, m.low, m.high) for m in found),
            *("" if d is None else _measure_difference(d) for d in differences),
        )
    table.caption = "95% intervals where examples are averaged"
    return table


def _table(evaluation: Evaluation, title: str, first_column: str) -> Table:
    # Compact: two models and their difference fit in 80 columns.
    table = WholeTable(
        title=f"{evaluation.protocol.suite}: {title}",
        caption=_caption(evaluation),
        caption_style="dim",
        box=SIMPLE_HEAD,
        collapse_padding=True,
        pad_edge=False,
        show_edge=False,
    )
    table.add_column(first_column)
    table.add_column("n", justify="right")
    for model in evaluation.models:
        table.add_column(Text(model.label), justify="right", min_width=13)
    for comparison in evaluation.comparisons:
        header = Text(f"{comparison.model} - {comparison.baseline}")
        table.add_column(header, justify="right", min_width=17)
    return table


def _named(readings: Sequence[AnyReading], name: str) -> AnyReading | None:
    return next((reading for reading in readings if reading.name == name), None)


def _figures(value: float, low: float | None, high: float | None) -> str:
    return f"{value:.3f}" if low is None or high is None else f"{value:.3f} [{low:.3f}, {high:.3f}]"


def _measure_difference(row: MeasureDifference) -> Text:
    estimate = row.difference
    text = f"{estimate.value:+.3f} [{estimate.low:+.3f}, {estimate.high:+.3f}]"
    if not estimate.excludes_zero:
        return Text(text + "  ")
    good = (estimate.value > 0) == (row.better == "higher")
    return Text(text + " *", style="green" if good else "red")


def _percent(estimate: Estimate) -> Text:
    return Text(f"{100 * estimate.value:.1f} [{100 * estimate.low:.0f}, {100 * estimate.high:.0f}]")


def _difference(estimate: Estimate) -> Text:
    text = f"{100 * estimate.value:+.1f} [{100 * estimate.low:+.0f}, {100 * estimate.high:+.0f}]"
    if not estimate.excludes_zero:
        return Text(text + "  ")
    return Text(text + " *", style="green" if estimate.value > 0 else "red")


def _caption(evaluation: Evaluation) -> str:
    protocol, prefix = evaluation.protocol, evaluation.models[0].prefix_token
    harness = protocol.harness.replace("lm-evaluation-harness", "lm-eval")
    text = f"95% intervals; {harness} {protocol.harness_version}; prefix token {prefix}"
    return f"{text}; * the interval of the difference excludes 0" if evaluation.comparisons else text
