"""What is measured on a model while it trains, besides its loss on the dataset's own validation split.

The rooms that know how to score stand above this one, so a run is handed its measurements.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

Measure = Callable[[Any, Any, bool], dict[str, Any]]
"""Gets model, tokenizer, and whether the run ends with this step; returns the JSON of `key` in the log."""


@dataclass(frozen=True)
class Measurement:
    """A value that is measured before the first step, every `every` steps and after the last.

    `key` is its field in `LogEntry` and `TrainingRecord`. `measure` reads the model in evaluation mode and changes
    nothing. Every process of a run calls it with the same arguments.
    """

    key: str
    every: int
    measure: Measure

    def is_due(self, step: int, last: bool) -> bool:
        """Whether it is measured at this step."""
        return last or step % self.every == 0
