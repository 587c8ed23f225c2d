"""The work an executor is given: some partitions of a build, and the pipeline that makes one."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from l2t_hub.corpus.source import Source
from l2t_hub.dataset.progress import Meter
from l2t_hub.dataset.workspace import Workspace
from l2t_hub.recipe import Recipe


@dataclass(frozen=True)
class Work:
    """Partitions to work on: `todo` are the ranks, `keys` the keys of all partitions, `doing` says it to people.

    `steps` gives the pipeline of datatrove; its last step commits a partition to `space`.
    """

    recipe: Recipe
    source: Source
    space: Workspace
    keys: tuple[str, ...]
    todo: list[int]
    doing: str
    steps: Callable[[Meter], list[Any]]

    @property
    def log(self) -> Path:
        """Where executors keep their own files."""
        return self.space.folder / "log"


def cores() -> int:
    """Cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
