"""Figures that are no accuracies, such as the loss of a completion: their means and paired differences.

Intervals are Student's t over examples, which for means of a hundred bounded or nearly symmetric values is close.
"""

import math
from collections.abc import Mapping, Sequence
from statistics import fmean, stdev
from typing import Literal

from l2t_hub.evaluate.inference import LEVEL
from l2t_hub.evaluate.results import Estimate, Measure, MeasureDifference, Sample
from l2t_hub.evaluate.statistics import ALL, example_key

BETTER: Mapping[str, Literal["higher", "lower"]] = {
    "accuracy, answers normalised by length": "higher",
    "F1": "higher",
    "edit similarity": "higher",
    "loss (nats per token)": "lower",
}
"""What the samples' measures are called, and which direction is better."""


def measures(samples: Sequence[Sample]) -> tuple[Measure, ...]:
    """Return the mean of each measure by phenomenon; the mean over all examples comes last."""
    found = []
    for (name, cell), values in _values(samples).items():
        value, half = mean_interval([values[key] for key in values])
        low, high = (None, None) if half is None else (value - half, value + half)
        found.append(Measure(name, cell, value, low, high, len(values), BETTER[name]))
    return tuple(found)


def measure_differences(
    samples: Sequence[Sample], baseline_samples: Sequence[Sample]
) -> tuple[MeasureDifference, ...]:
    """Return the paired differences of each measure from the baseline, where there are at least two examples."""
    baseline = _values(baseline_samples)
    found = []
    for (name, cell), values in _values(samples).items():
        others = baseline.get((name, cell), {})
        value, half = mean_interval([values[key] - others[key] for key in values if key in others])
        if half is not None:
            difference = Estimate(value, value - half, value + half)
            found.append(MeasureDifference(name, cell, difference, len(values), BETTER[name]))
    return tuple(found)


def _values(samples: Sequence[Sample]) -> dict[tuple[str, str], dict[tuple[str, str, str], float]]:
    """Return the values of the examples by (measure, phenomenon)."""
    names = dict.fromkeys(name for sample in samples for name in sample.measures)
    cells = [*sorted({sample.phenomenon for sample in samples}), ALL]
    found: dict[tuple[str, str], dict[tuple[str, str, str], float]] = {
        (name, cell): {} for name in names for cell in cells
    }
    for sample in samples:
        for name, value in sample.measures.items():
            for cell in (sample.phenomenon, ALL):
                found[name, cell][example_key(sample)] = value
    return {key: values for key, values in found.items() if values}


def mean_interval(values: Sequence[float]) -> tuple[float, float | None]:
    """Return the mean and half of Student's t interval; None for fewer than two values."""
    from scipy.stats import t

    if len(values) < 2:
        return (fmean(values) if values else math.nan), None
    quantile = float(t.ppf(0.5 + LEVEL / 2, len(values) - 1))
    return fmean(values), quantile * stdev(values) / math.sqrt(len(values))
