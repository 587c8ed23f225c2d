"""The suite `psychometric`: how models represent the magnitude of numbers, and how typical they find members.

What it measures are figures, no accuracies. Its third part, matrices, has right and wrong answers: the suite of
`matrices`.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from l2t_hub.artifacts import disk_errors, write_text
from l2t_hub.errors import UsageError, UserError
from l2t_hub.evaluate.evaluation import check_arguments, download_model, short_names
from l2t_hub.evaluate.magnitude import magnitude
from l2t_hub.evaluate.model_facts import decides, library_versions, weights_digest
from l2t_hub.evaluate.psychometric_results import (
    FIGURES,
    LOWER_IS_BETTER,
    NOTATIONS,
    SCHEMA,
    LayerMagnitude,
    MagnitudeSummary,
    ModelFigures,
    PsychometricResults,
    RatedCategories,
)
from l2t_hub.evaluate.states import states_of
from l2t_hub.evaluate.suites import PSYCHOMETRIC
from l2t_hub.evaluate.task_store import FOLDER, TaskStore
from l2t_hub.evaluate.typicality import EXAMPLES, TypicalityData, correlations, read_typicality
from l2t_hub.scoring import ModelSource, Scorer, find_model, load_scorer

SETTINGS = {
    "states": "mean over the tokens of the number, which follows one prefix token without a space; layer 0 is the "
    "embeddings, the last layer is after the final norm",
    "similarity": "cosine",
    "distance": "R2 of similarity = a + b |x - y| over all 28 pairs",
    "size": "R2 of similarity = a + b x over the 7 pairs (x, x + 1)",
    "ratio": "R2 of similarity = a exp(-b max/min) + c over all 28 pairs, 0.01 <= b <= 10",
    "mds": "metric MDS of 1 - similarity in one dimension, global minimum; "
    "sqrt(sum (d - distance)^2 / sum d^2), and the absolute correlation with log x",
    "typicality": "Spearman's correlation with ratings in each category: of the cosine of the states of member and "
    "category, in the layer where it is highest, embeddings aside, and in the last; and of the mean log-probability "
    "of a token of 'a MEMBER is a CATEGORY', in lower case, after no to all of the examples: "
    + "".join(EXAMPLES),
}
WHERE_DATA_ARE = (
    "Only numbers are measured: typicality and matrices need data (--typicality FILE, --matrices FILE). Those of the "
    "paper are in the attachment “Software” of https://aclanthology.org/2024.emnlp-main.539: "
    "Code/files/castro_et_al_typicality.csv and Code/effects/center_single.json."
)


def measure_models(
    models: Sequence[str | ModelSource],
    out: Path | None = None,
    *,
    typicality: str | None = None,
    batch_tokens: int | None = None,
    device: str | None = None,
    dtype: str | None = None,
    tasks_folder: Path | None = None,
    progress: Callable[[str], None] | None = None,
) -> PsychometricResults:
    """Measure models (directories or Hub names), and write the results to `out` as JSON.

    `typicality` is a file of people's ratings; without it, only the numbers are measured. The figures of each model
    are kept in `tasks_folder` (default: `.tasks/` beside `out`) and not measured again.

    A model that cannot be measured does not stop the others. Raises UsageError for an invalid argument, UserError if
    no model can be measured or the file cannot be written.
    """
    found = [model if isinstance(model, ModelSource) else find_model(model) for model in models]
    check_arguments([source.name for source in found], None, batch_tokens, None, out)
    data = None if typicality is None else read_typicality(typicality)
    if tasks_folder is None and out is not None:
        tasks_folder = out.parent / FOLDER
    sources = [download_model(source, progress) for source in found]
    date = datetime.now(UTC).isoformat(timespec="seconds")
    measured: list[ModelFigures] = []
    failed: dict[str, UserError] = {}
    for label, source in zip(short_names([source.name for source in sources]), sources, strict=True):
        try:
            scorer = load_scorer(source, device=device, dtype=dtype)
            measured.append(_kept_or_measured(label, scorer, data, batch_tokens, tasks_folder))
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
        SCHEMA,
        PSYCHOMETRIC,
        date,
        SETTINGS,
        library_versions(),
        tuple(measured),
        reasons,
        _rated(typicality, data),
    )
    if out is not None:
        with disk_errors(out.parent):
            out.parent.mkdir(parents=True, exist_ok=True)
        write_text(out, json.dumps(results.as_dict(), indent=2, ensure_ascii=False) + "\n")
    return results


def _kept_or_measured(
    label: str, scorer: Scorer, data: TypicalityData | None, batch_tokens: int | None, folder: Path | None
) -> ModelFigures:
    store = None if folder is None else TaskStore(folder, decides(scorer))
    task = {"suite": PSYCHOMETRIC, "settings": SETTINGS, "data": data.sha256 if data else None}
    found = store.read(task, ModelFigures) if store else None
    if found is not None:
        source = scorer.source
        return replace(found, label=label, model=source.name, revision=source.revision, step=source.step)
    measured = model_figures(label, scorer, data, batch_tokens)
    if store:
        store.keep(task, measured)
    return measured


def _rated(file: str | None, data: TypicalityData | None) -> RatedCategories | None:
    if file is None or data is None:
        return None
    categories = tuple((category.name, len(category.members)) for category in data.categories)
    return RatedCategories(Path(file).name, data.sha256, categories, data.left_out)


def model_figures(
    label: str, scorer: Scorer, data: TypicalityData | None = None, batch_tokens: int | None = None
) -> ModelFigures:
    """Measure one model. Raises UserError if its states are not finite, or its tokenizer drops a number."""
    layers, tokens = [], {}
    for notation, texts in NOTATIONS.items():
        read = [states_of(label, scorer, text) for text in texts]
        tokens[notation] = tuple(count for _, count in read)
        by_layer = np.stack([states for states, _ in read], axis=1)
        layers += [
            LayerMagnitude(notation, number, magnitude(states)) for number, states in enumerate(by_layer)
        ]
    source = scorer.source
    return ModelFigures(
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
        correlations(label, scorer, data, batch_tokens) if data else {},
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
