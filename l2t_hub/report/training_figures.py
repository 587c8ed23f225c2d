"""Draws learning curves: loss on raw held-out text and minimal pairs, by tokens and by compute."""

from collections.abc import Sequence

import matplotlib as mpl
from matplotlib.figure import Figure

from l2t_hub.report.along_training import Point, TrainingCurve
from l2t_hub.report.figures import STYLE, CurvePoint, Plot, as_plot, draw_curves, legend_columns

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
                drawn = [(curve.name, _points(getattr(curve, key), place, scale)) for curve in curves]
                draw_curves(axes, drawn, place_label)
            axes_row[0].set_ylabel(label)
        # One entry for each model, not for each panel.
        lines, names = grid[0][0].get_legend_handles_labels()
        figure.legend(lines, names, loc="outside upper center", ncols=legend_columns(names))
    return as_plot(figure, "Measurements along training, by tokens and by compute")


def _points(measured: Sequence[Point], place: str, scale: int) -> list[CurvePoint]:
    return [
        CurvePoint(
            getattr(point, place),
            scale * point.value,
            point.interval and (scale * point.interval[0], scale * point.interval[1]),
        )
        for point in measured
    ]
