"""Watches a run from outside its steps: measures the model, and stops at a spike of the loss."""

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from transformers import TrainerCallback

from l2t_hub.artifacts import CHECKPOINTS, TRAINING_LOG
from l2t_hub.train.checkpoints import step_of
from l2t_hub.train.divergence import SpikeDetector, not_finite
from l2t_hub.train.measurement import Measurement
from l2t_hub.train.training_log import Record, read_log

if TYPE_CHECKING:
    from l2t_hub.train.trainer import PackTrainer


class Watcher(TrainerCallback):
    """Appends what is measured to the log of the run. Raises UserError at a spike, in every process alike."""

    def __init__(self, trainer: "PackTrainer", measurements: tuple[Measurement, ...] = ()) -> None:
        self.trainer, self.measurements = trainer, measurements
        self.spikes = SpikeDetector(trainer.recipe.train.stop_on_spike)
        if trainer.checkpoint is not None:
            self.spikes.follow(_records_up_to(trainer.checkpoint, trainer.out))

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Measure the model before the first step."""
        if state.global_step == 0:
            self._measure(0, last=False)

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Measure what is due. A checkpoint of this step is written later, so a run that continues has it all."""
        self._measure(state.global_step, last=state.global_step >= state.max_steps)

    def on_log(self, args: Any, state: Any, control: Any, **event: Any) -> None:
        """Look for a spike."""
        loss, step = event["logs"].get("loss"), state.global_step
        if loss is not None and self.spikes.sees(step, loss):
            raise self.spikes.error(self.trainer.recipe, self.trainer.out, step, loss)

    def _measure(self, step: int, last: bool) -> None:
        trainer = self.trainer
        due = [measurement for measurement in self.measurements if measurement.is_due(step, last)]
        if not due:
            return
        with trainer.clock.paused():
            trainer.model.eval()  # every step sets it to training again
            values = {m.key: m.measure(trainer.model, trainer.processing_class, last) for m in due}
        found = {key: value for key, value in values.items() if value}
        if not found:
            return
        for loss in found.get("held_out", {}).values():
            if not math.isfinite(loss["loss"]):
                raise not_finite(trainer.recipe, trainer.out, step, f"the held-out loss is {loss['loss']}")
        tokens, seconds = step * trainer.batches.tokens_per_step, round(trainer.clock.read(), 3)
        trainer.training_log.append({"step": step, **found, "tokens": tokens, "seconds": seconds})


def _records_up_to(checkpoint: Path, out: Path) -> list[Record]:
    """Return the records up to a checkpoint. The first process may be cutting off the later ones at this moment."""
    log = out / CHECKPOINTS / TRAINING_LOG
    return [r for r in read_log(log) if r["step"] <= step_of(checkpoint)] if log.is_file() else []
