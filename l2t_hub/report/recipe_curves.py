"""Learning curves of recipes of which several seeds were scored along training: means, spreads and differences.

At equal tokens, each recipe has its checkpoints of the same step. At equal documents, it has the last one that had
not read more different documents of its dataset than the baseline had, and none if its training ended before.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from l2t_hub.evaluate.inference import recipes_differ_by, spread_between
from l2t_hub.evaluate.replicates import recipe_comparisons, recipe_name, replicates
from l2t_hub.evaluate.results import Estimate, Evaluation, ModelScores
from l2t_hub.report.sheet import Cell, Figure, Sheet, difference, sheet


@dataclass(frozen=True)
class DocumentsRead:
    """The different documents of a training set, and the tokens of an epoch of it: how many a checkpoint has read."""

    documents: int
    tokens: int

    def after(self, tokens: int) -> int:
        """Return how many different documents were read after so many tokens."""
        return round(self.documents * min(1.0, tokens / self.tokens)) if self.tokens else 0


@dataclass(frozen=True)
class RecipePoint:
    """The checkpoints of a recipe after the same step, one per seed: the first one's label, and what they read."""

    label: str
    tokens: int
    scores: tuple[float, ...]
    documents: int | None

    @property
    def mean(self) -> float:
        """The mean score over the seeds."""
        return sum(self.scores) / len(self.scores)


@dataclass(frozen=True)
class RecipeCurve:
    """The points of a recipe by increasing tokens."""

    name: str
    points: tuple[RecipePoint, ...]

    def within(self, documents: int) -> RecipePoint | None:
        """Return the last point that has read at most so many documents; None if the training ended before.

        It ended before if another checkpoint would have been due by then. With all documents read, it goes on.
        """
        read = [p.documents for p in self.points if p.documents is not None]
        found = [p for p in self.points if p.documents is not None and p.documents <= documents]
        step = read[-1] - read[-2] if len(read) > 1 else 0
        has_ended = step > 0 and read[-1] + step <= documents
        return None if has_ended or not found else found[-1]


def recipe_curves(evaluation: Evaluation, read: Mapping[str, DocumentsRead]) -> list[RecipeCurve]:
    """Return the curves of the recipes that have several points of at least two seeds each, the baseline's first.

    `read` has what the runs read, by the name that the labels of their checkpoints begin with.
    """
    found: dict[str, list[RecipePoint]] = {}
    done: set[tuple[str | None, int | None]] = set()
    for model in evaluation.models:
        group = replicates(evaluation, model.label)
        if (model.recipe_sha256, model.step) in done or len(group) < 2 or model.tokens is None:
            continue
        done.add((model.recipe_sha256, model.step))
        found.setdefault(recipe_name(group[0]), []).append(_point(group, read))
    curves = [
        RecipeCurve(name, tuple(sorted(points, key=lambda point: point.tokens)))
        for name, points in found.items()
        if len(points) > 1
    ]
    return curves if len(curves) == len(found) else []


def _point(group: Sequence[ModelScores], read: Mapping[str, DocumentsRead]) -> RecipePoint:
    tokens = group[0].tokens or 0
    known = [found.after(tokens) for m in group if (found := read.get(m.label.partition("/")[0]))]
    return RecipePoint(
        group[0].label,
        tokens,
        tuple(model.micro.accuracy.value for model in group),
        round(sum(known) / len(known)) if len(known) == len(group) else None,
    )


def equal_tokens_sheet(evaluation: Evaluation, curves: Sequence[RecipeCurve]) -> Sheet:
    """Return the scores at the steps that all recipes have, and the differences from the first recipe."""
    compared = {c.model: c.micro for c in recipe_comparisons(evaluation)}
    at = [{point.tokens: point for point in curve.points} for curve in curves]
    rows: list[list[Cell]] = []
    for tokens in sorted(set.intersection(*map(set, at))):
        points = [found[tokens] for found in at]
        row: list[Cell] = [f"{tokens:,}"]
        for point in points:
            row += [Figure(point.mean), Figure(spread_between(point.scores))]
        for point in points[1:]:
            own = compared.get(point.label)
            row.append(difference(own.crossed or own.difference) if own else None)
        rows.append(row)
    header = ["tokens", *_columns(curves), *(f"{curve.name} − {curves[0].name}" for curve in curves[1:])]
    caption = (
        f"{evaluation.protocol.suite}: mean accuracy in % over all items at equal tokens, with the standard "
        "deviation between seeds (SD), and differences with 95% intervals over seeds and items."
    )
    return sheet(caption, header, rows)


def equal_documents_sheet(evaluation: Evaluation, curves: Sequence[RecipeCurve]) -> Sheet | None:
    """Return the scores after equal numbers of different documents; None where these are not known."""
    if any(point.documents is None for curve in curves for point in curve.points):
        return None
    budgets = sorted({point.documents for point in curves[0].points if point.documents})
    rows: list[list[Cell]] = []
    for budget in budgets:
        points = [curve.within(budget) for curve in curves]
        if points[0] is None or not any(points[1:]):
            continue
        row: list[Cell] = [f"{budget:,}"]
        for point in points:
            row += (
                [Figure(point.mean), Figure(spread_between(point.scores)), f"{point.tokens:,}"]
                if point
                else [None, None, None]
            )
        row += [_unpaired(point, points[0]) if point else None for point in points[1:]]
        rows.append(row)
    if not rows:
        return None
    header = ["documents", *(word for curve in curves for word in (curve.name, "SD", "at tokens"))]
    header += [f"{curve.name} − {curves[0].name}" for curve in curves[1:]]
    caption = (
        f"{evaluation.protocol.suite}: mean accuracy in % over all items after equal numbers of different documents, "
        "with the standard deviation between seeds (SD). Each recipe has its last checkpoint that had read no more "
        "of them, unless its training ended before. Differences have Welch's 95% intervals over seeds."
    )
    return sheet(caption, header, rows)


def _unpaired(point: RecipePoint, baseline: RecipePoint) -> Cell:
    return difference(recipes_differ_by(point.scores, baseline.scores))


def _columns(curves: Sequence[RecipeCurve]) -> list[str]:
    return [word for curve in curves for word in (curve.name, "SD")]


def band(curve: RecipeCurve) -> list[tuple[float, Estimate]]:
    """Return the points of a curve: the mean, and the lowest and the highest seed."""
    return [
        (point.tokens, Estimate(point.mean, min(point.scores), max(point.scores))) for point in curve.points
    ]
