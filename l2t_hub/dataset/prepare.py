"""What must be known before the first partition of a dataset is made, and the making of partitions from it.

Whoever builds partitions, to publish them or to compare them with published ones, comes this way.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from l2t_hub.artifacts import TOKENIZER
from l2t_hub.corpus.source import Source
from l2t_hub.dataset.executors.work import Work
from l2t_hub.dataset.keys import BuildKeys, build_keys
from l2t_hub.dataset.near_duplicates import drop_near_duplicates
from l2t_hub.dataset.pipeline import MakeRows, ReadSource, WriteShards
from l2t_hub.dataset.progress import Meter, Reporter
from l2t_hub.dataset.raw_share import in_documents
from l2t_hub.dataset.tokenizer import prepare_tokenizer
from l2t_hub.dataset.workspace import FinishedPartition, Workspace
from l2t_hub.errors import UserError
from l2t_hub.recipe import Recipe
from l2t_hub.records.dataset_manifest import Manifest, NearIdentical, SolvedShare, TokenizerInfo

Run = Callable[[Work], None]


@dataclass(frozen=True)
class Prepared:
    """What is known before the first partition is made.

    `source` is without the documents near-identical to a held-out one, `drawn` the recipe with its raw share as the
    threshold of the documents' draws; `twins` and `solved` tell the manifest how these came about.
    """

    source: Source
    drawn: Recipe
    tokenizer: TokenizerInfo
    plan: BuildKeys
    twins: NearIdentical | None
    solved: SolvedShare | None


def prepare(
    recipe: Recipe,
    source: Source,
    space: Workspace,
    run: Run,
    report: Reporter,
    before: Manifest | None = None,
    tokenizer: TokenizerInfo | None = None,
) -> Prepared:
    """Find out what must be known beforehand; what a finished dataset `before` tells is not found out again.

    A `tokenizer` given lies in the workspace already. Raises what reading the source raises.
    """
    known = (before.source.get("near_identical"), before.mixture.get("solved")) if before else (None, None)
    old = before.tokenizer if before else None
    # A tokenizer that is named needs no source: if something is wrong with it, nobody should wait to hear of it.
    if tokenizer is None and recipe.tokenizer.name is not None:
        tokenizer = prepare_tokenizer(recipe, source, space, old, report)
    source, twins = drop_near_duplicates(recipe, source, space, known[0], run)
    tokenizer = tokenizer or prepare_tokenizer(recipe, source, space, old, report)
    drawn, solved = in_documents(recipe, source, space, tokenizer, known[1], run)
    plan = build_keys(recipe, source, tokenizer.sha256, solved["threshold"] if solved else None)
    return Prepared(source, drawn, tokenizer, plan, twins, solved)


def build_partitions(
    space: Workspace, ready: Prepared, ranks: Sequence[int], run: Run, report: Reporter, doing: str
) -> list[FinishedPartition]:
    """Make those of the partitions `ranks` that are not there yet, and give all of them in order.

    Raises what a partition raises, and UserError if one is not whole afterwards.
    """
    recipe, plan = ready.drawn, ready.plan

    def steps(meter: Meter) -> list[Any]:
        rows = MakeRows(recipe, space.folder / TOKENIZER, ready.tokenizer, meter)
        return [ReadSource(ready.source), rows, WriteShards(space, plan.keys)]

    todo = [rank for rank in ranks if not space.place(rank, plan.keys[rank]).is_dir()]
    if len(todo) < len(ranks):
        report.say(f"{len(ranks) - len(todo)} of {len(ranks)} partitions are finished already")
    if todo:
        run(Work(recipe, ready.source, space, plan.keys, todo, doing, steps))
    parts = [space.finished(rank, plan.keys[rank]) for rank in ranks]
    missing = [rank for rank, part in zip(ranks, parts, strict=True) if part is None]
    if missing:
        raise UserError(
            f"{space.folder}: partitions {missing} are not as they were written",
            "Run the same command again.",
        )
    return [part for part in parts if part is not None]
