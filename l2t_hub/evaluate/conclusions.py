"""What an evaluation shows, in words that claim no more than the figures allow.

A difference on some pairs is one between two checkpoints. What it says of other paradigms, of another way to read the
pairs and of the recipes behind the checkpoints are separate questions, and each gets its own sentence.
"""

from l2t_hub.evaluate.inference import spread_between
from l2t_hub.evaluate.replicates import recipe_comparisons, recipe_name, replicates
from l2t_hub.evaluate.results import Difference, Evaluation, ModelComparison, RecipeComparison

ALPHA = 0.05
LISTED = 6
UNPAIRED = (
    "Their single decisions are not at hand, so this interval is for independent samples, which is wider."
)
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
    if not comparison.paired:
        text += f"{UNPAIRED} "
    if row.difference.excludes_zero:
        return f"{text}The interval excludes 0: these two checkpoints differ on these items."
    text += "The interval includes 0: these items do not tell the two checkpoints apart."
    if comparison.paired and row.pairs_needed:
        more = row.pairs_needed - row.total
        text += (
            f" To show a difference of this size would take about {row.pairs_needed:,} items of the same kind"
            f"{f', {more:,} more' if more > 0 else ''}."
        )
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
    if total < 2 or not comparison.paired:
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
    model, baseline = (replicates(evaluation, label) for label in (comparison.model, comparison.baseline))
    recipes = {scores.recipe_sha256 for scores in (model[0], baseline[0])}
    steps = {scores.step for scores in (model[0], baseline[0])}
    if len(recipes) == 1 and None not in recipes and len(steps) > 1:
        return "The two checkpoints are of one recipe at different steps."
    if len(recipes) == 1 and None not in recipes and len(model) > 1:
        return "The two checkpoints differ in their seed only, so this is a difference between seeds."
    if len(model) < 2 or len(baseline) < 2:
        return (
            "One checkpoint of a recipe says little about the recipe: checkpoints that differ only in their seed "
            f"differ too. To compare recipes, score at least {SEEDS} seeds of each."
        )
    found = (c for c in recipe_comparisons(evaluation) if c.model in {m.label for m in model})
    over_seeds = next((c for c in found if c.baseline in {m.label for m in baseline}), None)
    return over_seeds_conclusion(evaluation, over_seeds) if over_seeds else ""


def over_seeds_conclusion(evaluation: Evaluation, comparison: RecipeComparison) -> str:
    """Return how two recipes differ, by the interval over seeds and items where there is one: it claims less."""
    row = comparison.micro
    interval, spread = row.crossed or row.difference, max(row.model_spread, row.baseline_spread)
    value, low, high = (100 * x for x in (interval.value, interval.low, interval.high))
    names = [_named(evaluation, label) for label in (comparison.model, comparison.baseline)]
    units = (
        "seeds"
        if row.crossed is None
        else "seeds and paradigms"
        if comparison.clusters
        else "seeds and items"
    )
    said = f"95% interval over {units} {low:+.1f} to {high:+.1f}"
    if not interval.has_interval:
        said = "no interval, since no two seeds of a recipe differ"
    text = (
        f"Over {comparison.seeds} and {comparison.baseline_seeds} seeds, {names[0]} scores {value:+.1f} "
        f"points on {evaluation.protocol.suite} against {names[1]} ({said}; "
        f"standard deviation between seeds up to {100 * spread:.1f} points)"
    )
    if interval.excludes_zero:
        return f"{text}: on this suite the two recipes differ."
    have = min(comparison.seeds, comparison.baseline_seeds)
    needed = row.seeds_needed or 0
    more = f", {needed - have:,} more" if needed > have else ""
    rest = f" A difference of this size would take about {needed:,} seeds of each{more}." if needed else ""
    return f"{text}: these seeds do not tell the two recipes apart.{rest}"


def _named(evaluation: Evaluation, label: str) -> str:
    """Return a recipe's name, or which checkpoint it is the recipe of."""
    name = recipe_name(next(m for m in evaluation.models if m.label == label))
    return f"the {name}" if name.startswith("recipe of") else name


def conclusions(evaluation: Evaluation) -> list[str]:
    """Return what the comparisons of an evaluation show, each fact once.

    Checkpoints of a recipe of which several seeds were scored are not compared one by one: the recipes are.
    """
    by_recipe = recipe_comparisons(evaluation)
    baseline = {m.label for m in replicates(evaluation, evaluation.models[0].label)}
    seeds = {c.model: {m.label for m in replicates(evaluation, c.model)} for c in by_recipe}
    covered = set().union(*seeds.values()) if seeds else set()
    said = [
        conclusion(evaluation, comparison)
        for comparison in evaluation.comparisons
        if comparison.model not in covered and comparison.model not in baseline
    ]
    for group in (baseline, *seeds.values()):
        said += _spread(evaluation, group)
    said += [over_seeds_conclusion(evaluation, c) for c in by_recipe]
    return said


def _spread(evaluation: Evaluation, labels: set[str]) -> list[str]:
    """Say how far the seeds of one recipe are apart."""
    models = [model for model in evaluation.models if model.label in labels]
    if len(models) < 2:
        return []
    scores = [100 * model.micro.accuracy.value for model in models]
    return [
        f"{len(models)} seeds of {_named(evaluation, models[0].label)} score {min(scores):.1f} to {max(scores):.1f}% "
        f"on {evaluation.protocol.suite} (standard deviation {spread_between(scores):.1f} points). "
        "Whatever two of them differ by is a difference between seeds."
    ]
