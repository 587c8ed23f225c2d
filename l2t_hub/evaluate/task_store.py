"""Finished tasks on disk, so that a stopped evaluation continues, and a model is scored once for all results.

One file per model and task, named after the hash of everything that decides its content. What has no hash, such as a
model that is not in a local directory, is not kept.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from l2t_hub.artifacts import disk_errors, write_text
from l2t_hub.errors import UserError
from l2t_hub.evaluate.results import SCHEMA, Sample, TaskProtocol
from l2t_hub.records.reading import read_bounded

T = TypeVar("T")
FOLDER = ".tasks"
MAX_BYTES = 1 << 30
CONTENT = 3
"""Counts the changes of what a finished task holds: one kept before such a change is run again."""


@dataclass(frozen=True)
class TaskResult:
    """The samples of one model on one task, how it was run, and the seconds it took."""

    protocol: TaskProtocol
    samples: tuple[Sample, ...]
    seconds: float


@dataclass(frozen=True)
class TaskStore:
    """The finished tasks of one model. `decides` is what decides its scores on any task, as JSON types."""

    folder: Path
    decides: dict[str, Any]

    def find(self, task: dict[str, Any], label: str) -> TaskResult | None:
        """Return a finished task by what decides it, under the model's label; None if none can be read."""
        result = self.read(task, TaskResult)
        if result is None:
            return None
        return replace(result, samples=tuple(replace(sample, model=label) for sample in result.samples))

    def read(self, task: dict[str, Any], schema: type[T]) -> T | None:
        """Return what was kept of a task by what decides it; None if nothing can be read."""
        path = self._path(task)
        if not path.is_file():
            return None
        try:
            return TypeAdapter(schema).validate_json(read_bounded(path, MAX_BYTES))
        except (UserError, ValidationError):
            return None

    def keep(self, task: dict[str, Any], result: Any) -> None:
        """Write a finished task, a dataclass. Raises UserError if the disk is full."""
        with disk_errors(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
        write_text(self._path(task), json.dumps(asdict(result), ensure_ascii=False) + "\n")

    def _path(self, task: dict[str, Any]) -> Path:
        tree = {"schema": SCHEMA, "content": CONTENT, "model": self.decides, "task": task}
        digest = hashlib.sha256(json.dumps(tree, sort_keys=True).encode()).hexdigest()
        return self.folder / f"{digest}.json"


def joined(results: Sequence[TaskResult]) -> tuple[list[Sample], tuple[TaskProtocol, ...], float]:
    """Return the samples and protocols of all tasks in order, and the seconds they took."""
    samples = [sample for result in results for sample in result.samples]
    return samples, tuple(result.protocol for result in results), sum(result.seconds for result in results)
