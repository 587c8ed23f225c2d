"""The evaluation suites: which lm-evaluation-harness tasks each runs, with how many shots, and how they are grouped.

`blimp` and `general` are the paper's zero-shot and five-shot sets; their datasets come from the Hub.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from l2t_hub.errors import UsageError, nearest

PROBES = Path(__file__).parent / "probes"


@dataclass(frozen=True)
class Part:
    """Tasks that run with one number of examples in the prompt; `shots` None keeps each task's own setting."""

    tasks: tuple[str, ...]
    shots: int | None = None


@dataclass(frozen=True)
class Suite:
    """A named set of tasks.

    A result belongs to the phenomenon its data names in column `phenomenon`, called as `rename` says, or, without such
    a column, to its task. `task_folder` holds task files lm-eval does not come with; `metrics` names the metric where it is not `acc`.
    """

    name: str
    about: str
    parts: tuple[Part, ...]
    phenomenon: str | None = None
    rename: Mapping[str, str] = field(default_factory=dict)
    task_folder: Path | None = None
    metrics: Mapping[str, str] = field(default_factory=dict)

    def metric(self, task: str) -> str:
        """The per-example metric, 0 or 1, that counts as right."""
        return self.metrics.get(task, "acc")

    def group(self, task: str, shots: int, doc: Mapping[str, Any]) -> str:
        """The phenomenon an example belongs to."""
        if self.phenomenon:
            name = str(doc[self.phenomenon])
            return self.rename.get(name, name)
        return f"{task} ({shots}-shot)"


ZERO_SHOT = ("piqa", "hellaswag", "sciq", "copa", "race", "record", "lambada_openai", "lambada_standard")
FIVE_SHOT = ("logiqa", "arc_easy", "social_iqa", "openbookqa", "hellaswag")

SUITES = {
    suite.name: suite
    for suite in (
        Suite(
            "probes",
            "the bundled minimal pairs: twelve phenomena, 72 pairs each",
            (Part(("l2t_probes",)),),
            phenomenon="phenomenon",
            task_folder=PROBES,
        ),
        Suite(
            "blimp",
            "BLiMP: twelve phenomena, 67,000 minimal pairs (as lm-eval runs it: a space before each sentence)",
            (Part(("blimp",)),),
            phenomenon="linguistics_term",
            # Warstadt et al. (2020) count selection with argument structure, which makes the twelve.
            rename={"s-selection": "argument_structure", "filler_gap_dependency": "filler_gap"},
        ),
        Suite(
            "general",
            "the paper's zero-shot and five-shot tasks other than BLiMP",
            (Part(ZERO_SHOT, 0), Part(FIVE_SHOT, 5)),
            metrics={"record": "em"},
        ),
    )
}


def get_suite(name: str) -> Suite:
    """Find a suite by name; raises UsageError with the nearest name."""
    if name not in SUITES:
        raise UsageError(f"no suite named '{name}': {nearest(name, SUITES)}", f"Suites: {', '.join(SUITES)}")
    return SUITES[name]
