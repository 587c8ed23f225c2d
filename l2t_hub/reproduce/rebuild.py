"""Partitions built again, away from everything finished: a build's own pipeline, on the partitions asked for."""

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


@dataclass(frozen=True)
class Rebuilt:
    """What was rebuilt: the keys of the whole dataset, the tokenizer, and some of the partitions."""

    workspace: Workspace
    keys: BuildKeys
    tokenizer: TokenizerInfo
    parts: dict[int, FinishedPartition]

    @property
    def tokenizer_folder(self) -> Path:
        """Where the tokenizer's files are."""
        return self.workspace.folder / TOKENIZER

    def path(self, part: FinishedPartition, shard: Shard) -> Path:
        """Where a shard lies."""
        return self.workspace.partition_folder(part.rank, part.key) / shard.file


@dataclass(frozen=True)
class Pinned:
    """A published tokenizer, used as it is instead of being trained or fetched again."""

    folder: Path
    info: TokenizerInfo


def rebuild(
    recipe: Recipe,
    source: Source,
    folder: Path,
    ranks: Sequence[int],
    workers: int,
    reporter: Reporter,
    pinned: Pinned | None = None,
) -> Rebuilt:
    """Build the partitions `ranks` of a recipe in a new `folder`; without `pinned`, its tokenizer too.

    Raises what a build raises, and UserError if a partition is not whole afterwards.
    """
    with open_workspace(folder) as workspace:
        if pinned is not None:
            shutil.copytree(pinned.folder, workspace.folder / TOKENIZER)
        run = partial(execute, executor="local", workers=workers, reporter=reporter)
        tokenizer = pinned.info if pinned else None
        prepared = prepare(recipe, source, workspace, run, reporter, tokenizer=tokenizer)
        count = len(prepared.keys.partition_keys)
        description = f"rebuilding {recipe.name} ({len(ranks)} of {count} partitions)"
        parts = build_partitions(workspace, prepared, ranks, run, reporter, description)
        return Rebuilt(workspace, prepared.keys, prepared.tokenizer, {part.rank: part for part in parts})
