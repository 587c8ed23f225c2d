"""The checkpoints of training runs in an evaluation: scores along training, and at equal tokens and equal compute."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from l2t_hub.evaluate.results import Estimate, Evaluation, ModelScores

MAX_BUDGETS = 8
_CHECKPOINT = re.compile(r"@[^@/]*$|/?(?:checkpoints/)?(?:checkpoint|step)-[0-9]+/?$")


@dataclass(frozen=True)
class Checkpoint:
    """The score of a checkpoint over all items, and what it cost."""

    label: str
    tokens: int
    compute: int
    accuracy: Estimate


@dataclass(frozen=True)
class Run:
    """At least two checkpoints of one run, by increasing tokens."""

    name: str
    checkpoints: tuple[Checkpoint, ...]

    def within(self, budget: int, unit: str) -> Checkpoint | None:
        """Return the last checkpoint of at most that many tokens, or with `unit` compute that many operations."""
        return next((c for c in reversed(self.checkpoints) if getattr(c, unit) <= budget), None)


def training_runs(evaluation: Evaluation) -> list[Run]:
    """Return the runs of which several checkpoints were scored, in the order of their first ones."""
    groups: dict[object, list[ModelScores]] = {}
    for model in evaluation.models:
        if model.tokens is not None:
            groups.setdefault(_run(model), []).append(model)
    counted = counts_attention(evaluation)
    several = [group for group in groups.values() if len({model.tokens for model in group}) > 1]
    names = [_CHECKPOINT.sub("", group[0].model).rpartition("/")[2] or group[0].label for group in several]
    return [
        Run(
            name if names.count(name) == 1 else _CHECKPOINT.sub("", group[0].model),
            tuple(sorted((_checkpoint(model, counted) for model in group), key=lambda c: c.tokens)),
        )
        for name, group in zip(names, several, strict=True)
    ]


def _run(model: ModelScores) -> object:
    """Return what the checkpoints of a run share."""
    name = _CHECKPOINT.sub("", model.model)
    return name if model.recipe_sha256 is None else (model.recipe_sha256, model.seed)


def counts_attention(evaluation: Evaluation) -> bool:
    """Whether compute is counted as training counts it, with attention: every checkpoint's record has its shape.

    Otherwise it is 6N for all of them: half with attention and half without would not be comparable.
    """
    return all(model.flops_per_token is not None for model in evaluation.models if model.tokens is not None)


def _checkpoint(model: ModelScores, attention: bool) -> Checkpoint:
    tokens, each = model.tokens or 0, float(6 * model.parameters)
    if attention and model.flops_per_token is not None:
        each = model.flops_per_token
    return Checkpoint(model.label, tokens, round(each * tokens), model.micro.accuracy)


def budgets(runs: Sequence[Run], unit: str) -> list[int]:
    """Return the tokens or operations at which runs are compared: those of the first run that all of them reached."""
    reached = min(getattr(run.checkpoints[-1], unit) for run in runs)
    started = max(getattr(run.checkpoints[0], unit) for run in runs)
    inside = [b for c in runs[0].checkpoints if started <= (b := getattr(c, unit)) <= reached]
    found = sorted({*inside, reached}) if started <= reached else []
    step = -(-len(found) // MAX_BUDGETS) or 1
    return found[::-1][::step][::-1]


def last_checkpoints(evaluation: Evaluation) -> Evaluation:
    """Return an evaluation without the checkpoints that a later one of the same run follows; the baseline stays."""
    runs = training_runs(evaluation)
    early = {c.label for run in runs for c in run.checkpoints[:-1]} - {evaluation.models[0].label}
    return replace(
        evaluation,
        models=tuple(model for model in evaluation.models if model.label not in early),
        comparisons=tuple(c for c in evaluation.comparisons if c.model not in early),
    )


def latest(models: Sequence[ModelScores]) -> ModelScores:
    """Return the last checkpoint of the run that the first of some models is of."""
    same = [model for model in models if _run(model) == _run(models[0])]
    return max(same, key=lambda model: model.tokens or 0)
