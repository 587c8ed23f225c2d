"""The only module that calls lm-evaluation-harness: it loads a suite's tasks and runs a model on them.

It calls lm-eval's `evaluate`. `simple_evaluate` would also query the Hub about the model, run git and pip to describe
the environment, and load the tasks again for every model.
"""

import contextlib
import functools
import hashlib
import io
import logging
import math
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from l2t_hub.errors import UserError
from l2t_hub.evaluate.pair_set import task_config
from l2t_hub.evaluate.results import Sample, TaskProtocol
from l2t_hub.evaluate.suites import METRIC, PROBES, Suite, SuitePart
from l2t_hub.scoring import Scorer

if TYPE_CHECKING:
    from l2t_hub.evaluate.harness_model import Spacings

SHOT_SEED = 1234
"""lm-eval's default seed for drawing few-shot examples."""
CONTEXT = (
    "sentences without a context follow one prefix token (BOS, or EOS if the tokenizer has no BOS); no other special "
    "tokens are added"
)


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
        if suite.pairs is not None:
            config = task_config(suite.name, suite.pairs.documents)
            return [LoadedPart(SuitePart((config["task"],)), _task_manager(PROBES).load([config]))]
        manager = _task_manager(suite.task_folder)
        loaded = []
        for part in suite.parts:
            try:
                tasks = manager.load(list(part.tasks))
            except (OSError, ValueError, KeyError) as error:
                reason = str(error).strip().split("\n")[0]
                raise UserError(
                    f"suite '{suite.name}': its data cannot be loaded: {reason}",
                    "Its data come from the Hub. Run once online to cache them, or use the bundled --suite probes.",
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
        return HarnessModel(scorer, batch_tokens=batch_tokens, both_spacings=True)


def run(
    lm: Any, label: str, suite: Suite, loaded: Sequence[LoadedPart], limit: int | None
) -> tuple[list[Sample], tuple[TaskProtocol, ...]]:
    """Run an lm-eval model on all tasks of a suite, and return its samples and how each task was run.

    `limit` is the number of examples per task; None means all. Raises UserError if a likelihood is not finite:
    lm-eval would count such an answer as right or wrong by its position.
    """
    from lm_eval.evaluator import evaluate

    samples: list[Sample] = []
    protocols: list[TaskProtocol] = []
    for part in loaded:
        with quiet():
            results = evaluate(
                lm=lm, task_dict=part.tasks, limit=limit, bootstrap_iters=0, confirm_run_unsafe_code=False
            )
        for task, rows in results["samples"].items():
            config = part.tasks["tasks"][task].config
            shots = int(config.num_fewshot or 0)
            spacings = getattr(lm, "spacings", {})
            samples.extend(_sample(label, suite, task, shots, row, spacings) for row in rows)
            hashes = "".join(row["doc_hash"] for row in rows)
            protocols.append(
                TaskProtocol(
                    task=task,
                    version=str(results["versions"][task]),
                    shots=shots,
                    metric=METRIC,
                    target_delimiter=config.target_delimiter,
                    examples=len(rows),
                    examples_sha256=hashlib.sha256(hashes.encode()).hexdigest(),
                )
            )
    return samples, tuple(protocols)


def _sample(
    label: str, suite: Suite, task: str, shots: int, row: dict[str, Any], spacings: "Mapping[str, Spacings]"
) -> Sample:
    """Turn a row of lm-eval into a sample. Texts without a context also have their other spacing."""
    likelihoods = tuple(float(answer[0]) for answer in row["filtered_resps"])
    if not all(math.isfinite(value) for value in likelihoods):
        raise UserError(
            f"{label}: the probability of an example of {task} is not finite",
            "The weights are probably not finite either, as after a training run that diverged.",
        )
    doc = row["doc"]
    texts = [spacings.get(text) for context, text, *_ in row["arguments"][: len(likelihoods)] if not context]
    spaced = [text for text in texts if text is not None]
    if len(spaced) < len(likelihoods):
        spaced = []
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
