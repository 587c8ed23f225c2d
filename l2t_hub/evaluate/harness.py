"""The only module that calls lm-evaluation-harness: it loads a suite's tasks and runs a model on them.

It calls lm-eval's `evaluate`. `simple_evaluate` would also query the Hub about the model, run git and pip to describe
the environment, and load the tasks again for every model.
"""

import contextlib
import functools
import hashlib
import io
import json
import logging
import math
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from l2t_hub.errors import UserError
from l2t_hub.evaluate import record_task
from l2t_hub.evaluate.results import MAX_TEXT, Sample, TaskProtocol
from l2t_hub.evaluate.suites import METRIC, PROBES, Suite, SuitePart
from l2t_hub.evaluate.task_store import TaskResult, TaskStore
from l2t_hub.scoring import Scorer
from l2t_hub.text import counted

SHOT_SEED = 1234
"""lm-eval's default seed for drawing few-shot examples."""
MEASURES = {"acc_norm": "accuracy, answers normalised by length", "f1": "F1"}
"""Metrics of lm-eval's tasks that are reported beside the accuracy, and what they are called here."""
CONTEXT = (
    "sentences without a context follow one prefix token (BOS, or EOS if the tokenizer has no BOS); no other special "
    "tokens are added"
)


OFFLINE_HINT = (
    "Its data come from the Hub. If they were loaded here before, set HF_HUB_OFFLINE=1 to read them from the cache. "
    "If you have them as files, put them on the local Hub with `l2t hub seed FILE --as NAMESPACE/NAME` and add "
    "--data local. The suite `probes` and --pairs FILE need no network."
)

SCRIPT_HINT = (
    "This dataset is a program, and datasets 4 and later run none; of the suite general, EleutherAI/logiqa is one. "
    "The Hub has a Parquet conversion of it in the branch refs/convert/parquet. Put those files on the local Hub: "
    "`l2t hub seed train=FILE validation=FILE test=FILE --as EleutherAI/logiqa --config logiqa`. Do so with the "
    "other data of the suite, too, and add --data local."
)
OWN_TASKS = {record_task.NAME: record_task.record_config}
"""Tasks that lm-eval has, too, but that do not run there."""


@dataclass(frozen=True)
class LoadedPart:
    """A part of a suite and its tasks as lm-eval loaded them, with their data."""

    part: SuitePart
    tasks: Any


def load_tasks(suite: Suite) -> list[LoadedPart]:
    """Load a suite's tasks and their data.

    Raises UserError if a dataset cannot be loaded, for example without a network if it is not cached.
    """
    with quiet():
        if suite.items is not None:
            config = suite.items.task(suite.name, suite.items.documents)
            return [LoadedPart(SuitePart((config["task"],)), _task_manager(PROBES).load([config]))]
        manager = _task_manager(suite.task_folder)
        loaded = []
        for part in suite.parts:
            try:
                tasks = manager.load(
                    [OWN_TASKS[name]() if name in OWN_TASKS else name for name in part.tasks]
                )
            except (OSError, ValueError, KeyError, RuntimeError) as error:
                reason = str(error).strip().split("\n")[0]
                raise UserError(
                    f"suite '{suite.name}': its data cannot be loaded: {reason}",
                    SCRIPT_HINT if "scripts are no longer supported" in reason else OFFLINE_HINT,
                ) from error
            for task in tasks["tasks"].values():
                if part.shots is not None:
                    task.set_config(key="num_fewshot", value=part.shots)
                task.set_fewshot_seed(seed=SHOT_SEED)
            loaded.append(LoadedPart(part, tasks))
    return loaded


@functools.cache
def _task_manager(folder: Path | None) -> Any:
    """Index the tasks of a folder, or for None all tasks of lm-eval, which takes some seconds."""
    from lm_eval.tasks import TaskManager

    return TaskManager(include_path=folder, include_defaults=folder is None)


def as_lm(scorer: Scorer, batch_tokens: int | None = None) -> Any:
    """Return the scorer as a model of lm-eval: its log-likelihoods come from the one engine."""
    from l2t_hub.evaluate.harness_model import HarnessModel

    with quiet():
        return HarnessModel(scorer, batch_tokens=batch_tokens, all_readings=True)


def run(
    lm: Any,
    label: str,
    suite: Suite,
    loaded: Sequence[LoadedPart],
    limit: int | None,
    *,
    store: TaskStore | None = None,
    progress: Callable[[str], None] | None = None,
) -> list[TaskResult]:
    """Run an lm-eval model on the tasks of a suite, one after the other; finished ones are taken from the store.

    `limit` is the number of examples per task; None means all. Raises UserError if a likelihood is not finite:
    lm-eval would count such an answer as right or wrong by its position.
    """
    results: list[TaskResult] = []
    reused = 0
    for part in loaded:
        for name, task in part.tasks["tasks"].items():
            decides = None if store is None else _identity(name, task, suite, limit)
            found = store.find(decides, label) if store and decides else None
            if found is None:
                found = _run_task(lm, label, suite, name, task, limit)
                if store and decides:
                    store.keep(decides, found)
            else:
                reused += 1
            results.append(found)
    if reused and progress:
        progress(f"{label}: {reused} of {len(results)} tasks were finished before and are reused")
    return results


