"""Draws the plots of a report with matplotlib: loss curves, and scores per phenomenon.

The colours are those of Okabe and Ito (2008), chosen for all kinds of colour vision. No display is needed.
"""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import cycle

import matplotlib as mpl
from matplotlib.figure import Figure

from l2t_hub.evaluate import Evaluation

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
STYLE = {
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#e6e6e6",
    "font.size": 10,
    "legend.frameon": False,
    "svg.fonttype": "none",
    "svg.hashsalt": "l2t_hub",
}


@dataclass(frozen=True)
class Plot:
    """A plot as a PNG image, and as an `<svg>` element for an HTML page."""

    png: bytes
    svg: str


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
                label = f"{curve.name}, training"
                axes.plot(*zip(*curve.training, strict=True), color=colour, lw=1.2, label=label)
            if curve.validation:
                label = f"{curve.name}, validation"
                axes.plot(*zip(*curve.validation, strict=True), "o--", ms=4, lw=1, color=colour, label=label)
        axes.set_xlabel("tokens seen")
        axes.set_ylabel("loss, nats per token")
        axes.xaxis.set_major_formatter(mpl.ticker.EngFormatter(sep=""))
        axes.legend()
    return _plot(figure)


def score_plot(evaluation: Evaluation) -> Plot:
    """Draw the accuracy per phenomenon as grouped horizontal bars with their intervals. The dashed line is 50%."""
    names = [row.phenomenon.replace("_", " ") for row in evaluation.models[0].phenomena]
    models = evaluation.models
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(8, 0.8 + len(names) * (0.16 + 0.18 * len(models))), layout="constrained")
        axes = figure.add_subplot()
        height = 0.8 / len(models)
        for index, (model, colour) in enumerate(zip(models, cycle(COLOURS), strict=False)):
            y = [row + (index - (len(models) - 1) / 2) * height for row in range(len(names))]
            estimates = [row.accuracy for row in model.phenomena]
            x = [100 * estimate.value for estimate in estimates]
            below = [100 * (estimate.value - estimate.low) for estimate in estimates]
            above = [100 * (estimate.high - estimate.value) for estimate in estimates]
            axes.barh(y, x, height * 0.92, color=colour, label=model.label)
            axes.errorbar(x, y, xerr=[below, above], fmt="none", ecolor="#333333", elinewidth=0.9, capsize=2)
        axes.axvline(50, color="#777777", lw=1, ls="--")
        axes.set_yticks(range(len(names)), names)
        axes.invert_yaxis()
        axes.grid(visible=False, axis="y")
        axes.set_xlim(0, 100)
        axes.set_xlabel("accuracy in % (whiskers: 95% interval; dashed line: 50%)")
        figure.legend(loc="outside upper center", ncols=len(models))
    return _plot(figure)


def _plot(figure: Figure) -> Plot:
    """Render a figure. Equal figures give equal SVG text."""
    png, svg = io.BytesIO(), io.StringIO()
    with mpl.rc_context(STYLE):
        figure.savefig(png, format="png", dpi=110)
        figure.savefig(svg, format="svg", metadata={"Date": None, "Creator": None})
    text = svg.getvalue()
    return Plot(png.getvalue(), text[text.index("<svg") :])
