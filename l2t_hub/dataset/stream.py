"""A dataset that is never whole on disk: its partitions are made while training reads them (`data.mode: stream`).

This module does what comes before the first partition. What a build finds out first is found out in the same way
(`prepare.py`), and the held-out sequences are made, because every evaluation reads all of them. A folder beside the
model keeps the answers, so that a run that continues asks nothing twice. `stream_partitions.py` makes the partitions.
"""

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from l2t_hub.artifacts import TOKENIZER, disk_errors, locked
from l2t_hub.corpus.source import open_source
from l2t_hub.corpus.source_languages import check_tasks, left_out_lines
from l2t_hub.dataset.executors.execute import execute
from l2t_hub.dataset.executors.work import Execute, Work
from l2t_hub.dataset.ledger import Ledger
from l2t_hub.dataset.near_duplicates import STAGE as SIGNATURES
from l2t_hub.dataset.near_duplicates import Duplicates
from l2t_hub.dataset.pipeline import MakeRows, ReadSource, WriteShards
from l2t_hub.dataset.prepare import Answers, Prepared, prepare
from l2t_hub.dataset.progress import Meter, Reporter
from l2t_hub.dataset.raw_share import STAGE as SURVEY
from l2t_hub.dataset.views import SPLITS, Split
from l2t_hub.dataset.workspace import IDS, LOCK, FinishedPartition, Workspace
from l2t_hub.errors import UserError
from l2t_hub.mixture import tasks_of
from l2t_hub.recipe import Recipe
from l2t_hub.tasks.registry import tasks_for
from l2t_hub.text import counted

HELD_OUT, MADE, LOG = "held-out", "made", "log"
ANSWERS, READY = "answers.json", "ready.json"
SUFFIX = ".stream"
PASS_PARTITIONS = 256
"""Partitions of the held-out pass between two looks at its size."""


@dataclass(frozen=True)
class MadePartition:
    """A partition that was made, whether or not it is still on disk: its training rows, shards and ledger."""

    rows: int
    shards: tuple[str, ...]
    ledger: Ledger


@dataclass(frozen=True)
class Stream:
    """A stream that is ready, as every process of a run sees it.

    `fingerprint` is that of the dataset that a build would make, and `keys` are those of its partitions; `contents`
    identify the source, and `held_out` are the shards of the validation split.
    """

    workspace: Workspace
    fingerprint: str
    keys: tuple[str, ...]
    contents: dict[str, str]
    held_out: tuple[Path, ...]

    @property
    def tokenizer(self) -> Path:
        """The folder of the tokenizer."""
        return self.workspace.folder / TOKENIZER

    def folder(self, partition: int) -> Path:
        """The folder of a partition, which is there while the partition is on disk."""
        return self.workspace.partition_folder(partition, self.keys[partition])

    def made(self, partition: int) -> MadePartition | None:
        """Return what is known of a partition, None if it was never made."""
        content = self.workspace.read_json(f"{MADE}/{self.folder(partition).name}.json")
        if content is None:
            return None
        return MadePartition(content["rows"], tuple(content["shards"]), Ledger.from_json(content["ledger"]))

    def note(self, finished: FinishedPartition) -> None:
        """Keep what is known of a partition that was made. Raises AssertionError if its ledger does not add up."""
        problems = finished.ledger.check(packed=True)
        if problems:
            raise AssertionError("the ledger does not add up: " + "; ".join(problems))
        shards = [s for s in finished.shards if (s.view, s.split) == ("packed", "train")]
        content = {
            "rows": sum(shard.rows for shard in shards),
            "shards": [shard.file for shard in shards],
            "ledger": finished.ledger.to_json(),
        }
        self.workspace.write_json(f"{MADE}/{self.folder(finished.rank).name}.json", content)

    def remove_partitions(self) -> None:
        """Remove the partitions and what is known of them, when a run has ended. What it was prepared with stays."""
        for folder in (self.workspace.stage_folder, self.workspace.folder / MADE):
            shutil.rmtree(folder, ignore_errors=True)


def stream_workspace(model: Path) -> Workspace:
    """Return the folder of the stream that a model directory is trained from: MODEL.stream, beside it."""
    return Workspace(model.absolute().parent, work=f"{model.absolute().name}{SUFFIX}")


