"""`--fail-under`: the accuracy that every model must reach, for continuous integration."""

from collections.abc import Sequence

from l2t_hub.errors import UsageError, UserError, nearest
from l2t_hub.evaluate.results import Evaluation


def parse_thresholds(texts: Sequence[str], evaluations: Sequence[Evaluation]) -> dict[str, float]:
    """Return the percentage that the accuracy over all items of each suite must reach. Raises UsageError."""
    suites = list(dict.fromkeys(evaluation.protocol.suite for evaluation in evaluations))
    found: dict[str, float] = {}
    for text in texts:
        suite, equals, number = text.rpartition("=")
        try:
            value = float(number)
        except ValueError:
            value = -1.0
        if not (value == 0 or 1 < value <= 100):
            raise UsageError(
                f"--fail-under {text}: not a percentage from 0 to 100",
                "Write 75 for three right answers of four, or SUITE=75 for one suite.",
            )
        if equals and suite not in suites:
            raise UsageError(f"--fail-under {text}: no results of {suite}. {nearest(suite, suites)}")
        found |= dict.fromkeys([suite] if equals else suites, value)
    return found


def check_thresholds(thresholds: dict[str, float], evaluations: Sequence[Evaluation]) -> None:
    """Raise UserError if the accuracy of a model over all items of a suite is below its threshold."""
    below = [
        f"{model.label} has {100 * model.micro.accuracy.value:.2f}% on {evaluation.protocol.suite}, "
        f"below {thresholds[evaluation.protocol.suite]:g}%"
        for evaluation in evaluations
        for model in evaluation.models
        if 100 * model.micro.accuracy.value < thresholds.get(evaluation.protocol.suite, 0)
    ]
    if below:
        raise UserError("; ".join(below), "The threshold is that of --fail-under.")
