"""Helpers of the build's tests: recipes over a small corpus, and directories compared by hash."""

import hashlib
from pathlib import Path
from typing import Any

from l2t_hub.dataset.build import build
from l2t_hub.dataset.progress import SilentReporter
from l2t_hub.recipe import Recipe, recipe_from_tree
from l2t_hub.records.dataset_manifest import Manifest


class RecordingReporter(SilentReporter):
    """A reporter that remembers what was said."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def message(self, line: str) -> None:
        self.lines.append(line)

    @property
    def text(self) -> str:
        return "\n".join(self.lines)


def recipe_of(corpus: Path, tokenizer: Path, keys: dict[str, Any] | None = None) -> Recipe:
    """A recipe over the corpus, with small blocks and sequences; `keys` are dotted."""
    tree: dict[str, Any] = {
        "name": "t",
        "source": {"path": str(corpus)},
        "tokenizer": {"name": str(tokenizer)},
        "packing": {"sequence_length": 512},
        "blocks": {"tokens_per_block": 128},
        "build": {"partitions": 3},
    }
    for key, value in (keys or {}).items():
        section, _, name = key.rpartition(".")
        (tree.setdefault(section, {}) if section else tree)[name] = value
    return recipe_from_tree(tree)


def hashes(folder: Path) -> dict[str, str]:
    """SHA-256 of every file under a folder, by its relative path."""
    files = sorted(p for p in folder.rglob("*") if p.is_file())
    return {p.relative_to(folder).as_posix(): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


def make(recipe: Recipe, out: Path, workers: int = 1) -> Manifest:
    return build(recipe, out, workers=workers, progress=SilentReporter())
