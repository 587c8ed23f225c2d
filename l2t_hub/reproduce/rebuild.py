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
from l2t_hub.dataset.workspace import FinishedPartition, Workspace, workspace
from l2t_hub.recipe import Recipe
from l2t_hub.records.dataset_manifest import TokenizerInfo


@dataclass(frozen=True)
class Rebuilt:
    """What was built again: the plan of the whole dataset, the tokenizer, and some of the partitions."""

    space: Workspace
    plan: BuildKeys
    tokenizer: TokenizerInfo
    parts: dict[int, FinishedPartition]

    @property
    def tokenizer_folder(self) -> Path:
        """Where the tokenizer's files are."""
        return self.space.folder / TOKENIZER

    def path(self, part: FinishedPartition, shard: Shard) -> Path:
        """Where a shard lies."""
        return self.space.place(part.rank, part.key) / shard.file


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
    report: Reporter,
    pinned: Pinned | None = None,
) -> Rebuilt:
    """Build the partitions `ranks` of a recipe in a new `folder`; without `pinned`, its tokenizer too.

    Raises what a build raises, and UserError if a partition is not whole afterwards.
    """
    with workspace(folder) as space:
        if pinned is not None:
            shutil.copytree(pinned.folder, space.folder / TOKENIZER)
        run = partial(execute, executor="local", workers=workers, report=report)
        ready = prepare(recipe, source, space, run, report, tokenizer=pinned.info if pinned else None)
        count = len(ready.plan.keys)
        doing = f"building {recipe.name} again ({len(ranks)} of {count} partitions)"
        parts = build_partitions(space, ready, ranks, run, report, doing)
        return Rebuilt(space, ready.plan, ready.tokenizer, {part.rank: part for part in parts})
