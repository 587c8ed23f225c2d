"""The results of the suite `psychometric`: the schema of its JSON file, read as others may have written it.

It is a format of its own, since nothing in it is right or wrong: figures of models, by layer or by category.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from l2t_hub.errors import UserError
from l2t_hub.evaluate.consistency import MAX_LABEL
from l2t_hub.evaluate.magnitude import NUMBERS, Magnitude
from l2t_hub.evaluate.suites import PSYCHOMETRIC
from l2t_hub.evaluate.typicality import FIGURES as TYPICALITY_FIGURES
from l2t_hub.records.reading import parse_json, quoted, read_bounded

SCHEMA = 1
WORDS = ("one", "two", "three", "four", "five", "six", "seven", "eight")
NOTATIONS: Mapping[str, tuple[str, ...]] = {
    "digits": tuple(map(str, NUMBERS)),
    "lower-case words": WORDS,
    "upper-case words": tuple(word.upper() for word in WORDS),
}
FIGURES = {
    "distance_r2": "distance effect, R2",
    "size_r2": "size effect, R2",
    "ratio_r2": "ratio effect, R2",
    "mds_stress": "MDS, stress",
    "mds_correlation": "MDS, correlation",
}
LOWER_IS_BETTER = "mds_stress"
MAX_BYTES = 64_000_000


@dataclass(frozen=True)
class LayerMagnitude:
    """The figures of one layer for one notation."""

    notation: str
    layer: int
    figures: Magnitude


@dataclass(frozen=True)
class MagnitudeSummary:
    """One figure over the layers: their mean, and the best of those where the effect has people's direction."""

    notation: str
    figure: str
    mean: float | None
    best: float | None
    best_layer: int | None
    opposite: int
    """Number of layers where the effect runs in the direction opposite to people's."""


@dataclass(frozen=True)
class ModelFigures:
    """The figures of one model."""

    label: str
    model: str
    revision: str | None
    weights_sha256: str | None
    dtype: str
    prefix_token: str
    step: int | None
    tokens: Mapping[str, tuple[int, ...]]
    """Number of tokens of each number, by notation."""
    summary: tuple[MagnitudeSummary, ...]
    layers: tuple[LayerMagnitude, ...]
    typicality: Mapping[str, tuple[float | None, ...]] = field(default_factory=dict)
    """Correlations with the ratings by figure: one for each category, None where a figure is constant."""


@dataclass(frozen=True)
class RatedCategories:
    """The ratings of typicality: their categories, each with its number of members, and what was left out."""

    file: str
    sha256: str
    categories: tuple[tuple[str, int], ...]
    left_out: Mapping[str, int]


@dataclass(frozen=True)
class PsychometricResults:
    """The results of the suite."""

    schema: int
    suite: str
    date: str
    settings: Mapping[str, str]
    versions: Mapping[str, str]
    models: tuple[ModelFigures, ...]
    failed: Mapping[str, str]
    """Models that could not be measured, with the reason, by label."""
    rated: RatedCategories | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return the results as JSON types."""
        return asdict(self)


_RESULTS = TypeAdapter(PsychometricResults)


def read_psychometric(path: Path) -> PsychometricResults:
    """Read results of the suite. Raises UserError if the file is missing, invalid, too new or impossible."""
    content = read_bounded(path, MAX_BYTES)
    tree = parse_json(content, str(path), "the figures of models")
    hint = f"Create them with `l2t eval MODEL... --suite {PSYCHOMETRIC} --out FILE`."
    if isinstance(tree, dict) and tree.get("schema", SCHEMA) != SCHEMA:
        raise UserError(
            f"{path}: the figures have schema {quoted(tree['schema'])}, but this version reads schema {SCHEMA}",
            "Evaluate the models again.",
        )
    try:
        results = _RESULTS.validate_json(content, strict=True)
    except ValidationError:
        raise UserError(f"{path}: these are not figures of the suite {PSYCHOMETRIC}", hint) from None
    if problem := next(_contradictions(results), None):
        raise UserError(f"{path}: these figures contradict themselves: {problem}", hint)
    return results


def _contradictions(results: PsychometricResults) -> Iterator[str]:
    labels = [model.label for model in results.models]
    if not labels or results.suite != PSYCHOMETRIC:
        yield f"there is no model, or the suite is not {PSYCHOMETRIC}"
    if len(set(labels)) < len(labels):
        yield "two models have one label"
    categories = results.rated.categories if results.rated else ()
    texts = [*labels, *(model.model for model in results.models), *(name for name, _ in categories)]
    if any(not 0 < len(text) <= MAX_LABEL for text in texts):
        yield f"a name is empty or longer than {MAX_LABEL} characters"
    rows = [(notation, figure) for notation in NOTATIONS for figure in FIGURES]
    for model in results.models:
        if [(row.notation, row.figure) for row in model.summary] != rows:
            yield f"{model.label[:MAX_LABEL]}: its figures are not those of the numbers"
        if not model.typicality.keys() <= set(TYPICALITY_FIGURES):
            yield f"{model.label[:MAX_LABEL]}: it has unknown figures of typicality"
        found = [value for values in model.typicality.values() for value in values if value is not None]
        if not all(-1 <= value <= 1 for value in found):
            yield f"{model.label[:MAX_LABEL]}: a correlation is beyond 1"
        if any(len(values) != len(categories) for values in model.typicality.values()):
            yield f"{model.label[:MAX_LABEL]}: it has not one correlation for each category"
        values = [x for row in model.summary for x in (row.mean, row.best) if x is not None]
        if not all(map(math.isfinite, values)):
            yield f"{model.label[:MAX_LABEL]}: a figure is not a number"
