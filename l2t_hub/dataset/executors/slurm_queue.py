"""The Slurm jobs of a build: written down when they are submitted, waited for until the queue no longer has them.

Every build looks here first, whatever its executor: while tasks of an earlier one are still at work in the directory,
nothing in it may be cleared away.
"""

import subprocess
import time

from l2t_hub.dataset.progress import Reporter
from l2t_hub.dataset.workspace import Workspace
from l2t_hub.errors import UserError

JOBS = "slurm.json"
POLL_SECONDS = 15.0


def await_jobs(space: Workspace, report: Reporter) -> None:
    """Wait for the jobs that a build here has submitted, telling how many partitions are finished."""
    about = space.read(JOBS)
    if about is None:
        return
    wanted, told = set(about["parts"]), -1
    while _in_queue(about["jobs"], space):
        finished = (path.relative_to(space.folder).as_posix() for path in space.folder.glob("*/[0-9]*"))
        there = len(wanted.intersection(finished))
        if there != told:
            report.say(
                f"  Slurm job {', '.join(about['jobs'])}: {there} of {len(wanted)} partitions finished"
            )
            told = there
        time.sleep(POLL_SECONDS)
    (space.folder / JOBS).unlink(missing_ok=True)


def _in_queue(jobs: list[str], space: Workspace) -> bool:
    """Whether Slurm still knows one of these jobs as pending or running; a controller that is busy counts as yes."""
    try:
        found = subprocess.run(
            ["squeue", "--noheader", "--format=%A", f"--jobs={','.join(jobs)}"],
            capture_output=True,
            text=True,
            check=False,
        )
    except FileNotFoundError:
        raise UserError(
            f"{space.out}: Slurm job {', '.join(jobs)} was submitted for this directory, and there is no squeue here",
            f"Go on where Slurm is. If the job has ended, remove {space.folder / JOBS}.",
        ) from None
    if found.returncode:
        return "invalid job id" not in found.stderr.lower()
    return bool(found.stdout.strip())
