"""Task modules of a recipe: their hashes, and the copies of those that are files.

A build copies each `.py` file into the dataset, below `modules/`, and the manifest's recipe names the copy. So a
record has no path of the builder's machine, and others can read the code, and trust its hash, before they run it.
"""

import importlib.util
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from importlib.metadata import entry_points
from pathlib import Path, PurePath
from typing import Any

from l2t_hub.artifacts import MODULES, disk_errors, sha256_of
from l2t_hub.records.reading import read_bounded
from l2t_hub.tasks.registry import ENTRY_POINTS

MAX_MODULE_BYTES = 1_000_000
_LONGEST_STEM = 80


@dataclass(frozen=True)
class TaskModules:
    """The task modules of a recipe, in its order.

    `names` are as records have them: for a file the path of its copy in the dataset, else the module's name.
    `digests` are the SHA-256 of their code, as far as it is in a file, and `contents` the bytes of the copies.
    """

    names: tuple[str, ...]
    digests: dict[str, str]
    contents: dict[str, bytes]

    def recorded(self, tree: Mapping[str, Any]) -> dict[str, Any]:
        """Return a resolved recipe with the modules named as records name them."""
        return {**tree, "mixture": {**tree["mixture"], "modules": list(self.names)}}

    def write(self, directory: Path) -> list[Path]:
        """Write the copies into a dataset directory and return their paths."""
        paths = []
        for name, content in self.contents.items():
            path = directory / name
            with disk_errors(path):
                path.parent.mkdir(exist_ok=True)
                path.write_bytes(content)
            paths.append(path)
        return paths


def read_task_modules(modules: Sequence[str]) -> TaskModules:
    """Read the task modules that a recipe names. They must load. Raises UserError for a file of more than 1 MB."""
    names: list[str] = []
    digests: dict[str, str] = {}
    contents: dict[str, bytes] = {}
    for module in modules:
        if not module.endswith(".py"):
            names.append(module)
            origin = _origin(module)
            if origin is not None and origin.is_file():
                digests[module] = sha256_of(origin)
            continue
        content = read_bounded(Path(module), MAX_MODULE_BYTES)
        digest = sha256(content).hexdigest()
        stem = re.sub(r"[^A-Za-z0-9_-]", "_", PurePath(module).stem)[:_LONGEST_STEM] or "tasks"
        name = f"{MODULES}/{stem}.py"
        if contents.get(name, content) != content:
            name = f"{MODULES}/{stem}-{digest[:8]}.py"
        names.append(name)
        digests[name], contents[name] = digest, content
    return TaskModules(tuple(names), digests, contents)


def _origin(module: str) -> Path | None:
    """Return the file of an importable module or entry point."""
    points = {point.name: point.module for point in entry_points(group=ENTRY_POINTS)}
    spec = importlib.util.find_spec(points.get(module, module))
    return Path(spec.origin) if spec is not None and spec.origin else None
