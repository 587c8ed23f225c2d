"""Several seeds of one recipe: how far their scores spread, and how two recipes differ over their seeds."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from l2t_hub.evaluate.inference import recipes_differ_by, seeds_needed, spread_between
from l2t_hub.evaluate.results import Estimate, Evaluation, ModelScores


@dataclass(frozen=True)
class RecipeRow:
    """One phenomenon, or all examples: the mean accuracy of each recipe over its seeds, and their difference.

    The spreads are standard deviations between the seeds. `seeds_needed` of each recipe would show the difference.
    """

    phenomenon: str
    model: float
    model_spread: float
    baseline: float
    baseline_spread: float
    difference: Estimate
    seeds_needed: int | None


@dataclass(frozen=True)
class RecipeComparison:
    """A recipe against that of the baseline. Each is called after its first checkpoint in the evaluation."""

    model: str
    baseline: str
    seeds: int
    baseline_seeds: int
    phenomena: tuple[RecipeRow, ...]
    micro: RecipeRow
    macro: RecipeRow


def replicates(evaluation: Evaluation, label: str) -> list[ModelScores]:
    """Return the models that differ from that of `label` in their seed only, itself included, in order of seeds.

    Itself alone if its recipe is not known.
    """
    (model,) = (m for m in evaluation.models if m.label == label)
    if model.recipe_sha256 is None or model.seed is None:
        return [model]
    same = [
        m
        for m in evaluation.models
        if (m.recipe_sha256, m.step) == (model.recipe_sha256, model.step) and m.seed is not None
    ]
    ordered = sorted(same, key=lambda m: m.seed or 0)
    return [next(group) for _, group in groupby(ordered, key=lambda m: m.seed)]


def recipe_comparisons(evaluation: Evaluation) -> tuple[RecipeComparison, ...]:
    """Compare each recipe with that of the first model, where at least two seeds of both were scored."""
    first = evaluation.models[0]
    baseline = replicates(evaluation, first.label)
    compared, done = [], {_recipe(first)}
    for model in evaluation.models:
        group = replicates(evaluation, model.label)
        if _recipe(model) in done or min(len(group), len(baseline)) < 2:
            continue
        done.add(_recipe(model))
        compared.append(_compare(model.label, group, first.label, baseline))
    return tuple(compared)


def _recipe(model: ModelScores) -> tuple[str | None, int | None]:
    return model.recipe_sha256, model.step


def _compare(
    label: str, group: Sequence[ModelScores], baseline_label: str, baseline: Sequence[ModelScores]
) -> RecipeComparison:
    rows = tuple(
        _row(
            row.phenomenon,
            [m.phenomena[i].accuracy.value for m in group],
            [m.phenomena[i].accuracy.value for m in baseline],
        )
        for i, row in enumerate(group[0].phenomena)
    )
    micro, macro = (
        _row(name, [_overall(m, name).value for m in group], [_overall(m, name).value for m in baseline])
        for name in ("micro", "macro")
    )
    return RecipeComparison(label, baseline_label, len(group), len(baseline), rows, micro, macro)


def _overall(model: ModelScores, name: str) -> Estimate:
    return model.micro.accuracy if name == "micro" else model.macro


def _row(name: str, model: Sequence[float], baseline: Sequence[float]) -> RecipeRow:
    difference = recipes_differ_by(model, baseline)
    spreads = spread_between(model), spread_between(baseline)
    return RecipeRow(
        name,
        sum(model) / len(model),
        spreads[0],
        sum(baseline) / len(baseline),
        spreads[1],
        difference,
        None if difference.excludes_zero else seeds_needed(difference.value, max(spreads)),
    )
