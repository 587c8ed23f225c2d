"""The log file and the clock of a run."""

import json
import time
from pathlib import Path

import pytest
import torch

from l2t_hub.train.hardware import peak_flops, utilisation
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


def test_utilisation_is_shown_where_the_peak_is_known(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "NVIDIA H200")
    # 100,000 tokens/s at 3.6 GFLOP each are 360 TFLOP/s: of two GPUs with 989.5 TFLOP/s, 18.2%.
    mfu = utilisation(100_000, 3_600_000_000, "mixed", 2)
    with TrainingLog(tmp_path / "log.jsonl", 8, "tiny") as training_log:
        training_log.append({"step": 2, "tokens": 200, "mfu": mfu, "seconds": 20.0})
    assert read_log(tmp_path / "log.jsonl")[0]["mfu"] == pytest.approx(0.1819, abs=1e-4)
    assert capfd.readouterr().err == "step 2/8  MFU 18.2%\n"


@pytest.mark.parametrize(
    ("gpu", "peak"),
    [
        ("NVIDIA H100 80GB HBM3", 989.5e12),
        ("NVIDIA H100 PCIe", 756.5e12),
        ("NVIDIA A100-SXM4-80GB", 312e12),
        ("NVIDIA L4", 121e12),
        ("NVIDIA L40S", 362.05e12),
        ("NVIDIA H20", None),
        ("NVIDIA A100X", None),
        ("NVIDIA H200 MIG 1g.18gb", None),
    ],
)
def test_the_peak_is_that_of_exactly_this_gpu(
    gpu: str, peak: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: gpu)
    assert peak_flops("bf16") == peak
    assert peak_flops("fp32") is None


def test_without_a_path_nothing_is_written_or_shown(capfd: pytest.CaptureFixture[str]) -> None:
    with TrainingLog(None, 8, "tiny") as training_log:
        training_log.append({"step": 1})
        training_log.show("hello")
    assert capfd.readouterr().err == ""
