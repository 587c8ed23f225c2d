"""A minimal pair under one model: which sentence it prefers, and the two sentences aligned token by token.

Pure functions of surprisals, independent of models and HTML.
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from functools import cached_property
from typing import Protocol

from l2t_hub.scoring import Score, Token

TIE_BITS = 0.05
"""Preferences below this many bits, shown as 0.0 or 0.1, count as a tie."""


class Aligned(Protocol):
    """A column of two aligned sentences."""

    @property
    def same(self) -> bool:
        """Whether both sentences have the same token or word."""


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
    """Align two token sequences by their ids."""
    places = align_keys([token.id for token in good], [token.id for token in bad])
    return tuple(Column(None if g is None else good[g], None if b is None else bad[b]) for g, b in places)


def align_keys(good: Sequence[Hashable], bad: Sequence[Hashable]) -> list[tuple[int | None, int | None]]:
    """Align two sequences: first their common start and end, then the rest by longest matches.

    Return the places of the aligned members; None where a sequence has no member.

    The common start and end are removed before `difflib` aligns the rest. `difflib` looks for the longest match
    anywhere, and could otherwise split the start, where both sentences have the same context.
    """
    start = _common_length(good, bad)
    end = _common_length(good[start:][::-1], bad[start:][::-1])
    places: list[tuple[int | None, int | None]] = [(i, i) for i in range(start)]
    middle = good[start : len(good) - end], bad[start : len(bad) - end]
    for _, g0, g1, b0, b1 in SequenceMatcher(None, *middle, autojunk=False).get_opcodes():
        for i in range(max(g1 - g0, b1 - b0)):
            places.append((start + g0 + i if g0 + i < g1 else None, start + b0 + i if b0 + i < b1 else None))
    return places + [(len(good) - i, len(bad) - i) for i in range(end, 0, -1)]


def _common_length(first: Sequence[Hashable], second: Sequence[Hashable]) -> int:
    pairs = zip(first, second, strict=False)
    return next((i for i, (a, b) in enumerate(pairs) if a != b), min(len(first), len(second)))


def critical_region(columns: Sequence[Aligned]) -> range:
    """Return the first run of columns in which the sentences differ, empty if they are equal."""
    start = next((i for i, column in enumerate(columns) if not column.same), len(columns))
    end = next((i for i in range(start, len(columns)) if columns[i].same), len(columns))
    return range(start, end)


def summarize_preferences(comparisons: Sequence[PairComparison]) -> str:
    """Return one line that says which sentence each model prefers, and by how many bits.

    Models that agree share a clause: "raw and l2t both prefer the grammatical sentence, by 1.2 and 3.2 bits."
    """
    groups: dict[str, list[PairComparison]] = {}
    for comparison in comparisons:
        groups.setdefault(comparison.choice, []).append(comparison)
    if len(groups) == 1 and len(comparisons) > 1:
        return _agreement(comparisons)
    clauses: list[str] = []
    before = "tie"
    for choice, group in groups.items():
        names, many = listed([c.model for c in group]), len(group) > 1
        if choice == "tie":
            clauses.append(f"{names} {'find' if many else 'finds'} both sentences equally probable")
        else:
            which = sentence_name(choice) if before == "tie" else "the other"
            clauses.append(f"{names} {'prefer' if many else 'prefers'} {which} by {_bits(group)}")
        before = choice
    return "; ".join(clauses) + "."


def sentence_name(choice: str) -> str:
    """Return what a sentence of the pair is called in running text."""
    return {"good": "the grammatical sentence", "bad": "the ungrammatical sentence"}[choice]


def listed(names: Sequence[str]) -> str:
    """Return names as running text: `a`, `a and b`, `a, b and c`."""
    return " and ".join([", ".join(names[:-1])] * (len(names) > 1) + [*names[-1:]])


def _agreement(comparisons: Sequence[PairComparison]) -> str:
    names = listed([comparison.model for comparison in comparisons])
    all_of_them = "both" if len(comparisons) == 2 else "all"
    choice = comparisons[0].choice
    if choice == "tie":
        return f"{names} {all_of_them} find the two sentences equally probable."
    return f"{names} {all_of_them} prefer {sentence_name(choice)}, by {_bits(comparisons)}."


def _bits(comparisons: Sequence[PairComparison]) -> str:
    return listed([f"{abs(comparison.preference):.1f}" for comparison in comparisons]) + " bits"
