"""Recipes over seeds and items: intervals that hold by simulation, and comparisons that a file cannot fake."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from made_scores import TASK, decisions, evaluation
from numpy.typing import NDArray

from l2t_hub.errors import UserError
from l2t_hub.evaluate.conclusions import conclusions, over_seeds_conclusion
from l2t_hub.evaluate.inference import crossed_difference, recipes_differ_by
from l2t_hub.evaluate.merging import Result, merge
from l2t_hub.evaluate.read_results import read_evaluation
from l2t_hub.evaluate.replicates import compare_recipes, recipe_comparisons, recipe_name
from l2t_hub.evaluate.results import Evaluation, Sample, write_evaluation
from l2t_hub.evaluate.statistics import paired_difference
from l2t_hub.report.sheet import difference

PARADIGMS, PAIRS = 67, 100
ITEMS, SHARES = PARADIGMS * PAIRS, np.full(PARADIGMS, 1 / PARADIGMS)
SHUFFLES = 200
Array = NDArray[np.float64]


def drawn_runs(rng: np.random.Generator, runs: int, effect: float = 0.0) -> Array:
    """Scores of runs on BLiMP's 67 paradigms: half a point between seeds, six between seeds within a paradigm.

    The first half of the runs has the effect, of which paradigms have more or less, too. A row sums to a run's score.
    """
    paradigms = rng.normal(0.65, 0.15, PARADIGMS)
    effects = np.where(np.arange(runs) < runs // 2, 1, 0)[:, None] * rng.normal(effect, 0.03, PARADIGMS)
    chances = paradigms + rng.normal(0, 0.005, (runs, 1)) + rng.normal(0, 0.06, (runs, PARADIGMS)) + effects
    return rng.binomial(PAIRS, chances.clip(0.02, 0.98)) / (PAIRS * PARADIGMS)


def p_value(first: Array, second: Array) -> float:
    return crossed_difference(first, second, SHARES, ITEMS)[1]


@pytest.mark.parametrize("seeds", [2, 3, 5])
def test_with_shuffled_labels_there_is_no_difference(seeds: int) -> None:
    """Runs that all have an effect, of which chance says which are called the first recipe."""
    rng = np.random.default_rng(13)
    found = []
    for _ in range(SHUFFLES):
        runs = drawn_runs(rng, 4 * seeds, effect=0.03)[: 2 * seeds]
        order = rng.permutation(2 * seeds)
        found.append(p_value(runs[order[:seeds]], runs[order[seeds:]]) < 0.05)
    assert np.mean(found) <= 0.08


def test_an_effect_of_three_points_is_found_with_three_seeds() -> None:
    rng = np.random.default_rng(7)
    drawn = (drawn_runs(rng, 6, effect=0.03) for _ in range(100))
    estimates = [crossed_difference(r[:3], r[3:], SHARES, ITEMS) for r in drawn]
    assert np.mean([e.excludes_zero for e, _ in estimates]) > 0.5
    assert np.mean([e.low <= 0.03 <= e.high for e, _ in estimates]) >= 0.92
    assert all(e.excludes_zero == (p < 0.05) for e, p in estimates)


def test_seeds_alone_give_welchs_interval_and_items_alone_that_of_paired_items() -> None:
    shares = np.full(50, 1 / 50)
    scores = [0.61, 0.62, 0.66], [0.58, 0.59, 0.57]
    first, second = (np.outer(group, shares) for group in scores)
    made, _ = crossed_difference(first, second, shares, 1e6)
    assert made.value == pytest.approx(recipes_differ_by(*scores).value)
    assert made.high == pytest.approx(recipes_differ_by(*scores).high, rel=1e-6)
    items = np.random.default_rng(1).integers(0, 2, (2, 50)) / 50
    same = [np.tile(row, (3, 1)) for row in items]
    made, _ = crossed_difference(same[0], same[1], shares, 50)
    differences = 50 * (items[0] - items[1])
    assert made.value == pytest.approx(differences.mean())
    assert made.high - made.value == pytest.approx(2.0096 * differences.std(ddof=1) / 50**0.5, rel=1e-3)


def test_runs_that_never_differ_have_the_interval_of_that_many_paired_items() -> None:
    for right in (0.0, 0.01):
        equal = np.full((3, 100), right)
        made, p = crossed_difference(equal, equal, np.full(100, 0.01), 100)
        paired = paired_difference(0, 0, 100)
        assert (made.value, p) == (0.0, 1.0)
        # Student's t with 99 degrees of freedom, where a pair of models has the normal distribution.
        assert made.high == -made.low == pytest.approx(paired.high * 1.9842 / 1.9600, rel=1e-4)


def test_three_right_answers_of_a_hundred_are_no_difference_to_none() -> None:
    """The seeds agree, and all but a few items do: too little to tell the recipes apart."""
    none, few = np.zeros((3, 100)), np.zeros((3, 100))
    few[:, :3] = 0.01
    made, p = crossed_difference(few, none, np.full(100, 0.01), 100)
    assert made.low < 0 < made.value < made.high
    assert p > 0.05


def test_scores_that_do_not_vary_between_seeds_have_no_interval_over_seeds(tmp_path: Path) -> None:
    shares = {f"{name}-seed{seed}": share for name, share in (("raw", 0.6), ("l2t", 0.7)) for seed in (1, 2)}
    facts = {label: {"recipe_sha256": label[:3] * 8, "seed": int(label[-1])} for label in shares}
    made = evaluation(tmp_path / "scores.json", shares, facts)
    raw, _, l2t, _ = made.models
    alike = zip(made.models, (raw, raw, l2t, l2t), strict=True)
    made = replace(made, models=tuple(replace(model, micro=first.micro) for model, first in alike))
    (comparison,) = recipe_comparisons(made)
    assert comparison.micro.difference.value > 0.05
    assert not comparison.micro.difference.excludes_zero
    said = over_seeds_conclusion(made, comparison)
    assert "(no interval, since no two seeds of a recipe differ; " in said
    assert "do not tell the two recipes apart" in said
    assert difference(comparison.micro.difference).interval() == ""


def several_seeds(folder: Path, gain: float = 0.2, steps: tuple[int, ...] = (100,)) -> Evaluation:
    """Two recipes with three seeds each, scored after these steps, as `l2t eval` writes it."""
    shares, facts = {}, {}
    for name, share in (("raw", 0.6), ("l2t", 0.6 + gain)):
        for seed in (1, 2, 3):
            for step in steps:
                label = f"{name}-seed{seed}" if len(steps) == 1 else f"{name}-seed{seed}/checkpoint-{step}"
                shares[label] = share + seed / 100 + step / 10_000
                facts[label] = {"recipe_sha256": name * 8, "seed": seed, "step": step, "tokens": 1000 * step}
    made = evaluation(folder / "scores.json", shares, facts)
    samples = {label: decisions(label, share) for label, share in shares.items()}
    compared = compare_recipes(made.models, samples, space=False)
    return write_evaluation(
        replace(made, recipes=compared),
        [s for rows in samples.values() for s in rows],
        folder / "scores.json",
    )


def test_a_comparison_has_an_interval_over_seeds_and_items_in_every_reading(tmp_path: Path) -> None:
    made = read_evaluation_of(several_seeds(tmp_path), tmp_path)
    (comparison,) = made.recipes
    assert (comparison.model, comparison.seeds, comparison.clusters) == ("l2t-seed1", 3, 24)
    for row in (*comparison.phenomena, comparison.micro, comparison.macro, *comparison.readings):
        assert row.crossed is not None
        assert row.crossed.value == pytest.approx(row.difference.value)
    assert [row.phenomenon for row in comparison.readings][:2] == [
        "no leading space, summed",
        "no leading space, per token",
    ]
    assert all(
        row.p_adjusted is not None and row.p_adjusted >= (row.p_value or 0) for row in comparison.phenomena
    )
    said = conclusions(made)[-1]
    assert "Over 3 and 3 seeds, l2t scores +" in said
    assert "95% interval over seeds and paradigms" in said


def read_evaluation_of(made: Evaluation, folder: Path) -> Evaluation:
    found = read_evaluation(folder / "scores.json")
    assert found.recipes == made.recipes
    return found


def test_checkpoints_are_compared_with_those_of_the_same_step(tmp_path: Path) -> None:
    made = several_seeds(tmp_path, steps=(100, 200))
    assert [(c.model, c.baseline) for c in made.recipes] == [
        (f"l2t-seed1/checkpoint-{step}", f"raw-seed1/checkpoint-{step}") for step in (100, 200)
    ]
    assert {recipe_name(model) for model in made.models} == {"raw", "l2t"}


def test_a_report_of_one_result_keeps_its_comparison_and_that_of_several_has_the_seeds_only(
    tmp_path: Path,
) -> None:
    made = several_seeds(tmp_path)
    result = Result("scores.json", tmp_path / "scores.json", made)
    (alone,), _ = merge([result])
    assert recipe_comparisons(alone) == made.recipes
    (other,), _ = merge([result], baseline="l2t-seed1")
    assert all(c.micro.crossed is None for c in recipe_comparisons(other))


@pytest.mark.parametrize("change", ["value", "spread", "seeds", "p"])
def test_a_comparison_that_does_not_fit_the_scores_is_refused(tmp_path: Path, change: str) -> None:
    made = several_seeds(tmp_path)
    (comparison,) = made.recipes
    micro = comparison.micro
    assert micro.crossed is not None
    wrong = {
        "value": replace(
            comparison, micro=replace(micro, crossed=replace(micro.crossed, value=0.9, high=1.0))
        ),
        "spread": replace(comparison, micro=replace(micro, model_spread=0.0)),
        "seeds": replace(comparison, seeds=30),
        "p": replace(comparison, micro=replace(micro, p_value=-1.0)),
    }[change]
    write_evaluation(replace(made, recipes=(wrong,)), [], tmp_path / "scores.json")
    with pytest.raises(UserError, match="does not fit the scores"):
        read_evaluation(tmp_path / "scores.json")


def test_runs_on_other_items_are_compared_by_their_scores(tmp_path: Path) -> None:
    made = several_seeds(tmp_path)
    samples: dict[str, list[Sample]] = {m.label: decisions(m.label, 0.6) for m in made.models}
    samples["l2t-seed2"] = samples["l2t-seed2"][:-1]
    (comparison,) = compare_recipes(made.models, samples, space=False)
    assert comparison.micro.crossed is None
    assert TASK.task == "l2t_probes"
