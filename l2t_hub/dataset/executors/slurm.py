"""A build on Slurm: one array job of the partitions to do, by datatrove's executor; the build waits, then assembles.

The process that runs `l2t build` only submits, looks at the queue and at the workspace, and puts the dataset together
at the end. It may be stopped and started again at any time: the jobs it submitted are written down in the workspace,
and a build that finds them still in the queue waits for them instead of submitting anything.
"""

import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from datatrove.executor.slurm import SlurmPipelineExecutor

from l2t_hub.dataset.executors.cluster import ClusterTask, forget_failures, raise_failures
from l2t_hub.dataset.executors.slurm_queue import JOBS, await_jobs
from l2t_hub.dataset.executors.work import Work
from l2t_hub.dataset.progress import Reporter
from l2t_hub.errors import UsageError, UserError


class SlurmExecutor(ClusterTask, SlurmPipelineExecutor):  # type: ignore[misc]
    """datatrove's executor with the recipe's `cluster` keys, for the partitions of `work`."""

    def __init__(self, work: Work, steps: list[Any], workers: int | None) -> None:
        self.on(work)
        cluster = work.recipe.cluster
        python = shlex.quote(str(Path(sys.executable).parent))
        command = f'export PATH={python}:"$PATH"'
        super().__init__(
            steps,
            tasks=len(work.keys),
            time=duration(cluster.hours),
            partition=cluster.partition,
            mem_per_cpu_gb=cluster.memory_gb,
            workers=workers or -1,
            job_name=f"l2t-{work.recipe.name}",
            qos=cluster.qos,
            env_command="\n".join(line for line in (cluster.setup, command) if line),
            sbatch_args={**({"account": cluster.account} if cluster.account else {}), **cluster.sbatch},
            max_array_size=cluster.max_array_size,
            job_id_retriever=self.submitted,
            logging_dir=str(self.folder),
            skip_completed=False,
            slurm_logs_folder=str(self.folder / "slurm"),
        )

    def get_sbatch_args(self, max_array: int = 1) -> dict[str, Any]:
        """The directives of the script; without a partition the cluster's default applies."""
        return {k: v for k, v in super().get_sbatch_args(max_array).items() if v is not None}

    def launch_merge_stats(self) -> None:
        """No second job for datatrove's statistics: the manifest has the counts."""

    def submitted(self, answer: str) -> str:
        """Write down the job that sbatch says it has submitted, before anything else can go wrong."""
        job = next((word for word in answer.split() if word.isdigit()), None)
        if job is None:
            raise UserError(f"sbatch named no job; it said: {answer.strip()}", "Is this Slurm's own sbatch?")
        about = self.space.read(JOBS) or {"jobs": [], "parts": []}
        parts = [
            self.space.place(rank, self.keys[rank]).relative_to(self.space.folder).as_posix()
            for rank in self.todo
        ]
        self.space.write(JOBS, {"jobs": [*about["jobs"], job], "parts": parts})
        return job


def run_on_slurm(work: Work, steps: list[Any], workers: int | None, report: Reporter) -> None:
    """Submit the partitions of `work`, wait until their jobs have left the queue, and raise what failed.

    `workers` limits how many tasks run at once. Raises UserError where there is no Slurm or it refuses the job.
    """
    _check(work)
    forget_failures(work.space)
    executor = SlurmExecutor(work, steps, workers)
    try:
        executor.launch_job()
    except subprocess.CalledProcessError as error:
        raise UserError(
            f"sbatch refused the job (exit code {error.returncode}); what it said stands above",
            f"The script is {work.log / 'launch_script.slurm'}; its options come from the recipe's `cluster`.",
        ) from None
    jobs = ",".join(work.space.read(JOBS)["jobs"])
    report.say(
        f"{work.doing}: {len(work.todo)} partitions as Slurm job {jobs}. Stopping this command leaves "
        f"the job alone; the same command then waits for it again. To end it: scancel {jobs.replace(',', ' ')}"
    )
    await_jobs(work.space, report)
    raise_failures(
        work,
        "Slurm ended the tasks, most often over their time or memory, or they never started",
        f"`sacct -j {jobs}` says why; cluster.hours and cluster.memory_gb set the limits. The tasks' output is in "
        f"{work.log / 'slurm'}.",
    )


def duration(hours: float) -> str:
    """Hours as Slurm writes a time: hours, minutes and seconds."""
    seconds = round(hours * 3600)
    return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"


def _check(work: Work) -> None:
    """Raise before anything is submitted if there is no Slurm, or a path that its scripts cannot hold."""
    if shutil.which("sbatch") is None:
        raise UserError(
            "--executor slurm: there is no sbatch on this machine",
            "Run it on a login node of the cluster, or use --executor local.",
        )
    path = str(work.log.absolute())
    if shlex.quote(path) != path or "%" in path:
        raise UsageError(
            f"{work.space.out.absolute()}: Slurm's scripts cannot hold this path",
            "Build into a directory whose path has only letters, digits and . _ - / in it.",
        )
