"""Several seeds of one recipe: how far their scores spread, and how two recipes differ over their seeds.

Where the single decisions are known, a difference has an interval over seeds and items together
(`crossed_difference`); from scores alone it has one over seeds.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from l2t_hub.evaluate.inference import (
    MIN_CLUSTERS,
    crossed_difference,
    holm,
    recipes_differ_by,
    seeds_needed,
    spread_between,
)
from l2t_hub.evaluate.readings import WAYS, has_readings
from l2t_hub.evaluate.results import (
    Evaluation,
    ModelComparison,
    ModelScores,
    RecipeComparison,
    RecipeRow,
    Sample,
    reading_name,
)
from l2t_hub.evaluate.statistics import example_key

MICRO, MACRO = "micro", "macro"
Group = Sequence[ModelScores]
Samples = Mapping[str, Sequence[Sample]]
Key = tuple[str, str, str]
Array = NDArray[np.float64]


def replicates(evaluation: Evaluation, label: str) -> list[ModelScores]:
    """Return the models that differ from that of `label` in their seed only, itself included, in order of seeds.

    Itself alone if its recipe is not known.
    """
    return _replicates(evaluation.models, next(m for m in evaluation.models if m.label == label))


def _replicates(models: Group, model: ModelScores) -> list[ModelScores]:
    if model.recipe_sha256 is None or model.seed is None:
        return [model]
    same = [m for m in models if _recipe(m) == _recipe(model) and m.seed is not None]
    ordered = sorted(same, key=lambda m: m.seed or 0)
    return [next(group) for _, group in groupby(ordered, key=lambda m: m.seed)]


def _recipe(model: ModelScores) -> tuple[str | None, int | None]:
    return model.recipe_sha256, model.step


def recipe_name(model: ModelScores) -> str:
    """Return what the seeds of a recipe share in their names: `nano-l2t` of `nano-l2t-seed1`."""
    found = re.match(rf"(.+)-seed{model.seed}(?![0-9])", model.label)
    return found[1] if found else f"recipe of {model.label}"


def recipe_comparisons(evaluation: Evaluation) -> tuple[RecipeComparison, ...]:
    """Compare each recipe with that of the first model, where at least two seeds of both were scored.

    Checkpoints are compared with those of the same step. The comparisons are those that were made with the single
    decisions, or else from the scores.
    """
    labels = {model.label for model in evaluation.models}
    known = tuple(c for c in evaluation.recipes if {c.model, c.baseline} <= labels)
    return known or tuple(
        _from_scores(group, baseline) for group, baseline in _pairs_of_groups(evaluation.models)
    )


def compared_over_seeds(evaluation: Evaluation) -> set[str]:
    """Return the labels of the models whose recipes are compared over their seeds."""
    compared = recipe_comparisons(evaluation)
    labels = {c.model for c in compared} | {c.baseline for c in compared}
    return {model.label for label in labels for model in replicates(evaluation, label)}


def lone_comparisons(evaluation: Evaluation) -> tuple[ModelComparison, ...]:
    """Return the comparisons of models but for those of recipes that are compared over their seeds."""
    seeds = compared_over_seeds(evaluation)
    return tuple(c for c in evaluation.comparisons if c.model not in seeds)


def compare_recipes(models: Group, samples: Samples, space: bool) -> tuple[RecipeComparison, ...]:
    """Compare recipes as `recipe_comparisons` does, over seeds and items together.

    `samples` are those of each model by label; `space` says whether the suite puts a space before its sentences.
    """
    return tuple(
        _from_samples(_from_scores(group, baseline), group, baseline, samples, space)
        for group, baseline in _pairs_of_groups(models)
    )


def _pairs_of_groups(models: Group) -> list[tuple[Group, Group]]:
    """Return the seeds of each recipe, and those of the baseline's: at the same step, else the first model's."""
    first = models[0]
    at_step = {m.step: m for m in reversed(models) if m.recipe_sha256 == first.recipe_sha256}
    found: list[tuple[Group, Group]] = []
    done = {_recipe(first)}
    for model in models:
        other = at_step.get(model.step, first)
        if _recipe(model) in done or other.recipe_sha256 == model.recipe_sha256:
            continue
        done.add(_recipe(model))
        group, baseline = _replicates(models, model), _replicates(models, other)
        if min(len(group), len(baseline)) >= 2:
            found.append((group, baseline))
    return found


def _from_scores(group: Group, baseline: Group) -> RecipeComparison:
    def values(of: Callable[[ModelScores], list[float]]) -> list[tuple[list[float], list[float]]]:
        """Return the columns of what each seed has a list of: those of the recipe, and those of the baseline."""
        columns = (
            [list(column) for column in zip(*map(of, models), strict=True)] for models in (group, baseline)
        )
        return list(zip(*columns, strict=True))

    phenomena = values(lambda m: [accuracy.accuracy.value for accuracy in m.phenomena])
    overall = values(lambda m: [m.micro.accuracy.value, m.macro.value])
    names = [reading.name for reading in group[0].readings]
    alike = all([reading.name for reading in m.readings] == names for m in (*group, *baseline))
    readings = values(lambda m: [r.micro.accuracy.value for r in m.readings]) if alike and names else []
    rows = tuple(_row(p.phenomenon, *both) for p, both in zip(group[0].phenomena, phenomena, strict=True))
    micro, macro = (_row(name, *both) for name, both in zip((MICRO, MACRO), overall, strict=True))
    read = tuple(_row(name, *both) for name, both in zip(names, readings, strict=False))
    labels = group[0].label, baseline[0].label
    return RecipeComparison(*labels, len(group), len(baseline), rows, micro, macro, read)


def _row(name: str, values: Sequence[float], others: Sequence[float]) -> RecipeRow:
    difference, spreads = recipes_differ_by(values, others), [spread_between(v) for v in (values, others)]
    needed = None if difference.excludes_zero else seeds_needed(difference.value, max(spreads))
    means = sum(values) / len(values), sum(others) / len(others)
    return RecipeRow(name, means[0], spreads[0], means[1], spreads[1], difference, needed)


def _from_samples(
    scores: RecipeComparison, group: Group, baseline: Group, samples: Samples, space: bool
) -> RecipeComparison:
    """Add what the single decisions say to a comparison that was made from the scores."""
    own = [[samples[model.label] for model in models] for models in (group, baseline)]
    keys = sorted(example_key(sample) for sample in own[0][0])
    right = [_decisions(runs, keys) for runs in own]
    if right[0] is None or right[1] is None:
        return scores
    both = right[0], right[1]
    names = np.array([phenomenon for _, phenomenon, _ in keys])
    every = np.full(len(keys), 1 / len(keys))
    equal = np.zeros(len(keys))
    rows = []
    for row in scores.phenomena:
        chosen = names == row.phenomenon
        equal[chosen] = 1 / (chosen.sum() * len(scores.phenomena))
        rows.append(_crossed(row, both, chosen / chosen.sum()))
    adjusted = holm([row.p_value or 0.0 for row in rows])
    paradigms = _paradigms(own[0][0], keys)
    return replace(
        scores,
        phenomena=tuple(replace(row, p_adjusted=p) for row, p in zip(rows, adjusted, strict=True)),
        micro=_crossed(scores.micro, both, every, paradigms),
        macro=_crossed(scores.macro, both, equal, paradigms),
        readings=tuple(_reading(row, own, keys, paradigms, space) for row in scores.readings),
        clusters=0 if paradigms is None else int(paradigms.max()) + 1,
    )


def _decisions(runs: Sequence[Sequence[Sample]], keys: Sequence[Key]) -> Array | None:
    """Return a row for each run, with 1 for each item that it gets right; None if a run has other items."""
    found = [{example_key(sample): sample.correct for sample in samples} for samples in runs]
    if any(len(row) != len(keys) or not row.keys() >= set(keys) for row in found):
        return None
    return np.array([[row[key] for key in keys] for row in found], dtype=float)


def _paradigms(samples: Sequence[Sample], keys: Sequence[Key]) -> NDArray[np.int64] | None:
    """Return the number of each item's paradigm; None if there are too few of them, or items without one."""
    found = {example_key(s): (s.phenomenon, s.paradigm) for s in samples if s.paradigm is not None}
    if len(found) < len(keys) or len(set(found.values())) < MIN_CLUSTERS:
        return None
    names = {name: number for number, name in enumerate(sorted(set(found.values())))}
    return np.array([names[found[key]] for key in keys])


