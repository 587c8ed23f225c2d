"""Slurm's queue. The jobs of a build are recorded in the workspace when they are submitted, and waited for.

Every build waits first, with any executor: while tasks of an earlier build run in the directory, nothing in it may be
removed.
"""

import subprocess
import time

from l2t_hub.dataset.progress import Reporter
from l2t_hub.dataset.workspace import JOBS, Workspace
from l2t_hub.errors import UserError
from l2t_hub.text import counted

POLL_SECONDS = 15.0


def wait_for_jobs(workspace: Workspace, reporter: Reporter) -> None:
    """Wait until the jobs submitted for this directory have left the queue, and report finished partitions."""
    submitted = workspace.read_json(JOBS)
    if submitted is None:
        return
    jobs, folders, last_count = submitted["jobs"], set(submitted["folders"]), -1
    while _in_queue(jobs, workspace):
        finished = {
            path.relative_to(workspace.folder).as_posix() for path in workspace.folder.glob("*/[0-9]*")
        }
        count = len(folders & finished)
        if count != last_count:
            reporter.message(
                f"  Slurm job {', '.join(jobs)}: {count} of {counted(len(folders), 'partition')} finished"
            )
            last_count = count
        time.sleep(POLL_SECONDS)
    (workspace.folder / JOBS).unlink(missing_ok=True)


def _in_queue(jobs: list[str], workspace: Workspace) -> bool:
    try:
        return in_queue(jobs)
    except FileNotFoundError:
        raise UserError(
            f"{workspace.out}: Slurm job {', '.join(jobs)} was submitted for this directory, "
            "but this machine has no squeue",
            f"Continue on a machine with Slurm. If the job has ended, remove {workspace.folder / JOBS}.",
        ) from None


def in_queue(jobs: list[str]) -> bool:
    """Whether a job is pending or running. A controller that is too busy to answer counts as yes.

    Raises FileNotFoundError if this machine has no squeue.
    """
    answer = subprocess.run(
        ["squeue", "--noheader", "--format=%A", f"--jobs={','.join(jobs)}"],
        capture_output=True,
        text=True,
        check=False,
    )
    if answer.returncode:
        return "invalid job id" not in answer.stderr.lower()
    return bool(answer.stdout.strip())


def duration(hours: float) -> str:
    """Return hours in Slurm's format HH:MM:SS."""
    seconds = round(hours * 3600)
    return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"
