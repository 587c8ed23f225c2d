"""The figures of the suite `psychometric` as a section of a report: numbers, and the typicality of members."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from l2t_hub.evaluate.psychometric_results import (
    FIGURES,
    MagnitudeSummary,
    ModelFigures,
    PsychometricResults,
)
from l2t_hub.evaluate.typicality import typicality_differences, typicality_measures
from l2t_hub.report.outline import ReportSection
from l2t_hub.report.sheet import Cell, Sheet, measure, measure_difference, sheet
from l2t_hub.text import counted

NUMBERS = (
    "psychometric: how the numbers 1 to 8 are represented. Mean over layers, and the best layer (highest R2 and "
    "correlation, lowest stress) with its number. !N: in N layers the effect runs opposite to people's; they count "
    "in the mean and cannot be best. These figures describe a model; they have no intervals."
)
MODEL_COLUMNS = ("model", "revision", "weights_sha256", "step", "dtype", "prefix_token")
TYPICALITY = (
    "psychometric: Spearman's correlation of people's ratings of typicality with figures of a model, mean over "
    "categories with 95% intervals over them."
)


def psychometric_section(results: PsychometricResults) -> ReportSection:
    """Return the tables of some results."""
    sheets = [numbers_sheet(results), typicality_sheet(results)]
    rated = results.rated
    fine_print = [f"{what}: {how}." for what, how in results.settings.items()]
    if rated is not None:
        left_out = "".join(f"; left out: {counted(n, 'row')}, {why}" for why, n in rated.left_out.items())
        fine_print.append(f"Ratings: {rated.file}, SHA-256 {rated.sha256}{left_out}.")
    return ReportSection(
        results.suite, (), tuple(made for made in sheets if made), fine_print=tuple(fine_print)
    )


def numbers_sheet(results: PsychometricResults) -> Sheet:
    """Return a row for each notation and figure, and a column for each model."""
    rows = [
        [f"{row.notation}: {FIGURES[row.figure]}", *(_summary(model.summary[i]) for model in results.models)]
        for i, row in enumerate(results.models[0].summary)
    ]
    return sheet(NUMBERS, ["numbers 1 to 8", *(model.label for model in results.models)], rows)


def _summary(row: MagnitudeSummary) -> str:
    """Return a figure such as '0.412, best 0.733 in 5', '-' if it is not defined in any layer."""
    if row.mean is None:
        return "-"
    best = "none" if row.best is None else f"{row.best:.3f} in {row.best_layer}"
    return f"{row.mean:.3f}, best {best}{f' !{row.opposite}' if row.opposite else ''}"


def typicality_sheet(results: PsychometricResults) -> Sheet | None:
    """Return a row for each figure, with each model's difference from the first; None without ratings."""
    first, *others = results.models
    if not first.typicality:
        return None
    found = [{m.cell: m for m in typicality_measures(model.typicality)} for model in results.models]
    changes = [
        {d.cell: d for d in typicality_differences(model.typicality, first.typicality)} for model in others
    ]
    rows: list[list[Cell]] = [
        [
            figure,
            max((own[figure].examples for own in found if figure in own), default=0),
            *(measure(own[figure]) if figure in own else None for own in found),
            *(measure_difference(own[figure]) if figure in own else None for own in changes),
        ]
        for figure in first.typicality
    ]
    header = ["figure", "categories", *(model.label for model in results.models)]
    return sheet(TYPICALITY, [*header, *(f"{model.label} − {first.label}" for model in others)], rows)


def merge_figures(found: Sequence[PsychometricResults], baseline: str | None) -> list[PsychometricResults]:
    """Return the results with the models that were measured in the same way side by side, the baseline first."""
    groups: dict[object, list[PsychometricResults]] = {}
    for results in found:
        rated = results.rated.sha256 if results.rated else None
        groups.setdefault((rated, *sorted(results.settings.items())), []).append(results)
    merged = []
    for group in groups.values():
        models = {(m.model, m.revision, m.weights_sha256, m.dtype): m for one in group for m in one.models}
        ordered = sorted(models.values(), key=lambda m: baseline not in (m.label, m.model))
        merged.append(replace(group[0], models=tuple(_relabelled(ordered))))
    return merged


def _relabelled(models: Sequence[ModelFigures]) -> list[ModelFigures]:
    """Return models under labels that differ."""
    for labels in ([m.label for m in models], [m.model for m in models]):
        if len(set(labels)) == len(labels):
            break
    else:
        labels = [f"{m.label} ({number})" for number, m in enumerate(models, 1)]
    return [replace(model, label=label) for model, label in zip(models, labels, strict=True)]


def figure_rows(results: PsychometricResults) -> Iterator[dict[str, Any]]:
    """Yield the figures as rows of a CSV file, as `score_rows` does for scores."""
    for model in results.models:
        own = {name: getattr(model, name) for name in MODEL_COLUMNS}
        base = {"label": model.label, **own, "suite": results.suite, "date": results.date}
        for row in model.summary:
            cell = f"{row.notation}: {FIGURES[row.figure]}"
            yield {**base, "kind": "figure, mean over layers", "cell": cell, "value": row.mean}
            yield {**base, "kind": "figure, best layer", "cell": cell, "value": row.best}
        for made in typicality_measures(model.typicality):
            limits = {"low": made.low, "high": made.high, "total": made.examples}
            yield {**base, "kind": made.name, "cell": made.cell, "value": made.value, **limits}
