"""Rebuilds some partitions of a dataset with the pipeline of a build, in a separate folder."""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from l2t_hub.artifacts import TOKENIZER
from l2t_hub.corpus.source import Source
from l2t_hub.dataset.executors.execute import execute
from l2t_hub.dataset.keys import BuildKeys
from l2t_hub.dataset.prepare import build_partitions, prepare
from l2t_hub.dataset.progress import Reporter
from l2t_hub.dataset.shards import Shard
from l2t_hub.dataset.workspace import FinishedPartition, Workspace, open_workspace
from l2t_hub.recipe import Recipe
from l2t_hub.records.dataset_manifest import TokenizerInfo
from l2t_hub.text import counted


@dataclass(frozen=True)
class Rebuilt:
    """The result of a rebuild: the keys of the whole dataset, the tokenizer, and the rebuilt partitions by rank."""

    workspace: Workspace
    keys: BuildKeys
    tokenizer: TokenizerInfo
    partitions: dict[int, FinishedPartition]

    @property
    def tokenizer_folder(self) -> Path:
        """The folder with the tokenizer's files."""
        return self.workspace.folder / TOKENIZER

    def path(self, rank: int, shard: Shard) -> Path:
        """Return the path of a shard of a rebuilt partition."""
        return self.workspace.partition_folder(rank, self.partitions[rank].key) / shard.file


@dataclass(frozen=True)
class PublishedTokenizer:
    """A published tokenizer that the rebuild uses instead of training or fetching one."""

    files: tuple[Path, ...]
    info: TokenizerInfo


def rebuild(
    recipe: Recipe,
    source: Source,
    folder: Path,
    ranks: Sequence[int],
    workers: int,
    reporter: Reporter,
    tokenizer: PublishedTokenizer | None = None,
) -> Rebuilt:
    """Build the partitions `ranks` of a recipe in a new `folder`, and its tokenizer unless one is given.

    Raises what a build raises, and UserError if a partition is incomplete afterwards.
    """
    with open_workspace(folder) as workspace:
        if tokenizer is not None:
            (workspace.folder / TOKENIZER).mkdir()
            for file in tokenizer.files:
                shutil.copyfile(file, workspace.folder / TOKENIZER / file.name)
        run = partial(execute, executor="local", workers=workers, reporter=reporter)
        info = tokenizer.info if tokenizer else None
        prepared = prepare(recipe, source, workspace, run, reporter, tokenizer=info)
        count = len(prepared.keys.partition_keys)
        description = f"rebuilding {recipe.name} ({len(ranks)} of {counted(count, 'partition')})"
        built = build_partitions(workspace, prepared, ranks, run, reporter, description)
        partitions = {partition.rank: partition for partition in built}
        return Rebuilt(workspace, prepared.keys, prepared.tokenizer, partitions)
