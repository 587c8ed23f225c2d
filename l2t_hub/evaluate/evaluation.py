"""Evaluates models on a suite. Arguments, models and data are checked before the first model is scored."""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path, PurePath

from l2t_hub.errors import UsageError, UserError
from l2t_hub.evaluate import harness, statistics
from l2t_hub.evaluate.comparing import compare_decisions, leading_space
from l2t_hub.evaluate.inference import LEVEL
from l2t_hub.evaluate.model_facts import decides, library_versions, model_scores
from l2t_hub.evaluate.questions import Questions, prepare
from l2t_hub.evaluate.replicates import compare_recipes, compared_over_seeds
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
from l2t_hub.evaluate.task_suite import TaskText
from l2t_hub.records.public_recipe import language_codes
from l2t_hub.records.training_record import TrainingRecord
from l2t_hub.scoring import ModelSource, find_model, load_scorer
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
    text: str | TaskText | None = None,
    progress: Callable[[str], None] | None = None,
) -> Evaluation:
    """Score models (directories or Hub names) on a suite, its name or its file, and compare each with the first.

    With `out`, the results are written to that JSON file and all samples to `NAME.samples.jsonl` beside it. Each task
    that a model finishes is kept in `tasks_folder` (default: `.tasks/` beside `out`) and not run again. `labels` name
    the models in the results; the default is the shortest endings of their paths that differ. `batch_tokens` bounds
    the input tokens of a forward pass. `dtype` is `float32` or `bfloat16`; the default is the precision each model
    was saved in. `limit` uses only the first examples of each task. `progress` is called with a line for each model.

    `text` is held-out text for the suite `tasks`, a file or folder.

    A model that cannot be loaded or scored does not stop the others: `failed` of the results names it. The first one
    must work, since the others are compared with it.

    Raises UsageError for an unknown suite or an invalid argument, UserError if a model or the data cannot be loaded.
    """
    chosen = suite if isinstance(suite, Suite) else get_suite(suite)
    found = [model if isinstance(model, ModelSource) else find_model(model) for model in models]
    check_arguments([source.name for source in found], labels, batch_tokens, limit, out)
    sources = [download_model(source, progress) for source in found]
    if tasks_folder is None and out is not None:
        tasks_folder = out.parent / FOLDER
    labels = labels or short_names([source.name for source in sources])
    date = datetime.now(UTC).isoformat(timespec="seconds")
    _say_notes(chosen, sources, progress)
    held_out = TaskText(text) if isinstance(text, str) else text
    questions = prepare(chosen, sources, held_out, limit, batch_tokens, progress)
    scored: dict[str, _Scored] = {}
    failed: dict[str, str] = {}
    for label, source in zip(labels, sources, strict=True):
        try:
            scored[label] = _score(label, source, questions, tasks_folder, device, dtype, progress)
        except UsageError:
            raise
        except UserError as error:
            if not scored:
                raise
            failed[label] = error.message
            if progress:
                progress(f"{label}: not scored: {error.message}")
    protocol = _protocol(chosen, questions, scored, batch_tokens, limit, date)
    evaluation = _compared(list(scored.values()), protocol, failed)
    if out is None:
        return evaluation
    return write_evaluation(evaluation, [sample for one in scored.values() for sample in one.samples], out)


@dataclass(frozen=True)
class _Scored:
    source: ModelSource
    scores: ModelScores
    samples: list[Sample]
    tasks: tuple[TaskProtocol, ...]


def _score(
    label: str,
    source: ModelSource,
    questions: Questions,
    tasks_folder: Path | None,
    device: str | None,
    dtype: str | None,
    progress: Callable[[str], None] | None,
) -> _Scored:
    with harness.quiet():
        scorer = load_scorer(source, device=device, dtype=dtype)
    store = None if tasks_folder is None else TaskStore(tasks_folder, decides(scorer))
    finished = questions.ask(scorer, label, store)
    samples, tasks, seconds = joined(finished)
    scores = model_scores(label, scorer, samples, space=leading_space(tasks), seconds=seconds)
    if progress:
        for note in scores.notes:
            progress(f"note: {note}")
        progress(f"{label}: {counted(len(samples), 'example')} in {seconds:.1f} s")
    return _Scored(source, scores, samples, tasks)


def check_arguments(
    models: Sequence[str],
    labels: Sequence[str] | None,
    batch_tokens: int | None,
    limit: int | None,
    out: Path | None,
) -> None:
    """Raise UsageError for arguments that no evaluation can have."""
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


def _baselines(sources: Sequence[ModelSource]) -> list[int | None]:
    """Return for each model the index of its baseline, None for a baseline.

    It is the first model; of a checkpoint, the checkpoint of the first run with the same step, if there is one.
    """
    first = sources[0]
    steps = {source.step: i for i, source in enumerate(sources) if source.run == first.run}
    return [
        None
        if i == 0 or (source.step is not None and source.run == first.run)
        else steps.get(source.step)
        if source.step is not None
        else 0
        for i, source in enumerate(sources)
    ]


def _compared(models: Sequence[_Scored], protocol: Protocol, failed: Mapping[str, str]) -> Evaluation:
    """Compare each model with its baseline, and the recipes of which several seeds were scored.

    Checkpoints of such recipes are not compared one by one.
    """
    scores = tuple(model.scores for model in models)
    samples = {model.scores.label: model.samples for model in models}
    recipes = compare_recipes(scores, samples, leading_space(models[0].tasks))
    evaluation = Evaluation(SCHEMA, protocol, scores, (), None, None, failed, recipes)
    over_seeds = compared_over_seeds(evaluation)
    comparisons = tuple(
        compare_decisions(
            model.scores.label,
            model.samples,
            models[index].scores.label,
            models[index].samples,
            model.tasks,
        )
        for model, index in zip(models, _baselines([model.source for model in models]), strict=True)
        if index is not None and (model.source.step is None or model.scores.label not in over_seeds)
    )
    return replace(evaluation, comparisons=comparisons)


def _say_notes(suite: Suite, sources: Sequence[ModelSource], say: Callable[[str], None] | None) -> None:
    """Report notes on a user's items; for our suites, which are English, each model trained on other text only."""
    if say is None:
        return
    for note in suite.items.notes() if suite.items is not None else ():
        say(note)
    for source in sources if suite.items is None else ():
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


def _protocol(
    suite: Suite,
    questions: Questions,
    scored: Mapping[str, _Scored],
    batch_tokens: int | None,
    limit: int | None,
    date: str,
) -> Protocol:
    from l2t_hub.scoring.engine import batch_rule

    tasks = next(iter(scored.values())).tasks
    own = suite.kind == "tasks"
    return Protocol(
        suite=suite.name,
        suite_sha256=suite.digest(),
        left_out=dict(questions.left_out),
        harness="l2t_hub" if own else "lm-evaluation-harness",
        harness_version=tasks[0].version if own else version("lm_eval"),
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
