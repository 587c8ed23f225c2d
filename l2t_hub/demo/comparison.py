"""A minimal pair under one model: which sentence it prefers, and the two sentences aligned token by token.

Pure functions of surprisals, independent of models and HTML.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from functools import cached_property

from l2t_hub.scoring import Score, Token

TIE_BITS = 0.05
"""Preferences below this many bits, shown as 0.0 or 0.1, count as a tie."""


@dataclass(frozen=True)
class Column:
    """The aligned tokens of both sentences; None where a sentence has no token at this position."""

    good: Token | None
    bad: Token | None

    @property
    def same(self) -> bool:
        """Whether both sentences have the same token."""
        return self.good is not None and self.bad is not None and self.good.id == self.bad.id


@dataclass(frozen=True)
class PairComparison:
    """A minimal pair under one model."""

    model: str
    good: Score
    bad: Score

    @property
    def preference(self) -> float:
        """log2 P(good) - log2 P(bad), in bits: positive if the grammatical sentence is more probable."""
        return self.bad.bits - self.good.bits

    @property
    def choice(self) -> str:
        """Which sentence is more probable: `good`, `bad` or `tie`."""
        if abs(self.preference) < TIE_BITS:
            return "tie"
        return "good" if self.preference > 0 else "bad"

    @cached_property
    def columns(self) -> tuple[Column, ...]:
        """The two token sequences, aligned."""
        return align(self.good.tokens, self.bad.tokens)

    @cached_property
    def critical(self) -> range:
        """The columns from the first difference to where the sentences agree again."""
        return critical_region(self.columns)


def align(good: Sequence[Token], bad: Sequence[Token]) -> tuple[Column, ...]:
    """Align two token sequences: first their common start and end, then the rest by longest matches.

    The common start and end are removed before `difflib` aligns the rest. `difflib` looks for the longest match
    anywhere, and could otherwise split the start, where both sentences have the same context.
    """
    start = _common_length(good, bad)
    end = _common_length(good[start:][::-1], bad[start:][::-1])
    middle_good, middle_bad = good[start : len(good) - end], bad[start : len(bad) - end]
    columns = [Column(g, b) for g, b in zip(good[:start], bad[:start], strict=True)]
    matcher = SequenceMatcher(None, [t.id for t in middle_good], [t.id for t in middle_bad], autojunk=False)
    for _, g0, g1, b0, b1 in matcher.get_opcodes():
        for i in range(max(g1 - g0, b1 - b0)):
            columns.append(
                Column(
                    middle_good[g0 + i] if g0 + i < g1 else None,
                    middle_bad[b0 + i] if b0 + i < b1 else None,
                )
            )
    tail = zip(good[len(good) - end :], bad[len(bad) - end :], strict=True)
    return (*columns, *(Column(g, b) for g, b in tail))


def _common_length(first: Sequence[Token], second: Sequence[Token]) -> int:
    length = 0
    for a, b in zip(first, second, strict=False):
        if a.id != b.id:
            break
        length += 1
    return length


def critical_region(columns: Sequence[Column]) -> range:
    """Return the first run of columns in which the sentences differ, empty if they are equal."""
    start = next((i for i, column in enumerate(columns) if not column.same), len(columns))
    end = next((i for i in range(start, len(columns)) if columns[i].same), len(columns))
    return range(start, end)


def summarize_preferences(comparisons: Sequence[PairComparison]) -> str:
    """Return one line that says which sentence each model prefers, and by how many bits.

    Models that agree share a clause: "raw and l2t both prefer the grammatical sentence, by 1.2 and 3.2 bits."
    """
    choices = [comparison.choice for comparison in comparisons]
    if len(comparisons) == 2 and choices[0] == choices[1]:
        return _agreement(comparisons[0], comparisons[1])
    clauses: list[str] = []
    for comparison in comparisons:
        if comparison.choice == "tie":
            clauses.append(f"{comparison.model} finds both sentences equally probable")
        elif not clauses:
            clauses.append(
                f"{comparison.model} prefers {sentence_name(comparison.choice)} by {_bits(comparison)}"
            )
        else:
            other = "the other" if choices[0] != "tie" else sentence_name(comparison.choice)
            clauses.append(f"{comparison.model} prefers {other} by {_bits(comparison)}")
    return "; ".join(clauses) + "."


def sentence_name(choice: str) -> str:
    """Return what a sentence of the pair is called in running text."""
    return {"good": "the grammatical sentence", "bad": "the ungrammatical sentence"}[choice]


def _agreement(first: PairComparison, second: PairComparison) -> str:
    names = f"{first.model} and {second.model}"
    if first.choice == "tie":
        return f"{names} both find the two sentences equally probable."
    amounts = f"{abs(first.preference):.1f} and {_bits(second)}"
    return f"{names} both prefer {sentence_name(first.choice)}, by {amounts}."


def _bits(comparison: PairComparison) -> str:
    return f"{abs(comparison.preference):.1f} bits"
