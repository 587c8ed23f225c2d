"""Evaluates models on a suite. Arguments, models and data are checked before the first model is scored."""

import hashlib
import json
import os
import platform
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from importlib.metadata import version
from itertools import chain
from pathlib import Path, PurePath
from typing import Any

from l2t_hub import __version__
from l2t_hub.artifacts import PREDICTION_HEADS, sha256_of
from l2t_hub.errors import UsageError, UserError
from l2t_hub.evaluate import harness, statistics
from l2t_hub.evaluate.comparing import compare_decisions, leading_space
from l2t_hub.evaluate.inference import LEVEL
from l2t_hub.evaluate.readings import readings
from l2t_hub.evaluate.results import (
    SCHEMA,
    Evaluation,
    ModelScores,
    Protocol,
    Sample,
    TaskProtocol,
    write_evaluation,
)
from l2t_hub.evaluate.suites import Suite, get_suite
from l2t_hub.evaluate.task_store import FOLDER, TaskStore, joined
from l2t_hub.records.public_recipe import language_codes
from l2t_hub.records.repo_path import inside
from l2t_hub.records.training_record import TrainingRecord
from l2t_hub.scoring import ModelSource, Scorer, find_model, load_scorer
from l2t_hub.tasks.languages import language
from l2t_hub.text import counted


def evaluate(
    models: Sequence[str | ModelSource],
    suite: str | Suite = "probes",
    out: Path | None = None,
    *,
    labels: Sequence[str] | None = None,
    device: str | None = None,
    batch_tokens: int | None = None,
    dtype: str | None = None,
    limit: int | None = None,
    tasks_folder: Path | None = None,
    progress: Callable[[str], None] | None = None,
) -> Evaluation:
    """Score models (directories or Hub names) on a suite, its name or its file, and compare each with the first.

    With `out`, the results are written to that JSON file and all samples to `NAME.samples.jsonl` beside it. Each task
    that a model finishes is kept in `tasks_folder` (default: `.tasks/` beside `out`) and not run again. `labels` name
    the models in the results; the default is the shortest endings of their paths that differ. `batch_tokens` bounds
    the input tokens of a forward pass. `dtype` is `float32` or `bfloat16`; the default is the precision each model
    was saved in. `limit` uses only the first examples of each task. `progress` is called with a line for each model.

    Raises UsageError for an unknown suite or an invalid argument, UserError if a model or the data cannot be loaded.
    """
    chosen = suite if isinstance(suite, Suite) else get_suite(suite)
    found = [model if isinstance(model, ModelSource) else find_model(model) for model in models]
    _check_arguments([source.name for source in found], labels, batch_tokens, limit, out)
    sources = [download_model(source, progress) for source in found]
    if tasks_folder is None and out is not None:
        tasks_folder = out.parent / FOLDER
    labels = labels or short_names([source.name for source in sources])
    date = datetime.now(UTC).isoformat(timespec="seconds")
    _say_notes(chosen, sources, progress)
    loaded = harness.load_tasks(chosen)
    scores: list[ModelScores] = []
    samples: list[list[Sample]] = []
    tasks: tuple[TaskProtocol, ...] = ()
    for label, source in zip(labels, sources, strict=True):
        with harness.quiet():
            scorer = load_scorer(source, device=device, dtype=dtype)
        store = None if tasks_folder is None else TaskStore(tasks_folder, _decides(scorer))
        lm = harness.as_lm(scorer, batch_tokens)
        finished = harness.run(lm, label, chosen, loaded, limit, store=store, progress=progress)
        model_samples, tasks, seconds = joined(finished)
        samples.append(model_samples)
        scores.append(_model_scores(label, scorer, model_samples, leading_space(tasks), seconds))
        if progress:
            progress(f"{label}: {counted(len(model_samples), 'example')} in {seconds:.1f} s")
    comparisons = tuple(
        compare_decisions(label, model_samples, labels[0], samples[0], tasks)
        for label, model_samples in zip(labels[1:], samples[1:], strict=True)
    )
    protocol = _protocol(chosen, tasks, batch_tokens, limit, date)
    evaluation = Evaluation(SCHEMA, protocol, tuple(scores), comparisons, None, None)
    if out is None:
        return evaluation
    return write_evaluation(evaluation, list(chain.from_iterable(samples)), out)


def _check_arguments(
    models: Sequence[str],
    labels: Sequence[str] | None,
    batch_tokens: int | None,
    limit: int | None,
    out: Path | None,
) -> None:
    if not models:
        raise UsageError("No model to evaluate", "Give one or more model directories or Hub names.")
    keys = [os.path.realpath(name) if Path(name).exists() else name for name in models]
    if len(set(keys)) < len(keys):
        repeated = next(name for name, key in zip(models, keys, strict=True) if keys.count(key) > 1)
        raise UsageError(f"{repeated}: this model is given twice", "Give each model once.")
    if labels is not None and (len(labels) != len(models) or len(set(labels)) < len(labels)):
        raise UsageError(
            f"{len(models)} models need {len(models)} different labels, not {', '.join(labels)}",
            "Give one label per model, or none.",
        )
    for name, value in (("batch_tokens", batch_tokens), ("limit", limit)):
        if value is not None and value < 1:
            raise UsageError(f"{name} is {value}", "It must be at least 1.")
    if out is not None and out.is_dir():
        raise UsageError(f"{out}: this is a directory", "Give the path of a file, such as scores.json.")


