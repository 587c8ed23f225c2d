"""The results of an evaluation: how it was run, each model's accuracies, and the differences between models.

The dataclasses are the schema of the JSON file: every field is a key of the same name. Accuracies are from 0 to 1.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from l2t_hub.artifacts import disk_errors, write_text

SCHEMA = 2
MAX_TEXT = 2_000
"""Characters of the longest text that a sample holds."""


@dataclass(frozen=True)
class Estimate:
    """A value with its 95% confidence interval. Accuracies are in [0, 1], differences in [-1, 1]."""

    value: float
    low: float
    high: float

    @property
    def has_interval(self) -> bool:
        """Whether there is an interval. Where nothing varied, its ends are the value, and say nothing."""
        return self.low < self.high

    @property
    def excludes_zero(self) -> bool:
        """Whether there is an interval that does not contain zero."""
        return self.has_interval and (self.low > 0 or self.high < 0)


@dataclass(frozen=True)
class Sample:
    """One model's result on one example: a line of the samples file."""

    model: str
    task: str
    id: str
    phenomenon: str
    paradigm: str | None
    correct: bool
    gold: int | None
    """Index of the right answer in `log_likelihoods`, None if the task names none."""
    log_likelihoods: tuple[float, ...]
    """Natural log-probabilities of the answers, in the order of the task's choices."""
    tokens: tuple[int, ...] = ()
    """Number of tokens of each answer, if the answers are whole texts without a context, as in minimal pairs."""
    respaced: tuple[float, ...] = ()
    """Log-probabilities of the same texts with a space before them, or without it if the task has one."""
    respaced_tokens: tuple[int, ...] = ()
    one_prefix: tuple[float, ...] = ()
    """Minimal pairs that differ in one word after a shared beginning: log-probabilities of that word given it."""
    respaced_one_prefix: tuple[float, ...] = ()
    linguistic_field: str | None = None
    """Field of linguistics, if the data name one."""
    measures: Mapping[str, float] = field(default_factory=dict)
    """Further figures by name, such as the loss of a completion."""
    texts: tuple[str, ...] = ()
    """Minimal pairs of a published suite: the sentences, in the order of `log_likelihoods`.

    None if one is longer than `MAX_TEXT`, and none of a user's own pairs, since a release sends samples along.
    """

    @property
    def tie(self) -> bool:
        """Whether several choices share the highest probability, so that their order decides."""
        return self.log_likelihoods.count(max(self.log_likelihoods)) > 1


@dataclass(frozen=True)
class TaskProtocol:
    """How one lm-eval task was run."""

    task: str
    version: str
    shots: int
    metric: str
    target_delimiter: str
    """Text between context and answer. A space means that " The ..." was scored, not "The ..."."""
    examples: int
    examples_sha256: str
    """SHA-256 of lm-eval's hashes of the examples, in their order. It does not depend on where the data came from."""
    shots_seed: int | None = None
    """Seed of the draw of the few-shot examples, None without such examples."""


@dataclass(frozen=True)
class Protocol:
    """How an evaluation was run: what two evaluations must share for their numbers to be comparable."""

    suite: str
    suite_sha256: str | None
    """`Suite.digest`: the hash of a bundled suite's files or of a user's pairs, None for other data from the Hub."""
    harness: str
    harness_version: str
    tasks: tuple[TaskProtocol, ...]
    context: str
    softmax: str
    batch_rule: str
    """How sentences share forward passes. It decides the speed, and in bfloat16 the last digits."""
    limit: int | None
    """Number of examples per task if only the first ones were used, None for all."""
    level: float
    """Confidence level of the intervals, 0.95."""
    intervals: Mapping[str, str]
    versions: Mapping[str, str]
    date: str
    """Start of the evaluation in UTC, ISO 8601."""
    left_out: Mapping[str, int] = field(default_factory=dict)
    """Number of a user's pairs that were not scored, by reason."""


