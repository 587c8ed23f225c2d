"""Partitions built again, away from everything finished: a build's own pipeline, on the partitions asked for."""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from l2t_hub.build.executor import LocalExecutor
from l2t_hub.build.pipeline import MakeRows, ReadSource, WriteShards
from l2t_hub.build.plan import Plan, make_plan
from l2t_hub.build.progress import Meter, Reporter, Watch
from l2t_hub.build.tokenizer import FOLDER, TokenizerInfo, prepare
from l2t_hub.build.workspace import Part, Workspace, workspace
from l2t_hub.build.write import Shard
from l2t_hub.corpus.source import Source
from l2t_hub.errors import UserError
from l2t_hub.recipe import Recipe


@dataclass(frozen=True)
class Rebuilt:
    """What was built again: the plan of the whole dataset, the tokenizer, and some of the partitions."""

    space: Workspace
    plan: Plan
    tokenizer: TokenizerInfo
    parts: dict[int, Part]

    @property
    def tokenizer_folder(self) -> Path:
        """Where the tokenizer's files are."""
        return self.space.folder / FOLDER

    def path(self, part: Part, shard: Shard) -> Path:
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
        if pinned is None:
            tokenizer = prepare(recipe, source, space, None, report)
        else:
            shutil.copytree(pinned.folder, space.folder / FOLDER)
            tokenizer = pinned.info
        plan = make_plan(recipe, source, tokenizer.sha256)
        count = len(plan.keys)
        report.say(f"building {len(ranks)} of {count} partitions of {recipe.name} again, {workers} workers")
        meter = Meter(space.folder / "progress", count).create()
        steps = [
            ReadSource(source),
            MakeRows(recipe, space.folder / FOLDER, tokenizer, meter),
            WriteShards(space, plan.keys),
        ]
        with Watch(meter, report, source.records if len(ranks) == count else None):
            LocalExecutor(steps, count, ranks, min(workers, len(ranks)), space.folder / "log").run()
        parts = {rank: space.finished(rank, plan.keys[rank]) for rank in ranks}
        missing = [rank for rank, part in parts.items() if part is None]
        if missing:
            raise UserError(f"{folder}: partitions {missing} were not written whole", "Try again.")
        return Rebuilt(
            space, plan, tokenizer, {rank: part for rank, part in parts.items() if part is not None}
        )
