"""The pictures of a report: loss curves and scores per phenomenon, as matplotlib figures.

Colours are Okabe and Ito's, told apart with any colour vision; every figure is drawn without a display.
"""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure

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
class Curve:
    """The losses of one model: (tokens seen, nats per token) pairs, for training and for validation."""

    name: str
    training: Sequence[tuple[int, float]]
    validation: Sequence[tuple[int, float]]


@dataclass(frozen=True)
class Bars:
    """The scores of one model: a row per phenomenon, (accuracy, low, high), each from 0 to 1."""

    name: str
    scores: Sequence[tuple[float, float, float]]


def loss_figure(curves: Sequence[Curve]) -> Figure:
    """Training loss (thin) and validation loss (dots) over tokens seen, one colour a model."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(8, 4.2), layout="constrained")
        axes = figure.add_subplot()
        for curve, colour in zip(curves, _colours(len(curves)), strict=True):
            if curve.training:
                axes.plot(
                    *zip(*curve.training, strict=True), color=colour, lw=1.2, label=f"{curve.name}, training"
                )
            if curve.validation:
                label = f"{curve.name}, validation"
                axes.plot(*zip(*curve.validation, strict=True), "o--", ms=4, lw=1, color=colour, label=label)
        axes.set_xlabel("tokens seen")
        axes.set_ylabel("loss, nats per token")
        axes.xaxis.set_major_formatter(mpl.ticker.EngFormatter(sep=""))
        axes.legend()
    return figure


def score_figure(phenomena: Sequence[str], models: Sequence[Bars]) -> Figure:
    """Accuracy per phenomenon as grouped horizontal bars with 95% intervals; the dashed line is chance."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(8, 0.8 + len(phenomena) * (0.16 + 0.18 * len(models))), layout="constrained")
        axes = figure.add_subplot()
        height = 0.8 / max(1, len(models))
        for number, (model, colour) in enumerate(zip(models, _colours(len(models)), strict=True)):
            places = [row + (number - (len(models) - 1) / 2) * height for row in range(len(phenomena))]
            values = [100 * value for value, _, _ in model.scores]
            below = [100 * (value - low) for value, low, _ in model.scores]
            above = [100 * (high - value) for value, _, high in model.scores]
            axes.barh(places, values, height * 0.92, color=colour, label=model.name)
            axes.errorbar(
                values, places, xerr=[below, above], fmt="none", ecolor="#333333", elinewidth=0.9, capsize=2
            )
        axes.axvline(50, color="#777777", lw=1, ls="--")
        axes.set_yticks(range(len(phenomena)), [name.replace("_", " ") for name in phenomena])
        axes.invert_yaxis()
        axes.grid(visible=False, axis="y")
        axes.set_xlim(0, 100)
        axes.set_xlabel("accuracy, % of minimal pairs (whiskers: 95% interval; dashed: chance)")
        figure.legend(loc="outside upper center", ncols=max(1, len(models)))
    return figure


def as_svg(figure: Figure) -> str:
    """The figure as an `<svg>` element to stand in an HTML page; the same figure gives the same text."""
    buffer = io.StringIO()
    with mpl.rc_context(STYLE):
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    text = buffer.getvalue()
    return text[text.index("<svg") :]


def save_png(figure: Figure, path: Path) -> None:
    """Write the figure as a PNG under its final name only when it is whole."""
    partial = path.with_suffix(".partial")
    with mpl.rc_context(STYLE):
        figure.savefig(partial, format="png", dpi=110)
    partial.rename(path)


def _colours(count: int) -> list[str]:
    return [COLOURS[number % len(COLOURS)] for number in range(count)]
