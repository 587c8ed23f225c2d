"""The intervals against published values, against scipy, and their general properties."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from l2t_hub.evaluate.results import Estimate, Sample
from l2t_hub.evaluate.statistics import accuracies, compare, mean, paired_difference, wilson


@st.composite
def counts(draw: st.DrawFn) -> tuple[int, int]:
    total = draw(st.integers(1, 5000))
    return draw(st.integers(0, total)), total


@st.composite
def paired_counts(draw: st.DrawFn) -> tuple[int, int, int]:
    total = draw(st.integers(1, 5000))
    only_new = draw(st.integers(0, total))
    return only_new, draw(st.integers(0, total - only_new)), total


@pytest.mark.parametrize(
    ("correct", "total", "low", "high"),
    # Newcombe (1998, Stat. Med. 17: 857-872), table I, the score method without continuity correction.
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_wilson_gives_the_published_intervals(correct: int, total: int, low: float, high: float) -> None:
    estimate = wilson(correct, total)
    assert (estimate.low, estimate.high) == pytest.approx((low, high), abs=6e-5)


@given(counts())
def test_wilson_agrees_with_scipy(count: tuple[int, int]) -> None:
    correct, total = count
    theirs = binomtest(correct, total).proportion_ci(confidence_level=0.95, method="wilson")
    ours = wilson(correct, total)
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), abs=1e-12)


@given(counts())
def test_wilson_contains_the_accuracy_and_is_symmetric(count: tuple[int, int]) -> None:
    correct, total = count
    ours, mirrored = wilson(correct, total), wilson(total - correct, total)
    assert 0 <= ours.low <= ours.value <= ours.high <= 1
    assert ours.high - ours.low > 0
    assert ours.low == pytest.approx(1 - mirrored.high, abs=1e-12)


def test_paired_difference_gives_the_published_interval() -> None:
    # The worked example of Bonett's own function for this interval: 26 and 4 discordant of 40.
    estimate = paired_difference(26, 4, 40)
    assert estimate.value == pytest.approx(22 / 40)
    assert (estimate.low, estimate.high) == pytest.approx((0.3126438, 0.7349752), abs=1e-5)


@given(paired_counts())
def test_paired_difference_contains_the_difference_and_is_symmetric(count: tuple[int, int, int]) -> None:
    only_new, only_old, total = count
    ours, mirrored = (
        paired_difference(only_new, only_old, total),
        paired_difference(only_old, only_new, total),
    )
    assert -1 <= ours.low <= ours.value <= ours.high <= 1
    assert ours.high > ours.low
    assert ours.low == pytest.approx(-mirrored.high, abs=1e-12)
    if only_new == only_old:
        assert not ours.excludes_zero


def test_paired_difference_has_95_percent_coverage() -> None:
    rng, total, hits, draws = random.Random(5), 72, 0, 4000
    for _ in range(draws):
        outcomes = rng.choices("nob", weights=(0.20, 0.08, 0.72), k=total)
        estimate = paired_difference(outcomes.count("n"), outcomes.count("o"), total)
        hits += estimate.low <= 0.12 <= estimate.high
    assert 0.935 < hits / draws < 0.97


@given(counts())
def test_the_mean_of_one_is_itself(count: tuple[int, int]) -> None:
    estimate = wilson(*count)
    averaged = mean([estimate])
    assert (averaged.value, averaged.low, averaged.high) == pytest.approx(
        (estimate.value, estimate.low, estimate.high)
    )


@given(st.lists(counts(), min_size=1, max_size=12))
def test_the_mean_lies_within_its_parts(parts: list[tuple[int, int]]) -> None:
    estimates = [wilson(*count) for count in parts]
    averaged = mean(estimates)
    assert min(e.low for e in estimates) - 1e-12 <= averaged.low <= averaged.value
    assert averaged.value <= averaged.high <= max(e.high for e in estimates) + 1e-12
    assert averaged.high - averaged.low <= sum(e.high - e.low for e in estimates) / len(estimates) + 1e-12


def test_the_mean_of_equal_parts_has_about_the_interval_of_their_union() -> None:
    averaged, union = mean([wilson(50, 72)] * 12), wilson(600, 864)
    assert averaged.value == pytest.approx(union.value)
    assert averaged.low == pytest.approx(union.low, abs=0.004)
    assert averaged.high == pytest.approx(union.high, abs=0.004)


def test_the_mean_has_95_percent_coverage() -> None:
    rng, shares, hits, draws = random.Random(7), [0.5, 0.6, 0.7, 0.8, 0.9, 0.98], 0, 2000
    for _ in range(draws):
        estimates = [wilson(sum(rng.random() < share for _ in range(40)), 40) for share in shares]
        averaged = mean(estimates)
        hits += averaged.low <= sum(shares) / len(shares) <= averaged.high
    assert 0.93 < hits / draws < 0.975


def sample(model: str, phenomenon: str, number: int, correct: bool) -> Sample:
    return Sample(model, "task", f"{phenomenon}/{number}", phenomenon, None, correct, 1, (-2.0, -1.0))


def test_accuracies_are_per_phenomenon_over_all_samples_and_their_mean() -> None:
    rows = [sample("m", "b", i, correct=i < 1) for i in range(4)]
    rows += [sample("m", "a", i, correct=True) for i in range(12)]
    phenomena, micro, macro = accuracies(rows)
    assert [(row.phenomenon, row.correct, row.total) for row in phenomena] == [("a", 12, 12), ("b", 1, 4)]
    assert (micro.correct, micro.total, micro.accuracy.value) == (13, 16, 13 / 16)
    assert macro.value == pytest.approx((1 + 1 / 4) / 2)
    assert isinstance(macro, Estimate)


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=60), st.randoms())
def test_compare_pairs_samples_by_id_in_any_order(
    outcomes: list[tuple[bool, bool]], rng: random.Random
) -> None:
    new = [sample("new", f"p{i % 3}", i, correct=a) for i, (a, _) in enumerate(outcomes)]
    old = [sample("old", f"p{i % 3}", i, correct=b) for i, (_, b) in enumerate(outcomes)]
    rng.shuffle(old)
    comparison = compare("new", new, "old", old)
    assert comparison.micro.only_model == outcomes.count((True, False))
    assert comparison.micro.only_baseline == outcomes.count((False, True))
    assert sum(row.total for row in comparison.phenomena) == comparison.micro.total == len(outcomes)
    per_phenomenon = [row.difference.value for row in comparison.phenomena]
    assert comparison.macro.value == pytest.approx(sum(per_phenomenon) / len(per_phenomenon), abs=1e-12)
