"""Draws the plots of reports with matplotlib: loss curves, scores, differences, and scores along training.

The colours are those of Okabe and Ito (2008), chosen for all kinds of colour vision; markers differ, too. Names are
text, never mathematics. On an HTML page, ink and lines take the page's colours, light or dark. No display is needed.
"""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import cycle
from math import floor
from typing import NamedTuple

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from l2t_hub.evaluate import Evaluation
from l2t_hub.evaluate.replicates import recipe_name
from l2t_hub.evaluate.results import Estimate, RecipeComparison
from l2t_hub.text import visible

# These two become variables of the page, so no colour of a model may equal them.
INK, LINE = "#1b1f25", "#d8dde3"
PAGE_COLOURS = {INK: "var(--ink)", LINE: "var(--line)"}
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", INK)
MARKERS = "osD^vPX"
STYLE = {
    **dict.fromkeys(("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color"), INK),
    "text.parse_math": False,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": LINE,
    "font.size": 10,
    "legend.frameon": False,
    "svg.fonttype": "none",
    "svg.hashsalt": "l2t_hub",
}
LONGEST_NAME = 44


@dataclass(frozen=True)
class Plot:
    """A plot as a PNG image, and as an `<svg>` element for an HTML page; `describes` says what it shows."""

    png: bytes
    svg: str
    describes: str = ""


class CurvePoint(NamedTuple):
    """A point of a curve along training, and its 95% interval. A curve's points all have one, or none has."""

    place: float
    value: float
    interval: tuple[float, float] | None = None


@dataclass(frozen=True)
class Curve:
    """The losses of one model as (tokens seen, nats per token) pairs."""

    name: str
    training: Sequence[tuple[int, float]]
    validation: Sequence[tuple[int, float]]


def loss_plot(curves: Sequence[Curve]) -> Plot:
    """Draw training loss (lines) and validation loss (dots) over the tokens seen, one colour per model."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(8, 4.2), layout="constrained")
        axes = figure.add_subplot()
        for curve, colour in zip(curves, cycle(COLOURS), strict=False):
            if curve.training:
                label = f"{shown_name(curve.name)}, training"
                axes.plot(*zip(*curve.training, strict=True), color=colour, lw=1.2, label=label)
            if curve.validation:
                label = f"{shown_name(curve.name)}, validation"
                axes.plot(*zip(*curve.validation, strict=True), "o--", ms=4, lw=1, color=colour, label=label)
        axes.set_xlabel("tokens seen")
        axes.set_ylabel("loss, nats per token")
        axes.xaxis.set_major_formatter(mpl.ticker.EngFormatter(sep=""))
        axes.legend()
    return as_plot(figure, "Training and validation loss over the tokens seen")


def score_plot(evaluation: Evaluation) -> Plot:
    """Draw the accuracy per phenomenon as points with their intervals, a row for each phenomenon."""
    models = evaluation.models
    series = [(model.label, [row.accuracy for row in model.phenomena]) for model in models]
    names = [row.phenomenon for row in models[0].phenomena]
    least = min((100 * e.low for _, estimates in series for e in estimates), default=0)
    with mpl.rc_context(STYLE):
        figure, axes = _rows(names, series)
        axes.set_xlim(max(0, 10 * floor(least / 10)) - 1, 101)  # room for a marker at the edge
        text = "accuracy in % with 95% intervals"
        if models[0].readings:
            axes.axvline(50, color=INK, lw=1, ls="--")
            text += "; dashed line: 50%, the chance level of pairs"
        axes.set_xlabel(text)
    return as_plot(figure, f"Accuracy by phenomenon on {evaluation.protocol.suite}")


def difference_plot(evaluation: Evaluation) -> Plot:
    """Draw each model's difference from the baseline per phenomenon as points with their intervals."""
    comparisons = evaluation.comparisons
    series = [(c.model, [*(row.difference for row in c.phenomena), c.micro.difference]) for c in comparisons]
    names = [*(row.phenomenon for row in evaluation.models[0].phenomena), "all items"]
    baseline = evaluation.models[0].label
    title = f"Difference from {baseline} by phenomenon on {evaluation.protocol.suite}"
    return _differences(names, series, baseline, "95% intervals", title)


def recipe_difference_plot(evaluation: Evaluation, comparisons: Sequence[RecipeComparison]) -> Plot:
    """Draw each recipe's difference from the baseline's, over the seeds of both, per phenomenon with its interval."""
    models = {model.label: model for model in evaluation.models}
    series = [
        (
            recipe_name(models[comparison.model]),
            [row.crossed or row.difference for row in (*comparison.phenomena, comparison.micro)],
        )
        for comparison in comparisons
    ]
    names = [*(row.phenomenon for row in comparisons[0].phenomena), "all items"]
    baseline = recipe_name(models[comparisons[0].baseline])
    crossed = all(comparison.micro.crossed for comparison in comparisons)
    over = "seeds and items" if crossed else "seeds"
    title = f"Difference from {baseline} over seeds, by phenomenon on {evaluation.protocol.suite}"
    return _differences(names, series, baseline, f"95% intervals over {over}", title)


