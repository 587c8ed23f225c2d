"""Run partitions on Slurm: datatrove's executor submits one array job; the build waits for it and then assembles.

The process that runs `l2t build` only submits, watches the queue and the workspace, and assembles the dataset at the
end. It may be stopped and restarted at any time: submitted jobs are recorded in the workspace, and a build that finds
them in the queue waits for them instead of submitting more.
"""

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from datatrove.executor.slurm import SlurmPipelineExecutor

from l2t_hub.clean_environment import HUB_TOKENS, KEPT_NAMES, SECRET_NAMES
from l2t_hub.dataset.executors.cluster import ClusterTask, forget_failures, raise_failures
from l2t_hub.dataset.executors.slurm_queue import duration, wait_for_jobs
from l2t_hub.dataset.executors.work import Work
from l2t_hub.dataset.progress import NullMeter, Reporter
from l2t_hub.dataset.workspace import JOBS
from l2t_hub.errors import UsageError, UserError
from l2t_hub.text import counted


class SlurmExecutor(ClusterTask, SlurmPipelineExecutor):  # type: ignore[misc]
    """datatrove's Slurm executor with the recipe's `cluster` keys, for the partitions of `work`."""

    def __init__(self, work: Work, workers: int | None) -> None:
        self.set_work(work)
        cluster = work.recipe.cluster
        python = shlex.quote(str(Path(sys.executable).parent))
        set_path = f'export PATH={python}:"$PATH"'
        super().__init__(
            work.pipeline(NullMeter()),
            tasks=len(work.keys),
            time=duration(cluster.hours),
            partition=cluster.partition,
            mem_per_cpu_gb=cluster.memory_gb,
            workers=workers or -1,
            job_name=f"l2t-{work.recipe.name}",
            qos=cluster.qos,
            env_command="\n".join(line for line in (cluster.setup, set_path, self.drop_secrets()) if line),
            sbatch_args={**({"account": cluster.account} if cluster.account else {}), **cluster.sbatch},
            max_array_size=cluster.max_array_size,
            job_id_retriever=self.record_job,
            logging_dir=str(self.folder),
            skip_completed=False,
            slurm_logs_folder=str(self.folder / "slurm"),
        )

    def drop_secrets(self) -> str:
        """Return the lines of the job's script that remove secrets from the environment, which sbatch passes on.

        The process of a task removes those that only their value gives away. The names are matched on the node, so
        the script holds neither names nor values.
        """
        kept = "|".join((*KEPT_NAMES, *(HUB_TOKENS if self.reads_hub else ())))
        names = f"compgen -e | grep -Ei {shlex.quote(SECRET_NAMES)} | grep -Evx {shlex.quote(kept)}"
        stored = "" if self.reads_hub else f"\nexport HF_TOKEN_PATH={os.devnull}"
        return f"unset $({names}){stored}"

    def get_sbatch_args(self, max_array: int = 1) -> dict[str, Any]:
        """Return the directives of the script. Without a partition, the cluster's default applies."""
        return {k: v for k, v in super().get_sbatch_args(max_array).items() if v is not None}

    def launch_merge_stats(self) -> None:
        """Submit no second job for datatrove's statistics: the manifest has the counts."""

    def record_job(self, answer: str) -> str:
        """Record the job that sbatch has submitted, before anything else can fail, and return its ID."""
        job = next((word for word in answer.split() if word.isdigit()), None)
        if job is None:
            raise UserError(
                f"sbatch did not name a job. It answered: {answer.strip()}",
                "Check that `sbatch` is Slurm's own command and not a wrapper.",
            )
        earlier = self.workspace.read_json(JOBS) or {"jobs": []}
        folders = [self.workspace.partition_folder(rank, self.keys[rank]) for rank in self.ranks]
        names = [folder.relative_to(self.workspace.folder).as_posix() for folder in folders]
        self.workspace.write_json(JOBS, {"jobs": [*earlier["jobs"], job], "folders": names})
        return job


def run_on_slurm(work: Work, workers: int | None, reporter: Reporter) -> None:
    """Submit the partitions of `work`, wait until their jobs have left the queue, and raise what failed.

    `workers` limits how many tasks run at once. Raises UserError if there is no Slurm or if it refuses the job.
    """
    _check_slurm(work)
    forget_failures(work.workspace)
    try:
        SlurmExecutor(work, workers).launch_job()
    except subprocess.CalledProcessError as error:
        raise UserError(
            f"sbatch refused the job (exit code {error.returncode}); its message is above",
            f"The script is {work.log / 'launch_script.slurm'}. Its options come from the recipe's `cluster` keys.",
        ) from None
    jobs = work.workspace.read_json(JOBS)["jobs"]
    reporter.message(
        f"{work.description}: {counted(len(work.ranks), 'partition')} as Slurm job {','.join(jobs)}. "
        f"If you stop this command, the job continues, and the same command waits "
        f"for it again. To cancel the job: scancel {' '.join(jobs)}"
    )
    wait_for_jobs(work.workspace, reporter)
    raise_failures(
        work,
        "Slurm ended the tasks, most likely because they exceeded their time or memory, or never started them",
        f"`sacct -j {','.join(jobs)}` shows why; cluster.hours and cluster.memory_gb set the limits. The output of "
        f"the tasks is in {work.log / 'slurm'}.",
    )


def _check_slurm(work: Work) -> None:
    """Raise before anything is submitted if there is no Slurm, or if its scripts cannot contain the path."""
    if shutil.which("sbatch") is None:
        raise UserError(
            "--executor slurm: this machine has no sbatch",
            "Run the command on a login node of the cluster, or use --executor local.",
        )
    path = str(work.log.absolute())
    if shlex.quote(path) != path or "%" in path:
        raise UsageError(
            f"{work.workspace.out.absolute()}: Slurm's scripts cannot contain this path",
            "Build into a directory whose path has only letters, digits and the characters . _ - /",
        )
