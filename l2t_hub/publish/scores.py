"""Scores on a model card: which of a report's models this is, how it compares, and the metadata the Hub reads.

`.eval_results/` is for benchmarks that are registered on the Hub. The bundled probes are not there, and that BLiMP is
one nobody has shown, so no such file is written: scores stand in `model-index` and, in full, in `eval/`.
"""

import hashlib
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from huggingface_hub import EvalResult

from l2t_hub.artifacts import disk_errors
from l2t_hub.errors import UserError
from l2t_hub.evaluate.evaluation import weights_digest
from l2t_hub.evaluate.results import (
    Accuracy,
    Difference,
    Estimate,
    Evaluation,
    ModelComparison,
    ModelScores,
    TaskProtocol,
    read_evaluation,
)
from l2t_hub.scoring import find_model

FOLDER = "eval"
SHOWN = 12
# What a suite's data is called on the Hub, and for people. lm-eval's own tasks are named as it names them.
DATASETS = {"probes": ("l2t_hub/probes", "L2T probes"), "blimp": ("nyu-mll/blimp", "BLiMP")}


@dataclass(frozen=True)
class Row:
    """One phenomenon: this model, the baseline where there is one, and the paired difference."""

    name: str
    scores: Accuracy
    baseline: Accuracy | None
    difference: Difference | None


@dataclass(frozen=True)
class CardScores:
    """One report as seen from one of its models; `others` compare other models with this one, as their baseline."""

    file: str
    report: Evaluation
    model: ModelScores
    baseline: ModelScores | None
    comparison: ModelComparison | None
    others: tuple[ModelComparison, ...]

    @property
    def rows(self) -> list[Row]:
        """A row per phenomenon, in the report's order."""
        compared = {d.phenomenon: d for d in self.comparison.phenomena} if self.comparison else {}
        against = {a.phenomenon: a for a in self.baseline.phenomena} if self.baseline else {}
        return [
            Row(a.phenomenon, a, against.get(a.phenomenon), compared.get(a.phenomenon))
            for a in self.model.phenomena
        ]

    @property
    def protocol_rows(self) -> list[dict[str, Any]]:
        """The harness's tasks, those with the same settings together; `sha256` is of their examples' hashes."""
        groups: dict[tuple[str, int, str, str], list[TaskProtocol]] = {}
        for task in self.report.protocol.tasks:
            groups.setdefault((task.version, task.shots, task.metric, task.target_delimiter), []).append(task)
        return [
            {
                **dict(zip(("version", "shots", "metric", "delimiter"), settings, strict=True)),
                "tasks": [task.task for task in tasks[:SHOWN]],
                "more": len(tasks) - SHOWN if len(tasks) > SHOWN else 0,
                "examples": sum(task.examples for task in tasks),
                "sha256": hashlib.sha256(
                    "".join(task.examples_sha256 for task in tasks).encode()
                ).hexdigest(),
            }
            for settings, tasks in groups.items()
        ]

    @property
    def samples(self) -> str:
        """The file of examples beside the report."""
        return f"{FOLDER}/{Path(self.report.samples_file or '').name}"

    @property
    def title(self) -> str:
        """What the suite is called."""
        return DATASETS.get(self.report.protocol.suite, ("", self.report.protocol.suite))[1]


def read_scores(files: Sequence[Path], directory: Path, repo: str) -> list[CardScores]:
    """Find a model in reports made by `l2t eval`: by its weights' hash, or by its name on the Hub.

    Raises UserError for a file that is no report, or one in which this model does not occur.
    """
    digest = weights_digest(find_model(str(directory)))
    return [_seen_from(Path(file), directory, digest, repo) for file in files]


def _seen_from(file: Path, directory: Path, digest: str | None, repo: str) -> CardScores:
    report = read_evaluation(file)
    mine = [
        m for m in report.models if (m.weights_sha256 or "") == digest or m.model.partition("@")[0] == repo
    ]
    if not mine:
        scored = ", ".join(model.label for model in report.models)
        raise UserError(
            f"{file}: these scores are not of the weights in {directory}; they are of {scored}",
            f"Evaluate this model: l2t eval {directory} --suite {report.protocol.suite} --out FILE",
        )
    model = mine[0]
    comparison = next((c for c in report.comparisons if c.model == model.label), None)
    baseline = next((m for m in report.models if comparison and m.label == comparison.baseline), None)
    others = tuple(c for c in report.comparisons if c.baseline == model.label)
    return CardScores(f"{FOLDER}/{file.name}", report, model, baseline, comparison, others)


def copy_reports(files: Sequence[Path], directory: Path) -> None:
    """Put reports, and the files of examples they name, beside the card; earlier reports that are not shown go.

    Raises UserError if a file of examples is missing.
    """
    _drop_others({Path(file).name for file in files}, directory / FOLDER)
    for file in map(Path, files):
        target = directory / FOLDER
        beside = read_evaluation(file).samples_file
        with disk_errors(target):
            target.mkdir(exist_ok=True)
            _copy(file, target / file.name)
            if beside is None:
                continue
            if not (file.parent / Path(beside).name).is_file():
                raise UserError(f"{file}: it names {beside} beside it, which is not there", "Evaluate again.")
            _copy(file.parent / Path(beside).name, target / Path(beside).name)


def _drop_others(names: set[str], folder: Path) -> None:
    """Remove reports of an earlier card: a release has no scores that its card does not show."""
    for file in sorted(folder.glob("*.json")):
        try:
            beside = read_evaluation(file).samples_file
        except UserError:
            continue
        if file.name not in names:
            (folder / Path(beside or file.name).name).unlink(missing_ok=True)
            file.unlink(missing_ok=True)


def _copy(source: Path, target: Path) -> None:
    if not target.exists() or not target.samefile(source):
        shutil.copyfile(source, target)


def model_index(scores: Sequence[CardScores]) -> list[EvalResult]:
    """The scores in the form of a README's `model-index`: accuracies from 0 to 1, each with its interval."""
    found: list[EvalResult] = []
    for one in scores:
        protocol = one.report.protocol
        found.append(_entry(one, "macro", "accuracy, mean of phenomena", one.model.macro))
        for row in (one.model.micro, *one.model.phenomena):
            name = "accuracy, every example" if row is one.model.micro else f"accuracy, {row.phenomenon}"
            found.append(_entry(one, row.phenomenon, name, row.accuracy))
            found[-1].dataset_args = {"examples": row.total, "harness": protocol.harness_version}
    return found


def interval(estimate: Estimate) -> str:
    """An accuracy in percent with its interval."""
    return f"{100 * estimate.value:.1f} ({100 * estimate.low:.1f} to {100 * estimate.high:.1f})"


def points(estimate: Estimate) -> str:
    """A difference of accuracies in percentage points with its interval."""
    return f"{100 * estimate.value:+.1f} ({100 * estimate.low:+.1f} to {100 * estimate.high:+.1f})"


def _entry(one: CardScores, config: str, name: str, estimate: Estimate) -> EvalResult:
    suite = one.report.protocol.suite
    dataset_type, dataset_name = DATASETS.get(suite, (f"lm-eval/{suite}", suite))
    return EvalResult(
        task_type="text-generation",
        task_name="Text generation",
        dataset_type=dataset_type,
        dataset_name=dataset_name,
        dataset_config=config,
        metric_type="accuracy",
        metric_name=name,
        metric_value=round(estimate.value, 4),
        metric_args={
            "low": round(estimate.low, 4),
            "high": round(estimate.high, 4),
            "level": one.report.protocol.level,
        },
    )
