"""The log file and the clock of a run."""

import json
import time
from pathlib import Path

import pytest

from l2t_hub.train.training_log import StepClock, TrainingLog, read_log


def test_the_clock_does_not_count_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr(time, "perf_counter", lambda: now)
    clock = StepClock(seconds=10.0)
    assert clock.read() == 10.0
    clock.start()
    now = 3.0
    with clock.paused():
        now = 100.0
        assert clock.read() == 13.0
    now = 102.0
    assert clock.read() == 15.0


def test_records_after_a_step_are_removed_and_a_cut_line_is_ignored(tmp_path: Path) -> None:
    path = tmp_path / "train_log.jsonl"
    lines = [json.dumps({"step": step, "tokens": 10 * step, "seconds": 1.0}) + "\n" for step in (1, 2, 3)]
    path.write_text("".join(lines) + '{"step": 4, "lo')
    assert [record["step"] for record in read_log(path)] == [1, 2, 3]
    TrainingLog(path, 5, "tiny").truncate_after(2)
    assert path.read_text() == "".join(lines[:2])
    assert [file.name for file in tmp_path.iterdir()] == ["train_log.jsonl"]


def test_a_record_is_appended_and_shown_with_the_time_left(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    record = {"step": 2, "loss": 1.5, "tokens": 200, "tokens_per_second": 10.0, "seconds": 20.0}
    with TrainingLog(tmp_path / "log.jsonl", 8, "tiny") as training_log:
        training_log.append(record)
    assert read_log(tmp_path / "log.jsonl") == [record]
    assert capfd.readouterr().err == "step 2/8  loss 1.5000  10 tokens/s  1:00 left\n"


def test_without_a_path_nothing_is_written_or_shown(capfd: pytest.CaptureFixture[str]) -> None:
    with TrainingLog(None, 8, "tiny") as training_log:
        training_log.append({"step": 1})
        training_log.show("hello")
    assert capfd.readouterr().err == ""
