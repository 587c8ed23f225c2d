"""Draws learning curves: loss on raw held-out text and minimal pairs, by tokens and by compute."""

from collections.abc import Sequence
from itertools import cycle

import matplotlib as mpl
from matplotlib.figure import Figure

from l2t_hub.report.along_training import TrainingCurve
from l2t_hub.report.figures import COLOURS, MARKERS, STYLE, Plot, as_plot, legend_columns, shown_name

PLACES = (("tokens", "tokens seen"), ("flops", "training compute in FLOPs"))


def learning_curves(curves: Sequence[TrainingCurve]) -> Plot | None:
    """Draw a row for each thing that was measured more than once, and a column for tokens and for compute.

    None if nothing was.
    """
    measured = [
        (label, scale, key)
        for label, scale, key in (
            (f"loss on raw held-out text,\n{curves[0].unit}", 1, "held_out"),
            ("minimal pairs right in %,\n95% intervals", 100, "pairs"),
        )
        if any(len(getattr(curve, key)) > 1 for curve in curves)
    ]
    if not measured:
        return None
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(8, 0.5 + 2.9 * len(measured)), layout="constrained")
        grid = figure.subplots(len(measured), len(PLACES), squeeze=False, sharey="row")
        for axes_row, (label, scale, key) in zip(grid, measured, strict=True):
            for axes, (place, place_label) in zip(axes_row, PLACES, strict=True):
                for curve, colour, marker in zip(curves, cycle(COLOURS), cycle(MARKERS), strict=False):
                    points = getattr(curve, key)
                    x, y = [getattr(p, place) for p in points], [scale * p.value for p in points]
                    bands = [p.interval for p in points if p.interval]
                    if bands:
                        low, high = zip(*((scale * a, scale * b) for a, b in bands), strict=True)
                        axes.fill_between(x, low, high, color=colour, alpha=0.12, lw=0)
                    axes.plot(x, y, marker=marker, ms=3.5, lw=1.2, color=colour, label=shown_name(curve.name))
                axes.set_xlabel(place_label)
                axes.xaxis.set_major_formatter(mpl.ticker.EngFormatter(sep=""))
            axes_row[0].set_ylabel(label)
        # One entry for each model, not for each panel.
        lines, names = grid[0][0].get_legend_handles_labels()
        figure.legend(lines, names, loc="outside upper center", ncols=legend_columns(names))
    return as_plot(figure, "Measurements along training, by tokens and by compute")
