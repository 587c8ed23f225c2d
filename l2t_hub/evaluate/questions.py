"""What a suite asks of each model: prepared once, before the first model is loaded."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from l2t_hub.errors import UsageError
from l2t_hub.evaluate import harness
from l2t_hub.evaluate.pair_set import pairs_task, readable_pairs
from l2t_hub.evaluate.suites import Suite
from l2t_hub.evaluate.task_store import TaskResult, TaskStore
from l2t_hub.evaluate.task_suite import TaskText, prepare_tasks, reader_of, run_tasks
from l2t_hub.scoring import ModelSource, Scorer

NO_TEXT = "the suite tasks needs text that the models were not trained on"
Say = Callable[[str], None]


@dataclass(frozen=True)
class Questions:
    """The prepared tasks of a suite. `ask` runs them on a model, `left_out` counts what is not asked, by reason."""

    ask: Callable[[Scorer, str, TaskStore | None], list[TaskResult]]
    left_out: Mapping[str, int]


def prepare(
    suite: Suite,
    sources: Sequence[ModelSource],
    text: TaskText | None,
    limit: int | None,
    batch_tokens: int | None,
    say: Say | None,
) -> Questions:
    """Load the data of a suite; `text` is what the suite `tasks` is made of.

    Raises UsageError or UserError if they are missing or wrong.
    """
    if suite.kind == "psychometric":
        raise UsageError(
            f"suite {suite.name}: its results are no accuracies",
            "Use `l2t eval`, or l2t_hub.evaluate.psychometric.measure_models in Python.",
        )
    if suite.kind == "tasks":
        if text is None:
            raise UsageError(NO_TEXT, "Name it: --text FILE")
        tasks = prepare_tasks(text, sources, limit)
        if tasks.missing and say:
            say(f"note: the text gives no example of {', '.join(tasks.missing)} that all models can read")
        return Questions(
            lambda scorer, label, store: run_tasks(scorer, label, tasks, store, batch_tokens), tasks.left_out
        )
    if suite.items is not None and suite.items.task is pairs_task:
        readers = [reader for source in sources if (reader := reader_of(source))]
        fitting = readable_pairs(suite.items, readers)
        if fitting is not suite.items and say:
            say(fitting.notes()[-1])
        suite = replace(suite, items=fitting)
    loaded = harness.load_tasks(suite)

    def ask(scorer: Scorer, label: str, store: TaskStore | None) -> list[TaskResult]:
        lm = harness.as_lm(scorer, batch_tokens)
        return harness.run(lm, label, suite, loaded, limit, store=store, progress=say)

    return Questions(ask, suite.items.dropped if suite.items else {})
