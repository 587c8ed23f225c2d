"""Two models compared: by their decisions on each item where those are at hand, else by their scores."""

from collections.abc import Sequence
from dataclasses import replace

from l2t_hub.evaluate import statistics
from l2t_hub.evaluate.measures import measure_differences
from l2t_hub.evaluate.readings import reading_differences
from l2t_hub.evaluate.results import (
    Accuracy,
    Difference,
    ModelComparison,
    ModelScores,
    Sample,
    TaskProtocol,
)


def leading_space(tasks: Sequence[TaskProtocol]) -> bool:
    """Whether the tasks put a space before a text without a context."""
    return {task.target_delimiter for task in tasks} == {" "}


def compare_decisions(
    model: str,
    samples: Sequence[Sample],
    baseline: str,
    baseline_samples: Sequence[Sample],
    tasks: Sequence[TaskProtocol],
) -> ModelComparison:
    """Compare a model with the baseline item by item, in every reading and grouping. Both need the same items."""
    return replace(
        statistics.compare(model, samples, baseline, baseline_samples),
        readings=reading_differences(samples, baseline_samples, leading_space(tasks)),
        groups=statistics.grouped_differences(samples, baseline_samples),
        measures=measure_differences(samples, baseline_samples),
    )


def compare_scores(model: ModelScores, baseline: ModelScores) -> ModelComparison:
    """Compare two models of which only the scores are known; the intervals are those of independent samples."""
    pairs = zip(model.phenomena, baseline.phenomena, strict=True)
    rows = tuple(_difference(one, other) for one, other in pairs)
    return ModelComparison(
        model.label,
        baseline.label,
        rows,
        _difference(model.micro, baseline.micro),
        statistics.mean([row.difference for row in rows]),
        paired=False,
    )


def _difference(model: Accuracy, baseline: Accuracy) -> Difference:
    estimate = statistics.unpaired_difference(model.accuracy, baseline.accuracy)
    return Difference(model.phenomenon, 0, 0, model.total, estimate)
