"""How a model's states of the numbers 1 to 8 lie to each other: three effects known from people, and a number line.

The linking hypothesis of Shah et al. (2023, Findings of ACL): the more similar two states, the harder the
numbers are to tell apart. All of it is arithmetic on eight vectors, without chance.
"""

import math
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np

from l2t_hub.evaluate.states import Floats

NUMBERS = tuple(range(1, 9))
PAIRS = tuple(combinations(range(len(NUMBERS)), 2))
RATES = np.geomspace(0.01, 10, 61)
"""The rates between which the exponential of the ratio effect is sought."""
CONSTANT = 1e-9
"""Standard deviations below this are rounding."""


@dataclass(frozen=True)
class Magnitude:
    """The figures of eight states; None where all similarities are equal, so that there is nothing to explain."""

    distance_r2: float | None
    size_r2: float | None
    ratio_r2: float | None
    mds_stress: float | None
    mds_correlation: float | None
    opposite: tuple[str, ...]
    """The effects that run in the direction opposite to people's, such as `distance`."""


def magnitude(states: Floats) -> Magnitude:
    """Return the figures of the states of 1 to 8, one a row."""
    similarity = cosines(states)
    pairs = [(NUMBERS[i], NUMBERS[j], float(similarity[i, j])) for i, j in PAIRS]
    similar = np.array([s for _, _, s in pairs])
    neighbours = [(x, s) for x, y, s in pairs if y == x + 1]
    # Numbers further apart are less similar; large neighbours are more similar than small ones.
    found = {
        "distance": (correlation(np.array([y - x for x, y, _ in pairs], float), similar), -1),
        "size": (
            correlation(np.array([x for x, _ in neighbours], float), np.array([s for _, s in neighbours])),
            1,
        ),
        "ratio": (falling_fit(np.array([y / x for x, y, _ in pairs]), similar), 1),
    }
    stress, line = number_line(similarity)
    distance, size, ratio = (None if r is None else r * r for r, _ in found.values())
    return Magnitude(
        distance_r2=distance,
        size_r2=size,
        ratio_r2=ratio,
        mds_stress=stress,
        mds_correlation=line,
        opposite=tuple(name for name, (r, sign) in found.items() if r is not None and r * sign < 0),
    )


def cosines(states: Floats) -> Floats:
    """Return the cosine similarities of the rows. A row of zeros is similar to nothing, itself included."""
    lengths = np.linalg.norm(states, axis=1, keepdims=True)
    units = np.divide(states, lengths, out=np.zeros_like(states), where=lengths > 0)
    similarity: Floats = np.clip(units @ units.T, -1, 1)
    return similarity


def correlation(values: Floats, others: Floats) -> float | None:
    """Return Pearson's correlation, the square of which is R2 of a straight line; None for a constant."""
    if min(values.std(), others.std()) < CONSTANT:
        return None
    return float(np.clip(np.corrcoef(values, others)[0, 1], -1, 1))


def falling_fit(ratios: Floats, similar: Floats) -> float | None:
    """Return the correlation of similarities with the best `a exp(-b ratio) + c`; negative if `a` is.

    For each b, a and c are a linear regression, so only b is sought: on a grid, then between its neighbours.
    """
    from scipy.optimize import minimize_scalar

    if similar.std() < CONSTANT:
        return None

    def fit(log_rate: float) -> float:
        # Shifted by the smallest ratio, which changes a alone, so that no rate makes the curve vanish.
        return correlation(np.exp(-math.exp(log_rate) * (ratios - ratios.min())), similar) or 0.0

    logs = [math.log(rate) for rate in RATES]
    place = max(range(len(logs)), key=lambda i: fit(logs[i]) ** 2)
    bounds = logs[max(place - 1, 0)], logs[min(place + 1, len(logs) - 1)]
    refined: Any = minimize_scalar(lambda rate: -(fit(rate) ** 2), bounds=bounds, method="bounded")
    return max(fit(logs[place]), fit(float(refined.x)), key=abs)


def number_line(similarity: Floats) -> tuple[float | None, float | None]:
    """Return the stress of the best line through 1 - similarity, and its correlation with the numbers' logarithms.

    The stress is sqrt(sum (d - distance)^2 / sum d^2). The line has no direction: the correlation is absolute.
    """
    unlike = 1 - similarity
    np.fill_diagonal(unlike, 0)
    total = float(np.square(unlike).sum())
    if total < CONSTANT:
        return None, None
    places = scale(unlike)
    distances = np.abs(places[:, None] - places[None, :])
    stress = math.sqrt(float(np.square(unlike - distances).sum()) / total)
    line = correlation(places, np.log(np.array(NUMBERS, float)))
    return stress, None if line is None else abs(line)


def scale(unlike: Floats) -> Floats:
    """Return the places on a line whose distances fit dissimilarities best, by least squares.

    Iterative methods stop in a local minimum in one dimension. The best places of a given order are known; the best
    order is found by dynamic programming over the sets of objects to the left (Hubert and Arabie, 1986).
    """
    count = len(unlike)
    left = np.array([[mask >> i & 1 for i in range(count)] for mask in range(1 << count)], float)
    # The place of an object with this set on its left and all others on its right.
    places = (2 * left @ unlike - unlike.sum(axis=0)) / count
    best, last = np.full(1 << count, -1.0), [0] * (1 << count)
    best[0] = 0
    for mask in range(1 << count):
        for i in (i for i in range(count) if not mask >> i & 1):
            value = best[mask] + places[mask, i] ** 2
            if value > best[mask | 1 << i]:
                best[mask | 1 << i], last[mask | 1 << i] = value, i
    found, mask = np.zeros(count), (1 << count) - 1
    while mask:
        i = last[mask]
        mask ^= 1 << i
        found[i] = places[mask, i]
    return found