def _differences(
    names: Sequence[str],
    series: Sequence[tuple[str, Sequence[Estimate]]],
    baseline: str,
    intervals: str,
    title: str,
) -> Plot:
    with mpl.rc_context(STYLE):
        figure, axes = _rows(names, series)
        axes.axvline(0, color=INK, lw=1)
        axes.set_xlabel(f"percentage points against {shown_name(baseline)}\n{intervals}")
    return as_plot(figure, title)


def curve_plot(
    curves: Sequence[tuple[str, Sequence[tuple[float, Estimate]]]],
    x: str,
    title: str,
    y: str = "accuracy in %, 95% intervals",
    scale: float = 100,
) -> Plot:
    """Draw scores along training, a line for each run. `x` is what its points are counted in, such as tokens."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(8, 4.2), layout="constrained")
        axes = figure.add_subplot()
        scaled = [
            (name, [CurvePoint(at, scale * e.value, (scale * e.low, scale * e.high)) for at, e in points])
            for name, points in curves
        ]
        draw_curves(axes, scaled, x)
        axes.set_ylabel(y)
        _legend(figure, [name for name, _ in curves])
    return as_plot(figure, title)


def draw_curves(axes: Axes, curves: Sequence[tuple[str, Sequence[CurvePoint]]], x: str) -> None:
    """Draw a line with markers for each curve, and a band where its points have intervals."""
    for (name, points), colour, marker in zip(curves, cycle(COLOURS), cycle(MARKERS), strict=False):
        places = [point.place for point in points]
        values = [point.value for point in points]
        axes.plot(places, values, marker=marker, ms=4, lw=1.4, color=colour, label=shown_name(name))
        bands = [point.interval for point in points if point.interval]
        if bands:
            low, high = zip(*bands, strict=True)
            axes.fill_between(places, low, high, color=colour, alpha=0.15, lw=0)
    axes.set_xlabel(x)
    axes.xaxis.set_major_formatter(mpl.ticker.EngFormatter(sep=""))


def _rows(names: Sequence[str], series: Sequence[tuple[str, Sequence[Estimate]]]) -> tuple[Figure, Axes]:
    """Draw points with intervals in one row for each name; the series of a row stand below each other."""
    height = max(0.27, 0.13 * len(series) + 0.1)
    figure = Figure(
        figsize=(8, 1.3 + height * len(names) + 0.22 * _legend_rows(series)), layout="constrained"
    )
    axes = figure.add_subplot()
    step = min(0.3, 0.7 / max(1, len(series) - 1))
    for i, ((label, estimates), colour, marker) in enumerate(
        zip(series, cycle(COLOURS), cycle(MARKERS), strict=False)
    ):
        y = [row + (i - (len(series) - 1) / 2) * step for row in range(len(names))]
        values = [100 * e.value for e in estimates]
        below = [100 * max(0.0, e.value - e.low) for e in estimates]
        above = [100 * max(0.0, e.high - e.value) for e in estimates]
        axes.errorbar(
            values,
            y,
            xerr=[below, above],
            fmt=marker,
            ms=4.5,
            color=colour,
            elinewidth=1.1,
            label=shown_name(label),
        )
    axes.set_yticks(range(len(names)), [shown_name(name.replace("_", " ")) for name in names])
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.grid(visible=False, axis="y")
    for edge in range(1, len(names)):
        axes.axhline(edge - 0.5, color=LINE, lw=0.5)
    _legend(figure, [label for label, _ in series])
    return figure, axes


def _legend(figure: Figure, names: Sequence[str]) -> None:
    figure.legend(loc="outside upper center", ncols=legend_columns(names))


def legend_columns(names: Sequence[str]) -> int:
    """Return how many names fit side by side in a legend."""
    longest = max((len(shown_name(name)) for name in names), default=1)
    return max(1, min(len(names), 90 // (longest + 8)))


def _legend_rows(series: Sequence[tuple[str, object]]) -> int:
    return -(-len(series) // legend_columns([name for name, _ in series]))


def shown_name(text: str) -> str:
    """Return a name as plots show it: visible, cut in its middle if long, not hidden by a leading underscore."""
    shown = " ".join(visible(text).split())
    if len(shown) > LONGEST_NAME:
        half = LONGEST_NAME // 2
        shown = f"{shown[: half - 1]}…{shown[-half:]}"
    return f"\u200b{shown}" if shown.startswith("_") else shown


def as_plot(figure: Figure, describes: str) -> Plot:
    """Render a figure. Equal figures give equal SVG text."""
    png, svg = io.BytesIO(), io.StringIO()
    with mpl.rc_context(STYLE):
        figure.savefig(png, format="png", dpi=110)
        figure.savefig(svg, format="svg", metadata={"Date": None, "Creator": None}, transparent=True)
    text = svg.getvalue()
    for colour, variable in PAGE_COLOURS.items():
        text = text.replace(colour, variable)
    return Plot(png.getvalue(), text[text.index("<svg") :], describes)
