"""Evaluates models on a suite: from names to a report. Whatever can be checked is checked before a model loads."""

import hashlib
import os
import platform
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path, PurePath

from l2t_hub import __version__
from l2t_hub.errors import UsageError
from l2t_hub.evaluate import harness, statistics
from l2t_hub.evaluate.results import (
    SCHEMA,
    Evaluation,
    ModelScores,
    Protocol,
    Sample,
    TaskProtocol,
    write_evaluation,
)
from l2t_hub.evaluate.statistics import LEVEL
from l2t_hub.evaluate.suites import Suite, get_suite
from l2t_hub.scoring import ModelSource, Scorer, find_model, load_scorer

BATCH_SIZE = 64


def evaluate(
    models: Sequence[str],
    suite: str = "probes",
    out: Path | None = None,
    *,
    labels: Sequence[str] | None = None,
    device: str | None = None,
    batch_size: int = BATCH_SIZE,
    limit: int | None = None,
    progress: Callable[[str], None] | None = None,
) -> Evaluation:
    """Evaluate models (directories or Hub names) on a suite and compare each with the first.

    With `out`, the report is written there as JSON and every example beside it (`NAME.samples.jsonl`). `labels` are
    the models' names in the report, by default the shortest endings of their paths that tell them apart. `limit`
    keeps only the first examples of each task. `progress` is told, in a line, when a model is done.
    Raises UsageError for an unknown suite or a wrong argument, UserError for a model or dataset that cannot be had.
    """
    chosen = get_suite(suite)
    _check(models, labels, batch_size, limit, out)
    sources = [_brought(find_model(name), progress) for name in models]
    names = list(labels) if labels else short_names([source.name for source in sources])
    date = datetime.now(UTC).isoformat(timespec="seconds")
    loaded = harness.load_tasks(chosen)
    scores: list[ModelScores] = []
    samples: list[list[Sample]] = []
    tasks: tuple[TaskProtocol, ...] = ()
    for name, source in zip(names, sources, strict=True):
        with harness.quiet():
            scorer = load_scorer(source, device=device)
        start = time.perf_counter()
        rows, tasks = harness.run(harness.as_lm(scorer, batch_size), name, chosen, loaded, limit)
        seconds = time.perf_counter() - start
        samples.append(rows)
        scores.append(_model_scores(name, scorer, rows, seconds))
        if progress:
            progress(f"{name}: {len(rows)} examples in {seconds:.1f} s")
    comparisons = tuple(
        statistics.compare(name, rows, names[0], samples[0])
        for name, rows in zip(names[1:], samples[1:], strict=True)
    )
    protocol = _protocol(chosen, tasks, batch_size, limit, date)
    report = Evaluation(SCHEMA, protocol, tuple(scores), comparisons, None, None)
    if out is None:
        return report
    return write_evaluation(report, [row for rows in samples for row in rows], out)


def _check(
    models: Sequence[str], labels: Sequence[str] | None, batch_size: int, limit: int | None, out: Path | None
) -> None:
    if not models:
        raise UsageError("no model to evaluate", "Give one or more model directories or Hub names.")
    keys = [os.path.realpath(name) if Path(name).exists() else name for name in models]
    if len(set(keys)) < len(keys):
        twice = next(name for name, key in zip(models, keys, strict=True) if keys.count(key) > 1)
        raise UsageError(f"{twice}: this model is given twice", "Give each model once.")
    if labels is not None and (len(labels) != len(models) or len(set(labels)) < len(labels)):
        raise UsageError(f"{len(models)} models need as many different labels, not {', '.join(labels)}")
    if batch_size < 1:
        raise UsageError(f"batch_size is {batch_size}, it must be at least 1")
    if limit is not None and limit < 1:
        raise UsageError(f"limit is {limit}, it must be at least 1")
    if out is not None and out.is_dir():
        raise UsageError(f"{out}: this is a directory", "Give the name of a file, such as scores.json.")


def short_names(paths: Sequence[str]) -> list[str]:
    """Give the shortest endings that tell different paths apart: `raw`, `l2t`, or `raw/model`, `l2t/model`."""
    parts = [PurePath(os.path.normpath(path)).parts for path in paths]
    for length in range(1, max(map(len, parts))):
        names = ["/".join(part[-length:]) for part in parts]
        if len(set(names)) == len(names):
            return names
    return list(paths)


def _model_scores(label: str, scorer: Scorer, samples: Sequence[Sample], seconds: float) -> ModelScores:
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
    )


def _commit(scorer: Scorer) -> str | None:
    """The Hub commit of the model: the one it was brought at, or the one transformers read its configuration from."""
    known = None if scorer.source.is_local else getattr(scorer.model.config, "_commit_hash", None)
    return known or scorer.source.revision


def _brought(source: ModelSource, progress: Callable[[str], None] | None) -> ModelSource:
    """A Hub model as a checked directory at a commit; a local one, or any without a connection, as it is."""
    from huggingface_hub.constants import is_offline_mode

    if source.is_local or is_offline_mode():
        return source
    from l2t_hub.hub.download import download

    found = download(source.location, "model", source.revision, say=progress or (lambda line: None))
    return replace(source, location=str(found.directory), revision=found.revision)


def weights_digest(source: ModelSource) -> str | None:
    """SHA-256 over a model's weight files in the order of their names; None for one that is only a name here."""
    if not Path(source.location).is_dir():
        return None
    digest = hashlib.sha256()
    for path in sorted(Path(source.location).glob("*.safetensors")):
        with path.open("rb") as file:
            while chunk := file.read(1 << 20):
                digest.update(chunk)
    return digest.hexdigest()


def _protocol(
    suite: Suite, tasks: tuple[TaskProtocol, ...], batch_size: int, limit: int | None, date: str
) -> Protocol:
    return Protocol(
        suite=suite.name,
        suite_sha256=suite.digest(),
        harness="lm-evaluation-harness",
        harness_version=version("lm_eval"),
        tasks=tasks,
        context=harness.CONTEXT,
        softmax="float32",
        batch_size=batch_size,
        limit=limit,
        level=LEVEL,
        intervals=statistics.INTERVALS,
        versions=library_versions(),
        date=date,
    )


def library_versions() -> dict[str, str]:
    """The versions that a model's scores may depend on, this package's and Python's included."""
    libraries = {name: version(name) for name in ("torch", "transformers", "tokenizers", "datasets")}
    return {"l2t_hub": __version__, "python": platform.python_version(), **libraries}
