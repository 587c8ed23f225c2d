"""What Slurm and Ray share: how a task behaves on another machine, and how its failure comes back to the build.

All machines see the workspace under the same path. A finished partition is its folder there; a failed one leaves a
note with the error, which the process that started the build raises as if it had happened here.
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
from l2t_hub.dataset.executors.work import Work
from l2t_hub.dataset.workspace import Workspace
from l2t_hub.errors import UsageError, UserError

FAILED = "failed"
ERRORS: dict[str, type[UserError]] = {kind.__name__: kind for kind in (UserError, UsageError)}


class ClusterTask(PipelineExecutor):  # type: ignore[misc]
    """Mixed into an executor of datatrove: runs a partition elsewhere as it would run here, and notes what failed.

    datatrove's own records of what is complete are not used; see `workspace.py`.
    """

    def on(self, work: Work) -> None:
        """Remember what a task needs to know of the build. Everything kept here is pickled with the executor."""
        self.space = replace(work.space, out=work.space.out.absolute())
        self.keys, self.todo = work.keys, list(work.todo)
        self.folder, self.cwd = work.log.absolute(), str(Path.cwd())

    def get_incomplete_ranks(self, ranks: Any = None, skip_completed: Any = None) -> list[int]:
        """The partitions that the build found unfinished."""
        return list(self.todo)

    def _run_for_rank(self, rank: int, local_rank: int = 0, node_rank: int = -1) -> PipelineStats:
        os.chdir(self.cwd)  # the recipe's paths are relative to where the build was started
        if self.space.finished(rank, self.keys[rank]) is not None:
            return PipelineStats()  # a task that was started again after it had ended
        try:
            return self.work_on(rank)
        except Exception as error:
            note_failure(self.space, rank, error)
            raise

    def work_on(self, rank: int) -> PipelineStats:
        """Run the pipeline for one partition, on one core, in this process."""
        pa.set_cpu_count(1)
        os.environ["TOKENIZERS_PARALLELISM"] = "false"
        return PipelineExecutor._run_for_rank(self, rank, local_rank=1)


def note_failure(space: Workspace, rank: int, error: Exception) -> None:
    """Leave a note of what a partition failed with; without room for one, the task's log has to do."""
    kind = type(error).__name__
    about = (
        {"kind": kind, "message": error.message, "hint": error.hint}
        if isinstance(error, UserError)
        else {"kind": kind, "message": "".join(traceback.format_exception(error)), "hint": None}
    )
    folder = space.folder / FAILED
    try:
        folder.mkdir(exist_ok=True)
        write_text(folder / f"{rank:05d}.json", json.dumps(about))
    except (OSError, UserError):
        return


def forget_failures(space: Workspace) -> None:
    """Remove the notes of earlier tasks."""
    shutil.rmtree(space.folder / FAILED, ignore_errors=True)


def unfinished(space: Workspace, keys: Sequence[str], ranks: Sequence[int]) -> list[int]:
    """Which partitions have no folder. Listing makes network file systems look again, asking for one may not."""
    there = {path.name for path in space.parts.iterdir()}
    return [rank for rank in ranks if space.place(rank, keys[rank]).name not in there]


def raise_failures(work: Work, killed: str, hint: str) -> None:
    """Raise what the first failed partition raised, and say how many there are; nothing if all are finished.

    `killed` says what it means when a task neither finished nor left a note, `hint` what to do then.
    """
    left = unfinished(work.space, work.keys, work.todo)
    if not left:
        return
    count = f"{len(left)} of {len(work.todo)} partitions came to nothing"
    kept = "What is finished is kept; the same command does the rest."
    for rank in left:
        note = work.space.read(f"{FAILED}/{rank:05d}.json")
        if note is None:
            continue
        if note["kind"] not in ERRORS:
            raise RuntimeError(f"{count}; partition {rank}:\n{note['message']}")
        advice = " ".join(text for text in (note["hint"], kept) if text)
        raise ERRORS[note["kind"]](f"{note['message']} ({count}, this is {rank})", advice)
    names = ", ".join(str(rank) for rank in left[:8]) + (", ..." if len(left) > 8 else "")
    raise UserError(f"{count} ({names}): {killed}", f"{hint} {kept}")
