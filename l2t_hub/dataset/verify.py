"""Checking a dataset directory against its manifest: every file, every count, and that the ledger adds up."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from l2t_hub.artifacts import sha256_of
from l2t_hub.dataset.layout import foreign
from l2t_hub.dataset.ledger import RAW, Ledger
from l2t_hub.dataset.workspace import WORK
from l2t_hub.records.dataset_manifest import Manifest, ShardEntry, read_manifest


@dataclass(frozen=True)
class VerifyReport:
    """What was checked and what was found wrong, one sentence each."""

    directory: str
    fingerprint: str
    shards: int
    rows: int
    tokens: int
    problems: list[str]

    def as_dict(self) -> dict[str, Any]:
        """For a program to read."""
        return {**vars(self), "ok": not self.problems}

    def summary(self) -> str:
        """For a person to read."""
        checked = f"{self.shards} shards, {self.rows:,} rows, {self.tokens:,} tokens"
        if not self.problems:
            return f"{self.directory}: whole: {checked} agree with the manifest, and the ledger adds up"
        listed = "\n".join(f"  {problem}" for problem in self.problems)
        return f"{self.directory}: {len(self.problems)} problems in {checked}:\n{listed}"


def verify(directory: Path) -> VerifyReport:
    """Check every shard and every other file. Raises UserError only if there is no manifest to check against."""
    directory = Path(directory)
    manifest = read_manifest(directory)
    problems: list[str] = []
    if (directory / WORK).is_dir():
        problems.append(f"a build is at work here or was interrupted ({WORK}/ exists)")
    for entry in manifest.shards:
        problems += _shard_problems(directory, entry, manifest)
    for name, expected in manifest.files.items():
        problems += _file_problems(directory / name, name, expected)
    problems += [f"{name}: not in the manifest" for name in foreign(directory, manifest.shards)]
    ledger = Ledger.from_json(manifest.ledger)
    problems += [f"ledger: {problem}" for problem in ledger.check(bool(manifest.recipe["build"]["packed"]))]
    problems += _ledger_problems(ledger, manifest)
    rows, tokens = sum(s.rows for s in manifest.shards), sum(s.tokens for s in manifest.shards)
    return VerifyReport(str(directory), manifest.fingerprint, len(manifest.shards), rows, tokens, problems)


def _file_problems(path: Path, name: str, sha256: str) -> list[str]:
    if not path.is_file():
        return [f"{name}: missing"]
    found = sha256_of(path)
    return (
        [] if found == sha256 else [f"{name}: SHA-256 is {found[:12]}..., the manifest says {sha256[:12]}..."]
    )


def _shard_problems(directory: Path, entry: ShardEntry, manifest: Manifest) -> list[str]:
    """Size and hash; and only if those agree, what is in the file."""
    path, name = directory / entry.path, entry.path
    if path.is_file() and path.stat().st_size != entry.bytes:
        return [f"{name}: {path.stat().st_size:,} bytes, the manifest says {entry.bytes:,}"]
    problems = _file_problems(path, name, entry.sha256)
    if problems:
        return problems
    try:
        return [f"{name}: {problem}" for problem in _content_problems(path, entry, manifest)]
    except (pa.ArrowException, OSError) as error:
        return [f"{name}: cannot be read: {error}"]


def _content_problems(path: Path, entry: ShardEntry, manifest: Manifest) -> list[str]:
    file = pq.ParquetFile(path)
    problems = []
    if file.metadata.num_rows != entry.rows:
        problems.append(f"{file.metadata.num_rows:,} rows, the manifest says {entry.rows:,}")
    tokens = 0
    length = manifest.recipe["packing"]["sequence_length"]
    columns = ["lengths", "input_ids"] if entry.view == "packed" else ["tokens"]
    for batch in file.iter_batches(1024, columns=columns):
        if entry.view != "packed":
            tokens += pc.sum(batch.column("tokens")).as_py() or 0
            continue
        lengths = batch.column("lengths")
        tokens += pc.sum(lengths.flatten()).as_py() or 0
        ids = batch.column("input_ids")
        if ids.type.list_size != length:
            return [f"sequences of {ids.type.list_size} tokens, the recipe says {length}"]
        highest = pc.max(ids.flatten()).as_py()
        if highest is not None and highest >= manifest.tokenizer.vocab_size:
            problems.append(
                f"token id {highest} is not in the tokenizer ({manifest.tokenizer.vocab_size} entries)"
            )
    if tokens != entry.tokens:
        problems.append(f"{tokens:,} tokens, the manifest says {entry.tokens:,}")
    return problems


def _ledger_problems(ledger: Ledger, manifest: Manifest) -> list[str]:
    """Compare the shards' rows and tokens with what the ledger says went into them."""
    build = manifest.recipe["build"]
    length = manifest.recipe["packing"]["sequence_length"]
    expected: list[tuple[str, str, int, int]] = []
    for split in ledger.splits():
        rows = {
            view: sum(s.rows for s in manifest.shards if (s.view, s.split) == (view, split))
            for view in ("raw", "examples", "packed")
        }
        if build["raw"] != "none":
            expected.append((split, "raw rows", rows["raw"], ledger.get("document", split, RAW).went_out))
        if build["examples"] == "all":
            expected.append((split, "example rows", rows["examples"], ledger.total("fit", split).went_out))
        if build["packed"]:
            pack = ledger.total("pack", split)
            expected.append((split, "positions", rows["packed"] * length, pack.came_in))
            tokens = sum(s.tokens for s in manifest.shards if (s.view, s.split) == ("packed", split))
            expected.append((split, "packed tokens", tokens, pack.went_out))
    return [
        f"{split}: {found:,} {what} in the shards, {wanted:,} in the ledger"
        for split, what, found, wanted in expected
        if found != wanted
    ]
