"""The manifest of a dataset: what it was made from, what came out, and the hash of every file.

It holds no time, no path of the machine that the recipe does not name, and nothing of workers: the same recipe and
source give the same manifest.
"""

import hashlib
from functools import cache
from importlib.metadata import version
from pathlib import Path
from platform import python_version

from rich.table import Table

from l2t_hub import __version__
from l2t_hub.console import WholeTable
from l2t_hub.corpus.source_languages import languages_of
from l2t_hub.dataset.ledger import RAW, Ledger
from l2t_hub.recipe import Recipe
from l2t_hub.records.dataset_manifest import (
    AskedMixture,
    Manifest,
    MixtureFacts,
    PartCounts,
    RawShares,
    ShardEntry,
    SolvedShare,
    SplitTotals,
)
from l2t_hub.resources import PACKAGE
from l2t_hub.tasks.languages.folder import folder_digest

LIBRARIES = ("datatrove", "numpy", "pyarrow", "tokenizers")
OWN_LANGUAGE = "language "
CODE = ("dataset", "corpus", "tasks", "tokens", "mixture.py")


def made_by(recipe: Recipe) -> dict[str, str]:
    """The versions of everything that decides bytes, and digests of the package's code and of a user's languages."""
    languages = languages_of(recipe)
    libraries = [*LIBRARIES, recipe.blocks.sentences]
    libraries += ["icu4py"] if any(not language.spaced for language in languages) else []
    libraries += ["py3langid"] if len(languages) > 1 and recipe.source.language_column is None else []
    python = ".".join(python_version().split(".")[:2])
    return {
        "l2t_hub": __version__,
        "l2t_hub code": _code(),
        "python": python,
        **{name: version(name) for name in libraries},
        **{f"{OWN_LANGUAGE}{of.code}": folder_digest(of.source) for of in languages if of.source != of.code},
    }


@cache
def _code() -> str:
    """SHA-256 of the modules and word lists that make data."""
    digest = hashlib.sha256()
    for part in CODE:
        place = PACKAGE / part
        files = [place] if place.is_file() else sorted(p for p in place.rglob("*") if _is_code(p))
        for file in files:
            digest.update(file.relative_to(PACKAGE).as_posix().encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()[:16]


def _is_code(path: Path) -> bool:
    return path.is_file() and "__pycache__" not in path.parts and "sample" not in path.parts


def totals(ledger: Ledger, shards: list[ShardEntry], sequence_length: int) -> dict[str, SplitTotals]:
    """Documents, examples, tokens and sequences per split, and how full the sequences are."""
    result: dict[str, SplitTotals] = {}
    for split in ledger.splits():
        packed = [s for s in shards if s.view == "packed" and s.split == split]
        sequences = sum(s.rows for s in packed)
        in_sequences = sum(s.tokens for s in packed)
        result[split] = {
            "raw_documents": ledger.get("document", split, RAW).went_out,
            "task_documents": ledger.total("document", split, tasks=True).went_out,
            "examples": ledger.total("fit", split).went_out,
            "raw_tokens": ledger.get("tokens", split, RAW).went_out,
            "task_tokens": ledger.total("tokens", split, tasks=True).went_out,
            "sequences": sequences,
            "fill": round(in_sequences / (sequences * sequence_length), 6) if sequences else None,
        }
    return result


def realised(ledger: Ledger, recipe: Recipe, solved: SolvedShare | None) -> MixtureFacts:
    """The mixture asked for and what came out of it, in documents and in tokens, over both splits."""
    asked = AskedMixture(scheme=recipe.mixture.scheme)
    if recipe.mixture.scheme == "disjoint":
        asked["raw_share"], asked["unit"] = recipe.mixture.raw_share, recipe.mixture.unit
    if recipe.mixture.task is not None:
        asked["task"] = recipe.mixture.task
    parts = {RAW: _part(ledger, RAW)} | {task: _part(ledger, task) for task in ledger.tasks()}
    shares: RawShares = {
        "documents": _raw_share([part["documents"] for part in parts.values()]),
        "tokens": _raw_share([part["tokens"] for part in parts.values()]),
    }
    return {
        "asked": asked,
        "raw_share": shares,
        "parts": {name: part for name, part in parts.items() if part["documents"]},
        "solved": solved,
    }


def _raw_share(counts: list[int]) -> float | None:
    """The first count's share of all, None where there are none."""
    return round(counts[0] / sum(counts), 6) if sum(counts) else None


def _part(ledger: Ledger, what: str) -> PartCounts:
    splits = ledger.splits()
    return {
        "documents": sum(ledger.get("document", split, what).came_in for split in splits),
        "examples": sum(ledger.get("fit", split, what).went_out for split in splits),
        "tokens": sum(ledger.get("tokens", split, what).went_out for split in splits),
    }


def summary_table(manifest: Manifest) -> Table:
    """What came out, for a terminal: a row per split, then the shares in both units."""
    table = WholeTable(
        title=f"{manifest.name}, fingerprint {manifest.fingerprint[:12]}", title_justify="left"
    )
    for column in ("split", "raw documents", "task documents", "examples", "tokens", "sequences", "full"):
        table.add_column(column, justify="left" if column == "split" else "right")
    for split, t in manifest.totals.items():
        counts = [t["raw_documents"], t["task_documents"], t["examples"], t["raw_tokens"] + t["task_tokens"]]
        full = f"{t['fill']:.1%}" if t["fill"] is not None else "-"
        table.add_row(split, *(f"{n:,}" for n in (*counts, t["sequences"])), full)
    shares = manifest.mixture["raw_share"]
    said = [f"{value:.1%} of the {unit}" for unit, value in shares.items() if value is not None]
    table.caption = f"raw text: {', '.join(said)}" if said else None
    table.caption_justify = "left"
    return table
