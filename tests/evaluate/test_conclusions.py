"""The words of a report: what was shown, what was not, and what it would take."""

from dataclasses import replace
from pathlib import Path

import pytest

from l2t_hub.evaluate import Evaluation, statistics
from l2t_hub.evaluate.conclusions import conclusion
from l2t_hub.evaluate.readings import reading_differences
from l2t_hub.evaluate.results import Difference, Estimate, ModelComparison, Sample


def rows(model: str, right: list[bool]) -> list[Sample]:
    """Samples in 4 phenomena of 10 paradigms each."""
    return [
        Sample(model, "task", str(i), f"p{i % 4}", str(i % 40), correct, 0, (-1.0, -2.0))
        for i, correct in enumerate(right)
    ]


def compared(model: list[bool], baseline: list[bool]) -> ModelComparison:
    return statistics.compare("new", rows("new", model), "old", rows("old", baseline))


def said(evaluation: Evaluation, comparison: ModelComparison) -> str:
    models = tuple(
        replace(m, label=label) for m, label in zip(evaluation.models, ("old", "new"), strict=True)
    )
    return conclusion(replace(evaluation, models=models), comparison)


def test_a_clear_difference_is_one_between_checkpoints(evaluated: tuple[Evaluation, Path]) -> None:
    text = said(evaluated[0], compared([True] * 800, [i % 4 > 0 for i in range(800)]))
    assert "new scores 25.0 points higher than old on the 800 items" in text
    assert "these two checkpoints differ on these items" in text
    assert "1 of the 4 phenomena (McNemar's test, Holm's correction): p0" in text
    assert "One checkpoint of a recipe says little about the recipe" in text
    assert "better" not in text


def test_a_small_difference_says_how_many_items_it_would_take(evaluated: tuple[Evaluation, Path]) -> None:
    text = said(evaluated[0], compared([i % 7 > 0 for i in range(800)], [i % 9 > 0 for i in range(800)]))
    assert "these items do not tell the two checkpoints apart" in text
    assert "items of the same kind" in text
    assert "In none of the 4 phenomena" in text


def test_a_difference_in_a_few_paradigms_may_vanish_on_others(evaluated: tuple[Evaluation, Path]) -> None:
    # All that differs is in 3 of 40 paradigms.
    text = said(evaluated[0], compared([True] * 2000, [i % 40 > 2 for i in range(2000)]))
    assert "these two checkpoints differ on these items" in text
    assert "(40 paradigms): it includes 0, so on other paradigms the difference may vanish" in text


def test_a_difference_that_depends_on_the_leading_space_says_so(evaluated: tuple[Evaluation, Path]) -> None:
    def spaced(model: str, own: tuple[float, float], other: tuple[float, float]) -> list[Sample]:
        return [
            Sample(model, "t", str(i), "p", None, own[0] > own[1], 0, own, (2, 2), other, (2, 2))
            for i in range(50)
        ]

    new, old = spaced("new", (-1, -2), (-2, -1)), spaced("old", (-2, -1), (-1, -2))
    comparison = replace(
        statistics.compare("new", new, "old", old), readings=reading_differences(new, old, space=True)
    )
    text = said(evaluated[0], comparison)
    assert "It depends on how the pairs are read (leading space, summed)" in text
    assert "the sign of the difference is the opposite (no leading space, summed: -100.0" in text


@pytest.mark.parametrize(
    ("new", "old", "expected"),
    [
        ([0.80, 0.81, 0.82], [0.70, 0.71, 0.72], "on this suite the two recipes differ"),
        (
            [0.80, 0.74],
            [0.79, 0.73],
            "these seeds do not tell the two recipes apart. A difference of this size",
        ),
        ([0.80], [0.70], "score at least 3 seeds of each"),
    ],
)
def test_recipes_are_compared_by_seeds(
    evaluated: tuple[Evaluation, Path], new: list[float], old: list[float], expected: str
) -> None:
    evaluation, _ = evaluated
    model = evaluation.models[0]

    def scored(name: str, scores: list[float]) -> list[object]:
        return [
            replace(
                model,
                label=name if seed == 0 else f"{name}-{seed}",
                recipe_sha256=name,
                seed=seed,
                micro=replace(model.micro, accuracy=Estimate(value, value, value)),
            )
            for seed, value in enumerate(scores)
        ]

    models = (*scored("old", old), *scored("new", new))
    comparison = replace(evaluation.comparisons[0], model="new", baseline="old")
    assert expected in conclusion(replace(evaluation, models=models), comparison)  # type: ignore[arg-type]
    if len(new) > 1:
        comparison = replace(comparison, model="new-1", baseline="new")
        text = conclusion(replace(evaluation, models=models), comparison)  # type: ignore[arg-type]
        assert "differ in their seed only" in text


def test_equal_models_are_the_same(evaluated: tuple[Evaluation, Path]) -> None:
    difference = Difference("all", 3, 3, 100, Estimate(0.0, -0.05, 0.05), p_value=1.0)
    text = said(evaluated[0], ModelComparison("new", "old", (), difference, Estimate(0, 0, 0)))
    assert "new scores the same as old" in text
    assert "would take" not in text
