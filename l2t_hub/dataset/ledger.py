"""The ledger of a build: at every stage, input = output + what was dropped, by named reason.

A ledger is a table of flows. Each flow balances by itself, and the flows are tied to each other: every example made
is encoded, and every token encoded is in a sequence or dropped. So nothing can vanish between stages. The ledgers of
all partitions add up to the ledger of the build.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from l2t_hub.records.dataset_manifest import LedgerRow

RAW = "raw"


class FlowKey(NamedTuple):
    """Identifies a flow. `split` is "" before there is one; `what` is a task's name or RAW."""

    stage: str
    split: str = ""
    what: str = ""


# stage -> (unit, input, output)
STAGES: dict[str, tuple[str, str, str]] = {
    "read": ("records", "records of the source", "documents"),
    "assign": ("uses", "uses of documents that the mixture asks for", "uses assigned"),
    "document": ("documents", "documents assigned", "documents that gave at least one example"),
    "block": ("blocks", "blocks cut", "blocks of enough words"),
    "make": ("examples", "blocks of enough words", "examples made"),
    "fit": ("examples", "examples made", "examples that fit a sequence"),
    "tokens": ("tokens", "tokens encoded (with BOS and EOS)", "tokens in sequences"),
    "pack": ("positions", "positions of all sequences", "tokens in sequences"),
}
# The output of the first stage is the input of the second.
TIED_STAGES = (("assign", "document"), ("block", "make"), ("make", "fit"))


@dataclass
class Flow:
    """One balance: `came_in` = `went_out` + the sum of `dropped`."""

    came_in: int = 0
    went_out: int = 0
    dropped: Counter[str] = field(default_factory=Counter)

    def balanced(self) -> bool:
        """Whether the flow adds up and no count is negative."""
        return (
            self.came_in == self.went_out + self.dropped.total()
            and min(self.dropped.values(), default=0) >= 0
        )


class Ledger:
    """Flows by key. `add` and `count` fill it; `check` names what does not add up."""

    def __init__(self) -> None:
        self.flows: dict[FlowKey, Flow] = {}

    def add(
        self, key: FlowKey, came_in: int = 0, went_out: int = 0, dropped: Mapping[str, int] | None = None
    ) -> None:
        """Add to a flow, in the stage's unit."""
        flow = self.flows.setdefault(key, Flow())
        flow.came_in += came_in
        flow.went_out += went_out
        for reason, count in (dropped or {}).items():
            if count:
                flow.dropped[reason] += count

    def count(self, key: FlowKey, drop_reason: str | None = None, units: int = 1) -> None:
        """Add `units` that came in and went out, or were dropped for a reason."""
        if drop_reason is None:
            self.add(key, units, units)
        else:
            self.add(key, units, 0, {drop_reason: units})

    def get(self, stage: str, split: str = "", what: str = "") -> Flow:
        """Return a flow, which is empty if nothing was counted."""
        return self.flows.get(FlowKey(stage, split, what), Flow())

    def total(self, stage: str, split: str | None = None, tasks: bool | None = None) -> Flow:
        """Return the sum of a stage's flows, of one split or all.

        `tasks` selects: True for tasks only, False for raw text only, None for both.
        """
        total = Flow()
        for key, flow in self.flows.items():
            in_stage = key.stage == stage and (split is None or key.split == split)
            if in_stage and (tasks is None or tasks == (key.what != RAW)):
                total.came_in += flow.came_in
                total.went_out += flow.went_out
                total.dropped.update(flow.dropped)
        return total

    def splits(self) -> list[str]:
        """Return the splits that have a flow, sorted."""
        return sorted({key.split for key in self.flows if key.split})

    def tasks(self) -> list[str]:
        """Return the tasks that documents were assigned to, sorted."""
        return sorted({key.what for key in self.flows if key.stage == "document" and key.what != RAW})

    def check(self, packed: bool) -> list[str]:
        """Return a sentence for everything that does not add up; none if all does, to the last token.

        `packed` says whether the tokens went into sequences.
        """
        problems = [
            f"{', '.join(part for part in key if part)}: {flow.came_in:,} came in, {flow.went_out:,} went out and "
            f"{flow.dropped.total():,} were dropped"
            for key, flow in sorted(self.flows.items())
            if not flow.balanced()
        ]
        for split in self.splits():
            for before, after in TIED_STAGES:
                output, following = self.total(before, split).went_out, self.total(after, split).came_in
                if output != following:
                    problems.append(
                        f"{split}: {output:,} went out of {before} and {following:,} came into {after}"
                    )
            for tasks, kind in ((False, RAW), (True, "task")):
                output = self.total("tokens", split, tasks).went_out
                in_sequences = self.get("pack", split, kind).went_out
                if packed and output != in_sequences:
                    problems.append(f"{split}, {kind}: {output:,} tokens kept, {in_sequences:,} in sequences")
        return problems

    def to_json(self) -> list[LedgerRow]:
        """Return the flows as rows sorted by key: stage, split, what, unit, in, out, dropped."""
        return [
            {
                "stage": key.stage,
                "split": key.split,
                "what": key.what,
                "unit": STAGES[key.stage][0],
                "in": flow.came_in,
                "out": flow.went_out,
                "dropped": dict(sorted(flow.dropped.items())),
            }
            for key, flow in sorted(self.flows.items())
        ]

    @classmethod
    def from_json(cls, rows: Iterable[LedgerRow]) -> "Ledger":
        """Return the ledger that `to_json` wrote."""
        ledger = cls()
        for row in rows:
            key = FlowKey(row["stage"], row["split"], row["what"])
            ledger.add(key, row["in"], row["out"], row["dropped"])
        return ledger


def merged(ledgers: Iterable[Ledger]) -> Ledger:
    """Return the sum of some ledgers."""
    total = Ledger()
    for ledger in ledgers:
        for key, flow in ledger.flows.items():
            total.add(key, flow.came_in, flow.went_out, flow.dropped)
    return total