@contextmanager
def prepared_stream(
    recipe: Recipe, workspace: Workspace, reporter: Reporter
) -> Iterator[tuple[Stream, Prepared]]:
    """Own a stream's folder for a block, and find out there what is needed before the first partition.

    Raises UserError if another process owns it or the held-out sequences are too large, and what a build raises.
    """
    folder = workspace.folder
    busy = f"{folder}: another process streams into this folder (process {{pid}})"
    with locked(folder / LOCK, busy, "Wait for it to end, or choose another --out."):
        check_tasks(recipe, tasks := tasks_of(recipe.mixture, tasks_for(recipe.mixture.modules)))
        source = open_source(recipe)
        for note in (*source.notes, *left_out_lines(recipe, tasks)):
            reporter.message(note)
        with disk_errors(folder):
            for name in (workspace.stage, MADE):
                (folder / name).mkdir(exist_ok=True)
        run = partial(execute, executor="local", workers=None, reporter=reporter)
        prepared = prepare(recipe, source, workspace, run, reporter, _answers(workspace))
        answers = {"duplicates": asdict(prepared.duplicates), "solved": prepared.solved}
        workspace.write_json(ANSWERS, answers)
        for stage in (SIGNATURES, SURVEY):
            shutil.rmtree(folder / stage, ignore_errors=True)
        held_out = _make_held_out(recipe, prepared, workspace, run)
        keys = prepared.keys
        stream = Stream(workspace, keys.fingerprint, keys.partition_keys, source.contents, tuple(held_out))
        workspace.write_json(READY, _ready_tree(stream))
        yield stream, prepared


def read_stream(workspace: Workspace) -> Stream | None:
    """Return the stream that another process of this run has made ready, None if it has not yet."""
    tree = workspace.read_json(READY)
    if tree is None:
        return None
    held_out = tuple(workspace.folder / path for path in tree["held_out"])
    return Stream(workspace, tree["fingerprint"], tuple(tree["keys"]), tree["contents"], held_out)


def partition_pipeline(
    recipe: Recipe, prepared: Prepared, workspace: Workspace, meter: Meter, splits: Sequence[Split] = SPLITS
) -> list[Any]:
    """Return the pipeline of a build without the views that training does not read."""
    lean = recipe.build.model_copy(update={"raw": "none", "examples": "none"})
    made_as = prepared.recipe.model_copy(update={"build": lean})
    folder = workspace.folder / TOKENIZER
    rows = MakeRows(prepared.source, made_as, folder, prepared.tokenizer, meter, splits)
    return [ReadSource(prepared.source), rows, WriteShards(workspace, prepared.keys.partition_keys)]


def _answers(workspace: Workspace) -> Answers:
    saved = workspace.read_json(ANSWERS)
    return Answers(Duplicates(**saved["duplicates"]), saved["solved"]) if saved else Answers()


def _ready_tree(stream: Stream) -> dict[str, Any]:
    folder = stream.workspace.folder
    return {
        "fingerprint": stream.fingerprint,
        "keys": stream.keys,
        "contents": stream.contents,
        "held_out": [path.relative_to(folder).as_posix() for path in stream.held_out],
    }


def _make_held_out(recipe: Recipe, prepared: Prepared, workspace: Workspace, run: Execute) -> list[Path]:
    """Make the held-out sequences of all partitions in a pass over the source, and return their shards in order."""
    stage, keys = replace(workspace, stage=HELD_OUT), prepared.keys.partition_keys
    stage.remove_stale(keys if recipe.validation.share else ())
    if not recipe.validation.share:
        return []
    pipeline = partial(partition_pipeline, recipe, prepared, stage, splits=("validation",))
    shards: list[Path] = []
    taken = 0
    for first in range(0, len(keys), PASS_PARTITIONS):
        ranks = range(first, min(first + PASS_PARTITIONS, len(keys)))
        unfinished = [rank for rank in ranks if not stage.partition_folder(rank, keys[rank]).is_dir()]
        if unfinished:
            description = f"making the held-out sequences of {recipe.name}"
            run(Work(recipe, prepared.source, stage, keys, unfinished, description, pipeline))
        for rank in ranks:
            folder, partition = stage.partition_folder(rank, keys[rank]), stage.finished(rank, keys[rank])
            if partition is None:
                raise UserError(f"{folder}: changed after it was written", "Rerun the command.")
            (folder / IDS).unlink(missing_ok=True)
            shards += [folder / shard.file for shard in partition.shards]
            taken += sum(shard.bytes for shard in partition.shards)
        if taken > recipe.data.cache_gb * 1e9:
            raise UserError(
                f"{recipe.where('validation.share')}: the held-out sequences of {ranks.stop:,} of "
                f"{counted(len(keys), 'partition')} take {taken / 1e9:,.1f} GB, more than data.cache_gb "
                f"({recipe.data.cache_gb:g}), and all of them are kept on disk",
                "Lower validation.share, or raise data.cache_gb.",
            )
    return shards
