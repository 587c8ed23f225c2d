"""From examples to accuracies and paired differences, per phenomenon and overall. Pure."""

from collections.abc import Mapping, Sequence

from l2t_hub.evaluate.results import Accuracy, Difference, ModelComparison, Sample
from l2t_hub.evaluate.statistics import Estimate, mean, paired_difference, wilson

ALL = "all"
INTERVALS = {
    "accuracy": "Wilson score (per phenomenon, and micro: every example counts once)",
    "macro": "mean of the phenomena's accuracies or differences, MOVER (Zou, Huang and Zhang, 2009)",
    "difference": "paired, Bonett and Price (2012)",
}


def accuracies(samples: Sequence[Sample]) -> tuple[tuple[Accuracy, ...], Accuracy, Estimate]:
    """Give the accuracy per phenomenon (in alphabetical order), over all examples, and the mean over phenomena."""
    phenomena = tuple(_accuracy(name, rows) for name, rows in _by_phenomenon(samples).items())
    return phenomena, _accuracy(ALL, samples), mean([row.accuracy for row in phenomena])


def compare(
    label: str, samples: Sequence[Sample], baseline: str, others: Sequence[Sample]
) -> ModelComparison:
    """Compare a model with the baseline on the same examples, in whatever order they come."""
    wrong_or_right = {(row.task, row.phenomenon, row.id): row.correct for row in others}
    phenomena = tuple(
        _difference(name, rows, wrong_or_right) for name, rows in _by_phenomenon(samples).items()
    )
    overall = _difference(ALL, samples, wrong_or_right)
    return ModelComparison(label, baseline, phenomena, overall, mean([row.difference for row in phenomena]))


def _by_phenomenon(samples: Sequence[Sample]) -> dict[str, list[Sample]]:
    names = sorted({sample.phenomenon for sample in samples})
    return {name: [sample for sample in samples if sample.phenomenon == name] for name in names}


def _accuracy(name: str, samples: Sequence[Sample]) -> Accuracy:
    correct = sum(sample.correct for sample in samples)
    return Accuracy(name, correct, len(samples), wilson(correct, len(samples)))


def _difference(
    name: str, samples: Sequence[Sample], baseline: Mapping[tuple[str, str, str], bool]
) -> Difference:
    pairs = [(row.correct, baseline[row.task, row.phenomenon, row.id]) for row in samples]
    only_model, only_baseline = pairs.count((True, False)), pairs.count((False, True))
    estimate = paired_difference(only_model, only_baseline, len(pairs))
    return Difference(name, only_model, only_baseline, len(pairs), estimate)
