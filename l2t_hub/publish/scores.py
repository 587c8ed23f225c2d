"""Scores on a model card: the report's entry for this model, comparisons with others, and `model-index` metadata.

The metadata holds the accuracies, the folder `eval/` the full reports. The Hub's `.eval_results/` is not used: it is
for benchmarks registered there, and the bundled probes are not.
"""

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from huggingface_hub import EvalResult

from l2t_hub.artifacts import disk_errors, write_bytes, write_text
from l2t_hub.errors import UserError
from l2t_hub.evaluate.conclusions import over_seeds_conclusion
from l2t_hub.evaluate.model_facts import weights_digest
from l2t_hub.evaluate.read_results import read_evaluation
from l2t_hub.evaluate.replicates import (
    lone_comparisons,
    recipe_comparisons,
    recipe_name,
    replicates,
)
from l2t_hub.evaluate.results import (
    Accuracy,
    Difference,
    Estimate,
    Evaluation,
    Measure,
    ModelComparison,
    ModelScores,
    RecipeComparison,
    RecipeRow,
    TaskProtocol,
)
from l2t_hub.scoring import find_model

FOLDER = "eval"
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")
SHOWN = 12
# Suite -> its dataset on the Hub, and its display name. Other suites keep their lm-eval names.
DATASETS = {
    "probes": ("l2t_hub/probes", "L2T probes"),
    "blimp": ("nyu-mll/blimp", "BLiMP"),
    "tasks": ("l2t_hub/tasks", "L2T tasks"),
}


@dataclass(frozen=True)
class PhenomenonRow:
    """One phenomenon: the scores of this model and of the baseline, if any, and their paired difference."""

    name: str
    scores: Accuracy
    baseline: Accuracy | None
    difference: Difference | None


@dataclass(frozen=True)
class OverSeeds:
    """How the recipe of a model and another one compare over several seeds of both, in all and by phenomenon."""

    conclusion: str
    model: str
    baseline: str
    rows: tuple[tuple[str, RecipeRow], ...]


@dataclass(frozen=True)
class CardScores:
    """One report from the point of view of one of its models.

    `comparison` compares this model with `baseline`; `others` are comparisons in which this model is the baseline.
    Recipes of which several seeds were scored are compared in `over_seeds`, and their checkpoints not one by one.
    """

    file: str
    report: Evaluation
    model: ModelScores
    baseline: ModelScores | None
    comparison: ModelComparison | None
    others: tuple[ModelComparison, ...]
    over_seeds: tuple[OverSeeds, ...] = ()

    @property
    def rows(self) -> list[PhenomenonRow]:
        """One row per phenomenon, in the report's order."""
        compared = {d.phenomenon: d for d in self.comparison.phenomena} if self.comparison else {}
        baseline = {a.phenomenon: a for a in self.baseline.phenomena} if self.baseline else {}
        return [
            PhenomenonRow(a.phenomenon, a, baseline.get(a.phenomenon), compared.get(a.phenomenon))
            for a in self.model.phenomena
        ]

    @property
    def protocol_rows(self) -> list[dict[str, Any]]:
        """The harness's tasks grouped by settings; `sha256` is the hash of the hashes of their examples."""
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
        """Path in the repo of the scored examples."""
        return f"{FOLDER}/{Path(self.report.samples_file or '').name}"

    @property
    def title(self) -> str:
        """Display name of the suite."""
        return DATASETS.get(self.report.protocol.suite, ("", self.report.protocol.suite))[1]


def read_scores(files: Sequence[Path], directory: Path, repo: str | None = None) -> list[CardScores]:
    """Return the scores of a model from reports made by `l2t eval`, found by the hash of its weights.

    Raises UserError for a file that is not a report, or a report without scores of these weights. A model of the same
    name with other weights is another model.
    """
    digest = weights_digest(find_model(str(directory)))
    return [_seen_from(Path(file), directory, digest, repo) for file in files]


def _seen_from(file: Path, directory: Path, digest: str | None, repo: str | None) -> CardScores:
    report = read_evaluation(file)
    mine = [m for m in report.models if digest is not None and m.weights_sha256 == digest]
    if not mine:
        raise UserError(
            f"{file}: no scores of the weights in {directory}: {_other_weights(report, digest, repo)}",
            f"Evaluate this model: l2t eval {directory} --suite {report.protocol.suite} --out FILE",
        )
    model = mine[0]
    comparisons = lone_comparisons(report)
    comparison = next((c for c in comparisons if c.model == model.label), None)
    baseline = next((m for m in report.models if comparison and m.label == comparison.baseline), None)
    others = tuple(c for c in comparisons if c.baseline == model.label)
    seeds = tuple(_over_seeds(report, c) for c in recipe_comparisons(report) if _is_of(report, c, model))
    return CardScores(f"{FOLDER}/{file.name}", report, model, baseline, comparison, others, seeds)


def _is_of(report: Evaluation, comparison: RecipeComparison, model: ModelScores) -> bool:
    sides = (replicates(report, label) for label in (comparison.model, comparison.baseline))
    return any(model.label == one.label for side in sides for one in side)


