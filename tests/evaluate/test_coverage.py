"""Simulations: each interval that is printed contains the truth in 93.5 to 96.5% of 2,000 draws.

`test_inference.py` has those of the intervals over paradigms and over seeds.
"""

import numpy as np
import pytest

from l2t_hub.evaluate.results import Estimate
from l2t_hub.evaluate.statistics import mean, paired_difference, unpaired_difference, wilson

DRAWS = 2000
OUTCOMES = ((0.20, 0.08), (0.10, 0.10), (0.05, 0.02), (0.15, 0.14))
"""Shares of items that only the model, or only the baseline, gets right."""


def covered(estimates: list[Estimate], truth: float) -> float:
    return sum(e.low <= truth <= e.high for e in estimates) / len(estimates)


@pytest.mark.parametrize("items", [72, 864, 67_000])
def test_the_interval_of_an_accuracy(items: int) -> None:
    """Over accuracies from 50 to 95%: at a single one, coverage moves by a point or two, since counts are whole."""
    rng = np.random.default_rng(1)
    shares = rng.uniform(0.5, 0.95, DRAWS)
    estimates = [wilson(int(right), items) for right in rng.binomial(items, shares)]
    hits = [e.low <= share <= e.high for e, share in zip(estimates, shares, strict=True)]
    assert 0.935 <= sum(hits) / DRAWS <= 0.965


@pytest.mark.parametrize(
    ("outcome", "items"), [(OUTCOMES[0], 72), (OUTCOMES[1], 72), (OUTCOMES[2], 864), (OUTCOMES[3], 67_000)]
)
def test_the_interval_of_a_paired_difference(outcome: tuple[float, float], items: int) -> None:
    wins, losses = outcome
    drawn = np.random.default_rng(2).multinomial(items, [wins, losses, 1 - wins - losses], DRAWS)
    estimates = [paired_difference(int(w), int(lost), items) for w, lost, _ in drawn]
    assert 0.935 <= covered(estimates, wins - losses) <= 0.965


@pytest.mark.parametrize(
    ("model", "baseline", "items"), [(0.6, 0.5, 72), (0.82, 0.79, 864), (0.9, 0.6, 72), (0.8, 0.78, 67_000)]
)
def test_the_interval_of_an_unpaired_difference_of_independent_samples(
    model: float, baseline: float, items: int
) -> None:
    rng = np.random.default_rng(3)
    draws = zip(rng.binomial(items, model, DRAWS), rng.binomial(items, baseline, DRAWS), strict=True)
    estimates = [unpaired_difference(wilson(int(a), items), wilson(int(b), items)) for a, b in draws]
    assert 0.935 <= covered(estimates, model - baseline) <= 0.965


def test_on_the_same_items_the_unpaired_interval_covers_more_than_it_says() -> None:
    rng = np.random.default_rng(4)
    both, wins, losses, items = 0.6, 0.1, 0.08, 864
    drawn = rng.multinomial(items, [both, wins, losses, 1 - both - wins - losses], DRAWS)
    estimates = [
        unpaired_difference(wilson(int(b + w), items), wilson(int(b + lost), items))
        for b, w, lost, _ in drawn
    ]
    assert covered(estimates, wins - losses) > 0.965


@pytest.mark.parametrize("items", [72, 1000])
def test_the_interval_of_a_mean_of_accuracies(items: int) -> None:
    shares = np.linspace(0.55, 0.95, 12)
    drawn = np.random.default_rng(5).binomial(items, shares, (DRAWS, 12))
    estimates = [mean([wilson(int(r), items) for r in row]) for row in drawn]
    assert 0.935 <= covered(estimates, float(shares.mean())) <= 0.965


@pytest.mark.parametrize("items", [72, 1000])
def test_the_interval_of_a_mean_of_paired_differences(items: int) -> None:
    rng = np.random.default_rng(6)
    rows = [rng.multinomial(items, [w, lost, 1 - w - lost], DRAWS) for w, lost in OUTCOMES * 3]
    estimates = [
        mean([paired_difference(int(row[i][0]), int(row[i][1]), items) for row in rows]) for i in range(DRAWS)
    ]
    truth = sum(w - lost for w, lost in OUTCOMES) / len(OUTCOMES)
    assert 0.935 <= covered(estimates, truth) <= 0.965
