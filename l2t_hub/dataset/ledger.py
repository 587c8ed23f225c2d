"""The ledger of a build: at every stage, what came in = what went out + what was dropped, by named reason.

A ledger is a table of flows. Each flow balances by itself, and the flows are tied to each other (every example that
was made is encoded, every token that was encoded is in a pack or dropped), so that nothing can vanish between
stages. Ledgers of partitions add up to the ledger of the build.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

RAW = "raw"


class Key(NamedTuple):
    """Which flow: the stage, the split ("" before there is one), and what flows (a task's name, or "raw")."""

    stage: str
    split: str = ""
    what: str = ""


# stage -> (unit, what comes in, what goes out)
STAGES: dict[str, tuple[str, str, str]] = {
    "read": ("records", "records of the source", "documents"),
    "assign": ("uses", "uses of documents that the mixture wants", "uses assigned"),
    "document": ("documents", "documents assigned", "documents that gave at least one example"),
    "block": ("blocks", "blocks cut", "blocks of enough words"),
    "make": ("examples", "blocks of enough words", "examples made"),
    "fit": ("examples", "examples made", "examples that fit a sequence"),
    "tokens": ("tokens", "tokens encoded (with BOS)", "tokens in sequences"),
    "pack": ("positions", "positions of all sequences", "tokens in sequences"),
}


@dataclass
class Flow:
    """One balance: `came_in` = `went_out` + the sum of `dropped`."""

    came_in: int = 0
    went_out: int = 0
    dropped: Counter[str] = field(default_factory=Counter)

    def balanced(self) -> bool:
        """Whether nothing vanished and nothing appeared."""
        return (
            self.came_in == self.went_out + self.dropped.total()
            and min(self.dropped.values(), default=0) >= 0
        )


class Ledger:
    """Flows by key. `note` books what happened; `check` says what does not add up."""

    def __init__(self) -> None:
        self.flows: dict[Key, Flow] = {}

    def note(
        self, key: Key, came_in: int = 0, went_out: int = 0, dropped: Mapping[str, int] | None = None
    ) -> None:
        """Add to a flow. Counts are of the stage's unit."""
        flow = self.flows.setdefault(key, Flow())
        flow.came_in += came_in
        flow.went_out += went_out
        for reason, count in (dropped or {}).items():
            if count:
                flow.dropped[reason] += count

    def passed(self, key: Key, reason: str | None = None, count: int = 1) -> None:
        """Book `count` units that came in and went out, or were dropped for `reason`."""
        if reason is None:
            self.note(key, count, count)
        else:
            self.note(key, count, 0, {reason: count})

    def get(self, stage: str, split: str = "", what: str = "") -> Flow:
        """A flow, empty where nothing was booked."""
        return self.flows.get(Key(stage, split, what), Flow())

    def total(self, stage: str, split: str | None = None, tasks: bool | None = None) -> Flow:
        """The sum of a stage's flows: of one split or all, of tasks only, of raw text only, or of both."""
        total = Flow()
        for key, flow in self.flows.items():
            wanted = key.stage == stage and (split is None or key.split == split)
            if wanted and (tasks is None or tasks == (key.what != RAW)):
                total.came_in += flow.came_in
                total.went_out += flow.went_out
                total.dropped.update(flow.dropped)
        return total

    def splits(self) -> list[str]:
        """The splits that anything was booked for."""
        return sorted({key.split for key in self.flows if key.split})

    def tasks(self) -> list[str]:
        """The tasks that anything was booked for."""
        return sorted({key.what for key in self.flows if key.stage == "document" and key.what != RAW})

    def check(self, packed: bool) -> list[str]:
        """Name everything that does not add up; an empty list means that it does, to the last token.

        `packed` says whether the tokens went into sequences.
        """
        problems = [
            f"{_say(key)}: {flow.came_in:,} came in, {flow.went_out:,} went out and "
            f"{flow.dropped.total():,} were dropped"
            for key, flow in sorted(self.flows.items())
            if not flow.balanced()
        ]
        ties = [("assign", "document"), ("block", "make"), ("make", "fit")]
        for split in self.splits():
            for before, after in ties:
                out = self.total(before, split).went_out
                into = self.total(after, split).came_in
                if out != into:
                    problems.append(f"{split}: {out:,} went out of {before} and {into:,} came into {after}")
            for tasks, kind in ((False, RAW), (True, "task")):
                out = self.total("tokens", split, tasks).went_out
                sequences = self.get("pack", split, kind)
                if packed and out != sequences.went_out:
                    problems.append(
                        f"{split}, {kind}: {out:,} tokens kept, {sequences.went_out:,} in sequences"
                    )
        return problems

    def to_json(self) -> list[dict[str, Any]]:
        """A list of rows, sorted by key: stage, split, what, unit, in, out, dropped."""
        return [
            {**key._asdict(), "unit": STAGES[key.stage][0], "in": f.came_in, "out": f.went_out}
            | {"dropped": dict(sorted(f.dropped.items()))}
            for key, f in sorted(self.flows.items())
        ]

    @classmethod
    def from_json(cls, rows: Iterable[Mapping[str, Any]]) -> "Ledger":
        """Read what `to_json` wrote."""
        ledger = cls()
        for row in rows:
            ledger.note(Key(row["stage"], row["split"], row["what"]), row["in"], row["out"], row["dropped"])
        return ledger


def merged(ledgers: Iterable[Ledger]) -> Ledger:
    """Add ledgers up."""
    total = Ledger()
    for ledger in ledgers:
        for key, flow in ledger.flows.items():
            total.note(key, flow.came_in, flow.went_out, flow.dropped)
    return total


def _say(key: Key) -> str:
    return ", ".join(part for part in key if part)
