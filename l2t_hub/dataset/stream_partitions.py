"""The partitions of a stream: made in worker processes in the order in which training reads them, and removed again.

One process of a run makes them (`PartitionMaker`); its others wait for them (`SharedPartitions`). A partition is made
by the pipeline of a build, so its rows are those of the built dataset. How many rows it has, and its ledger, are kept
after it is removed: a run that continues counts the rows it has read without making them again.
"""

import shutil
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from itertools import islice
from pathlib import Path
from typing import Any

from l2t_hub.dataset.executors.local import LocalExecutor, end_pool, start_pool
from l2t_hub.dataset.executors.work import Work
from l2t_hub.dataset.ledger import Ledger, merged
from l2t_hub.dataset.prepare import Prepared
from l2t_hub.dataset.progress import NullMeter, Reporter
from l2t_hub.dataset.stream import LOG, Stream, partition_pipeline
from l2t_hub.errors import UsageError, UserError
from l2t_hub.recipe import Recipe

# Seconds before a partition that failed is tried again. After the last, its error is raised.
PAUSES = (1.0, 10.0)
LOOK_SECONDS = 0.1


class SharedPartitions:
    """The partitions that another process of the run makes.

    `must_stop` says whether a wait is to be given up. `read` are the partitions of which the run has read rows.
    """

    def __init__(self, stream: Stream) -> None:
        self.stream = stream
        self.must_stop: Callable[[], bool] = lambda: False
        self.read: set[int] = set()

    def rows(self, partition: int, upcoming: Iterable[int]) -> int:
        """Return the number of training rows of a partition. It is made if that is not known.

        `upcoming` are the partitions that training reads after it. Raises KeyboardInterrupt if the wait was given up.
        """
        made = self.stream.made(partition)
        while made is None:
            self.sleep(LOOK_SECONDS)
            made = self.stream.made(partition)
        return made.rows

    def provide(self, needed: Sequence[int], upcoming: Iterable[int]) -> None:
        """Return when the partitions `needed` are on disk. Raises as `rows`."""
        for partition in needed:
            while not self.stream.folder(partition).is_dir():
                self.sleep(LOOK_SECONDS)

    def shards(self, partition: int) -> list[Path]:
        """Return the shards of a partition that is on disk."""
        made = self.stream.made(partition)
        return [self.stream.folder(partition) / name for name in made.shards] if made else []

    def ledger(self) -> Ledger:
        """Return the ledger of the partitions that were read."""
        made = (self.stream.made(partition) for partition in sorted(self.read))
        return merged(partition.ledger for partition in made if partition)

    def sleep(self, seconds: float) -> None:
        """Wait. Raises KeyboardInterrupt if the wait is to be given up."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            if self.must_stop():
                raise KeyboardInterrupt
            time.sleep(min(left, LOOK_SECONDS))


class PartitionMaker(SharedPartitions):
    """Makes partitions with `data.workers` processes, ahead of their use, within the room of `data.cache_gb`.

    The partitions in use and the next ones are kept in any case. Of the others, those go first that are needed last.
    """

    def __init__(self, recipe: Recipe, stream: Stream, prepared: Prepared, reporter: Reporter) -> None:
        super().__init__(stream)
        self._reporter = reporter
        self._workers, self._room = recipe.data.workers, recipe.data.cache_gb * 1e9
        work = Work(recipe, prepared.source, stream.workspace, stream.keys, [], "streaming", lambda meter: [])
        self._reads_hub, self._log = work.reads_hub, stream.workspace.folder / LOG
        pipeline = partition_pipeline(recipe, prepared, stream.workspace, NullMeter())
        self._job = LocalExecutor(
            pipeline, len(stream.keys), (), self._workers, self._log, reads_hub=self._reads_hub
        )._run_for_rank
        self._pool: ProcessPoolExecutor | None = None
        self._running: dict[int, Future[Any]] = {}
        self._bytes: dict[int, int] = {}
        self._find()

    def rows(self, partition: int, upcoming: Iterable[int]) -> int:
        """Return the number of training rows of a partition. It is made if that is not known.

        Raises what making it raises, and KeyboardInterrupt if the wait was given up.
        """
        if self.stream.made(partition) is None:
            self.provide([partition], upcoming)
        return super().rows(partition, upcoming)

    def provide(self, needed: Sequence[int], upcoming: Iterable[int]) -> None:
        """Return when the partitions `needed` are on disk; the first of those `upcoming` are then being made.

        Raises as `rows`.
        """
        self._note_finished()
        after = list(upcoming)
        wanted = list(dict.fromkeys([*needed, *islice(after, 2 * self._workers)]))
        for partition in wanted:
            self._start(partition)
        for partition in needed:
            self._await(partition)
        self._remove_others(set(wanted), after)

    def close(self) -> None:
        """End the worker processes. What they have finished stays for the next run."""
        if self._pool is not None:
            end_pool(self._pool)
        self._pool = None
        self._running.clear()
        shutil.rmtree(self._log, ignore_errors=True)

    def _find(self) -> None:
        """Find the partitions that an earlier run has left, and remove what is incomplete, damaged or stale."""
        current = {self.stream.folder(partition): partition for partition in range(len(self.stream.keys))}
        for folder in list(self.stream.workspace.stage_folder.iterdir()):
            if folder not in current or not self._note(current[folder]):
                shutil.rmtree(folder, ignore_errors=True)

    def _note(self, partition: int) -> bool:
        """Note a partition that is on disk, and return whether it is complete."""
        finished = self.stream.workspace.finished(partition, self.stream.keys[partition])
        if finished is None:
            return False
        self.stream.note(finished)
        self._bytes[partition] = sum(shard.bytes for shard in finished.shards)
        return True

    def _note_finished(self) -> None:
        done = [p for p, future in self._running.items() if future.done() and future.exception() is None]
        for partition in done:
            del self._running[partition]
            self._note(partition)

    def _start(self, partition: int) -> None:
        if partition in self._bytes or partition in self._running:
            return
        if self._pool is None:
            self._pool = start_pool(self._workers, self._reads_hub)
        try:
            self._running[partition] = self._pool.submit(self._job, partition, 1)
        except BrokenProcessPool:
            self.close()
            self._start(partition)

    def _await(self, partition: int) -> None:
        """Wait for a partition. One that failed is tried again, since networks fail and come back."""
        for pause in (*PAUSES, None):
            self._start(partition)
            error = self._result(partition)
            if error is None:
                return
            if isinstance(error, BrokenProcessPool):
                self.close()
                error = UserError(
                    "a worker process that makes sequences was killed, most likely because memory ran out",
                    "Lower data.workers, or raise build.partitions for smaller partitions.",
                )
            if isinstance(error, OSError):
                error = UserError(
                    f"partition {partition} cannot be made: {error}", "Rerun the command to continue."
                )
            if pause is None or not isinstance(error, UserError) or isinstance(error, UsageError):
                raise error
            self._reporter.message(f"partition {partition} failed, and is tried again: {error.message}")
            self.sleep(pause)

    def _result(self, partition: int) -> BaseException | None:
        """Wait until a partition is made or has failed, and return its error."""
        if partition in self._bytes:
            return None
        future = self._running[partition]
        while not future.done():
            self.sleep(LOOK_SECONDS)
        del self._running[partition]
        if (error := future.exception()) is not None:
            return error
        if not self._note(partition):
            return UserError(
                f"{self.stream.folder(partition)}: changed after it was written", "Rerun the command."
            )
        return None

    def _remove_others(self, kept: set[int], upcoming: Sequence[int]) -> None:
        """Remove partitions until the others fit the room, those first whose next use is last."""
        excess = sum(self._bytes.values()) - self._room
        if excess <= 0:
            return
        next_use = {partition: place for place, partition in reversed(list(enumerate(upcoming)))}
        for partition in sorted(self._bytes, key=lambda p: -next_use.get(p, len(upcoming))):
            if partition not in kept and excess > 0:
                shutil.rmtree(self.stream.folder(partition), ignore_errors=True)
                excess -= self._bytes.pop(partition)