@dataclass(frozen=True)
class Accuracy:
    """The number of right examples, of all examples, and the accuracy with its interval."""

    phenomenon: str
    correct: int
    total: int
    accuracy: Estimate


@dataclass(frozen=True)
class Measure:
    """A figure that is no accuracy, such as a loss: the mean over the examples of a cell (a task or a phenomenon)."""

    name: str
    cell: str
    value: float
    low: float | None
    """Limits of the 95% interval; None where there is none."""
    high: float | None
    examples: int
    better: Literal["higher", "lower"]


@dataclass(frozen=True)
class Reading:
    """The accuracies of one way to read minimal pairs: with or without a space before them, summed or per token.

    With `one_prefix`, only the first word that differs is compared, given what precedes it. This is defined for some
    pairs only: `micro.total` counts them.
    """

    space: bool
    per_token: bool
    micro: Accuracy
    macro: Estimate
    changed: int
    """Number of decisions that differ from those of the suite's own reading."""
    one_prefix: bool = False

    @property
    def name(self) -> str:
        """The reading in words."""
        return reading_name(self.space, self.per_token, self.one_prefix)


def reading_name(space: bool, per_token: bool, one_prefix: bool = False) -> str:
    """Return a reading in words, such as 'leading space, summed'."""
    how = "one-prefix" if one_prefix else "per token" if per_token else "summed"
    return f"{'leading' if space else 'no leading'} space, {how}"


@dataclass(frozen=True)
class ModelScores:
    """One model and its accuracies.

    `micro` is the accuracy over all examples, `macro` the mean of the phenomena's accuracies.
    """

    label: str
    model: str
    revision: str | None
    weights_sha256: str | None
    parameters: int
    dtype: str
    device: str
    prefix_token: str
    prefix_id: int
    phenomena: tuple[Accuracy, ...]
    micro: Accuracy
    macro: Estimate
    ties: int
    """Number of examples for which `Sample.tie` is true."""
    seconds: float
    """Wall time of scoring, without imports and loading the model."""
    clustered: Estimate | None = None
    """The micro accuracy with an interval from resampling paradigms; None if there are too few or none."""
    readings: tuple[Reading, ...] = ()
    """Of minimal pairs: the suite's own reading and the others."""
    recipe_sha256: str | None = None
    """SHA-256 of the recipe that the model was trained from, name and seed left out; None without `training.json`."""
    seed: int | None = None
    step: int | None = None
    """Optimiser steps that the checkpoint was trained for; None if it does not say."""
    tokens: int | None = None
    """Tokens that the checkpoint was trained on, padding included; None if it does not say."""
    flops_per_token: float | None = None
    """Mean floating-point operations of training per token, with attention; None if its record does not say."""
    groups: Mapping[str, tuple[Accuracy, ...]] = field(default_factory=dict)
    """Accuracies by `paradigm` and by `field`, where the data name them."""
    measures: tuple[Measure, ...] = ()
    notes: tuple[str, ...] = ()
    """What is unusual about this model, such as a tokenizer that adds two BOS tokens."""


@dataclass(frozen=True)
class Difference:
    """The accuracy of a model minus that of the baseline on the same examples."""

    phenomenon: str
    only_model: int
    """Examples that the model gets right and the baseline wrong."""
    only_baseline: int
    """Examples that the baseline gets right and the model wrong."""
    total: int
    difference: Estimate
    p_value: float = 1.0
    """McNemar's exact test, two-sided."""
    p_adjusted: float | None = None
    """The p-value by Holm's method over the phenomena; None for all examples."""
    pairs_needed: int | None = None
    """Examples that would show a difference of this size at 95% with a power of 80%; None if there is none."""


@dataclass(frozen=True)
class ReadingDifference:
    """The difference from the baseline in one reading of minimal pairs."""

    space: bool
    per_token: bool
    micro: Difference
    macro: Estimate
    one_prefix: bool = False

    @property
    def name(self) -> str:
        """The reading in words."""
        return reading_name(self.space, self.per_token, self.one_prefix)


