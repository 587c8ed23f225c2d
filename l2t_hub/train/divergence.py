"""When training goes wrong: a loss or weight that is not finite, or a spike of the loss that stays.

The run stops and names the last checkpoint from before it.
"""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from l2t_hub.artifacts import CHECKPOINTS
from l2t_hub.console import command, same_command
from l2t_hub.errors import UserError
from l2t_hub.recipe import Recipe
from l2t_hub.train.checkpoints import complete_checkpoints, step_of
from l2t_hub.train.training_log import Record

SPIKE_WINDOW = 20
"""Records of the training loss whose median a spike is compared with. Before there are as many, none is found."""
SPIKE_RECORDS = 3
"""Records in a row that must be above it: a single bad batch is not a spike."""


@dataclass
class SpikeDetector:
    """Looks for a spike in the records of the training loss.

    A spike is SPIKE_RECORDS records in a row with a loss above `factor` times the median of the SPIKE_WINDOW before
    them. With `factor` None there is none.
    """

    factor: float | None
    good_step: int = 0
    """Step of the last record that was not above."""
    streak: int = 0
    _losses: deque[float] = field(default_factory=lambda: deque(maxlen=SPIKE_WINDOW))

    def follow(self, records: Iterable[Record]) -> None:
        """Take note of the records of a run that continues."""
        for record in records:
            if "loss" in record:
                self.sees(record["step"], record["loss"])

    def sees(self, step: int, loss: float) -> bool:
        """Take note of a record, and return whether it completes a spike."""
        if self.factor is not None and len(self._losses) == SPIKE_WINDOW and loss > self.factor * self.median:
            self.streak += 1
        else:
            self.streak, self.good_step = 0, step
            self._losses.append(loss)
        return self.streak >= SPIKE_RECORDS

    @property
    def median(self) -> float:
        """The median loss of the records before the spike."""
        return median(self._losses)

    def error(self, recipe: Recipe, out: Path, step: int, loss: float) -> UserError:
        """Return what stops the run at a spike: what was seen, and the two ways to go on."""
        before = [path for path in complete_checkpoints(out) if step_of(path) <= self.good_step]
        later = [path for path in complete_checkpoints(out) if step_of(path) > self.good_step]
        again = same_command(without="--fresh") or command("train", recipe.name, "--out", str(out), "...")
        go_on = (
            "To go on from there without this check: "
            + (f"remove {' and '.join(map(str, later))}, which hold the spike, then run " if later else "")
            + f"{again} --set train.stop_on_spike=null"
        )
        return UserError(
            f"the loss spiked: at step {step:,} it is {loss:.4g}, {loss / self.median:.1f} times the "
            f"{self.median:.4g} of before, for {SPIKE_RECORDS} records in a row",
            f"{_last_good(before, out)} {go_on}. {_remedy(recipe)}"
            if before
            else f"{_last_good(before, out)} {_remedy(recipe)}",
        )


def not_finite(recipe: Recipe, out: Path, step: int, evidence: str) -> UserError:
    """Return what stops a run whose loss or weights are not finite."""
    # A checkpoint is written only if all weights are finite.
    return UserError(
        f"training diverged: at step {step:,} {evidence}",
        f"{_last_good(complete_checkpoints(out), out)} {_remedy(recipe)}",
    )


def _last_good(checkpoints: list[Path], out: Path) -> str:
    if not checkpoints:
        return f"There is no checkpoint from before it in {out / CHECKPOINTS}."
    return f"The last good checkpoint is {checkpoints[0]}."


def _remedy(recipe: Recipe) -> str:
    return (
        f"To avoid it, lower `train.learning_rate` (now {recipe.train.learning_rate:g}) or raise "
        f"`train.warmup_steps` (now {recipe.train.warmup_steps:,}), and train into another --out."
    )
