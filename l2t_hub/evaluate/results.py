"""What an evaluation says, as data: the protocol, each model's accuracies, the paired differences; written as JSON.

The dataclasses are the JSON schema: every field is a key of the same name. Accuracies are shares from 0 to 1.
"""

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from l2t_hub.errors import UserError

SCHEMA = 1


@dataclass(frozen=True)
class Estimate:
    """A value and the 95% interval around it; accuracies lie in [0, 1], differences in [-1, 1]."""

    value: float
    low: float
    high: float

    @property
    def excludes_zero(self) -> bool:
        """Whether the whole interval lies on one side of zero."""
        return self.low > 0 or self.high < 0


@dataclass(frozen=True)
class Sample:
    """One example under one model, a line of the samples file."""

    model: str
    task: str
    id: str
    phenomenon: str
    paradigm: str | None
    correct: bool
    gold: int | None
    """Which of `log_likelihoods` belongs to the right answer."""
    log_likelihoods: tuple[float, ...]
    """Natural log-probabilities lm-eval asked for, one per choice, in the order of the task's choices."""

    @property
    def tie(self) -> bool:
        """Whether two choices are equally the most probable, so that their order decided."""
        return self.log_likelihoods.count(max(self.log_likelihoods)) > 1


@dataclass(frozen=True)
class TaskProtocol:
    """How one lm-eval task was run."""

    task: str
    version: str
    shots: int
    metric: str
    target_delimiter: str
    """What stands between context and answer: a space here means that " The ..." was scored, not "The ..."."""
    examples: int
    examples_sha256: str
    """Hash of lm-eval's hashes of the examples, in their order: equal for equal data, wherever it came from."""


@dataclass(frozen=True)
class Protocol:
    """Everything two evaluations must share for their numbers to be comparable."""

    suite: str
    suite_sha256: str | None
    """Hash of the suite's own files where it is bundled, None where its data come from the Hub."""
    harness: str
    harness_version: str
    tasks: tuple[TaskProtocol, ...]
    context: str
    softmax: str
    batch_size: int
    limit: int | None
    """Examples per task, if only the first ones were used."""
    level: float
    intervals: Mapping[str, str]
    versions: Mapping[str, str]
    date: str
    """Start of the run, UTC, ISO 8601."""


@dataclass(frozen=True)
class Accuracy:
    """Examples right, of all examples, and the share with its interval."""

    phenomenon: str
    correct: int
    total: int
    accuracy: Estimate


@dataclass(frozen=True)
class ModelScores:
    """One model: which it is, and how it did. `micro` counts every example once, `macro` every phenomenon."""

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
    """Examples whose choices are equally probable."""
    seconds: float
    """Wall time of the examples, without imports and loading."""


@dataclass(frozen=True)
class Difference:
    """Accuracy of a model minus the baseline's on the same examples."""

    phenomenon: str
    only_model: int
    """Examples the model has right and the baseline wrong."""
    only_baseline: int
    total: int
    difference: Estimate


@dataclass(frozen=True)
class ModelComparison:
    """A model against the baseline, the first model of the report."""

    model: str
    baseline: str
    phenomena: tuple[Difference, ...]
    micro: Difference
    macro: Estimate


@dataclass(frozen=True)
class Evaluation:
    """One evaluation of one or more models on one suite."""

    schema: int
    protocol: Protocol
    models: tuple[ModelScores, ...]
    comparisons: tuple[ModelComparison, ...]
    samples_file: str | None
    """Name of the JSON Lines file of `Sample`s beside the report, None if nothing was written."""
    samples_sha256: str | None

    def as_dict(self) -> dict[str, Any]:
        """Give the report as JSON types."""
        return asdict(self)


def write_evaluation(report: Evaluation, samples: Sequence[Sample], out: Path) -> Evaluation:
    """Write `out` and its samples file, each under its final name only when complete; give the report naming both.

    Raises UserError if the disk refuses.
    """
    lines = "".join(json.dumps(asdict(sample), ensure_ascii=False) + "\n" for sample in samples)
    beside = out.with_name(f"{out.stem}.samples.jsonl")
    digest = hashlib.sha256(lines.encode()).hexdigest()
    report = replace(report, samples_file=beside.name, samples_sha256=digest)
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        _write_whole(beside, lines)
        _write_whole(out, json.dumps(report.as_dict(), indent=2, ensure_ascii=False) + "\n")
    except OSError as error:
        raise UserError(f"{out}: cannot write the scores: {error.strerror}") from error
    return report


def _write_whole(path: Path, text: str) -> None:
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    try:
        partial.write_text(text, encoding="utf-8")
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def read_evaluation(path: Path) -> Evaluation:
    """Read a report back; raises UserError if there is none, or if it is no report of this schema."""
    try:
        report = TypeAdapter(Evaluation).validate_json(path.read_bytes())
    except OSError as error:
        raise UserError(f"{path}: cannot read these scores: {error.strerror}") from error
    except ValidationError as error:
        raise UserError(
            f"{path}: no evaluation report", "`l2t eval MODEL... --out FILE` writes one."
        ) from error
    if report.schema != SCHEMA:
        raise UserError(f"{path}: schema {report.schema}, this version reads {SCHEMA}", "Evaluate again.")
    return report
