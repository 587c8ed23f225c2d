"""Whether results agree with themselves. Files of results may be a stranger's: only what is possible is shown."""

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace

from l2t_hub.evaluate.measures import BETTER
from l2t_hub.evaluate.replicates import recipe_comparisons
from l2t_hub.evaluate.results import (
    MAX_TEXT,
    Accuracy,
    Difference,
    Estimate,
    Evaluation,
    ModelComparison,
    ModelScores,
    RecipeComparison,
    RecipeRow,
    Sample,
)

MAX_LABEL = 300
_ROUNDING = 1e-6


def contradiction(evaluation: Evaluation) -> str | None:
    """Say what contradicts itself in some results; None if nothing does."""
    return next(_contradictions(evaluation), None)


def _contradictions(evaluation: Evaluation) -> Iterator[str]:
    labels = [model.label for model in evaluation.models]
    if not labels or not evaluation.protocol.tasks:
        yield "there is no model or no task"
    if not 0 < evaluation.protocol.level < 1:
        yield f"the level of the intervals is {evaluation.protocol.level}"
    if len(set(labels)) < len(labels):
        yield "two models have one label"
    texts = [evaluation.protocol.suite, *labels, *(row.phenomenon for row in evaluation.models[0].phenomena)]
    if any(not 0 < len(text) <= MAX_LABEL for text in texts):
        yield f"a name is empty or longer than {MAX_LABEL} characters"
    if not set(evaluation.samples_of or ()) <= set(labels):
        yield "it has scored examples of a model that is not there"
    for model in evaluation.models:
        if _rows(model.phenomena) != _rows(evaluation.models[0].phenomena):
            yield f"{model.label[:MAX_LABEL]}: its phenomena are not those of the first model"
        yield from _wrong_scores(model)
    for comparison in evaluation.comparisons:
        yield from _wrong_comparison(evaluation, comparison)
    if evaluation.recipes:
        yield from _wrong_recipes(evaluation)


def _wrong_scores(model: ModelScores) -> Iterator[str]:
    grouped = [row for rows in model.groups.values() for row in rows]
    for row in (model.micro, *model.phenomena, *(reading.micro for reading in model.readings), *grouped):
        if not _is_possible(row):
            yield f"{model.label}: the accuracy of {row.phenomenon[:MAX_LABEL]} does not fit its counts"
    if model.phenomena and sum(row.total for row in model.phenomena) != model.micro.total:
        yield f"{model.label}: the phenomena do not add up to all examples"
    means = [model.macro, *(reading.macro for reading in model.readings)]
    figures = [x for m in model.measures for x in (m.value, m.low, m.high) if x is not None]
    if not all(map(math.isfinite, figures)):
        yield f"{model.label}: a measure is not a number"
    if not all(_is_ordered(e, 0) for e in [*means, *([model.clustered] if model.clustered else [])]):
        yield f"{model.label}: an interval does not contain its value, or leaves 0 to 1"


def _wrong_comparison(evaluation: Evaluation, comparison: ModelComparison) -> Iterator[str]:
    labels = {model.label for model in evaluation.models}
    if comparison.model not in labels or comparison.baseline not in labels:
        yield "a comparison names a model that is not there"
    if [row.phenomenon for row in comparison.phenomena] != [
        row.phenomenon for row in evaluation.models[0].phenomena
    ]:
        yield "a comparison has other phenomena than the models"
    rows = [comparison.micro, *comparison.phenomena, *(reading.micro for reading in comparison.readings)]
    rows += [row for group in comparison.groups.values() for row in group]
    means = [comparison.macro, *(reading.macro for reading in comparison.readings)]
    means += [comparison.clustered] if comparison.clustered else []
    if not (all(_is_a_difference(row, comparison.paired) for row in rows) and all(map(_spans, means))):
        yield f"the difference of {comparison.model[:MAX_LABEL]} does not fit its counts"


def _wrong_recipes(evaluation: Evaluation) -> Iterator[str]:
    """Check the comparisons of recipes against the scores of their seeds, from which they can be made again."""
    again = {c.model: c for c in recipe_comparisons(replace(evaluation, recipes=()))}
    for comparison in evaluation.recipes:
        made = again.get(comparison.model)
        if made is None or not _same_recipes(comparison, made):
            yield f"the comparison of the recipe of {comparison.model[:MAX_LABEL]} does not fit the scores"


