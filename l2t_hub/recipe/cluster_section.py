"""The section `cluster`: what a cluster gives to a build and to a training. No byte of a release depends on it.

Its values are written into scripts that a cluster runs. They are bounded to what sbatch takes as one word, so that a
recipe of another person adds no line and no option. Only `setup` is a command, by its meaning.
"""

from typing import Annotated, Self

from pydantic import Field, model_validator

from l2t_hub.recipe.section import Section

# Options of sbatch that the build or the training sets itself, or that would run or start something else.
RESERVED_SBATCH_OPTIONS = {
    "array", "dependency", "error", "export", "job-name", "mem", "mem-per-cpu", "nodes", "ntasks", "output",
    "partition", "account", "qos", "requeue", "time", "wait", "cpus-per-task", "ntasks-per-node", "no-requeue",
    "signal", "open-mode", "chdir", "wrap", "input", "parsable", "test-only", "export-file",
    "bb", "bbf", "uid", "gid", "get-user-env", "propagate", "mail-type", "mail-user",
}  # fmt: skip
SbatchWord = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._,:@+/=-]{0,199}$")]
"""A partition, an account or a quality of service."""
SbatchOption = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,63}$")]
SbatchValue = Annotated[str, Field(pattern=r"^[A-Za-z0-9._,:@+/=&|()\[\]*!%-]{0,300}$")]
"""The value of another option: one word, such as `gpu:a100:4` or `a100|h100`."""
ShellLine = Annotated[str, Field(pattern=r"^[^\p{C}\p{Zl}\p{Zp}]+$", max_length=1000)]
"""A shell command on one line."""


class ClusterSection(Section):
    """What a cluster gives to `l2t build --executor slurm` or `ray`, and to `l2t train --on slurm`.

    It does not change a byte of the dataset or the model.
    """

    partition: SbatchWord | None = None
    """Slurm: partition to submit to; null uses the cluster's default."""
    account: SbatchWord | None = None
    """Slurm: account to charge."""
    qos: SbatchWord | None = None
    """Slurm: quality of service."""
    hours: float = Field(default=4.0, gt=0, le=100_000)
    """Slurm: time limit in hours of a task of a build, which builds one partition of the source."""
    memory_gb: int = Field(default=2, ge=1, le=1_000_000)
    """Slurm and Ray: memory of a task of a build in GB. A task uses one core."""
    max_array_size: int = Field(default=1001, ge=1, le=1_000_000)
    """Slurm: the cluster's MaxArraySize. More partitions than this are submitted as several jobs in sequence."""
    setup: ShellLine | None = None
    """Slurm: shell command to run before each task or training, such as `module load gcc`. It need not activate a
    Python."""
    sbatch: dict[SbatchOption, SbatchValue] = Field(default={})
    """Slurm: other options of sbatch by their long names without dashes, such as `constraint: icelake`."""
    nodes: int = Field(default=1, ge=1, le=10_000)
    """Slurm: nodes of a training."""
    gpus_per_node: int = Field(default=1, ge=0, le=64)
    """Slurm: GPUs of each node of a training, and processes: one for each GPU. With 0, one process per node trains on
    the CPU."""
    cpus_per_process: int = Field(default=8, ge=1, le=1024)
    """Slurm: cores of each process of a training."""
    train_memory_gb: int | None = Field(default=None, ge=1, le=1_000_000)
    """Slurm: memory of each node of a training in GB; null uses the cluster's default."""
    train_hours: float = Field(default=24.0, ge=0.05, le=100_000)
    """Slurm: time limit in hours of a training. A training that is not finished by then is queued again."""
    save_seconds: int = Field(default=120, ge=10, le=65_535)
    """Slurm: seconds before the time limit or a pre-emption at which a training saves and stops."""

    @model_validator(mode="after")
    def _no_reserved_options(self) -> Self:
        reserved = sorted(RESERVED_SBATCH_OPTIONS & set(self.sbatch))
        if reserved:
            raise ValueError(
                f"`cluster.sbatch` cannot set {', '.join(reserved)}: `l2t` or another key of `cluster` does"
            )
        return self

    @model_validator(mode="after")
    def _time_to_save(self) -> Self:
        if self.save_seconds >= self.train_hours * 3600:
            raise ValueError("`cluster.save_seconds` must be less than `cluster.train_hours`")
        return self
