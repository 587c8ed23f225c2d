"""What models say about a question: their scores of its sentences, and a line that sums them up. Pure functions."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from l2t_hub.demo.comparison import TIE_BITS, PairComparison, listed
from l2t_hub.demo.pair_input import Question
from l2t_hub.scoring import Score
from l2t_hub.text import counted

PREFERS = {"good": "grammatical", "bad": "ungrammatical", "tie": "tie"}
"""What a model's choice is called in a table."""


@dataclass(frozen=True)
class ModelReading:
    """The scores of one model: one per sentence of the question."""

    model: str
    scores: tuple[Score, ...]

    @cached_property
    def pairs(self) -> tuple[PairComparison, ...]:
        """The scores two by two, for a question about pairs."""
        halves = zip(self.scores[::2], self.scores[1::2], strict=True)
        return tuple(PairComparison(self.model, good, bad) for good, bad in halves)

    def count(self, choice: str) -> int:
        """Return in how many pairs the model's choice is `good`, `bad` or `tie`."""
        return sum(pair.choice == choice for pair in self.pairs)


@dataclass(frozen=True)
class ModelAnswers:
    """A question and what each model makes of it."""

    question: Question
    readings: tuple[ModelReading, ...]

    @property
    def models(self) -> list[str]:
        """The models, as chosen."""
        return [reading.model for reading in self.readings]

    @property
    def comparisons(self) -> list[PairComparison]:
        """The first pair under each model."""
        return [reading.pairs[0] for reading in self.readings]

    @property
    def disagreements(self) -> list[int]:
        """The numbers, from 0, of the pairs on which the models' choices differ."""
        choices = [[pair.choice for pair in reading.pairs] for reading in self.readings]
        return [number for number, row in enumerate(zip(*choices, strict=True)) if len(set(row)) > 1]


def summarize_sentence(readings: Sequence[ModelReading]) -> str:
    """Return one line that says under which model the sentence is most probable."""
    ordered = sorted(readings, key=lambda reading: reading.scores[0].bits)
    bits = [reading.scores[0].bits for reading in ordered]
    if len(ordered) == 1:
        return f"The sentence has {bits[0]:.1f} bits under {ordered[0].model}."
    if bits[-1] - bits[0] < TIE_BITS:
        names = listed([reading.model for reading in readings])
        return f"{names} find the sentence equally probable: {bits[0]:.1f} bits."
    rest = listed([f"{value:.1f} under {r.model}" for value, r in zip(bits[1:], ordered[1:], strict=True)])
    more = "more" if len(ordered) == 2 else "most"
    return f"{ordered[0].model} finds the sentence {more} probable: {bits[0]:.1f} bits, against {rest}."


def summarize_pairs(answer: ModelAnswers) -> str:
    """Return how often each model prefers the grammatical sentence, and on how many pairs the models disagree."""
    total = len(answer.question.pairs)
    clauses: list[str] = []
    for reading in answer.readings:
        right, ties = reading.count("good"), reading.count("tie")
        tied = f", with {counted(ties, 'tie')}" if ties else ""
        of = f"{right} of {counted(total, 'pair')}" if not clauses else f"{right}"
        clauses.append(f"{reading.model} in {of} ({right / total:.1%}{tied})")
    line = f"The grammatical sentence is preferred by {listed(clauses)}."
    if len(answer.readings) > 1:
        split = len(answer.disagreements)
        verdict = f"disagree on {counted(split, 'pair')}" if split else "agree on every pair"
        line += f" The models {verdict}."
    return line


def mean_preference(reading: ModelReading) -> float:
    """Return the mean preference of a model over the pairs, in bits."""
    return math.fsum(pair.preference for pair in reading.pairs) / max(len(reading.pairs), 1)