def _same_recipes(comparison: RecipeComparison, made: RecipeComparison) -> bool:
    rows, others = _recipe_rows(comparison), _recipe_rows(made)
    return (
        (comparison.baseline, comparison.seeds, comparison.baseline_seeds)
        == (made.baseline, made.seeds, made.baseline_seeds)
        and len(rows) == len(others)
        and all(map(_same_row, rows, others))
    )


def _recipe_rows(comparison: RecipeComparison) -> list[RecipeRow]:
    return [*comparison.phenomena, comparison.micro, comparison.macro, *comparison.readings]


def _same_row(row: RecipeRow, made: RecipeRow) -> bool:
    figures = [
        (row.model, made.model),
        (row.baseline, made.baseline),
        (row.model_spread, made.model_spread),
        (row.baseline_spread, made.baseline_spread),
        *((getattr(row.difference, key), getattr(made.difference, key)) for key in ("value", "low", "high")),
    ]
    crossed = row.crossed
    return (
        row.phenomenon == made.phenomenon
        and all(abs(one - other) < _ROUNDING for one, other in figures)
        and (crossed is None or crossed.low <= crossed.value + _ROUNDING <= crossed.high + 2 * _ROUNDING)
        and (crossed is None or abs(crossed.value - made.difference.value) < _ROUNDING)
        and all(p is None or 0 <= p <= 1 for p in (row.p_value, row.p_adjusted))
    )


def _rows(phenomena: Sequence[Accuracy]) -> list[tuple[str, int]]:
    return [(row.phenomenon, row.total) for row in phenomena]


def _is_possible(row: Accuracy) -> bool:
    return (
        0 <= row.correct <= row.total
        and row.total > 0
        and abs(row.accuracy.value - row.correct / row.total) < _ROUNDING
        and _is_ordered(row.accuracy, 0)
    )


def _is_a_difference(row: Difference, paired: bool) -> bool:
    value = (row.only_model - row.only_baseline) / row.total if row.total > 0 else 2.0
    return (
        min(row.only_model, row.only_baseline) >= 0
        and row.only_model + row.only_baseline <= row.total
        and (not paired or abs(row.difference.value - value) < _ROUNDING)
        and 0 <= row.p_value <= 1
        and _spans(row.difference)
    )


def _spans(estimate: Estimate) -> bool:
    return _is_ordered(estimate, -1)


def _is_ordered(estimate: Estimate, least: float) -> bool:
    low, value, high = estimate.low, estimate.value, estimate.high
    # The mean of estimates can leave the range by a rounding error.
    return least - _ROUNDING <= low <= value + _ROUNDING and value - _ROUNDING <= high <= 1 + _ROUNDING


def fits(model: ModelScores, samples: Sequence[Sample]) -> bool:
    """Whether a model's samples are different examples with its numbers of right ones in each phenomenon."""
    right, total = (Counter(s.phenomenon for s in samples if s.correct or every) for every in (False, True))
    counts = [(name, right[name], total[name]) for name in sorted(total)]
    return len(items(samples)) == len(samples) and counts == [
        (row.phenomenon, row.correct, row.total) for row in model.phenomena
    ]


def items(samples: Sequence[Sample]) -> set[tuple[str, str, str]]:
    """Return what identifies the examples of some samples."""
    return {(sample.task, sample.phenomenon, sample.id) for sample in samples}


def is_sound(sample: Sample) -> bool:
    """Whether a sample can be read in every way: each reading has a value and a token count for each choice.

    Of measures, it may have those that are known, since their names say which direction is better.
    """
    choices = len(sample.log_likelihoods)
    words = (sample.one_prefix, sample.respaced_one_prefix)
    others = (sample.tokens, sample.respaced, sample.respaced_tokens, *words, sample.texts)
    return (
        choices > 0
        and all(len(values) in (0, choices) for values in others)
        and all(len(text) <= MAX_TEXT for text in sample.texts)
        and (sample.gold is None or sample.gold >= 0)
        and all(map(math.isfinite, sample.log_likelihoods + sample.respaced + words[0] + words[1]))
        and sample.measures.keys() <= BETTER.keys()
        and all(map(math.isfinite, sample.measures.values()))
    )
