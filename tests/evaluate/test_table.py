"""The table for the terminal."""

import re
from pathlib import Path

from rich.console import Console

from l2t_hub.evaluate import Evaluation, render_table


def test_the_table_shows_every_phenomenon_and_the_difference(evaluated: tuple[Evaluation, Path]) -> None:
    evaluation, _ = evaluated
    console = Console(width=80)
    with console.capture() as capture:
        console.print(render_table(evaluation))
    text = capture.get()
    for row in evaluation.models[0].phenomena:
        line = next(line for line in text.splitlines() if row.phenomenon in line)
        figures = rf"{row.phenomenon} +72 +(\d+\.\d \[\d+, \d+\] +){{2}}[+-]\d+\.\d \[[+-]\d+, [+-]\d+\]"
        assert re.search(figures, line), line
    assert "l2t - raw" in text
    assert f"{100 * evaluation.models[0].micro.accuracy.value:.1f} [" in text
    assert f"{100 * evaluation.comparisons[0].macro.value:+.1f} [" in text
