"""The work that an executor receives: some partitions of a build, and the pipeline that makes one."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from l2t_hub.corpus.source import Source
from l2t_hub.dataset.progress import Meter
from l2t_hub.dataset.workspace import Workspace
from l2t_hub.recipe import Recipe


@dataclass(frozen=True)
class Work:
    """Partitions to run: `ranks` are the ones to run now, `keys` the keys of all partitions.

    `description` begins the messages about it. `pipeline` returns the steps of datatrove for one partition; the last
    step commits the partition to `workspace`.
    """

    recipe: Recipe
    source: Source
    workspace: Workspace
    keys: tuple[str, ...]
    ranks: list[int]
    description: str
    pipeline: Callable[[Meter], list[Any]]

    @property
    def reads_hub(self) -> bool:
        """Whether the partitions read a dataset of a Hub, for which they may need its token."""
        dataset = self.recipe.source.dataset
        return dataset is not None and not Path(dataset).is_dir()

    @property
    def log(self) -> Path:
        """The folder for the executors' own files."""
        return self.workspace.folder / "log"


Execute = Callable[[Work], None]
"""Runs all partitions of some work. Raises what a partition raises."""


def run_unfinished(work: Work, execute: Execute) -> list[Path]:
    """Run the partitions that have no result yet, remove stale results, and return the folders of all results."""
    work.workspace.remove_stale(work.keys)
    unfinished = [r for r in work.ranks if work.workspace.finished(r, work.keys[r]) is None]
    if unfinished:
        execute(replace(work, ranks=unfinished))
    return [work.workspace.partition_folder(rank, work.keys[rank]) for rank in work.ranks]
