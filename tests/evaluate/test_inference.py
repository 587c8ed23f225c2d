"""Cluster bootstrap, McNemar, Holm, power and seeds: against scipy and by simulation."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm

from l2t_hub.evaluate import inference
from l2t_hub.evaluate.inference import (
    MIN_CLUSTERS,
    cluster_bootstrap,
    holm,
    mcnemar,
    pairs_needed,
    recipes_differ_by,
    seeds_needed,
    spread_between,
)

DRAWS = 2000


def test_few_clusters_have_no_interval() -> None:
    assert cluster_bootstrap([(1.0, 2)] * (MIN_CLUSTERS - 1)) is None


def test_the_same_seed_gives_the_same_interval() -> None:
    clusters = [(float(i % 7), 12) for i in range(30)]
    assert cluster_bootstrap(clusters) == cluster_bootstrap(clusters)
    assert cluster_bootstrap(clusters) != cluster_bootstrap(clusters, seed=1)


def test_pairs_that_agree_within_their_cluster_count_as_one() -> None:
    """40 clusters of 100 equal pairs say as much as 40 pairs, not as 4,000."""
    clusters = [(100.0 * (i % 2), 100) for i in range(40)]
    estimate = cluster_bootstrap(clusters)
    assert estimate is not None
    assert estimate.value == 0.5
    assert estimate.high - estimate.low == pytest.approx(2 * 1.96 * math.sqrt(0.25 / 40), rel=0.1)


def difference_clusters(
    rng: np.random.Generator, clusters: int, pairs: int
) -> tuple[list[tuple[float, int]], float]:
    """Wins minus losses of paradigms whose true differences are -10, 0, +10 and +20 points, and their mean."""
    true = rng.choice([-0.1, 0.0, 0.1, 0.2], size=clusters)
    return [
        (float(wins - losses), pairs)
        for wins, losses, _ in (rng.multinomial(pairs, [0.2 + d / 2, 0.2 - d / 2, 0.6]) for d in true)
    ], 0.05


def accuracy_clusters(
    rng: np.random.Generator, clusters: int, pairs: int
) -> tuple[list[tuple[float, int]], float]:
    """Right answers in paradigms of different sizes and accuracies around 80%."""
    sizes = rng.integers(pairs // 2, 2 * pairs, size=clusters)
    return [(float(rng.binomial(n, rng.beta(8, 2))), int(n)) for n in sizes], 0.8


@pytest.mark.slow
@pytest.mark.parametrize("draw", [difference_clusters, accuracy_clusters])
@pytest.mark.parametrize(("clusters", "pairs"), [(MIN_CLUSTERS, 12), (72, 12), (67, 1000)])
def test_the_cluster_bootstrap_has_95_percent_coverage(
    draw: object, clusters: int, pairs: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inference, "RESAMPLES", 2000)
    rng, hits = np.random.default_rng(8), 0
    for i in range(DRAWS):
        found, truth = draw(rng, clusters, pairs)  # type: ignore[operator]
        estimate = cluster_bootstrap(found, seed=i)
        assert estimate is not None
        hits += estimate.low <= truth <= estimate.high
    assert 0.935 <= hits / DRAWS <= 0.965


@pytest.mark.slow
@pytest.mark.parametrize(("seeds", "spreads"), [((2, 2), (1, 1)), ((3, 5), (1, 1)), ((5, 5), (1, 3))])
def test_the_interval_between_recipes_has_95_percent_coverage(
    seeds: tuple[int, int], spreads: tuple[float, float]
) -> None:
    rng, hits, draws = np.random.default_rng(3), 0, 10_000
    for _ in range(draws):
        first, second = (rng.normal(80, spread, n) for n, spread in zip(seeds, spreads, strict=True))
        estimate = recipes_differ_by(list(first), list(second))
        hits += estimate.low <= 0 <= estimate.high
    # Welch's interval is too wide with two seeds each, never too narrow.
    assert 0.94 <= hits / draws <= 0.99


@pytest.mark.parametrize(
    ("first", "second", "p"), [(0, 0, 1.0), (5, 5, 1.0), (0, 6, 2 / 64), (10, 1, 24 / 2048)]
)
def test_mcnemar_counts_the_discordant_pairs(first: int, second: int, p: float) -> None:
    assert mcnemar(first, second) == pytest.approx(p)
    assert mcnemar(second, first) == pytest.approx(p)


def test_holm_gives_the_values_worked_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])


@given(st.lists(st.floats(0, 1), max_size=15))
def test_holm_lies_between_no_correction_and_bonferronis(p_values: list[float]) -> None:
    for raw, adjusted in zip(p_values, holm(p_values), strict=True):
        assert raw <= adjusted <= min(1.0, raw * len(p_values)) + 1e-12


def test_the_needed_pairs_have_80_percent_power() -> None:
    needed = pairs_needed(12, 4, 100)
    assert needed is not None
    rng, shown = np.random.default_rng(2), 0
    for _ in range(DRAWS):
        wins, losses, _ = rng.multinomial(needed, [0.12, 0.04, 0.84])
        difference = (wins - losses) / needed
        error = math.sqrt(((wins + losses) / needed - difference**2) / needed)
        shown += difference > norm.ppf(0.975) * error
    assert 0.77 <= shown / DRAWS <= 0.83


def test_the_needed_seeds_have_80_percent_power() -> None:
    needed = seeds_needed(0.5, 1.0)
    assert needed is not None
    rng, shown = np.random.default_rng(2), 0
    for _ in range(DRAWS):
        first, second = rng.normal(0.5, 1, needed), rng.normal(0, 1, needed)
        shown += recipes_differ_by(list(first), list(second)).low > 0
    assert 0.77 <= shown / DRAWS <= 0.83


def test_no_difference_needs_no_number() -> None:
    assert pairs_needed(5, 5, 100) is None
    assert seeds_needed(0.0, 1.0) is None
    assert spread_between([1.0, 3.0]) == pytest.approx(math.sqrt(2))
    assert recipes_differ_by([1.0, 1.0], [0.5, 0.5]).value == 0.5
