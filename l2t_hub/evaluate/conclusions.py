"""What an evaluation shows, in words that claim no more than the figures allow.

A difference on some pairs is one between two checkpoints. What it says of other paradigms, of another way to read the
pairs and of the recipes behind the checkpoints are separate questions, and each gets its own sentence.
"""

from collections.abc import Sequence
from itertools import groupby

from l2t_hub.evaluate.inference import recipes_differ_by, seeds_needed, spread_between
from l2t_hub.evaluate.results import Difference, Evaluation, ModelComparison, ModelScores

ALPHA = 0.05
LISTED = 6
SEEDS = 3
"""Seeds of each recipe to ask for where the spread between seeds is not known."""


def conclusion(evaluation: Evaluation, comparison: ModelComparison) -> str:
    """Return what the comparison of two checkpoints shows and what it does not."""
    sentences = [
        _on_these_pairs(evaluation, comparison),
        _on_other_paradigms(comparison),
        _by_phenomenon(comparison),
        _in_other_readings(comparison),
        _of_the_recipes(evaluation, comparison),
    ]
    return " ".join(sentence for sentence in sentences if sentence)


def _on_these_pairs(evaluation: Evaluation, comparison: ModelComparison) -> str:
    row = comparison.micro
    points, low, high = (
        100 * value for value in (row.difference.value, row.difference.low, row.difference.high)
    )
    relation = (
        f"{abs(points):.1f} points {'higher' if points > 0 else 'lower'} than" if points else "the same as"
    )
    text = (
        f"{comparison.model} scores {relation} {comparison.baseline} on the {row.total:,} items of "
        f"{evaluation.protocol.suite} (95% interval of the difference: {low:+.1f} to {high:+.1f}). "
    )
    if row.difference.excludes_zero:
        return f"{text}The interval excludes 0: these two checkpoints differ on these items."
    text += "The interval includes 0: these items do not tell the two checkpoints apart."
    if row.pairs_needed:
        text += f" To show a difference of this size would take about {row.pairs_needed:,} items of the same kind."
    return text


def _on_other_paradigms(comparison: ModelComparison) -> str:
    interval = comparison.clustered
    if interval is None:
        return ""
    text = (
        f"With whole paradigms resampled, as for other paradigms of these kinds, the interval is "
        f"{100 * interval.low:+.1f} to {100 * interval.high:+.1f} ({comparison.clusters} paradigms)"
    )
    if interval.excludes_zero == comparison.micro.difference.excludes_zero:
        return f"{text}."
    if not interval.excludes_zero:
        return f"{text}: it includes 0, so on other paradigms the difference may vanish."
    return f"{text}: it excludes 0."


def _by_phenomenon(comparison: ModelComparison) -> str:
    names = [row.phenomenon for row in comparison.phenomena if _adjusted(row) < ALPHA]
    total = len(comparison.phenomena)
    if total < 2:
        return ""
    if not names:
        return f"In none of the {total} phenomena do they differ (McNemar's test, Holm's correction)."
    shown = ", ".join(names[:LISTED]) + (f" and {len(names) - LISTED} more" if len(names) > LISTED else "")
    return (
        f"They differ in {len(names)} of the {total} phenomena (McNemar's test, Holm's correction): {shown}."
    )


def _adjusted(row: Difference) -> float:
    return row.p_value if row.p_adjusted is None else row.p_adjusted


def _in_other_readings(comparison: ModelComparison) -> str:
    own, *others = comparison.readings or (None,)
    if own is None:
        return ""
    turned = [r for r in others if r.micro.difference.value * own.micro.difference.value < 0]
    changed = [r for r in others if r.micro.difference.excludes_zero != own.micro.difference.excludes_zero]
    for found, what in ((turned, "the sign of the difference is the opposite"), (changed, "this is not so")):
        if found:
            shown = "; ".join(f"{r.name}: {100 * r.micro.difference.value:+.1f}" for r in found)
            return f"It depends on how the pairs are read ({own.name}): in other readings {what} ({shown})."
    return "The other readings of the pairs, by spacing and per token, agree."


def _of_the_recipes(evaluation: Evaluation, comparison: ModelComparison) -> str:
    """Speak of recipes only where several seeds of both were scored."""
    model, baseline = (_replicates(evaluation, label) for label in (comparison.model, comparison.baseline))
    recipes = {scores.recipe_sha256 for scores in (model[0], baseline[0])}
    if len(recipes) == 1 and None not in recipes and len(model) > 1:
        return "The two checkpoints differ in their seed only, so this is a difference between seeds."
    if len(model) < 2 or len(baseline) < 2:
        return (
            "One checkpoint of a recipe says little about the recipe: checkpoints that differ only in their seed "
            f"differ too. To compare recipes, score at least {SEEDS} seeds of each."
        )
    first, second = ([100 * m.micro.accuracy.value for m in group] for group in (model, baseline))
    interval, spread = recipes_differ_by(first, second), max(spread_between(first), spread_between(second))
    text = (
        f"Over {len(first)} and {len(second)} seeds, the recipe of {comparison.model} scores {interval.value:+.1f} "
        f"points against that of {comparison.baseline} (95% interval {interval.low:+.1f} to {interval.high:+.1f}; "
        f"standard deviation between seeds up to {spread:.1f} points)"
    )
    if interval.excludes_zero:
        return f"{text}: on this suite the two recipes differ."
    needed = seeds_needed(interval.value, spread)
    more = f" A difference of this size would take about {needed} seeds of each." if needed else ""
    return f"{text}: these seeds do not tell the two recipes apart.{more}"


def _replicates(evaluation: Evaluation, label: str) -> list[ModelScores]:
    """Return the models with the recipe of `label` and different seeds: itself alone if its recipe is not known."""
    (model,) = (m for m in evaluation.models if m.label == label)
    if model.recipe_sha256 is None:
        return [model]
    same = [m for m in evaluation.models if m.recipe_sha256 == model.recipe_sha256 and m.seed is not None]
    ordered: Sequence[ModelScores] = sorted(same, key=lambda m: m.seed or 0)
    return [next(group) for _, group in groupby(ordered, key=lambda m: m.seed)]
