"""Minimal pairs read in other ways: with or without a space before the sentences, summed or per token.

lm-eval puts a space before the sentences of BLiMP; most papers do not. The choice changes single decisions, and where
two models are close it can change which of them scores higher. So every reading is computed, and each is named.
"""

from collections.abc import Sequence
from dataclasses import replace
from itertools import product

from l2t_hub.evaluate import statistics
from l2t_hub.evaluate.results import Reading, ReadingDifference, Sample


def has_readings(samples: Sequence[Sample]) -> bool:
    """Whether the samples are minimal pairs that were scored with both spacings."""
    return all(
        s.gold is not None and s.tokens and s.respaced and all(s.tokens + s.respaced_tokens) for s in samples
    )


def read_as(samples: Sequence[Sample], respaced: bool, per_token: bool) -> list[Sample]:
    """Return the samples with the decisions of another reading. A tie goes to the first choice, as in lm-eval."""
    return [replace(s, correct=_choice(s, respaced, per_token) == s.gold) for s in samples]


def _choice(sample: Sample, respaced: bool, per_token: bool) -> int:
    values = sample.respaced if respaced else sample.log_likelihoods
    if per_token:
        tokens = sample.respaced_tokens if respaced else sample.tokens
        values = tuple(value / count for value, count in zip(values, tokens, strict=True))
    return values.index(max(values))


def readings(samples: Sequence[Sample], space: bool) -> tuple[Reading, ...]:
    """Return the accuracies of every reading, the suite's own first; nothing for other tasks.

    `space` says whether the suite itself puts a space before the sentences.
    """
    if not has_readings(samples):
        return ()
    found = []
    for respaced, per_token in product((False, True), repeat=2):
        read = read_as(samples, respaced, per_token)
        _, micro, macro = statistics.accuracies(read)
        changed = sum(a.correct != b.correct for a, b in zip(samples, read, strict=True))
        found.append(Reading(space != respaced, per_token, micro, macro, changed))
    return tuple(found)


def reading_differences(
    samples: Sequence[Sample], baseline_samples: Sequence[Sample], space: bool
) -> tuple[ReadingDifference, ...]:
    """Return the differences from the baseline in every reading, the suite's own first; nothing for other tasks."""
    if not (has_readings(samples) and has_readings(baseline_samples)):
        return ()
    found = []
    for respaced, per_token in product((False, True), repeat=2):
        both = (read_as(group, respaced, per_token) for group in (samples, baseline_samples))
        compared = statistics.compare("", next(both), "", next(both))
        found.append(ReadingDifference(space != respaced, per_token, compared.micro, compared.macro))
    return tuple(found)