def _crossed(
    row: RecipeRow, right: tuple[Array, Array], weights: Array, clusters: NDArray[np.int64] | None = None
) -> RecipeRow:
    """Add the interval over seeds and items, of which each counts with its weight."""
    kept = weights > 0
    numbers = np.arange(kept.sum()) if clusters is None else clusters
    count = int(numbers.max()) + 1

    def summed(values: Array) -> Array:
        return np.bincount(numbers, weights=values[kept], minlength=count).astype(float)

    first, second = (np.array([summed(run * weights) for run in runs]) for runs in right)
    decisions = 1 / float((weights**2).sum())  # their number, where all weigh the same
    crossed, p_value = crossed_difference(first, second, summed(weights), decisions)
    return replace(row, crossed=crossed, p_value=p_value)


def _reading(
    row: RecipeRow,
    own: Sequence[Sequence[Sequence[Sample]]],
    keys: Sequence[Key],
    paradigms: NDArray[np.int64] | None,
    space: bool,
) -> RecipeRow:
    """Add the interval to a reading that is defined for all items, as the readings of whole sentences are."""
    if not all(has_readings(samples) for runs in own for samples in runs):
        return row
    way = next(
        w for w in WAYS if reading_name(space != w.respaced, w.per_token, w.one_prefix) == row.phenomenon
    )
    first, second = (_decisions([way.read(samples) for samples in runs], keys) for runs in own)
    if first is None or second is None:
        return row
    return _crossed(row, (first, second), np.full(len(keys), 1 / len(keys)), paradigms)
