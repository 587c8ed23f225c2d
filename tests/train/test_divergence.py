"""A spike of the loss: when it counts as one, and how the run stops and goes on."""

from pathlib import Path
from typing import Any

import pytest
from tiny_run import tiny_recipe

from l2t_hub.errors import UserError
from l2t_hub.train import train
from l2t_hub.train.divergence import SpikeDetector


def first_spike(losses: list[float], factor: float | None = 2.0) -> int | None:
    detector = SpikeDetector(factor)
    return next((step for step, loss in enumerate(losses) if detector.sees(step, loss)), None)


@pytest.mark.parametrize(
    ("losses", "step"),
    [
        ([3.0] * 20 + [6.1, 6.1, 6.1], 22),  # three in a row
        ([3.0] * 20 + [6.0, 6.0, 6.0, 6.0], None),  # not above twice the median
        ([3.0] * 20 + [9.0, 9.0, 3.0, 9.0, 9.0], None),  # never three in a row
        ([3.0] * 19 + [9.0, 9.0, 9.0], None),  # too few records before it
        ([8.0 - 0.3 * n for n in range(20)] + [2.0] * 10 + [3.9] * 3, None),  # a fall raises nothing
        ([3.0] * 30 + [6.1, float("inf"), 6.1], 32),
    ],
)
def test_a_spike_is_three_records_above_twice_the_median(losses: list[float], step: int | None) -> None:
    assert first_spike(losses) == step
    assert first_spike(losses, factor=None) is None


def test_the_records_of_a_spike_do_not_raise_the_median() -> None:
    detector = SpikeDetector(2.0)
    detector.follow([{"step": n, "loss": 3.0} for n in range(20)] + [{"step": 20, "eval_loss": 99.0}])
    assert [detector.sees(21 + n, 100.0) for n in range(4)] == [False, False, True, True]
    assert (detector.median, detector.good_step) == (3.0, 19)


def test_a_run_stops_at_a_spike_and_goes_on_as_its_message_says(
    packed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from l2t_hub.train.trainer import PackTrainer

    compute = PackTrainer.compute_loss

    def spiking(self: PackTrainer, *arguments: Any, **keywords: Any) -> Any:
        loss = compute(self, *arguments, **keywords)
        return loss * (5.0 if self.state.global_step >= 22 else 1.0)

    monkeypatch.setattr(PackTrainer, "compute_loss", spiking)
    every = {"max_steps": 28, "logging_steps": 1, "eval_steps": 28, "save_steps": 8}
    out = tmp_path / "model"
    with pytest.raises(UserError, match=r"the loss spiked: at step 25 .* for 3 records in a row") as stop:
        train(tiny_recipe(**every), packed, out)
    hint = str(stop.value.hint)
    checkpoint, newer = out / "checkpoints" / "checkpoint-16", out / "checkpoints" / "checkpoint-24"
    assert f"The last good checkpoint is {checkpoint}." in hint
    assert f"remove {newer}, which hold the spike" in hint
    assert "--set train.stop_on_spike=null" in hint
    # The detector knows the records of before: a continued run stops at the same step.
    with pytest.raises(UserError, match="at step 25"):
        train(tiny_recipe(**every), packed, out)
    assert train(tiny_recipe(**every, stop_on_spike=None), packed, out).steps == 28
