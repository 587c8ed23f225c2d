"""Where the partitions of a build are worked on: this machine, a Slurm cluster, or Ray; the same steps everywhere.

Whichever it is, only partitions that are not finished are worked on, and what makes them finished is their folder in
the workspace, which all machines share. So an executor may be changed from one start of a build to the next.
"""

from collections.abc import Callable

from l2t_hub.dataset.executors.local import LocalExecutor
from l2t_hub.dataset.executors.work import Work, cores
from l2t_hub.dataset.progress import Meter, Reporter, Unmetered, Watch
from l2t_hub.errors import UsageError, nearest


def execute(work: Work, executor: str, workers: int | None, report: Reporter) -> None:
    """Make the partitions of `work` and return when all are finished.

    `workers` is how many are worked on at once; None means one per core here, as many as there is room for on a
    cluster. Raises UsageError for an executor there is none of, what a partition raised, and UserError where a
    partition came to nothing.
    """
    runners()[check_executor(executor)](work, workers, report)


def check_executor(executor: str) -> str:
    """Give the name back if there is such an executor; UsageError otherwise."""
    if executor not in runners():
        raise UsageError(f"Unknown executor '{executor}'. {nearest(executor, runners())}")
    return executor


def runners() -> dict[str, Callable[[Work, int | None, Reporter], None]]:
    """The executors by name."""
    return {"local": _local, "slurm": _slurm, "ray": _ray}


def _local(work: Work, workers: int | None, report: Reporter) -> None:
    workers = min(workers or cores(), len(work.todo))
    count = len(work.keys)
    report.say(f"{work.doing}: {len(work.todo)} partitions, {workers} workers")
    meter = Meter(work.space.folder / "progress", count).create()
    with Watch(meter, report, work.source.records if len(work.todo) == count else None):
        LocalExecutor(work.steps(meter), count, work.todo, workers, work.log).run()


def _slurm(work: Work, workers: int | None, report: Reporter) -> None:
    from l2t_hub.dataset.executors.slurm import run_on_slurm

    run_on_slurm(work, work.steps(Unmetered()), workers, report)


def _ray(work: Work, workers: int | None, report: Reporter) -> None:
    from l2t_hub.dataset.executors.ray import run_on_ray

    run_on_ray(work, work.steps(Unmetered()), workers, report)
