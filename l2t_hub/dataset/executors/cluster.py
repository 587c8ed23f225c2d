"""What Slurm and Ray share: how a task runs on another machine, and how its failure is reported to the build.

All machines see the workspace under the same path. A finished partition is its folder there. A failed one leaves a
file with its error, and the process that started the build raises the error as if it had happened locally.
"""

import json
import os
import shutil
import traceback
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
from datatrove.executor.base import PipelineExecutor
from datatrove.utils.stats import PipelineStats

from l2t_hub.artifacts import write_text
from l2t_hub.clean_environment import adopt
from l2t_hub.dataset.executors.local import worker_environment
from l2t_hub.dataset.executors.work import Work
from l2t_hub.dataset.workspace import Workspace
from l2t_hub.errors import UsageError, UserError
from l2t_hub.text import counted

FAILED = "failed"
ERRORS: dict[str, type[UserError]] = {kind.__name__: kind for kind in (UserError, UsageError)}


class ClusterTask(PipelineExecutor):  # type: ignore[misc]
    """Mixed into an executor of datatrove: runs a partition on another machine and records its failure.

    datatrove's own records of finished tasks are not used; see `workspace.py`.
    """

    def set_work(self, work: Work) -> None:
        """Keep what a task needs to know of the build. It is pickled with the executor."""
        self.workspace = replace(work.workspace, out=work.workspace.out.absolute())
        self.keys, self.ranks, self.reads_hub = work.keys, list(work.ranks), work.reads_hub
        self.folder, self.cwd = work.log.absolute(), str(Path.cwd())

    def get_incomplete_ranks(self, ranks: Any = None, skip_completed: Any = None) -> list[int]:
        """Return the partitions that the build found unfinished."""
        return list(self.ranks)

    def _run_for_rank(self, rank: int, local_rank: int = 0, node_rank: int = -1) -> PipelineStats:
        os.chdir(self.cwd)  # the recipe's paths are relative to where the build was started
        if self.workspace.finished(rank, self.keys[rank]) is not None:
            return PipelineStats()  # the cluster repeated a task that had finished
        try:
            return self.run_partition(rank)
        except Exception as error:
            record_failure(self.workspace, rank, error)
            raise

    def run_partition(self, rank: int) -> PipelineStats:
        """Run the pipeline for one partition, on one core, in this process with a worker's environment."""
        adopt(worker_environment(self.reads_hub))
        pa.set_cpu_count(1)
        os.environ["TOKENIZERS_PARALLELISM"] = "false"
        return PipelineExecutor._run_for_rank(self, rank, local_rank=1)


def record_failure(workspace: Workspace, rank: int, error: Exception) -> None:
    """Write the error of a partition to the workspace. If that fails too, only the task's log has it."""
    if isinstance(error, UserError):
        message, hint = error.message, error.hint
    else:
        message, hint = "".join(traceback.format_exception(error)), None
    failure = {"kind": type(error).__name__, "message": message, "hint": hint}
    folder = workspace.folder / FAILED
    try:
        folder.mkdir(exist_ok=True)
        write_text(folder / f"{rank:05d}.json", json.dumps(failure))
    except (OSError, UserError):
        return


def forget_failures(workspace: Workspace) -> None:
    """Remove the errors of earlier tasks."""
    shutil.rmtree(workspace.folder / FAILED, ignore_errors=True)


def unfinished(workspace: Workspace, keys: Sequence[str], ranks: Sequence[int]) -> list[int]:
    """Return the partitions that have no folder.

    The parent folder is listed, because a network file system may answer for a single path from its cache.
    """
    names = {path.name for path in workspace.stage_folder.iterdir()}
    return [rank for rank in ranks if workspace.partition_folder(rank, keys[rank]).name not in names]


def raise_failures(work: Work, cause: str, hint: str) -> None:
    """Raise the error of the first failed partition, with the number of failed ones. Return if all are finished.

    `cause` and `hint` are for tasks that neither finished nor recorded an error.
    """
    failed = unfinished(work.workspace, work.keys, work.ranks)
    if not failed:
        return
    count = f"{len(failed)} of {counted(len(work.ranks), 'partition')} failed"
    resume = "Finished work is kept; rerun the command to continue."
    for rank in failed:
        failure = work.workspace.read_json(f"{FAILED}/{rank:05d}.json")
        if failure is None:
            continue
        if failure["kind"] not in ERRORS:
            raise RuntimeError(f"{count}; partition {rank}:\n{failure['message']}")
        advice = " ".join(text for text in (failure["hint"], resume) if text)
        raise ERRORS[failure["kind"]](f"{failure['message']} ({count}, this is partition {rank})", advice)
    listed = ", ".join(str(rank) for rank in failed[:8]) + (", ..." if len(failed) > 8 else "")
    raise UserError(f"{count} ({listed}): {cause}", f"{hint} {resume}")
