"""Whether two results may be compared: only what was asked in the same way, of the same examples, may."""

from collections.abc import Iterator

from l2t_hub.evaluate.results import Protocol, TaskProtocol


def protocol_difference(one: Protocol, other: Protocol) -> str | None:
    """Say in a phrase how two protocols differ in what decides a score; None if their scores can be compared."""
    return next(_differences(one, other), None)


def _differences(one: Protocol, other: Protocol) -> Iterator[str]:
    if one.suite != other.suite:
        yield f"the suite ({one.suite} and {other.suite})"
    if one.suite_sha256 != other.suite_sha256:
        yield f"the suite's data (SHA-256 {_short(one.suite_sha256)} and {_short(other.suite_sha256)})"
    if one.limit != other.limit:
        yield f"the examples per task ({one.limit or 'all'} and {other.limit or 'all'})"
    if (one.harness, one.harness_version) != (other.harness, other.harness_version):
        yield f"the version of the harness ({one.harness_version} and {other.harness_version})"
    for name in ("context", "level"):
        if getattr(one, name) != getattr(other, name):
            yield f"{name} ({getattr(one, name)!s:.80} and {getattr(other, name)!s:.80})"
    tasks, others = ({(task.task, task.shots): task for task in p.tasks} for p in (one, other))
    if alone := sorted(tasks.keys() ^ others.keys()):
        yield f"the tasks: only one of them has {alone[0][0]} ({alone[0][1]}-shot)"
    for key in tasks.keys() & others.keys():
        yield from _task_differences(tasks[key], others[key])


def _task_differences(one: TaskProtocol, other: TaskProtocol) -> Iterator[str]:
    for name, what in (
        ("version", "the version"),
        ("metric", "the metric"),
        ("target_delimiter", "the text before an answer"),
        ("examples", "the number of examples"),
    ):
        if (mine := getattr(one, name)) != (theirs := getattr(other, name)):
            yield f"{what} of {one.task} ({mine!r} and {theirs!r})"
    if one.examples_sha256 != other.examples_sha256:
        hashes = f"SHA-256 {_short(one.examples_sha256)} and {_short(other.examples_sha256)}"
        yield f"the examples of {one.task} ({hashes})"


def _short(sha256: str | None) -> str:
    return "unknown" if sha256 is None else sha256[:12]
