"""The suite `psychometric`: how models represent the magnitude of numbers. Its results are figures, no accuracies.

They have a file format of their own, since nothing is right or wrong and nothing is averaged over examples.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from l2t_hub.artifacts import disk_errors, write_text
from l2t_hub.errors import UsageError, UserError
from l2t_hub.evaluate.evaluation import check_arguments, download_model, short_names
from l2t_hub.evaluate.magnitude import NUMBERS, Floats, Magnitude, magnitude
from l2t_hub.evaluate.model_facts import library_versions, weights_digest
from l2t_hub.evaluate.suites import PSYCHOMETRIC
from l2t_hub.scoring import ModelSource, Scorer, find_model, load_scorer

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
SETTINGS = {
    "states": "mean over the tokens of the number, which follows one prefix token without a space; layer 0 is the "
    "embeddings, the last layer is after the final norm",
    "similarity": "cosine",
    "distance": "R2 of similarity = a + b |x - y| over all 28 pairs",
    "size": "R2 of similarity = a + b x over the 7 pairs (x, x + 1)",
    "ratio": "R2 of similarity = a exp(-b max/min) + c over all 28 pairs, 0.01 <= b <= 10",
    "mds": "metric MDS of 1 - similarity in one dimension, global minimum; "
    "sqrt(sum (d - distance)^2 / sum d^2), and the absolute correlation with log x",
}


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
class NumberSense:
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


@dataclass(frozen=True)
class PsychometricResults:
    """The results of the suite: the schema of its JSON file."""

    schema: int
    suite: str
    date: str
    settings: Mapping[str, str]
    versions: Mapping[str, str]
    models: tuple[NumberSense, ...]
    failed: Mapping[str, str]
    """Models that could not be measured, with the reason, by label."""

    def as_dict(self) -> dict[str, Any]:
        """Return the results as JSON types."""
        return asdict(self)


def measure_models(
    models: Sequence[str | ModelSource],
    out: Path | None = None,
    *,
    device: str | None = None,
    dtype: str | None = None,
    progress: Callable[[str], None] | None = None,
) -> PsychometricResults:
    """Measure models (directories or Hub names), and write the results to `out` as JSON.

    A model that cannot be measured does not stop the others. Raises UsageError for an invalid argument, UserError if
    no model can be measured or the file cannot be written.
    """
    found = [model if isinstance(model, ModelSource) else find_model(model) for model in models]
    check_arguments([source.name for source in found], None, None, None, out)
    sources = [download_model(source, progress) for source in found]
    date = datetime.now(UTC).isoformat(timespec="seconds")
    measured: list[NumberSense] = []
    failed: dict[str, UserError] = {}
    for label, source in zip(short_names([source.name for source in sources]), sources, strict=True):
        try:
            measured.append(number_sense(label, load_scorer(source, device=device, dtype=dtype)))
        except UsageError:
            raise
        except UserError as error:
            failed[label] = error
        if progress:
            progress(
                f"{label}: " + (f"not measured: {failed[label].message}" if label in failed else "measured")
            )
    if not measured:
        raise next(iter(failed.values()))
    reasons = {label: error.message for label, error in failed.items()}
    results = PsychometricResults(
        SCHEMA, PSYCHOMETRIC, date, SETTINGS, library_versions(), tuple(measured), reasons
    )
    if out is not None:
        with disk_errors(out.parent):
            out.parent.mkdir(parents=True, exist_ok=True)
        write_text(out, json.dumps(results.as_dict(), indent=2, ensure_ascii=False) + "\n")
    return results


def number_sense(label: str, scorer: Scorer) -> NumberSense:
    """Measure one model. Raises UserError if its states are not finite, or its tokenizer drops a number."""
    layers, tokens = [], {}
    for notation, texts in NOTATIONS.items():
        read = [_states(label, scorer, text) for text in texts]
        tokens[notation] = tuple(count for _, count in read)
        by_layer = np.stack([states for states, _ in read], axis=1)
        layers += [
            LayerMagnitude(notation, number, magnitude(states)) for number, states in enumerate(by_layer)
        ]
    source = scorer.source
    return NumberSense(
        label,
        source.name,
        source.revision,
        weights_digest(source),
        str(scorer.model.dtype).removeprefix("torch."),
        scorer.prefix,
        source.step,
        tokens,
        tuple(summaries(layers)),
        tuple(layers),
    )


def summaries(layers: Sequence[LayerMagnitude]) -> list[MagnitudeSummary]:
    """Return each figure over the layers, by notation."""
    return [
        _summary(notation, figure, [row for row in layers if row.notation == notation])
        for notation in NOTATIONS
        for figure in FIGURES
    ]


def _summary(notation: str, figure: str, layers: Sequence[LayerMagnitude]) -> MagnitudeSummary:
    effect = figure.removesuffix("_r2")
    values = {
        row.layer: float(value) for row in layers if (value := getattr(row.figures, figure)) is not None
    }
    opposite = {row.layer for row in layers if effect in row.figures.opposite}
    ordered = sorted(
        (layer for layer in values if layer not in opposite),
        key=lambda layer: values[layer] if figure == LOWER_IS_BETTER else -values[layer],
    )
    best = ordered[0] if ordered else None
    mean = float(np.mean(list(values.values()))) if values else None
    return MagnitudeSummary(
        notation, figure, mean, None if best is None else values[best], best, len(opposite)
    )


def _states(label: str, scorer: Scorer, text: str) -> tuple[Floats, int]:
    """Return the states of a number, a row for each layer, and the number of its tokens."""
    import torch

    ids = list(scorer.tokenizer(text, add_special_tokens=False)["input_ids"])
    if not ids:
        raise UserError(f"{label}: the tokenizer makes no token of '{text}'")
    with torch.inference_mode():
        inputs = torch.tensor([[scorer.prefix_id, *ids]], device=scorer.model.device)
        output = scorer.model(input_ids=inputs, output_hidden_states=True, use_cache=False)
    states = np.stack([layer[0, 1:].cpu().double().mean(dim=0).numpy() for layer in output.hidden_states])
    if not np.isfinite(states).all():
        raise UserError(
            f"{label}: its states of '{text}' are not finite",
            "The weights are probably not finite either, as after a training run that diverged.",
        )
    return states, len(ids)