def _run_task(lm: Any, label: str, suite: Suite, name: str, task: Any, limit: int | None) -> TaskResult:
    from lm_eval.evaluator import evaluate

    start = time.perf_counter()
    shots = int(task.config.num_fewshot or 0)
    try:
        with quiet():
            results = evaluate(
                lm=lm,
                task_dict={"tasks": {name: task}, "groups": {}, "group_map": {}},
                limit=limit,
                bootstrap_iters=0,
                confirm_run_unsafe_code=False,
            )
    except ValueError as error:
        if not shots:
            raise
        raise UserError(
            f"{name}: {counted(shots, 'example')} cannot be drawn for its prompts: {error}",
            "Its data have too few rows that differ from the one that is asked.",
        ) from error
    rows, config = results["samples"][name], task.config
    protocol = TaskProtocol(
        task=name,
        version=str(results["versions"][name]),
        shots=shots,
        metric=METRIC,
        target_delimiter=config.target_delimiter,
        examples=len(rows),
        examples_sha256=hashlib.sha256("".join(row["doc_hash"] for row in rows).encode()).hexdigest(),
        shots_seed=SHOT_SEED if shots else None,
    )
    samples = tuple(_sample(label, suite, name, shots, row, lm) for row in rows)
    if hasattr(lm, "forget"):
        lm.forget()
    return TaskResult(protocol, samples, time.perf_counter() - start)


def _identity(name: str, task: Any, suite: Suite, limit: int | None) -> dict[str, Any] | None:
    """Return what decides the requests of a task, its data included; None if the data have no fingerprint."""
    data = suite.digest()
    if data is None:
        splits = task.dataset.items() if hasattr(task.dataset, "items") else ()
        found = {split: getattr(rows, "_fingerprint", None) for split, rows in splits}
        if not found or None in found.values():
            return None
        data = json.dumps(found, sort_keys=True)
    config = task.config
    return {
        "suite": suite.name,
        "task": name,
        "version": str(task.VERSION),
        "shots": int(config.num_fewshot or 0),
        "seed": SHOT_SEED,
        "delimiter": config.target_delimiter,
        "data": data,
        "limit": limit,
    }


def _sample(label: str, suite: Suite, task: str, shots: int, row: dict[str, Any], lm: Any) -> Sample:
    """Turn a row of lm-eval into a sample. Texts without a context also have the scores of their other readings."""
    likelihoods = tuple(float(answer[0]) for answer in row["filtered_resps"])
    if not all(math.isfinite(value) for value in likelihoods):
        raise UserError(
            f"{label}: the probability of an example of {task} is not finite",
            "The weights are probably not finite either, as after a training run that diverged.",
        )
    doc = row["doc"]
    texts = tuple(text for context, text, *_ in row["arguments"][: len(likelihoods)] if not context)
    spacings = getattr(lm, "spacings", {})
    spaced = [spacings[text] for text in texts if text in spacings]
    if len(spaced) < len(likelihoods):
        spaced = []
    words = getattr(lm, "one_prefix", {}).get(texts)
    # A release sends samples along: a user's own pairs stay out of them.
    kept = spaced and suite.items is None and max(map(len, texts)) <= MAX_TEXT
    return Sample(
        model=label,
        task=task,
        id=str(doc.get("id", f"{task}/{row['doc_id']}")),
        phenomenon=suite.phenomenon_of(task, shots, doc),
        paradigm=doc.get("paradigm") or doc.get("UID"),
        correct=bool(row[METRIC]),
        gold=row["target"] if isinstance(row["target"], int) else None,
        log_likelihoods=likelihoods,
        tokens=tuple(text.tokens for text in spaced),
        respaced=tuple(text.respaced for text in spaced),
        respaced_tokens=tuple(text.respaced_tokens for text in spaced),
        one_prefix=words.own if words else (),
        respaced_one_prefix=words.respaced if words else (),
        linguistic_field=suite.field_of(doc),
        measures={ours: float(row[theirs]) for theirs, ours in MEASURES.items() if theirs in row},
        texts=tuple(text.strip() for text in texts) if kept else (),
    )


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Limit lm-eval's log to errors, and progress bars to terminals."""
    # Imported before stderr is redirected: a logger created on import would keep writing to the redirected stream.
    import lm_eval.models.huggingface  # noqa: F401

    logger = logging.getLogger("lm_eval")
    level = logger.level
    logger.setLevel(logging.ERROR)
    bars = contextlib.nullcontext() if sys.stderr.isatty() else contextlib.redirect_stderr(io.StringIO())
    try:
        with bars:
            yield
    finally:
        logger.setLevel(level)
