"""The manifest of a dataset: what it was made from, what came out, and the hash of every file.

It holds no time, no path of the machine that the recipe does not name, and nothing of workers: the same recipe and
source give the same manifest.
"""

import hashlib
import json
from dataclasses import asdict, dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path
from platform import python_version
from typing import Any

from rich.table import Table

from l2t_hub import __version__
from l2t_hub.artifacts import MANIFEST
from l2t_hub.dataset.ledger import RAW, Ledger
from l2t_hub.errors import UserError
from l2t_hub.recipe import Recipe
from l2t_hub.resources import PACKAGE

FORMAT = 1
LIBRARIES = ("datatrove", "numpy", "pyarrow", "tokenizers")
CODE = ("build", "corpus", "tasks", "tokens", "mixture.py")


@dataclass(frozen=True)
class Manifest:
    """Everything a reader, a verifier or a later build wants to know of a dataset directory. Plain JSON values.

    `fingerprint` hashes recipe, source contents and tokenizer; `shards` have path, config, split, partition, rows,
    tokens, bytes and sha256; `files` are the other files' hashes; `totals` and `mixture` say what came out.
    """

    name: str
    fingerprint: str
    recipe: dict[str, Any]
    source: dict[str, Any]
    tokenizer: dict[str, Any]
    made_by: dict[str, str]
    modules: dict[str, str]
    partitions: list[dict[str, Any]]
    shards: list[dict[str, Any]]
    ledger: list[dict[str, Any]]
    totals: dict[str, Any]
    mixture: dict[str, Any]
    files: dict[str, str]
    format: int = FORMAT

    def as_dict(self) -> dict[str, Any]:
        """The JSON tree that `l2t_manifest.json` holds."""
        return asdict(self)

    def read_ledger(self) -> Ledger:
        """The ledger as a table of flows."""
        return Ledger.from_json(self.ledger)


def read_manifest(directory: Path) -> Manifest:
    """Read a dataset directory's manifest. Raises UserError if there is none or it is not one of ours."""
    path = directory / MANIFEST
    try:
        tree = json.loads(path.read_text(encoding="utf-8"))
        if tree["format"] != FORMAT:
            raise UserError(
                f"{path}: format {tree['format']}, and this version reads {FORMAT}", "Update l2t_hub."
            )
        return Manifest(**tree)
    except FileNotFoundError:
        raise UserError(
            f"{directory}: no dataset: {MANIFEST} is missing",
            "Make one with `l2t build RECIPE --out DIR`; an interrupted build goes on with the same command.",
        ) from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(
            f"{path}: cannot be read as a manifest: {error}", "Build the dataset again."
        ) from None


@cache
def made_by(sentences: str) -> dict[str, str]:
    """The versions of everything that decides bytes, and a digest of the package's own code for data."""
    libraries = {name: version(name) for name in (*LIBRARIES, sentences)}
    python = ".".join(python_version().split(".")[:2])
    return {"l2t_hub": __version__, "l2t_hub code": _code(), "python": python, **libraries}


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


def totals(ledger: Ledger, shards: list[dict[str, Any]], sequence_length: int) -> dict[str, Any]:
    """Documents, examples, tokens and sequences per split, and how full the sequences are."""
    result: dict[str, Any] = {}
    for split in ledger.splits():
        packed = [s for s in shards if s["config"] == "packed" and s["split"] == split]
        sequences = sum(s["rows"] for s in packed)
        in_sequences = sum(s["tokens"] for s in packed)
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


def realised(ledger: Ledger, recipe: Recipe) -> dict[str, Any]:
    """The mixture asked for and what came out of it, in documents and in tokens, over both splits."""
    asked: dict[str, Any] = {"scheme": recipe.mixture.scheme}
    if recipe.mixture.scheme == "disjoint":
        asked |= {"raw_share": recipe.mixture.raw_share, "unit": recipe.mixture.unit}
    if recipe.mixture.task is not None:
        asked["task"] = recipe.mixture.task
    parts = {RAW: _part(ledger, RAW)} | {task: _part(ledger, task) for task in ledger.tasks()}
    shares = {}
    for unit in ("documents", "tokens"):
        whole = sum(part[unit] for part in parts.values())
        shares[unit] = round(parts[RAW][unit] / whole, 6) if whole else None
    return {"asked": asked, "raw_share": shares, "parts": {k: v for k, v in parts.items() if v["documents"]}}


def _part(ledger: Ledger, what: str) -> dict[str, int]:
    splits = ledger.splits()
    return {
        "documents": sum(ledger.get("document", split, what).came_in for split in splits),
        "examples": sum(ledger.get("fit", split, what).went_out for split in splits),
        "tokens": sum(ledger.get("tokens", split, what).went_out for split in splits),
    }


def summary_table(manifest: Manifest) -> Table:
    """What came out, for a terminal: a row per split, then the shares in both units."""
    table = Table(title=f"{manifest.name}, fingerprint {manifest.fingerprint[:12]}", title_justify="left")
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
