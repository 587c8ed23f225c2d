"""Accuracies and paired differences with their confidence intervals, per phenomenon and overall.

The intervals of `wilson`, `paired_difference` and `mean` treat the pairs of a suite as independent. They say how sure
a figure is for pairs of the same paradigms. `clustered` intervals resample whole paradigms (`inference`) and say how
sure it is for other paradigms of the kind.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from statistics import NormalDist

from l2t_hub.evaluate.inference import (
    LEVEL,
    RESAMPLES,
    SEED,
    cluster_bootstrap,
    holm,
    mcnemar,
    pairs_needed,
)
from l2t_hub.evaluate.results import Accuracy, Difference, Estimate, ModelComparison, Sample

Z = NormalDist().inv_cdf(0.5 + LEVEL / 2)
ALL = "all"
INTERVALS = {
    "accuracy": "Wilson score (per phenomenon, and micro: over all examples)",
    "macro": "mean of the phenomena's accuracies or differences, MOVER (Zou, Huang and Zhang, 2009)",
    "difference": "paired, Bonett and Price (2012)",
    "clustered": f"paradigms resampled {RESAMPLES:,} times, seed {SEED}, expanded percentiles (Hesterberg, 2015)",
    "measures": "mean over examples, and over paired differences: Student's t",
    "p-values": "McNemar's exact test; over phenomena, adjusted by Holm's method",
}


def wilson(correct: int, total: int) -> Estimate:
    """Return an accuracy with Wilson's score interval (E. B. Wilson, 1927, JASA).

    Unlike Wald's interval it stays in [0, 1] and keeps its coverage for accuracies near 0 and 1.
    """
    accuracy, z2 = correct / total, Z * Z / total
    centre = (accuracy + z2 / 2) / (1 + z2)
    half = Z * math.sqrt(accuracy * (1 - accuracy) / total + z2 / (4 * total)) / (1 + z2)
    # Rounding must not move a limit past an accuracy of 0 or 1.
    return Estimate(accuracy, max(0.0, min(accuracy, centre - half)), min(1.0, max(accuracy, centre + half)))


def paired_difference(only_model: int, only_baseline: int, total: int) -> Estimate:
    """Return the accuracy of a model minus that of a baseline on the same `total` examples.

    `only_model` examples are right only for the model, `only_baseline` only for the baseline. Examples that both get
    right or both get wrong add no noise.

    The interval is that of Bonett and Price (2012, J. Educ. Behav. Stat. 37: 479-488): Wald's, with one example added
    to each of the two counts. On a large suite a bootstrap gives the same interval. On 72 examples, the bootstrap
    interval has no width if the models agree on every example; this one always has.
    """
    model, baseline = (only_model + 1) / (total + 2), (only_baseline + 1) / (total + 2)
    centre = model - baseline
    half = Z * math.sqrt((model + baseline - centre**2) / (total + 2))
    return Estimate((only_model - only_baseline) / total, max(-1.0, centre - half), min(1.0, centre + half))


def unpaired_difference(model: Estimate, baseline: Estimate) -> Estimate:
    """Return the difference of two accuracies of which only the values and Wilson's intervals are known.

    The interval is the tenth method of Newcombe (1998, Stat. Med. 17: 873-890), for independent samples. On the same
    examples two models are right together more often than by chance, so that it covers more than it says.
    """
    value = model.value - baseline.value
    below = math.hypot(model.value - model.low, baseline.high - baseline.value)
    above = math.hypot(model.high - model.value, baseline.value - baseline.low)
    return Estimate(value, max(-1.0, value - below), min(1.0, value + above))


def mean(estimates: Sequence[Estimate]) -> Estimate:
    """Return the unweighted mean of independent estimates, such as a macro average, with its interval.

    The interval is MOVER (Zou, Huang and Zhang, 2009, Comput. Stat. Data Anal. 53: 1080-1085): on each side, the
    distances between the estimates and their limits are added in squares.
    """
    n = len(estimates)
    value = math.fsum(e.value for e in estimates) / n
    below = math.sqrt(math.fsum((e.value - e.low) ** 2 for e in estimates)) / n
    above = math.sqrt(math.fsum((e.high - e.value) ** 2 for e in estimates)) / n
    return Estimate(value, value - below, value + above)


def accuracies(samples: Sequence[Sample]) -> tuple[tuple[Accuracy, ...], Accuracy, Estimate]:
    """Return the accuracy per phenomenon in alphabetical order, over all samples, and the mean over phenomena."""
    phenomena = tuple(_accuracy(name, group) for name, group in _by_phenomenon(samples).items())
    return phenomena, _accuracy(ALL, samples), mean([row.accuracy for row in phenomena])


def compare(
    model: str, samples: Sequence[Sample], baseline: str, baseline_samples: Sequence[Sample]
) -> ModelComparison:
    """Compare a model with the baseline. Both need samples of the same examples, in any order."""
    baseline_correct = {example_key(sample): sample.correct for sample in baseline_samples}
    rows = [_difference(name, group, baseline_correct) for name, group in _by_phenomenon(samples).items()]
    phenomena = _adjusted(rows)
    overall = _difference(ALL, samples, baseline_correct)
    clusters = _clusters(samples, [s.correct - baseline_correct[example_key(s)] for s in samples])
    return ModelComparison(
        model,
        baseline,
        phenomena,
        overall,
        mean([row.difference for row in phenomena]),
        clusters=len(clusters),
        clustered=cluster_bootstrap(clusters),
    )


def clustered_accuracy(samples: Sequence[Sample]) -> Estimate | None:
    """Return the accuracy over all samples with an interval from resampling paradigms; None for too few of them."""
    return cluster_bootstrap(_clusters(samples, [float(sample.correct) for sample in samples]))


def _clusters(samples: Sequence[Sample], values: Sequence[float]) -> list[tuple[float, int]]:
    """Sum the values of each paradigm. Without paradigms there are no clusters."""
    sums: dict[tuple[str, str], tuple[float, int]] = {}
    for sample, value in zip(samples, values, strict=True):
        if sample.paradigm is None:
            return []
        total, count = sums.get((sample.phenomenon, sample.paradigm), (0.0, 0))
        sums[sample.phenomenon, sample.paradigm] = total + value, count + 1
    return list(sums.values())


GROUPINGS: Mapping[str, Callable[[Sample], str | None]] = {
    "paradigm": lambda sample: sample.paradigm,
    "field": lambda sample: sample.linguistic_field,
}
"""Ways to group examples besides phenomena, where the data name them."""


def grouped_accuracies(samples: Sequence[Sample]) -> dict[str, tuple[Accuracy, ...]]:
    """Return the accuracies by paradigm and by field, without a grouping that some example has no name for."""
    return {
        grouping: tuple(_accuracy(name, group) for name, group in groups.items())
        for grouping, groups in _groups(samples).items()
    }


def grouped_differences(
    samples: Sequence[Sample], baseline_samples: Sequence[Sample]
) -> dict[str, tuple[Difference, ...]]:
    """Return the differences by paradigm and by field, their p-values adjusted within each grouping."""
    baseline_correct = {example_key(sample): sample.correct for sample in baseline_samples}
    return {
        grouping: _adjusted([_difference(name, group, baseline_correct) for name, group in groups.items()])
        for grouping, groups in _groups(samples).items()
    }


def _groups(samples: Sequence[Sample]) -> dict[str, dict[str, list[Sample]]]:
    found: dict[str, dict[str, list[Sample]]] = {}
    for grouping, name_of in GROUPINGS.items():
        groups: dict[str, list[Sample]] = {}
        for sample in samples:
            groups.setdefault(name_of(sample) or "", []).append(sample)
        if groups and "" not in groups:
            found[grouping] = dict(sorted(groups.items()))
    return found


def _adjusted(rows: Sequence[Difference]) -> tuple[Difference, ...]:
    adjusted = holm([row.p_value for row in rows])
    return tuple(replace(row, p_adjusted=p) for row, p in zip(rows, adjusted, strict=True))


def _by_phenomenon(samples: Sequence[Sample]) -> dict[str, list[Sample]]:
    names = sorted({sample.phenomenon for sample in samples})
    return {name: [sample for sample in samples if sample.phenomenon == name] for name in names}


def _accuracy(name: str, samples: Sequence[Sample]) -> Accuracy:
    correct = sum(sample.correct for sample in samples)
    return Accuracy(name, correct, len(samples), wilson(correct, len(samples)))


def _difference(
    name: str, samples: Sequence[Sample], baseline_correct: Mapping[tuple[str, str, str], bool]
) -> Difference:
    outcomes = [(sample.correct, baseline_correct[example_key(sample)]) for sample in samples]
    only_model, only_baseline = outcomes.count((True, False)), outcomes.count((False, True))
    estimate = paired_difference(only_model, only_baseline, len(outcomes))
    return Difference(
        name,
        only_model,
        only_baseline,
        len(outcomes),
        estimate,
        p_value=mcnemar(only_model, only_baseline),
        pairs_needed=pairs_needed(only_model, only_baseline, len(outcomes)),
    )


def example_key(sample: Sample) -> tuple[str, str, str]:
    """Return what identifies an example in the samples of every model."""
    return sample.task, sample.phenomenon, sample.id
