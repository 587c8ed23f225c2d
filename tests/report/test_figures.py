"""The plots: every name can be read, none covers another, and colours follow the page."""

import re
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
from made_scores import evaluation
from matplotlib.backends.backend_agg import FigureCanvasAgg

from l2t_hub.evaluate.replicates import recipe_comparisons
from l2t_hub.evaluate.results import Estimate
from l2t_hub.report import figures
from l2t_hub.report.figures import COLOURS, curve_plot, difference_plot, recipe_difference_plot, score_plot

LONG = "my-org/a-rather-long-name-of-a-model-for-a-legend-step-{}"


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The figures that are drawn, before they become images."""
    kept: list[Any] = []
    monkeypatch.setattr(figures, "as_plot", lambda figure, describes: kept.append(figure))
    return kept


def assert_readable(figure: Any) -> None:
    """No label covers another or leaves the figure."""
    FigureCanvasAgg(figure).draw()
    (axes,) = figure.axes
    legend = figure.legends[0]
    drawn_ticks = [tick.label1 for axis in (axes.xaxis, axes.yaxis) for tick in axis._update_ticks()]
    for texts in (drawn_ticks, legend.get_texts(), [axes.xaxis.label]):
        boxes = [text.get_window_extent() for text in texts if text.get_text()]
        assert boxes
        for box in boxes:
            assert figure.bbox.x0 <= box.x0 < box.x1 <= figure.bbox.x1
            assert figure.bbox.y0 <= box.y0 < box.y1 <= figure.bbox.y1
        assert not any(one.overlaps(other) for one, other in combinations(boxes, 2))
    assert not any(text.get_window_extent().overlaps(axes.get_window_extent()) for text in legend.get_texts())


@pytest.mark.parametrize(
    ("models", "rows"), [(2, 12), (4, 12), pytest.param(2, 67, marks=pytest.mark.slow), (4, 67)]
)
def test_labels_never_overlap(tmp_path: Path, drawn: list[Any], models: int, rows: int) -> None:
    names = [LONG.format(i) for i in range(models)]
    made = evaluation(
        tmp_path / "e.json",
        dict.fromkeys(names, 0.7),
        phenomena=rows,
        items=4,
        names="a_long_phenomenon_of_name_{}",
    )
    score_plot(made)
    difference_plot(made)
    assert len(drawn) == 2
    for figure in drawn:
        assert_readable(figure)


def test_recipes_are_drawn_under_their_names_with_the_intervals_over_seeds(
    tmp_path: Path, drawn: list[Any]
) -> None:
    names = [f"evidence-cpu-{arm}" for arm in ("raw", "disjoint", "shared")]
    labels = {f"{name}-seed{seed}": 0.6 + seed / 50 for name in names for seed in (1, 2)}
    made = evaluation(tmp_path / "e.json", labels)
    models = tuple(
        replace(model, recipe_sha256=64 * model.label[13], seed=int(model.label[-1])) for model in made.models
    )
    made = replace(made, models=models)
    compared = recipe_comparisons(made)
    recipe_difference_plot(made, compared)
    (figure,) = drawn
    assert_readable(figure)
    assert [text.get_text() for text in figure.legends[0].get_texts()] == names[1:]
    label = figure.axes[0].get_xlabel()
    assert label == "percentage points against evidence-cpu-raw\n95% intervals over seeds"
    lines = figure.axes[0].get_lines()
    assert len(lines[0].get_xdata()) == len(compared[0].phenomena) + 1


def test_curves_of_many_runs_have_readable_labels(drawn: list[Any]) -> None:
    points = [(10.0**i, Estimate(0.5 + i / 20, 0.45 + i / 20, 0.55 + i / 20)) for i in range(6, 10)]
    curve_plot([(LONG.format(i), points) for i in range(4)], "tokens", "Accuracy over tokens")
    assert_readable(drawn[0])


def test_ink_and_lines_follow_the_page_and_no_model_has_their_colour(tmp_path: Path) -> None:
    plot = score_plot(evaluation(tmp_path / "e.json", {"a": 0.6, "b": 0.7, "_c": 0.8}))
    assert "var(--ink)" in plot.svg
    assert "var(--line)" in plot.svg
    assert "background" not in plot.svg
    assert not re.search(r"fill: (#ffffff|white)", plot.svg.split("<defs>")[0])
    assert plot.png.startswith(b"\x89PNG")
    assert all(colour.lower() in plot.svg.lower() for colour in COLOURS[:3])
    assert "_c" in plot.svg
    again = score_plot(evaluation(tmp_path / "e.json", {"a": 0.6, "b": 0.7, "_c": 0.8}))
    assert again.svg == plot.svg
