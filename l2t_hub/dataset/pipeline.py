"""The build as a datatrove pipeline: read a partition, transform its records to rows, write its shards.

A datatrove task is one partition, and its rank is the partition's number. datatrove's completion markers are not
used: which partitions are finished is decided by content, before anything runs (`workspace.py`).
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from datatrove.pipeline.base import PipelineStep
from loguru import logger

from l2t_hub.corpus.source import Record, Source
from l2t_hub.corpus.source_languages import source_languages
from l2t_hub.dataset.drops import file_drops
from l2t_hub.dataset.partners import find_partners
from l2t_hub.dataset.progress import Meter
from l2t_hub.dataset.shards import ShardWriter
from l2t_hub.dataset.tokenizer import encoder
from l2t_hub.dataset.transform import PartitionTransform, TransformSetup
from l2t_hub.dataset.views import SPLITS, RowBatch, Split
from l2t_hub.dataset.workspace import FinishedPartition, Workspace
from l2t_hub.mixture import tasks_of
from l2t_hub.recipe import Recipe
from l2t_hub.records.dataset_manifest import TokenizerInfo
from l2t_hub.tasks.registry import tasks_for

# datatrove logs every task, and every error with a traceback. The build reports both itself.
logger.disable("datatrove")


class ReadSource(PipelineStep):  # type: ignore[misc]
    """Yields the records of a partition, in source order."""

    name, type = "source", "READ"

    def __init__(self, source: Source) -> None:
        super().__init__()
        self.source = source

    def run(self, data: Any = None, rank: int = 0, world_size: int = 1) -> Iterator[Record]:
        """Read partition `rank`."""
        yield from self.source.read(rank)


class MakeRows(PipelineStep):  # type: ignore[misc]
    """Turns records into rows of the views. The last item is the transform itself, with its ledger.

    `source` is read once more, before the records, to choose the documents' partners. Only rows of `splits` are made.
    """

    name, type = "rows", "MAKE"

    def __init__(
        self,
        source: Source,
        recipe: Recipe,
        folder: Path,
        tokenizer: TokenizerInfo,
        meter: Meter,
        splits: Sequence[Split] = SPLITS,
    ) -> None:
        super().__init__()
        self.source, self.recipe, self.folder = source, recipe, folder
        self.tokenizer, self.meter, self.splits = tokenizer, meter, splits

    def run(
        self, data: Any = None, rank: int = 0, world_size: int = 1
    ) -> Iterator[RowBatch | PartitionTransform]:
        """Transform partition `rank`."""
        setup = transform_setup(self.recipe, self.folder, self.tokenizer)
        partners = find_partners(self.recipe, setup.tasks, setup.languages, self.source.read(rank))
        partition = PartitionTransform(setup, partners, self.splits)
        with self.meter.slot(rank) as tick:
            yield from partition.rows(data, tick)
        yield partition


class WriteShards(PipelineStep):  # type: ignore[misc]
    """Writes rows to shards in a temporary folder, which gets its final name when it is complete."""

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
            if isinstance(item, PartitionTransform):
                shards = [shard for file in sorted(writers) for shard in writers[file].close()]
                finished = FinishedPartition(
                    rank, self.keys[rank], shards, item.ledger, file_drops(item.file_drops)
                )
                self.workspace.commit(folder, finished, item.ids)
                return
            file = (item.view, item.split, item.task)
            if file not in writers:
                writers[file] = ShardWriter(folder, *file)
            writers[file].write(item.table, item.tokens)


def transform_setup(recipe: Recipe, folder: Path, tokenizer: TokenizerInfo) -> TransformSetup:
    """Return the setup of a transform, with the tokenizer saved in `folder`. Each process makes its own."""
    tasks = (
        {} if recipe.mixture.scheme == "raw" else tasks_of(recipe.mixture, tasks_for(recipe.mixture.modules))
    )
    languages = source_languages(recipe)
    return TransformSetup(recipe, tasks, languages, encoder(folder, tokenizer), tokenizer.pad_id)
