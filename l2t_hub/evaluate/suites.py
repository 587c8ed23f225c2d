"""The evaluation suites: their lm-evaluation-harness tasks, the number of shots, and how examples are grouped.

`blimp` and `general` are the paper's zero-shot and five-shot tasks; their datasets come from the Hub. `probes` is
bundled.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from l2t_hub.errors import UsageError, nearest

METRIC = "acc"
"""The metric of every task: 1 for an example that the model gets right, else 0."""

PROBES = Path(__file__).parent / "probes"


@dataclass(frozen=True)
class SuitePart:
    """lm-eval tasks that run with the same number of shots. With `shots` None each task keeps its own number."""

    tasks: tuple[str, ...]
    shots: int | None = None


@dataclass(frozen=True)
class Suite:
    """A named set of tasks whose examples are grouped into phenomena.

    Column `phenomenon_column` of the data names an example's phenomenon, and `renamed` maps some of those names to
    ours. Without such a column, each task is a phenomenon. `task_folder` has the task files that lm-eval lacks.
    """

    name: str
    parts: tuple[SuitePart, ...]
    phenomenon_column: str | None = None
    renamed: Mapping[str, str] = field(default_factory=dict)
    task_folder: Path | None = None

    def digest(self) -> str | None:
        """Return the SHA-256 of the names and contents of the bundled data and task files, None if there are none."""
        if self.task_folder is None:
            return None
        digest = hashlib.sha256()
        for path in sorted((*self.task_folder.glob("*yaml"), *self.task_folder.glob("data/*"))):
            digest.update(f"{path.name}\0".encode() + path.read_bytes())
        return digest.hexdigest()

    def phenomenon_of(self, task: str, shots: int, row: Mapping[str, Any]) -> str:
        """Return the phenomenon of a data row."""
        if self.phenomenon_column:
            name = str(row[self.phenomenon_column])
            return self.renamed.get(name, name)
        return f"{task} ({shots}-shot)"


# The paper also has ReCoRD. lm-eval up to 0.4.13 scores it with a module that transformers 5 no longer has.
ZERO_SHOT = ("piqa", "hellaswag", "sciq", "copa", "race", "lambada_openai", "lambada_standard")
FIVE_SHOT = ("logiqa", "arc_easy", "social_iqa", "openbookqa", "hellaswag")

SUITES = {
    suite.name: suite
    for suite in (
        # Twelve phenomena with 72 minimal pairs each.
        Suite("probes", (SuitePart(("l2t_probes",)),), phenomenon_column="phenomenon", task_folder=PROBES),
        # Twelve phenomena with 67,000 minimal pairs. lm-eval puts a space before each sentence.
        Suite(
            "blimp",
            (SuitePart(("blimp",)),),
            phenomenon_column="linguistics_term",
            # Warstadt et al. (2020) count selection as argument structure, which makes twelve phenomena.
            renamed={"s-selection": "argument_structure", "filler_gap_dependency": "filler_gap"},
        ),
        Suite("general", (SuitePart(ZERO_SHOT, 0), SuitePart(FIVE_SHOT, 5))),
    )
}


def get_suite(name: str) -> Suite:
    """Return a suite by name. Raises UsageError with the closest name if there is none."""
    if name not in SUITES:
        raise UsageError(f"Unknown suite '{name}'. {nearest(name, SUITES)}", f"Suites: {', '.join(SUITES)}")
    return SUITES[name]
