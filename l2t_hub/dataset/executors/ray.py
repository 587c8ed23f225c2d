"""A build on Ray, by datatrove's executor: on the cluster that RAY_ADDRESS names, a running one, or one made here.

A partition runs in a process of its own inside a Ray task, so that one killed for its memory is noticed and named; a
task whose node is lost is given to another one.
"""

import os
from typing import Any

from datatrove.executor.ray import RayPipelineExecutor
from datatrove.utils.stats import PipelineStats

from l2t_hub.dataset.executors.cluster import ClusterTask, forget_failures, raise_failures
from l2t_hub.dataset.executors.local import LocalExecutor
from l2t_hub.dataset.executors.work import Work
from l2t_hub.dataset.progress import Reporter
from l2t_hub.errors import UserError
from l2t_hub.extras import require


class RayExecutor(ClusterTask, RayPipelineExecutor):  # type: ignore[misc]
    """datatrove's executor with the recipe's `cluster` keys, for the partitions of `work`."""

    def __init__(self, work: Work, steps: list[Any], workers: int) -> None:
        self.on(work)
        super().__init__(
            steps,
            tasks=len(work.keys),
            workers=workers,
            mem_per_cpu_gb=work.recipe.cluster.memory_gb,
            logging_dir=str(self.folder),
            skip_completed=False,
        )

    def run(self) -> None:
        """Run the partitions. datatrove adds up the statistics of all at the end, so the others get empty ones."""
        for rank in sorted(set(range(self.tasks)) - set(self.todo)):
            with self.logging_dir.open(f"stats/{rank:05d}.json", "w") as file:
                PipelineStats(self.pipeline).save_to_disk(file)
        super().run()

    def work_on(self, rank: int) -> PipelineStats:
        """Run the pipeline for one partition in a new process, and notice if that is killed."""
        LocalExecutor(self.pipeline, self.tasks, [rank], 1, self.folder).run_pool()
        return PipelineStats()


def run_on_ray(work: Work, steps: list[Any], workers: int | None, report: Reporter) -> None:
    """Work on the partitions of `work` on Ray, and raise what failed.

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
                "Check RAY_ADDRESS, and RAY_AUTH_MODE with its token where the cluster asks for one.",
            ) from None
    try:
        workers = min(workers or max(int(ray.cluster_resources().get("CPU", 1)), 1), len(work.todo))
        memory = work.recipe.cluster.memory_gb
        report.say(
            f"{work.doing}: {len(work.todo)} partitions on Ray ({len(ray.nodes())} nodes), {workers} at once"
        )
        if not any(node["Resources"].get("memory", 0) >= memory << 30 for node in ray.nodes()):
            report.say(
                f"waiting for a node with {memory} GB of memory (cluster.memory_gb): none has that now"
            )
        forget_failures(work.space)
        RayExecutor(work, steps, workers).run()
    finally:
        if started:
            ray.shutdown()
    raise_failures(
        work, "Ray lost their nodes again and again", "`ray status` says what the cluster is short of."
    )
