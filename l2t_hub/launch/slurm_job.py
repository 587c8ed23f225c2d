"""A training as a Slurm job: the script, its submission, and whether it is in the queue already.

The job saves when Slurm announces its end, and queues itself again if it got further: the same command continues the
run. It ends when the model is finished or something fails.

srun starts one process for each GPU with the variables of `torchrun`, so that Slurm's signal reaches each of them;
`torchrun` would end them by its own rules. Values of the recipe are words that `cluster_section` has bounded; what
the user typed is quoted for the shell. Neither the script nor the environment that sbatch keeps has secrets.
"""

import os
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from l2t_hub.artifacts import CHECKPOINTS, disk_errors, write_text
from l2t_hub.clean_environment import HUB_TOKENS, without_secrets
from l2t_hub.console import MODULE
from l2t_hub.dataset.executors.slurm_queue import duration, in_queue
from l2t_hub.errors import UserError
from l2t_hub.recipe import Recipe
from l2t_hub.text import visible
from l2t_hub.train.checkpoints import PREFIX

FOLDER = "slurm"
SCRIPT, JOB = "train.sh", "job"
STOPPED = 128 + signal.SIGUSR1
_ANSWER_SECONDS = 120
# How long the other processes may take to end when the first one has.
_WAIT_SECONDS = 120
_GPU_OPTIONS = ("gpus", "gpus-per-node", "gpus-per-task", "gres")
_TEMPLATE = """\
#!/bin/bash
{directives}
# Written by `l2t train --on slurm`. Slurm runs it again after each requeue: the same command continues the run.
cd {folder} || exit 1
{setup}
newest() {{ ls {checkpoints} 2>/dev/null | sed -n 's/^{prefix}\\([0-9]*\\)$/\\1/p' | sort -n | tail -n 1; }}
before=$(newest)
export SRUN_CPUS_PER_TASK=$SLURM_CPUS_PER_TASK OMP_NUM_THREADS=${{OMP_NUM_THREADS:-$SLURM_CPUS_PER_TASK}}
{processes}
code=$?
# {stopped}: Slurm has sent USR1, and a checkpoint is saved. Anything else is the end: finished, cancelled or failed.
[ $code -eq {stopped} ] || exit $code
if [ "$(newest)" = "$before" ]; then
    echo "No step was finished since the job began, so it is not queued again. Raise cluster.train_hours." >&2
    exit 1
fi
scontrol requeue "$SLURM_JOB_ID"
"""
_ONE_PROCESS = "srun {command}"
_PROCESSES = """\
export MASTER_ADDR=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)
export MASTER_PORT=$((20000 + SLURM_JOB_ID % 20000))
srun --kill-on-bad-exit=0 --wait={wait} bash -c \\
    'export RANK=$SLURM_PROCID LOCAL_RANK=$SLURM_LOCALID WORLD_SIZE=$SLURM_NTASKS; exec "$@"' l2t \\
    {command}"""


