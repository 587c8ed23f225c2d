"""What a difference on some pairs says beyond them: clusters, tests of phenomena, power, and seeds as replicates.

Pairs of one paradigm share words and structure, so they are resampled together. Checkpoints that differ only in their
seed differ too, which no number of pairs shows; only several runs of a recipe do.
"""

import math
from collections.abc import Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray

from l2t_hub.evaluate.results import Estimate

LEVEL = 0.95
RESAMPLES, SEED = 10_000, 0
MIN_CLUSTERS = 20
"""With fewer clusters, the intervals of a cluster bootstrap are too narrow."""
POWER = 0.8
ROUNDING = 1e-9
"""Means of equal scores can differ by this much."""


def cluster_bootstrap(clusters: Sequence[tuple[float, int]], seed: int = SEED) -> Estimate | None:
    """Return the mean over all examples, with an interval from resampling whole clusters; None for few clusters.

    A cluster is the sum of its examples' values and their number. The interval is the expanded percentile interval
    of Hesterberg (2015, Am. Stat. 69: 371-386): as much wider than plain percentiles as Student's t than the normal.
    """
    count = len(clusters)
    if count < MIN_CLUSTERS:
        return None
    sums, sizes = (np.array(column, dtype=float) for column in zip(*clusters, strict=True))
    drawn = np.random.default_rng(seed).multinomial(count, np.full(count, 1 / count), size=RESAMPLES)
    means = (drawn @ sums) / (drawn @ sizes)
    tail = _expanded_tail(count)
    low, high = np.quantile(means, [tail, 1 - tail])
    value = float(sums.sum() / sizes.sum())
    return Estimate(value, min(value, float(low)), max(value, float(high)))


@cache
def _expanded_tail(count: int) -> float:
    from scipy.stats import norm, t

    return float(norm.cdf(t.ppf((1 - LEVEL) / 2, count - 1) * math.sqrt(count / (count - 1))))


def mcnemar(only_first: int, only_second: int) -> float:
    """Return the two-sided p-value of McNemar's exact test: of the discordant pairs, each is as likely either way."""
    from scipy.stats import binomtest

    discordant = only_first + only_second
    return float(binomtest(only_first, discordant).pvalue) if discordant else 1.0


def holm(p_values: Sequence[float]) -> list[float]:
    """Return the p-values adjusted for their number by Holm's method (1979, Scand. J. Stat. 6: 65-70), in order."""
    adjusted, largest = [0.0] * len(p_values), 0.0
    for rank, i in enumerate(sorted(range(len(p_values)), key=lambda i: p_values[i])):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[i]))
        adjusted[i] = largest
    return adjusted


def pairs_needed(only_first: int, only_second: int, total: int) -> int | None:
    """Return how many pairs would show a difference of this size at 95% with a power of 80%; None if there is none.

    Both shares of discordant pairs are taken to stay as they are, and the pairs to be independent.
    """
    first, second = only_first / total, only_second / total
    difference = first - second
    if not difference:
        return None
    return math.ceil(_power_factor() * (first + second - difference**2) / difference**2)


def seeds_needed(difference: float, spread: float) -> int | None:
    """Return how many seeds of each of two recipes would show a difference at 95% with a power of 80%.

    `spread` is the standard deviation between the seeds of one recipe. None if there is no difference beyond
    rounding, or no spread.
    """
    if min(abs(difference), spread) < ROUNDING:
        return None
    return max(2, math.ceil(2 * _power_factor() * (spread / difference) ** 2))


@cache
def _power_factor() -> float:
    from scipy.stats import norm

    return float((norm.ppf(0.5 + LEVEL / 2) + norm.ppf(POWER)) ** 2)


def spread_between(scores: Sequence[float]) -> float:
    """Return the standard deviation between at least two seeds."""
    return float(np.std(scores, ddof=1))


def recipes_differ_by(first: Sequence[float], second: Sequence[float]) -> Estimate:
    """Return the mean of `first` minus that of `second`, one score per seed, with Welch's interval (1947).

    Both need at least two seeds. Where the scores of neither vary, there is no interval: its ends are the value.
    """
    from scipy.stats import t

    parts = [np.var(scores, ddof=1) / len(scores) for scores in (first, second)]
    difference, variance = float(np.mean(first) - np.mean(second)), float(sum(parts))
    if not variance:
        return Estimate(difference, difference, difference)
    freedom = variance**2 / sum(
        part**2 / (len(scores) - 1) for part, scores in zip(parts, (first, second), strict=True)
    )
    half = float(t.ppf(0.5 + LEVEL / 2, freedom)) * math.sqrt(variance)
    return Estimate(difference, difference - half, difference + half)


def crossed_difference(
    first: NDArray[np.float64], second: NDArray[np.float64], shares: NDArray[np.float64], decisions: float
) -> tuple[Estimate, float]:
    """Return the mean score of `first` minus that of `second` with an interval over seeds and items, and its p-value.

    A row is a seed, a column an item or a cluster of items: what it adds to the score of that seed, its share at
    most. A score is the mean of so many `decisions`, right or wrong. Both recipes need at least two seeds.

    Seeds and items are crossed random effects: each seed is scored on all items. The variance is that of the seeds
    (Welch), plus that of the items, paired between the recipes, minus the variance of single cells, which is in both
    (Cameron, Gelbach and Miller, 2011, J. Bus. Econ. Stat. 29: 238-249), and no less than either. Student's t has the
    degrees of freedom of Satterthwaite (1946). Items on which the recipes never differ do not show that they never
    would: the variance of the items is at least that of Bonett and Price (2012) for such items.
    """
    from scipy.stats import t

    groups, columns = (first, second), len(shares)
    correction = columns / (columns - 1) if columns > 1 else 1.0
    scores = [group.sum(axis=1) for group in groups]
    seeds = [float(np.var(score, ddof=1)) / len(score) for score in scores]
    mean = first.mean(axis=0) - second.mean(axis=0)
    value = float(mean.sum())
    items = max(correction * float(((mean - value * shares) ** 2).sum()), 2 / (decisions + 2) ** 2)
    cells = 0.0
    for group, score in zip(groups, scores, strict=True):
        rest = group - group.mean(axis=0) - np.outer(score - score.mean(), shares)
        cells += correction * float((rest**2).sum()) / (len(group) * (len(group) - 1))
    variance = max(sum(seeds) + items - cells, sum(seeds), items)
    parts = [(part, len(group) - 1) for part, group in zip(seeds, groups, strict=True)]
    parts.append((items, max(columns - 1, 1)))
    freedom = sum(part for part, _ in parts) ** 2 / sum(part**2 / count for part, count in parts)
    error = math.sqrt(variance)
    half = float(t.ppf(0.5 + LEVEL / 2, freedom)) * error
    p_value = 2 * float(t.sf(abs(value) / error, freedom))
    return Estimate(value, value - half, value + half), p_value
