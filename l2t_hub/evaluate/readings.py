"""Minimal pairs read in other ways: with or without a space before the sentences, summed, per token, or one-prefix.

lm-eval puts a space before the sentences of BLiMP; most papers do not. The choice changes single decisions, and where
two models are close it can change which of them scores higher. So every reading is computed, and each is named.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product

from l2t_hub.evaluate import statistics
from l2t_hub.evaluate.results import Reading, ReadingDifference, Sample


@dataclass(frozen=True)
class _Way:
    """A way to read minimal pairs. `respaced` is the spacing that is not the suite's own."""

    respaced: bool
    per_token: bool = False
    one_prefix: bool = False

    def values(self, sample: Sample) -> tuple[float, ...]:
        """Return the scores of a pair's two sides, or nothing if the reading is not defined for it."""
        if self.one_prefix:
            return sample.respaced_one_prefix if self.respaced else sample.one_prefix
        values = sample.respaced if self.respaced else sample.log_likelihoods
        if not self.per_token:
            return values
        tokens = sample.respaced_tokens if self.respaced else sample.tokens
        return tuple(value / count for value, count in zip(values, tokens, strict=True))

    def read(self, samples: Sequence[Sample]) -> list[Sample]:
        """Return the samples with this reading's decisions. A tie goes to the first choice, as in lm-eval."""
        return [
            replace(sample, correct=values.index(max(values)) == sample.gold)
            for sample in samples
            if (values := self.values(sample))
        ]


WAYS = (
    *(_Way(respaced, per_token=per_token) for respaced, per_token in product((False, True), repeat=2)),
    *(_Way(respaced, one_prefix=True) for respaced in (False, True)),
)


def has_readings(samples: Sequence[Sample]) -> bool:
    """Whether the samples are minimal pairs that were scored with both spacings."""
    return all(
        s.gold is not None and s.tokens and s.respaced and all(s.tokens + s.respaced_tokens) for s in samples
    )


def readings(samples: Sequence[Sample], space: bool) -> tuple[Reading, ...]:
    """Return the accuracies of every reading, the suite's own first; nothing for other tasks.

    `space` says whether the suite itself puts a space before the sentences.
    """
    if not has_readings(samples):
        return ()
    own = {statistics.example_key(sample): sample.correct for sample in samples}
    found = []
    for way in WAYS:
        read = way.read(samples)
        if not read:
            continue
        _, micro, macro = statistics.accuracies(read)
        changed = sum(sample.correct != own[statistics.example_key(sample)] for sample in read)
        found.append(
            Reading(space != way.respaced, way.per_token, micro, macro, changed, one_prefix=way.one_prefix)
        )
    return tuple(found)


def reading_differences(
    samples: Sequence[Sample], baseline_samples: Sequence[Sample], space: bool
) -> tuple[ReadingDifference, ...]:
    """Return the differences from the baseline in every reading, the suite's own first; nothing for other tasks."""
    if not (has_readings(samples) and has_readings(baseline_samples)):
        return ()
    found = []
    for way in WAYS:
        read, baseline = way.read(samples), way.read(baseline_samples)
        # Whether one-prefix applies to a pair depends on the tokenizer, too.
        both = {statistics.example_key(s) for s in read} & {statistics.example_key(s) for s in baseline}
        read = [sample for sample in read if statistics.example_key(sample) in both]
        if not read:
            continue
        compared = statistics.compare("", read, "", baseline)
        found.append(
            ReadingDifference(
                space != way.respaced,
                way.per_token,
                compared.micro,
                compared.macro,
                one_prefix=way.one_prefix,
            )
        )
    return tuple(found)
