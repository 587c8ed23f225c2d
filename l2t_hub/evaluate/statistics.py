"""Confidence intervals: for an accuracy, for a mean of accuracies, and for the difference of two models on one set.

Pure arithmetic on counts, no resampling, so no seed. Each interval takes the pairs of a suite as independent draws;
pairs that share a frame are not quite that, so read an interval as the least uncertainty there is.
"""

import math
from collections.abc import Mapping, Sequence
from statistics import NormalDist

from l2t_hub.evaluate.results import Accuracy, Difference, Estimate, ModelComparison, Sample

LEVEL = 0.95
Z = NormalDist().inv_cdf(0.5 + LEVEL / 2)
ALL = "all"
INTERVALS = {
    "accuracy": "Wilson score (per phenomenon, and micro: every example counts once)",
    "macro": "mean of the phenomena's accuracies or differences, MOVER (Zou, Huang and Zhang, 2009)",
    "difference": "paired, Bonett and Price (2012)",
}


def wilson(correct: int, total: int) -> Estimate:
    """Accuracy with Wilson's score interval (E. B. Wilson, 1927, JASA 22: 209-212).

    Unlike the textbook interval it stays in [0, 1] and keeps its coverage at the ends, where easy phenomena sit.
    """
    share, z2 = correct / total, Z * Z / total
    centre = (share + z2 / 2) / (1 + z2)
    half = Z * math.sqrt(share * (1 - share) / total + z2 / (4 * total)) / (1 + z2)
    # Rounding must not push the limit past the accuracy itself where that is 0 or 1.
    return Estimate(share, max(0.0, min(share, centre - half)), min(1.0, max(share, centre + half)))


def paired_difference(only_new: int, only_old: int, total: int) -> Estimate:
    """Accuracy of a new model minus that of an old one on the same pairs, with the interval of Bonett and Price.

    `only_new` pairs only the new model has right, `only_old` only the old one. Being paired, it does not count the
    pairs both find easy or hard as noise. The interval (Bonett and Price, 2012, J. Educ. Behav. Stat. 37: 479-488) is
    Wald's after one pair is added to each of the two counts. A bootstrap would give the same on a large suite, but on
    72 pairs its interval has no width where the models agree on every pair; this one always has.
    """
    new, old = (only_new + 1) / (total + 2), (only_old + 1) / (total + 2)
    half = Z * math.sqrt((new + old - (new - old) ** 2) / (total + 2))
    return Estimate((only_new - only_old) / total, max(-1.0, new - old - half), min(1.0, new - old + half))


def mean(estimates: Sequence[Estimate]) -> Estimate:
    """The plain mean of independent estimates, as a macro average over phenomena is, with its interval.

    By MOVER (Zou, Huang and Zhang, 2009, Comput. Stat. Data Anal. 53: 1080-1085): each side's distances from the
    estimates add up in squares, so the mean inherits the good coverage of its parts' intervals.
    """
    n = len(estimates)
    value = math.fsum(e.value for e in estimates) / n
    below = math.sqrt(math.fsum((e.value - e.low) ** 2 for e in estimates)) / n
    above = math.sqrt(math.fsum((e.high - e.value) ** 2 for e in estimates)) / n
    return Estimate(value, value - below, value + above)


def accuracies(samples: Sequence[Sample]) -> tuple[tuple[Accuracy, ...], Accuracy, Estimate]:
    """Give the accuracy per phenomenon (in alphabetical order), over all examples, and the mean over phenomena."""
    phenomena = tuple(_accuracy(name, rows) for name, rows in _by_phenomenon(samples).items())
    return phenomena, _accuracy(ALL, samples), mean([row.accuracy for row in phenomena])


def compare(
    label: str, samples: Sequence[Sample], baseline: str, others: Sequence[Sample]
) -> ModelComparison:
    """Compare a model with the baseline on the same examples, in whatever order they come."""
    wrong_or_right = {(row.task, row.phenomenon, row.id): row.correct for row in others}
    phenomena = tuple(
        _difference(name, rows, wrong_or_right) for name, rows in _by_phenomenon(samples).items()
    )
    overall = _difference(ALL, samples, wrong_or_right)
    return ModelComparison(label, baseline, phenomena, overall, mean([row.difference for row in phenomena]))


def _by_phenomenon(samples: Sequence[Sample]) -> dict[str, list[Sample]]:
    names = sorted({sample.phenomenon for sample in samples})
    return {name: [sample for sample in samples if sample.phenomenon == name] for name in names}


def _accuracy(name: str, samples: Sequence[Sample]) -> Accuracy:
    correct = sum(sample.correct for sample in samples)
    return Accuracy(name, correct, len(samples), wilson(correct, len(samples)))


def _difference(
    name: str, samples: Sequence[Sample], baseline: Mapping[tuple[str, str, str], bool]
) -> Difference:
    pairs = [(row.correct, baseline[row.task, row.phenomenon, row.id]) for row in samples]
    only_model, only_baseline = pairs.count((True, False)), pairs.count((False, True))
    estimate = paired_difference(only_model, only_baseline, len(pairs))
    return Difference(name, only_model, only_baseline, len(pairs), estimate)
