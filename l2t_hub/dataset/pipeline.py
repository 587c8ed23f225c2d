"""The build as a datatrove pipeline: read a partition, make its rows, write its shards.

A task of datatrove is one partition, its rank the partition's number. datatrove's own completion markers are not
used: which partitions are finished is decided by content (`workspace.py`), before anything runs.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from datatrove.pipeline.base import PipelineStep
from loguru import logger

from l2t_hub.corpus.sentences import splitter
from l2t_hub.corpus.source import Record, Source
from l2t_hub.dataset.progress import Meter
from l2t_hub.dataset.shards import ShardWriter
from l2t_hub.dataset.tokenizer import TokenizerInfo, encoder
from l2t_hub.dataset.transform import Partition, TransformSetup
from l2t_hub.dataset.views import Rows
from l2t_hub.dataset.workspace import FinishedPartition, Workspace
from l2t_hub.mixture import tasks_of
from l2t_hub.recipe import Recipe
from l2t_hub.tasks.registry import tasks_for

# datatrove logs every task and a traceback for every error; the build says what there is to say itself.
logger.disable("datatrove")


class ReadSource(PipelineStep):  # type: ignore[misc]
    """First step: the records of a partition, in source order."""

    name, type = "source", "READ"

    def __init__(self, source: Source) -> None:
        super().__init__()
        self.source = source

    def run(self, data: Any = None, rank: int = 0, world_size: int = 1) -> Iterator[Record]:
        """Read partition `rank`."""
        yield from self.source.read(rank)


class MakeRows(PipelineStep):  # type: ignore[misc]
    """Second step: records become rows of the views; the partition itself comes last, with its ledger."""

    name, type = "rows", "MAKE"

    def __init__(self, recipe: Recipe, folder: Path, tokenizer: TokenizerInfo, meter: Meter) -> None:
        super().__init__()
        self.recipe, self.folder, self.tokenizer, self.meter = recipe, folder, tokenizer, meter

    def run(self, data: Any = None, rank: int = 0, world_size: int = 1) -> Iterator[Rows | Partition]:
        """Make the rows of partition `rank`."""
        partition = Partition(make_setup(self.recipe, self.folder, self.tokenizer))
        with self.meter.slot(rank) as tick:
            yield from partition.rows(data, tick)
        yield partition


class WriteShards(PipelineStep):  # type: ignore[misc]
    """Last step: rows become shards in a temporary folder, which gets its final name once all is in it."""

    name, type = "shards", "WRITE"

    def __init__(self, workspace: Workspace, keys: Sequence[str]) -> None:
        super().__init__()
        self.workspace, self.keys = workspace, keys

    def run(self, data: Any = None, rank: int = 0, world_size: int = 1) -> Iterator[None]:
        """Write partition `rank`."""
        yield from ()
        folder = self.workspace.begin(rank, self.keys[rank])
        writers: dict[tuple[str, str, str], ShardWriter] = {}
        for item in data:
            if isinstance(item, Partition):
                shards = [shard for about in sorted(writers) for shard in writers[about].close()]
                part = FinishedPartition(rank, self.keys[rank], shards, item.ledger)
                self.workspace.commit(folder, part, item.ids)
                return
            about = (item.view, item.split, item.task)
            if about not in writers:
                writers[about] = ShardWriter(folder, *about)
            writers[about].write(item.table, item.tokens)


def make_setup(recipe: Recipe, folder: Path, tokenizer: TokenizerInfo) -> TransformSetup:
    """What a partition needs besides its records, made in the process that works on it."""
    tasks = (
        {} if recipe.mixture.scheme == "raw" else tasks_of(recipe.mixture, tasks_for(recipe.mixture.modules))
    )
    ready = encoder(folder, tokenizer)
    return TransformSetup(recipe, tasks, splitter(recipe.blocks.sentences), ready, tokenizer.pad_id)