@dataclass(frozen=True)
class SlurmJob:
    """The training of a recipe into `out`, by the `l2t` command with these arguments, run in `folder`.

    `reads_hub` says that the job needs the user's token for a Hub.
    """

    recipe: Recipe
    out: Path
    arguments: tuple[str, ...]
    folder: Path
    reads_hub: bool = False

    @property
    def files(self) -> Path:
        """Where script, output and number of the job are. Absolute: the job may start elsewhere."""
        return (self.folder / self.out / CHECKPOINTS / FOLDER).absolute()

    def script(self) -> str:
        """Return the script that sbatch gets."""
        words = shlex.join([sys.executable, "-m", MODULE, *self.arguments])
        template = _PROCESSES if processes(self.recipe) > 1 else _ONE_PROCESS
        options = [f"--{name}={value}" if value else f"--{name}" for name, value in self._options().items()]
        return _TEMPLATE.format(
            directives="\n".join(f"#SBATCH {option}" for option in options),
            folder=shlex.quote(str(self.folder)),
            setup=self.recipe.cluster.setup or "",
            checkpoints=shlex.quote(str(self.files.parent)),
            prefix=PREFIX,
            processes=template.format(command=words, wait=_WAIT_SECONDS),
            stopped=int(STOPPED),
        )

    def _options(self) -> dict[str, str]:
        cluster = self.recipe.cluster
        gpus = cluster.gpus_per_node if not set(_GPU_OPTIONS) & set(cluster.sbatch) else 0
        given: Mapping[str, str | None] = {
            "job-name": f"l2t-{self.recipe.name}",
            "partition": cluster.partition,
            "account": cluster.account,
            "qos": cluster.qos,
            "nodes": str(cluster.nodes),
            "ntasks-per-node": str(max(cluster.gpus_per_node, 1)),
            "cpus-per-task": str(cluster.cpus_per_process),
            "gpus-per-node": str(gpus) if gpus else None,
            "mem": f"{cluster.train_memory_gb}G" if cluster.train_memory_gb else None,
            "time": duration(cluster.train_hours),
            "signal": f"USR1@{cluster.save_seconds}",
            "requeue": "",
            "open-mode": "append",
            **cluster.sbatch,
        }
        return {name: value for name, value in given.items() if value is not None}

    def submission(self) -> list[str]:
        """Return the command that submits the script. The path of the output is no directive: it may have spaces."""
        folder = str(self.files).replace("%", "%%")
        return ["sbatch", "--parsable", f"--output={folder}/%j.out", str(self.files / SCRIPT)]

    def queued(self) -> str | None:
        """Return the number of a job of this run that is in the queue, None if there is none."""
        try:
            number = (self.files / JOB).read_text(encoding="utf-8").strip()
        except OSError:
            return None
        try:
            return number if number.isdigit() and in_queue([number]) else None
        except FileNotFoundError:
            return None


def processes(recipe: Recipe) -> int:
    """Return how many processes train together in the job of a recipe."""
    return recipe.cluster.nodes * max(recipe.cluster.gpus_per_node, 1)


def submit(job: SlurmJob) -> str:
    """Submit a training and return the number of its job.

    Raises UserError if there is no Slurm, or if it refuses the job or does not answer.
    """
    if shutil.which("sbatch") is None:
        raise UserError(
            "--on slurm: this machine has no sbatch", "Run the command on a login node of the cluster."
        )
    with disk_errors(job.files):
        job.files.mkdir(parents=True, exist_ok=True)
    write_text(job.files / SCRIPT, job.script())
    number = _number(_sbatch(job))
    write_text(job.files / JOB, f"{number}\n")
    return number


def _sbatch(job: SlurmJob) -> str:
    """Call sbatch and return its answer. It stores its environment, so it gets one without secrets."""
    kept = {name: os.environ[name] for name in (HUB_TOKENS if job.reads_hub else ()) if name in os.environ}
    try:
        done = subprocess.run(
            job.submission(),
            env=without_secrets(os.environ) | kept,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
            timeout=_ANSWER_SECONDS,
        )
    except subprocess.TimeoutExpired:
        raise UserError(
            f"sbatch did not answer within {_ANSWER_SECONDS} s",
            "The job may be in the queue all the same: look with `squeue --me` before you submit again.",
        ) from None
    except OSError as error:
        raise UserError(f"sbatch cannot be started: {error.strerror or error}") from None
    if done.returncode:
        raise UserError(
            f"sbatch refused the job: {_short(done.stderr) or f'exit code {done.returncode}'}",
            f"The script is {job.files / SCRIPT}. Its options come from the recipe's `cluster` keys.",
        )
    return done.stdout


def _number(answer: str) -> str:
    """Return the number of the job in an answer of `sbatch --parsable`: `17` or `17;cluster`."""
    number = answer.strip().partition(";")[0]
    if not number.isdigit():
        raise UserError(
            f"sbatch did not name a job. It answered: {_short(answer)}",
            "Check that `sbatch` is Slurm's own command and not a wrapper.",
        )
    return number


def _short(text: str) -> str:
    return visible(" ".join(text.split()))[:400]
