"""Confidence intervals: for an accuracy, for a mean of accuracies, and for the difference of two models on one set.

Pure arithmetic on counts, no resampling, so no seed. Each interval takes the pairs of a suite as independent draws;
pairs that share a frame are not quite that, so read an interval as the least uncertainty there is.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

LEVEL = 0.95
Z = NormalDist().inv_cdf(0.5 + LEVEL / 2)


@dataclass(frozen=True)
class Estimate:
    """A value and the 95% interval around it; accuracies lie in [0, 1], differences in [-1, 1]."""

    value: float
    low: float
    high: float

    @property
    def excludes_zero(self) -> bool:
        """Whether the whole interval lies on one side of zero."""
        return self.low > 0 or self.high < 0


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
