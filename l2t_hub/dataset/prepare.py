"""Everything that must be known before the first partition is built, and the building of partitions.

A build and a reproduction both use this module, so they cannot differ.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from l2t_hub.artifacts import TOKENIZER
from l2t_hub.corpus.source import Source
from l2t_hub.dataset.executors.work import Execute, Work
from l2t_hub.dataset.keys import BuildKeys, build_keys
from l2t_hub.dataset.near_duplicates import Duplicates, drop_duplicates
from l2t_hub.dataset.pipeline import MakeRows, ReadSource, WriteShards
from l2t_hub.dataset.progress import Meter, Reporter
from l2t_hub.dataset.raw_share import solve_raw_share
from l2t_hub.dataset.tokenizer import prepare_tokenizer
from l2t_hub.dataset.workspace import FinishedPartition, Workspace
from l2t_hub.errors import UserError
from l2t_hub.recipe import Recipe
from l2t_hub.records.dataset_manifest import Manifest, SolvedShare, TokenizerInfo
from l2t_hub.text import counted


@dataclass(frozen=True)
class Prepared:
    """What is known before the first partition is built.

    `source` is without duplicates, `recipe` has its raw share as a threshold of the documents' draws.
    `duplicates` and `solved` are the manifest's entries about the two.
    """

    source: Source
    recipe: Recipe
    tokenizer: TokenizerInfo
    keys: BuildKeys
    duplicates: Duplicates
    solved: SolvedShare | None


NO_DUPLICATES = Duplicates(None, None)


@dataclass(frozen=True)
class Answers:
    """What an earlier preparation found out. An answer has its question's key, and is reused while that applies."""

    duplicates: Duplicates = NO_DUPLICATES
    solved: SolvedShare | None = None
    tokenizer: TokenizerInfo | None = None

    @classmethod
    def of(cls, before: Manifest) -> "Answers":
        """Return the answers that the manifest of a dataset holds."""
        duplicates = Duplicates(before.source["near_identical"], before.source.get("duplicates"))
        return cls(duplicates, before.mixture.get("solved"), before.tokenizer)


def prepare(
    recipe: Recipe,
    source: Source,
    workspace: Workspace,
    execute: Execute,
    reporter: Reporter,
    before: Answers = Answers(),
    tokenizer: TokenizerInfo | None = None,
) -> Prepared:
    """Prepare a build. The answers of an earlier one are reused while they apply.

    A given `tokenizer` must be in the workspace already. Raises what reading the source raises.
    """
    # A named tokenizer does not need the source, so a mistake in its name is reported at once.
    if tokenizer is None and recipe.tokenizer.name is not None:
        tokenizer = prepare_tokenizer(recipe, source, workspace, before.tokenizer, reporter)
    source, duplicates = drop_duplicates(recipe, source, workspace, before.duplicates, execute)
    tokenizer = tokenizer or prepare_tokenizer(recipe, source, workspace, before.tokenizer, reporter)
    solved_recipe, solved = solve_raw_share(recipe, source, workspace, tokenizer, before.solved, execute)
    keys = build_keys(recipe, source, tokenizer.sha256, solved["threshold"] if solved else None)
    return Prepared(source, solved_recipe, tokenizer, keys, duplicates, solved)


def build_partitions(
    workspace: Workspace,
    prepared: Prepared,
    ranks: Sequence[int],
    execute: Execute,
    reporter: Reporter,
    description: str,
) -> list[FinishedPartition]:
    """Build the partitions `ranks` that are not finished, and return all of them in order.

    Raises what a partition raises, and UserError if a partition is damaged afterwards.
    """
    keys = prepared.keys.partition_keys

    def pipeline(meter: Meter) -> list[Any]:
        source, folder = prepared.source, workspace.folder / TOKENIZER
        rows = MakeRows(source, prepared.recipe, folder, prepared.tokenizer, meter)
        return [ReadSource(source), rows, WriteShards(workspace, keys)]

    unfinished = [rank for rank in ranks if not workspace.partition_folder(rank, keys[rank]).is_dir()]
    if len(unfinished) < len(ranks):
        verb = "is" if len(ranks) == 1 else "are"
        reporter.message(
            f"{len(ranks) - len(unfinished)} of {counted(len(ranks), 'partition')} {verb} already finished"
        )
    if unfinished:
        execute(Work(prepared.recipe, prepared.source, workspace, keys, unfinished, description, pipeline))
    partitions = [workspace.finished(rank, keys[rank]) for rank in ranks]
    damaged = [rank for rank, partition in zip(ranks, partitions, strict=True) if partition is None]
    if damaged:
        raise UserError(
            f"{workspace.folder}: partitions {damaged} changed after they were written",
            "Rerun the command to build them again.",
        )
    return [partition for partition in partitions if partition is not None]
