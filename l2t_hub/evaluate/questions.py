"""What a suite asks of each model: prepared once, before the first model is loaded."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from l2t_hub.errors import UsageError
from l2t_hub.evaluate import harness
from l2t_hub.evaluate.suites import Suite
from l2t_hub.evaluate.task_store import TaskResult, TaskStore
from l2t_hub.scoring import Scorer

Say = Callable[[str], None]


@dataclass(frozen=True)
class Questions:
    """The prepared tasks of a suite. `ask` runs them on a model, `left_out` counts what is not asked, by reason."""

    ask: Callable[[Scorer, str, TaskStore | None], list[TaskResult]]
    left_out: Mapping[str, int]


def prepare(
    suite: Suite,
    limit: int | None,
    batch_tokens: int | None,
    say: Say | None,
) -> Questions:
    """Load the data of a suite. Raises UsageError or UserError if they are missing or wrong."""
    if suite.kind == "psychometric":
        raise UsageError(
            f"suite {suite.name}: its results are no accuracies",
            "Use `l2t eval`, or l2t_hub.evaluate.psychometric.measure_models in Python.",
        )
    loaded = harness.load_tasks(suite)

    def ask(scorer: Scorer, label: str, store: TaskStore | None) -> list[TaskResult]:
        lm = harness.as_lm(scorer, batch_tokens)
        return harness.run(lm, label, suite, loaded, limit, store=store, progress=say)

    return Questions(ask, suite.pairs.dropped if suite.pairs else {})
