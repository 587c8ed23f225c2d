"""The section `cluster`: what a cluster gives to the tasks of a build. No byte of a release depends on it."""

from typing import Self

from pydantic import Field, model_validator

from l2t_hub.recipe.section import Section

# Options of sbatch that the build sets itself.
RESERVED_SBATCH_OPTIONS = {
    "array", "dependency", "error", "export", "job-name", "mem", "mem-per-cpu", "nodes", "ntasks", "output",
    "partition", "account", "qos", "requeue", "time", "wait", "cpus-per-task",
}  # fmt: skip


class ClusterSection(Section):
    """Resources of the tasks of `l2t build --executor slurm` and `ray`. They do not change a byte of the dataset."""

    partition: str | None = None
    """Slurm: partition to submit to; null uses the cluster's default."""
    account: str | None = None
    """Slurm: account to charge."""
    qos: str | None = None
    """Slurm: quality of service."""
    hours: float = Field(default=4.0, gt=0, le=100_000)
    """Slurm: time limit in hours of one task, which builds one partition of the source."""
    memory_gb: int = Field(default=2, ge=1, le=1_000_000)
    """Slurm and Ray: memory of a task in GB. A task uses one core."""
    max_array_size: int = Field(default=1001, ge=1, le=1_000_000)
    """Slurm: the cluster's MaxArraySize. More partitions than this are submitted as several jobs in sequence."""
    setup: str | None = None
    """Slurm: shell command to run before each task, such as `module load gcc`. It need not activate a Python."""
    sbatch: dict[str, str] = Field(default={})
    """Slurm: other options of sbatch by their long names without dashes, such as `constraint: icelake`."""

    @model_validator(mode="after")
    def _no_reserved_options(self) -> Self:
        reserved = sorted(RESERVED_SBATCH_OPTIONS & set(self.sbatch))
        if reserved:
            raise ValueError(
                f"`cluster.sbatch` cannot set {', '.join(reserved)}: the build or another key of `cluster` does"
            )
        return self
