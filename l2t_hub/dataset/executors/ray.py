"""Run partitions on Ray, with datatrove's executor: on the cluster of RAY_ADDRESS, a running one, or a new local one.

Each partition runs in a separate process inside a Ray task, so that a process killed for its memory use is noticed
and reported. A task whose node is lost is repeated on another node.
"""

import os

from datatrove.executor.ray import RayPipelineExecutor
from datatrove.utils.stats import PipelineStats

from l2t_hub.dataset.executors.cluster import ClusterTask, forget_failures, raise_failures
from l2t_hub.dataset.executors.local import LocalExecutor
from l2t_hub.dataset.executors.work import Work
from l2t_hub.dataset.progress import NullMeter, Reporter
from l2t_hub.errors import UserError
from l2t_hub.extras import require
from l2t_hub.text import counted


class RayExecutor(ClusterTask, RayPipelineExecutor):  # type: ignore[misc]
    """datatrove's Ray executor with the recipe's `cluster` keys, for the partitions of `work`."""

    def __init__(self, work: Work, workers: int) -> None:
        self.set_work(work)
        super().__init__(
            work.pipeline(NullMeter()),
            tasks=len(work.keys),
            workers=workers,
            mem_per_cpu_gb=work.recipe.cluster.memory_gb,
            logging_dir=str(self.folder),
            skip_completed=False,
        )

    def run(self) -> None:
        """Run the partitions. datatrove merges the statistics of all ranks, so the others get empty ones."""
        for rank in sorted(set(range(self.tasks)) - set(self.ranks)):
            with self.logging_dir.open(f"stats/{rank:05d}.json", "w") as file:
                PipelineStats(self.pipeline).save_to_disk(file)
        super().run()

    def run_partition(self, rank: int) -> PipelineStats:
        """Run the pipeline for one partition in a new process. Raises UserError if that process is killed."""
        LocalExecutor(self.pipeline, self.tasks, [rank], 1, self.folder, reads_hub=self.reads_hub).run_pool()
        return PipelineStats()


def run_on_ray(work: Work, workers: int | None, reporter: Reporter) -> None:
    """Run the partitions of `work` on Ray, and raise what failed.

    `workers` limits how many run at once (default: one per core of the cluster). Raises UserError without Ray.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    require("ray", "--executor ray")
    import ray

    started = not ray.is_initialized()
    if started:
        try:
            ray.init(log_to_driver=False, include_dashboard=False, logging_level="error")
        except (ConnectionError, ValueError) as error:
            raise UserError(
                f"--executor ray: no Ray cluster answers: {error}",
                "Check RAY_ADDRESS, and RAY_AUTH_MODE with its token if the cluster requires one.",
            ) from None
    try:
        nodes = ray.nodes()
        workers = min(workers or max(int(ray.cluster_resources().get("CPU", 1)), 1), len(work.ranks))
        memory = work.recipe.cluster.memory_gb
        reporter.message(
            f"{work.description}: {counted(len(work.ranks), 'partition')} on Ray "
            f"({counted(len(nodes), 'node')}), {workers} at once"
        )
        if not any(node["Resources"].get("memory", 0) >= memory << 30 for node in nodes):
            reporter.message(f"waiting for a node with {memory} GB of free memory (cluster.memory_gb)")
        forget_failures(work.workspace)
        RayExecutor(work, workers).run()
    finally:
        if started:
            ray.shutdown()
    raise_failures(
        work, "Ray lost their nodes repeatedly", "`ray status` shows which resources the cluster lacks."
    )
