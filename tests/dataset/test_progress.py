"""Progress: counters of workers, and lines with rate and estimate."""

import io
from pathlib import Path

import pytest

from l2t_hub.dataset.progress import LineReporter, Meter, MeterWatch


def test_lines_show_rate_and_time_left(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("l2t_hub.dataset.progress.LINE_SECONDS", 0.0)
    stream = io.StringIO()
    lines = LineReporter(stream)
    meter = Meter(tmp_path / "progress", 2).create()
    with MeterWatch(meter, lines, 400):
        for partition in range(2):
            with meter.slot(partition) as tick:
                for n in range(1, 101):
                    tick(n)
        lines.update(meter.total(), 400)
    assert meter.total() == 200
    assert "200 documents of 400" in stream.getvalue()
    assert "s left" in stream.getvalue()