def _over_seeds(report: Evaluation, comparison: RecipeComparison) -> OverSeeds:
    models = {model.label: model for model in report.models}
    rows = [(row.phenomenon, row) for row in comparison.phenomena]
    # Intervals of one kind in a table: some readings have none over items, as not every example has them.
    crossed = comparison.micro.crossed is not None
    rows += [(row.phenomenon, row) for row in comparison.readings[1:] if (row.crossed is not None) == crossed]
    rows += [("all examples (micro)", comparison.micro), ("mean of phenomena (macro)", comparison.macro)]
    name, baseline = (recipe_name(models[label]) for label in (comparison.model, comparison.baseline))
    return OverSeeds(over_seeds_conclusion(report, comparison), name, baseline, tuple(rows))


def _other_weights(report: Evaluation, digest: str | None, repo: str | None) -> str:
    """Say whose scores a report has instead."""
    namesake = next((model for model in report.models if model.model.partition("@")[0] == repo), None)
    if namesake is None:
        return f"the report has those of {', '.join(model.label for model in report.models)}"
    scored = namesake.weights_sha256
    if scored is None:
        return f"the report's scores of {repo} do not say which weights were scored"
    return f"those of {repo} are of other weights (SHA-256 {scored[:12]}, not {(digest or 'none')[:12]})"


def reports_in(directory: Path) -> list[Path]:
    """Return the reports in the folder `eval/` of a model directory, sorted; other files there are left out."""
    return [file for file in sorted((directory / FOLDER).glob("*.json")) if _is_report(file)]


def _is_report(file: Path) -> bool:
    try:
        read_evaluation(file)
    except UserError:
        return False
    return True


def copy_reports(files: Sequence[Path], directory: Path) -> None:
    """Copy reports to `eval/`, under the name of the suite, with the scored examples of this model and its baseline.

    An earlier report of the same suite is replaced. Raises UserError if a file of examples is missing or cannot be
    copied.
    """
    folder = directory / FOLDER
    digest = weights_digest(find_model(str(directory))) if files else None
    for file in map(Path, files):
        report = read_evaluation(file)
        suite = _UNSAFE.sub("-", report.protocol.suite).lstrip(".-")[:80] or "scores"
        target, samples = folder / f"{suite}.json", f"{suite}.samples.jsonl"
        source = file.parent / Path(report.samples_file or samples).name
        if report.samples_file is not None and not source.is_file():
            raise UserError(
                f"{file}: its file of scored examples, {report.samples_file}, is missing",
                "Evaluate the model again.",
            )
        with disk_errors(folder):
            folder.mkdir(exist_ok=True)
        if report.samples_file is not None:
            kept = {label for label in _own_labels(report, digest) if report.has_samples(label)}
            content = _lines_of(source, kept)
            if len(content) < source.stat().st_size:
                report = replace(report, samples_of=tuple(sorted(kept)))
            write_bytes(folder / samples, content)
            sha256 = hashlib.sha256(content).hexdigest()
            report = replace(report, samples_file=samples, samples_sha256=sha256)
        write_text(target, json.dumps(report.as_dict(), indent=2, ensure_ascii=False) + "\n")


def _own_labels(report: Evaluation, digest: str | None) -> set[str]:
    """Return the labels of the model with these weights and of its baseline."""
    own = {model.label for model in report.models if model.weights_sha256 == digest}
    return own | {comparison.baseline for comparison in report.comparisons if comparison.model in own}


def _lines_of(file: Path, labels: set[str]) -> bytes:
    """Return the scored examples of some models, as they are in the file. Raises UserError for a damaged file."""
    try:
        with file.open("rb") as lines:
            return b"".join(line for line in lines if json.loads(line)["model"] in labels)
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise UserError(f"{file}: these are not scored examples", "Evaluate the model again.") from error


def model_index(scores: Sequence[CardScores]) -> list[EvalResult]:
    """Return the scores as a card's `model-index`: accuracies from 0 to 1, each with its interval."""
    results: list[EvalResult] = []
    for suite in scores:
        protocol, model = suite.report.protocol, suite.model
        results.append(_entry(suite, "macro", "accuracy, mean of phenomena", model.macro))
        for row in (model.micro, *model.phenomena):
            name = "accuracy, every example" if row is model.micro else f"accuracy, {row.phenomenon}"
            results.append(_entry(suite, row.phenomenon, name, row.accuracy))
            results[-1].dataset_args = {"examples": row.total, "harness": protocol.harness_version}
    return results


def interval(estimate: Estimate) -> str:
    """Return an accuracy in percent with its interval: '61.2 (58.0 to 64.3)'."""
    return f"{100 * estimate.value:.1f} ({100 * estimate.low:.1f} to {100 * estimate.high:.1f})"


def figure(measure: Measure) -> str:
    """Return a measure with its interval, if it has one: '2.310 (2.250 to 2.371)'."""
    if measure.low is None or measure.high is None:
        return f"{measure.value:.3f}"
    return f"{measure.value:.3f} ({measure.low:.3f} to {measure.high:.3f})"


def points(estimate: Estimate) -> str:
    """Return a difference of accuracies in percentage points with its interval, if any: '+1.2 (-0.4 to +2.8)'."""
    if not estimate.has_interval:
        return f"{100 * estimate.value:+.1f}"
    return f"{100 * estimate.value:+.1f} ({100 * estimate.low:+.1f} to {100 * estimate.high:+.1f})"


def _entry(scores: CardScores, config: str, name: str, estimate: Estimate) -> EvalResult:
    suite = scores.report.protocol.suite
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
            "level": scores.report.protocol.level,
        },
    )
