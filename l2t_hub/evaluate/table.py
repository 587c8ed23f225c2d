"""An evaluation as a table for the terminal: a row per phenomenon, a column per model and per difference."""

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from l2t_hub.console import WholeTable
from l2t_hub.evaluate.results import Estimate, Evaluation


def render_table(evaluation: Evaluation) -> Table:
    """Return a table of accuracies and differences in percent with 95% intervals; the overall figures come last."""
    first = evaluation.models[0]
    # Compact: two models and their difference fit in 80 columns.
    table = WholeTable(
        title=f"{evaluation.protocol.suite}: accuracy in %",
        caption=_caption(evaluation),
        caption_style="dim",
        box=SIMPLE_HEAD,
        collapse_padding=True,
        pad_edge=False,
        show_edge=False,
    )
    table.add_column("phenomenon")
    table.add_column("n", justify="right")
    for model in evaluation.models:
        table.add_column(Text(model.label), justify="right", min_width=13)
    for comparison in evaluation.comparisons:
        header = Text(f"{comparison.model} - {comparison.baseline}")
        table.add_column(header, justify="right", min_width=17)
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


def _percent(estimate: Estimate) -> Text:
    return Text(f"{100 * estimate.value:.1f} [{100 * estimate.low:.0f}, {100 * estimate.high:.0f}]")


def _difference(estimate: Estimate) -> Text:
    text = f"{100 * estimate.value:+.1f} [{100 * estimate.low:+.0f}, {100 * estimate.high:+.0f}]"
    if not estimate.excludes_zero:
        return Text(text + "  ")
    return Text(text + " *", style="green" if estimate.value > 0 else "red")


def _caption(evaluation: Evaluation) -> str:
    harness, prefix = evaluation.protocol.harness_version, evaluation.models[0].prefix_token
    text = f"95% intervals; lm-eval {harness}; prefix token {prefix}"
    return f"{text}; * the interval of the difference excludes 0" if evaluation.comparisons else text
