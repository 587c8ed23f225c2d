"""Helpers of the dataset tests: recipes over a small corpus, sources written row by row, directories compared by
hash.
"""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from l2t_hub.dataset.build import build
from l2t_hub.dataset.progress import SilentReporter
from l2t_hub.dataset.token_survey import SURVEY
from l2t_hub.mixture import uniform
from l2t_hub.recipe import Recipe, recipe_from_tree
from l2t_hub.records.dataset_manifest import Manifest

RecipeFactory = Callable[..., Recipe]
PROSE = "The clerk counted every sheep that passed the gate, and wrote the number down in a book. " * 6


class RecordingReporter(SilentReporter):
    """Keeps every message."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def message(self, line: str) -> None:
        self.lines.append(line)

    @property
    def text(self) -> str:
        return "\n".join(self.lines)


def recipe_of(corpus: Path, tokenizer: Path, keys: dict[str, Any] | None = None) -> Recipe:
    """Return a recipe over the corpus with small blocks and sequences. `keys` are dotted."""
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


def build_silently(recipe: Recipe, out: Path, workers: int = 1) -> Manifest:
    return build(recipe, out, workers=workers, progress=SilentReporter())


def hashes(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of every file under a folder, by relative path."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files
    }


def write_rows(path: Path, rows: list[dict[str, Any]]) -> str:
    """Write a JSON Lines source and return its path as a recipe has it."""
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


def read_texts(corpus: Path) -> dict[str, str]:
    """Return the texts of a JSON Lines source by document ID."""
    rows = map(json.loads, corpus.read_text(encoding="utf-8").splitlines())
    return {row["id"]: row["text"] for row in rows}


def survey_of(rows: list[tuple[int, int]], known: bool = True) -> np.ndarray:
    """Return a survey of documents with the IDs 0, 1, 2, ..., these raw and task tokens, and a byte per raw token."""
    survey = np.zeros(len(rows), SURVEY)
    survey["draw"] = [uniform(42, str(n), "raw") for n in range(len(rows))]
    survey["bytes"] = [raw for raw, _ in rows]
    survey["raw_tokens"] = survey["bytes"] if known else np.nan
    survey["task_tokens"] = [task for _, task in rows] if known else np.nan
    return survey
