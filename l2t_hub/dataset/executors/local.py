"""Run partitions on this machine, with datatrove's local executor on a pool that notices when a worker dies.

datatrove's own pool waits forever for a task whose process was killed, and its workers outlive a killed parent. This
pool stops, reports the loss, and leaves no process behind.
"""

import os
import threading
from collections.abc import Sequence
from concurrent.futures import FIRST_EXCEPTION, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import connection, get_context, parent_process
from pathlib import Path
from typing import Any

import pyarrow as pa
from datatrove.executor.local import LocalPipelineExecutor

from l2t_hub.artifacts import NO_ROOM, disk_error
from l2t_hub.clean_environment import adopt, for_workers
from l2t_hub.dataset.executors.work import Work
from l2t_hub.dataset.executors.worker_server import cores, ensure_running
from l2t_hub.dataset.progress import Meter, MeterWatch, Reporter
from l2t_hub.errors import UserError
from l2t_hub.text import counted


def run_locally(work: Work, workers: int | None, reporter: Reporter) -> None:
    """Run the partitions of `work` in `workers` processes, one per core by default. Raises as `LocalExecutor.run`."""
    workers = min(workers or cores(), len(work.ranks))
    partitions = len(work.keys)
    reporter.message(
        f"{work.description}: {counted(len(work.ranks), 'partition')}, {counted(workers, 'worker')}"
    )
    meter = Meter(work.workspace.folder / "progress", partitions).create()
    total = work.source.records if len(work.ranks) == partitions else None
    with MeterWatch(meter, reporter, total):
        executor = LocalExecutor(
            work.pipeline(meter), partitions, work.ranks, workers, work.log, reads_hub=work.reads_hub
        )
        if work.recipe.mixture.modules:
            executor.in_this_process = False
        executor.run()


class LocalExecutor(LocalPipelineExecutor):  # type: ignore[misc]
    """Runs some partitions of a pipeline in worker processes, or in this process if one worker would do.

    Task modules always run in worker processes: those have no secrets in their environment, except for the token of
    the Hub if `reads_hub`.
    """

    def __init__(
        self,
        pipeline: list[Any],
        partitions: int,
        ranks: Sequence[int],
        workers: int,
        folder: Path,
        *,
        reads_hub: bool,
    ) -> None:
        super().__init__(
            pipeline, tasks=partitions, workers=workers, logging_dir=str(folder), skip_completed=False
        )
        self.ranks, self.folder, self.reads_hub = list(ranks), folder, reads_hub
        self.in_this_process = workers == 1 or len(self.ranks) == 1

    def run(self) -> None:
        """Run all ranks. Raises the first exception of a worker, or UserError if a worker was killed."""
        try:
            if self.in_this_process:
                for rank in self.ranks:
                    self._run_for_rank(rank, local_rank=1)
            else:
                self.run_pool()
        except OSError as error:
            if error.errno in NO_ROOM:  # raised by datatrove's log; our own writes raise UserError
                raise disk_error(self.folder, error) from None
            raise

    def run_pool(self) -> None:
        """Run all ranks in worker processes, even a single rank."""
        pool = start_pool(min(self.workers, len(self.ranks)), self.reads_hub)
        try:
            futures = [pool.submit(self._run_for_rank, rank, 1) for rank in self.ranks]
            done, _ = wait(futures, return_when=FIRST_EXCEPTION)
            for future in done:
                future.result()
        except BrokenProcessPool:
            raise UserError(
                "a worker process was killed by the system, most likely because memory ran out",
                "Finished work is kept. Rerun the command with fewer --workers.",
            ) from None
        finally:
            end_pool(pool)


def start_pool(workers: int, reads_hub: bool) -> ProcessPoolExecutor:
    """Start a pool of worker processes. Only workers that read a Hub source get the token of the Hub."""
    ensure_running()
    return ProcessPoolExecutor(
        workers,
        mp_context=get_context("forkserver"),
        initializer=_start_worker,
        initargs=(worker_environment(reads_hub),),
    )


def end_pool(pool: ProcessPoolExecutor) -> None:
    """End the workers of a pool at once, whatever they do."""
    for process in list((pool._processes or {}).values()):
        process.kill()
    pool.shutdown(wait=True, cancel_futures=True)


def worker_environment(reads_hub: bool) -> dict[str, str]:
    """Return the environment of a worker, with this process's Hub token only if the worker reads a Hub source."""
    if not reads_hub:
        return for_workers(os.environ)
    from huggingface_hub import get_token

    return for_workers(os.environ, get_token() or "")


def _start_worker(environment: dict[str, str]) -> None:
    """Die with the parent, use one core, and see no secrets."""
    adopt(environment)
    pa.set_cpu_count(1)
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    threading.Thread(target=_die_with_parent, daemon=True).start()


def _die_with_parent() -> None:
    parent = parent_process()
    if parent is not None:
        connection.wait([parent.sentinel])
        os._exit(1)