@dataclass(frozen=True)
class MeasureDifference:
    """The mean of a measure minus that of the baseline on the same examples."""

    name: str
    cell: str
    difference: Estimate
    examples: int
    better: Literal["higher", "lower"]


@dataclass(frozen=True)
class ModelComparison:
    """The differences between a model and the baseline, which is the first model of the evaluation."""

    model: str
    baseline: str
    phenomena: tuple[Difference, ...]
    micro: Difference
    macro: Estimate
    clusters: int = 0
    """Number of paradigms."""
    clustered: Estimate | None = None
    """The micro difference with an interval from resampling paradigms; None if there are too few or none."""
    readings: tuple[ReadingDifference, ...] = ()
    paired: bool = True
    """False if only the two scores are known, not both models' decisions on each item."""
    groups: Mapping[str, tuple[Difference, ...]] = field(default_factory=dict)
    """Differences by `paradigm` and by `field`, where the data name them."""
    measures: tuple[MeasureDifference, ...] = ()


@dataclass(frozen=True)
class RecipeRow:
    """One phenomenon, one reading, or all examples: the mean accuracies of two recipes over their seeds.

    The spreads are standard deviations between the seeds. `seeds_needed` of each recipe would show the difference.
    """

    phenomenon: str
    model: float
    model_spread: float
    baseline: float
    baseline_spread: float
    difference: Estimate
    """With Welch's interval over the seeds: for these items."""
    seeds_needed: int | None
    crossed: Estimate | None = None
    """The difference with an interval over seeds and items together; None without the single decisions."""
    p_value: float | None = None
    """Of the difference over seeds and items together."""
    p_adjusted: float | None = None
    """The p-value by Holm's method over the phenomena; None for other rows."""


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
    readings: tuple[RecipeRow, ...] = ()
    """All examples in each way to read minimal pairs, the suite's own first."""
    clusters: int = 0
    """Number of paradigms that the interval over all items takes as units; 0 if it takes single items."""


@dataclass(frozen=True)
class Evaluation:
    """The results of one or more models on one suite."""

    schema: int
    protocol: Protocol
    models: tuple[ModelScores, ...]
    comparisons: tuple[ModelComparison, ...]
    samples_file: str | None
    """Name of the JSON Lines file with the samples, in the same directory; None if nothing was written."""
    samples_sha256: str | None
    failed: Mapping[str, str] = field(default_factory=dict)
    """Models that could not be scored, with the reason, by label."""
    recipes: tuple[RecipeComparison, ...] = ()
    """The recipes of which several seeds were scored, each against that of the baseline at the same step."""
    samples_of: tuple[str, ...] | None = None
    """Labels of the models whose samples the file has; None for all. A release sends those of its own model."""

    def has_samples(self, label: str) -> bool:
        """Whether the file of samples has those of a model."""
        return self.samples_file is not None and (self.samples_of is None or label in self.samples_of)

    def as_dict(self) -> dict[str, Any]:
        """Return the results as JSON types."""
        return asdict(self)


def write_evaluation(evaluation: Evaluation, samples: Sequence[Sample], out: Path) -> Evaluation:
    """Write the results to `out` and the samples to a JSON Lines file beside it.

    Each file appears under its name only when complete. Return the evaluation with the name and the SHA-256 of the
    samples file. Raises UserError if a file cannot be written.
    """
    lines = "".join(json.dumps(asdict(sample), ensure_ascii=False) + "\n" for sample in samples)
    samples_file = out.with_name(f"{out.stem}.samples.jsonl")
    sha256 = hashlib.sha256(lines.encode()).hexdigest()
    evaluation = replace(evaluation, samples_file=samples_file.name, samples_sha256=sha256)
    with disk_errors(out.parent):
        out.parent.mkdir(parents=True, exist_ok=True)
    write_text(samples_file, lines)
    write_text(out, json.dumps(evaluation.as_dict(), indent=2, ensure_ascii=False) + "\n")
    return evaluation
