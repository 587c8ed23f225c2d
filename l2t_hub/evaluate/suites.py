"""The evaluation suites: their lm-evaluation-harness tasks, the number of shots, and how examples are grouped.

`blimp` and `general` are the paper's zero-shot and five-shot tasks; their datasets come from the Hub. `probes` is
bundled.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from l2t_hub.errors import UsageError, nearest
from l2t_hub.evaluate.matrices import NAME as MATRICES
from l2t_hub.evaluate.matrices import read_matrices
from l2t_hub.evaluate.own_items import OwnItems
from l2t_hub.evaluate.pair_set import (
    SUFFIXES,
    PairSpec,
    read_pairs,
    read_spec,
    spec_from,
    write_spec,
)

DEFAULT = "probes"
PSYCHOMETRIC = "psychometric"
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
    ours. Without such a column, each task is a phenomenon. `task_folder` has the task files that lm-eval lacks. A
    suite of a user's own has `items` instead of parts.
    """

    name: str
    parts: tuple[SuitePart, ...]
    phenomenon_column: str | None = None
    renamed: Mapping[str, str] = field(default_factory=dict)
    task_folder: Path | None = None
    items: OwnItems | None = None
    field_column: str | None = None
    kind: Literal["harness", "tasks", "psychometric"] = "harness"
    """What asks the questions: lm-eval, `task_suite` or `psychometric`."""

    def digest(self) -> str | None:
        """Return the SHA-256 of a user's items, or of the bundled data and task files; None if there are none."""
        if self.items is not None:
            return self.items.sha256
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

    def field_of(self, row: Mapping[str, Any]) -> str | None:
        """Return the field of linguistics of a data row, None if the data name none."""
        return None if self.field_column is None else str(row[self.field_column]).replace("/", "_")


ZERO_SHOT = ("piqa", "hellaswag", "sciq", "copa", "race", "record", "lambada_openai", "lambada_standard")
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
            field_column="field",
        ),
        Suite("general", (SuitePart(ZERO_SHOT, 0), SuitePart(FIVE_SHOT, 5))),
        # The fourteen tasks on text that a user names.
        Suite("tasks", (), kind="tasks"),
        # How numbers are represented: figures of the models' states, which `psychometric` computes.
        Suite(PSYCHOMETRIC, (), kind="psychometric"),
    )
}


def get_suite(name: str) -> Suite:
    """Return a suite by name, or by the path of a suite file.

    Raises UsageError with the closest name if there is none, or for a wrong suite file; UserError for wrong pairs.
    """
    if name.endswith(SUFFIXES):
        return pair_suite(read_spec(Path(name)), Path(name).parent)
    if name not in SUITES:
        raise UsageError(
            f"Unknown suite '{name}'. {nearest(name, SUITES)}",
            f"Suites: {', '.join(SUITES)}, or a suite file.",
        )
    return SUITES[name]


def pair_suite(spec: PairSpec, base: Path) -> Suite:
    """Return the suite of some pairs. Raises UsageError for a missing column, UserError for pairs that are wrong."""
    return Suite(spec.name, (), phenomenon_column="phenomenon", items=read_pairs(spec, base))


def with_matrices(suites: list[Suite], file: str | None) -> list[Suite]:
    """Return the suites of an evaluation, with the matrices of a file after `psychometric`. Raises UsageError."""
    if file is None:
        return suites
    if all(suite.kind != "psychometric" for suite in suites):
        raise UsageError(
            "--matrices is for the suite psychometric, which is not asked for", "Add --suite psychometric."
        )
    return [*suites, Suite(MATRICES, (), phenomenon_column="phenomenon", items=read_matrices(file))]


def get_suites(names: str) -> list[Suite]:
    """Return the suites of a list such as `probes,blimp`. Raises as `get_suite` does, or if a name is given twice."""
    listed = [names] if Path(names).is_file() else [name.strip() for name in names.split(",")]
    suites = [get_suite(name) for name in listed if name]
    if not suites:
        raise UsageError("--suite names no suite", f"Suites: {', '.join(SUITES)}, or a suite file.")
    seen: set[str] = set()
    for suite in suites:
        if suite.name in seen:
            raise UsageError(f"Suite '{suite.name}' is given twice", "Give each suite once.")
        seen.add(suite.name)
    return suites


def chosen_suites(
    suite: str | None, pairs: str | None, *, keep: Path | None = None, **options: str | None
) -> list[Suite]:
    """Return the suites that the arguments of `l2t eval` name, and keep a user's own in the file `keep`.

    `options` are good, bad, by (columns separated by commas) and first. Raises UsageError for options that do not go
    together.
    """
    given = {key: value for key, value in options.items() if value is not None}
    if pairs is None:
        if given or keep:
            raise UsageError(f"--{next(iter(given), 'keep')} is about --pairs, which is missing")
        return get_suites(suite or DEFAULT)
    if suite is not None:
        raise UsageError("--suite and --pairs both say what to score on", "Give one of them.")
    keys: dict[str, Any] = dict(given)
    if "by" in keys:
        keys["by"] = [name.strip() for name in keys["by"].split(",") if name.strip()]
    spec = spec_from(pairs, **keys)
    own = pair_suite(spec, Path())
    if keep is not None and own.items is not None:
        write_spec(spec, own.items, keep)
    return [own]
