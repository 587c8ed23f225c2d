"""Choose where partitions run: on this machine, on a Slurm cluster or on Ray. The pipeline is the same everywhere.

Only unfinished partitions run. A partition is finished when its folder is in the workspace, which all machines share,
so a build may be continued with another executor.
"""

from collections.abc import Callable

from l2t_hub.dataset.executors.local import run_locally
from l2t_hub.dataset.executors.work import Work
from l2t_hub.dataset.progress import Reporter
from l2t_hub.errors import UsageError, nearest


def execute(work: Work, executor: str, workers: int | None, reporter: Reporter) -> None:
    """Run the partitions of `work` and return when all are finished.

    `workers` is how many run at once. None means one per core of this machine, or as many as a cluster has room for.
    Raises UsageError for an unknown executor, what a partition raised, and UserError if partitions failed.
    """
    EXECUTORS[check_executor(executor)](work, workers, reporter)


def check_executor(executor: str) -> str:
    """Return the name of an executor. Raises UsageError if it is unknown."""
    if executor not in EXECUTORS:
        raise UsageError(f"Unknown executor '{executor}'. {nearest(executor, EXECUTORS)}")
    return executor


def _run_on_slurm(work: Work, workers: int | None, reporter: Reporter) -> None:
    from l2t_hub.dataset.executors.slurm import run_on_slurm

    run_on_slurm(work, workers, reporter)


def _run_on_ray(work: Work, workers: int | None, reporter: Reporter) -> None:
    from l2t_hub.dataset.executors.ray import run_on_ray

    run_on_ray(work, workers, reporter)


EXECUTORS: dict[str, Callable[[Work, int | None, Reporter], None]] = {
    "local": run_locally,
    "slurm": _run_on_slurm,
    "ray": _run_on_ray,
}
