"""Whether results on disk are current: a new evaluation would use the same suite, weights and versions."""

from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

from l2t_hub.errors import UserError
from l2t_hub.evaluate.model_facts import library_versions, weights_digest
from l2t_hub.evaluate.psychometric import SETTINGS
from l2t_hub.evaluate.psychometric_results import ModelFigures, read_psychometric
from l2t_hub.evaluate.read_results import read_evaluation
from l2t_hub.evaluate.results import ModelScores, Protocol
from l2t_hub.evaluate.suites import get_suite
from l2t_hub.evaluate.task_examples import sha256_of_examples
from l2t_hub.evaluate.task_suite import VERSION, TaskText, prepare_tasks
from l2t_hub.scoring import find_model

Models = Sequence[tuple[str, Path]]
"""Models by name (a directory, or `namespace/name` with any revision), each with a local directory of its weights."""


def is_current(
    out: Path, suite: str, models: Models, text: TaskText | None = None, limit: int | None = None
) -> bool:
    """Whether the evaluation in `out` used exactly this suite, limit, library versions and models, in order.

    `text` is that of the suite `tasks`. A new revision with the same weights, such as one with a new card, keeps its
    scores current. Raises what making the examples of the text raises.
    """
    if not out.is_file():
        return False
    try:
        evaluation = read_evaluation(out)
    except UserError:
        return False
    protocol = evaluation.protocol
    chosen = get_suite(suite)
    return (
        protocol.suite == suite
        and protocol.suite_sha256 == chosen.digest()
        and protocol.limit == limit
        and protocol.harness_version == (VERSION if chosen.kind == "tasks" else version("lm_eval"))
        and dict(protocol.versions) == library_versions()
        and _are_models(evaluation.models, models)
        and (text is None or _are_examples(protocol, text, models))
    )


def figures_are_current(out: Path, models: Models) -> bool:
    """Whether the figures of the suite `psychometric` in `out` are those of these models, measured as now."""
    if not out.is_file():
        return False
    try:
        results = read_psychometric(out)
    except UserError:
        return False
    measured = (dict(results.settings), dict(results.versions))
    return measured == (SETTINGS, library_versions()) and _are_models(results.models, models)


def _are_models(found: Sequence[ModelScores] | Sequence[ModelFigures], models: Models) -> bool:
    names = [(model.model.partition("@")[0], model.weights_sha256) for model in found]
    return names == [
        (name.partition("@")[0], weights_digest(find_model(str(directory)))) for name, directory in models
    ]


def _are_examples(protocol: Protocol, text: TaskText, models: Models) -> bool:
    tasks = prepare_tasks(text, [find_model(str(directory)) for _, directory in models], None)
    now = {f"l2t_{name}": sha256_of_examples(rows) for name, rows in tasks.examples.items()}
    return {task.task: task.examples_sha256 for task in protocol.tasks} == now
