"""The evaluation suites: which lm-evaluation-harness tasks each runs, with how many shots, and how they are grouped.

`blimp` and `general` are the paper's zero-shot and five-shot sets; their datasets come from the Hub.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from l2t_hub.errors import UsageError, nearest

METRIC = "acc"
"""The per-example metric, 0 or 1, that says which answers are right; every task of every suite has it."""

PROBES = Path(__file__).parent / "probes"


@dataclass(frozen=True)
class SuitePart:
    """Tasks that run with one number of examples in the prompt; `shots` None keeps each task's own setting."""

    tasks: tuple[str, ...]
    shots: int | None = None


@dataclass(frozen=True)
class Suite:
    """A named set of tasks.

    A result belongs to the phenomenon its data names in column `phenomenon`, called as `rename` says, or, where the
    suite has no such column, to its task. `task_folder` holds task files that lm-eval does not come with.
    """

    name: str
    about: str
    parts: tuple[SuitePart, ...]
    phenomenon: str | None = None
    rename: Mapping[str, str] = field(default_factory=dict)
    task_folder: Path | None = None

    def digest(self) -> str | None:
        """SHA-256 over names and contents of the suite's own data and task files, None where it has none."""
        if self.task_folder is None:
            return None
        digest = hashlib.sha256()
        for path in sorted((*self.task_folder.glob("*yaml"), *self.task_folder.glob("data/*"))):
            digest.update(f"{path.name}\0".encode() + path.read_bytes())
        return digest.hexdigest()

    def group(self, task: str, shots: int, doc: Mapping[str, Any]) -> str:
        """The phenomenon an example belongs to."""
        if self.phenomenon:
            name = str(doc[self.phenomenon])
            return self.rename.get(name, name)
        return f"{task} ({shots}-shot)"


# Without the paper's ReCoRD: lm-eval up to 0.4.13 scores it with a module that transformers 5 no longer has.
ZERO_SHOT = ("piqa", "hellaswag", "sciq", "copa", "race", "lambada_openai", "lambada_standard")
FIVE_SHOT = ("logiqa", "arc_easy", "social_iqa", "openbookqa", "hellaswag")

SUITES = {
    suite.name: suite
    for suite in (
        Suite(
            "probes",
            "the bundled minimal pairs: twelve phenomena, 72 pairs each",
            (SuitePart(("l2t_probes",)),),
            phenomenon="phenomenon",
            task_folder=PROBES,
        ),
        Suite(
            "blimp",
            "BLiMP: twelve phenomena, 67,000 minimal pairs (as lm-eval runs it: a space before each sentence)",
            (SuitePart(("blimp",)),),
            phenomenon="linguistics_term",
            # Warstadt et al. (2020) count selection with argument structure, which makes the twelve.
            rename={"s-selection": "argument_structure", "filler_gap_dependency": "filler_gap"},
        ),
        Suite(
            "general",
            "the paper's zero-shot and five-shot tasks other than BLiMP and ReCoRD",
            (SuitePart(ZERO_SHOT, 0), SuitePart(FIVE_SHOT, 5)),
        ),
    )
}


def get_suite(name: str) -> Suite:
    """Find a suite by name; raises UsageError with the nearest name."""
    if name not in SUITES:
        raise UsageError(f"Unknown suite '{name}'. {nearest(name, SUITES)}", f"Suites: {', '.join(SUITES)}")
    return SUITES[name]