def short_names(paths: Sequence[str]) -> list[str]:
    """Return the shortest endings of paths that all differ, such as `raw` and `l2t`, or `raw/m` and `l2t/m`."""
    parts = [PurePath(os.path.normpath(path)).parts for path in paths]
    for length in range(1, max(map(len, parts))):
        names = ["/".join(part[-length:]) for part in parts]
        if len(set(names)) == len(names):
            return names
    return list(paths)


def _model_scores(
    label: str, scorer: Scorer, samples: Sequence[Sample], space: bool, seconds: float
) -> ModelScores:
    phenomena, micro, macro = statistics.accuracies(samples)
    source = scorer.source
    return ModelScores(
        label=label,
        model=source.name,
        revision=_commit(scorer),
        weights_sha256=weights_digest(source),
        parameters=int(scorer.model.num_parameters()),
        dtype=str(scorer.model.dtype).removeprefix("torch."),
        device=str(scorer.model.device),
        prefix_token=scorer.prefix,
        prefix_id=scorer.prefix_id,
        phenomena=phenomena,
        micro=micro,
        macro=macro,
        ties=sum(sample.tie for sample in samples if len(sample.log_likelihoods) > 1),
        seconds=round(seconds, 3),
        clustered=statistics.clustered_accuracy(samples),
        readings=readings(samples, space),
        **_training(source),
    )


def _decides(scorer: Scorer) -> dict[str, Any]:
    """Return what decides a model's scores on any task."""
    directory = Path(scorer.source.location)
    return {
        "weights": weights_digest(scorer.source),
        "files": {
            name: sha256_of(directory / name)
            for name in ("config.json", "tokenizer.json", "tokenizer_config.json")
            if (directory / name).is_file()
        },
        "prefix": scorer.prefix_id,
        "dtype": str(scorer.model.dtype),
        "device": scorer.model.device.type,
        "versions": library_versions() | {"lm_eval": version("lm_eval")},
    }


def _training(source: ModelSource) -> dict[str, Any]:
    """Return what `ModelScores` says of a model's training, {} for a model without a readable training record.

    Of the recipe it is the hash without name and seed: replicates differ in the seed only.
    """
    try:
        record = TrainingRecord.find(Path(source.location))
    except UserError:
        record = None
    if record is None:
        return {}
    tree = {key: value for key, value in record.recipe.items() if key not in ("name", "description", "seed")}
    return {
        "recipe_sha256": hashlib.sha256(json.dumps(tree, sort_keys=True).encode()).hexdigest(),
        "seed": int(record.recipe["seed"]),
        "step": record.steps,
        "tokens": record.tokens,
    }


def _commit(scorer: Scorer) -> str | None:
    """Return the Hub commit of a model: as transformers recorded it, or the one that was downloaded."""
    recorded = None if scorer.source.is_local else getattr(scorer.model.config, "_commit_hash", None)
    return recorded or scorer.source.revision


def _say_notes(suite: Suite, sources: Sequence[ModelSource], say: Callable[[str], None] | None) -> None:
    """Report notes on a user's pairs; for our suites, which are English, each model trained on other text only."""
    if say is None:
        return
    for note in suite.pairs.notes() if suite.pairs is not None else ():
        say(note)
    for source in sources if suite.pairs is None else ():
        try:
            record = TrainingRecord.find(Path(source.location))
        except UserError:  # scoring a model does not need its record
            continue
        codes = language_codes(record.recipe) if record is not None else ["en"]
        if "en" not in codes:
            names = " and ".join(language(code).name for code in codes)
            say(
                f"warning: {source.name} was trained on text in {names}, and the examples of {suite.name} are "
                "English. A score near chance says nothing of the model."
            )


def download_model(source: ModelSource, progress: Callable[[str], None] | None) -> ModelSource:
    """Download a Hub model and check its files. Local models, and all models in offline mode, are returned as is."""
    from huggingface_hub.constants import is_offline_mode

    if source.is_local or Path(source.location).is_dir() or is_offline_mode():
        return source
    from l2t_hub.hub.download import download

    downloaded = download(source.location, "model", source.revision, say=progress or (lambda line: None))
    return replace(source, location=str(downloaded.directory), revision=downloaded.revision)


def weights_digest(source: ModelSource) -> str | None:
    """Return the SHA-256 of a model's weight files, read one after the other in the order of their names.

    The heads beside a model are none: scores do not depend on them. None for a model that is not in a local
    directory. Raises UserError if a file is a link out of the directory.
    """
    directory = Path(source.location)
    if not directory.is_dir():
        return None
    names = sorted({path.name for path in directory.glob("*.safetensors")} - {PREDICTION_HEADS})
    return sha256_of(*(inside(directory, name) for name in names))


def _protocol(
    suite: Suite, tasks: tuple[TaskProtocol, ...], batch_tokens: int | None, limit: int | None, date: str
) -> Protocol:
    from l2t_hub.scoring.engine import batch_rule

    return Protocol(
        suite=suite.name,
        suite_sha256=suite.digest(),
        left_out=dict(suite.pairs.dropped) if suite.pairs else {},
        harness="lm-evaluation-harness",
        harness_version=version("lm_eval"),
        tasks=tasks,
        context=harness.CONTEXT,
        softmax="float32",
        batch_rule=batch_rule(batch_tokens),
        limit=limit,
        level=LEVEL,
        intervals=statistics.INTERVALS,
        versions=library_versions(),
        date=date,
    )


def library_versions() -> dict[str, str]:
    """Return the versions of this package, Python and the libraries that can influence a model's scores."""
    libraries = {name: version(name) for name in ("torch", "transformers", "tokenizers", "datasets")}
    return {"l2t_hub": __version__, "python": platform.python_version(), **libraries}
