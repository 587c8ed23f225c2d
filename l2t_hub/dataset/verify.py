"""The verifier of a dataset directory: every file, every count, every key, and whether the ledger adds up."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from l2t_hub.artifacts import CARD
from l2t_hub.dataset.keys import key_problems
from l2t_hub.dataset.ledger import RAW, Ledger, merged
from l2t_hub.dataset.manifest import totals
from l2t_hub.dataset.workspace import WORK
from l2t_hub.records.dataset_manifest import Manifest, ShardEntry, read_manifest
from l2t_hub.records.file_list import compare_directory, is_loaded, unknown_files
from l2t_hub.records.listed_files import release_problems
from l2t_hub.text import counted

THE_MANIFEST = "the manifest"
# Token ids that are in memory at once.
BATCH_POSITIONS = 1 << 21


@dataclass(frozen=True)
class VerifyReport:
    """The result of checking a dataset or a model: what was compared, and the problems, a sentence each.

    `counts` says how much was compared, by noun, and `agrees` with what. `unlisted` are files that the record does
    not list and no library loads, such as notes of your own; `uncompared` are files that were not downloaded.
    `release` is the Hub name and commit of a downloaded directory.
    """

    directory: str
    kind: str
    fingerprint: str
    counts: dict[str, int]
    agrees: str
    problems: list[str]
    unlisted: list[str]
    uncompared: tuple[str, ...] = ()
    release: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return the JSON tree of the report."""
        return {
            "directory": self.directory,
            "release": self.release,
            "kind": self.kind,
            "fingerprint": self.fingerprint,
            **self.counts,
            "problems": self.problems,
            "unlisted": self.unlisted,
            "uncompared": list(self.uncompared),
            "ok": not self.problems,
        }

    def summary(self) -> str:
        """Return the report as text: a line, and a line per problem."""
        checked = ", ".join(
            f"{count:,} {noun.removesuffix('s') if count == 1 else noun}"
            for noun, count in self.counts.items()
        )
        if self.problems:
            count = counted(len(self.problems), "problem")
            listed = "".join(f"\n  {problem}" for problem in self.problems)
            return f"{self.release or self.directory}: {count} in {checked}:{listed}"
        others = f"\nNot listed: {', '.join(self.unlisted)}" if self.unlisted else ""
        if self.uncompared:
            others += f"\nNot compared, because code is not downloaded: {', '.join(self.uncompared)}"
        return f"{self.release or self.directory}: whole: {checked} agree with {self.agrees}{others}"


def verify(directory: Path | str, skipped: Sequence[str] = ()) -> VerifyReport:
    """Compare a dataset directory with its manifest: sizes, hashes, rows, tokens, the ledger and the keys.

    The record of a release is compared too, if there is one. Files that `load_dataset` would load and the manifest
    does not list are problems. `skipped` are files that a download left out. Nothing outside the directory is read.
    Raises UserError if a record is missing or malformed; everything else is in the report.
    """
    directory = Path(directory)
    manifest = read_manifest(directory)
    expected = manifest.expected()
    fetched = {path: facts for path, facts in expected.items() if path not in skipped}
    different = compare_directory(directory, fetched, THE_MANIFEST)
    unknown = unknown_files(directory, expected)
    dangerous = [path for path in unknown if is_loaded("dataset", path) or path == CARD]
    problems = [
        *(
            [f"a build is running here or was interrupted: {WORK}/ exists"]
            if (directory / WORK).is_dir()
            else []
        ),
        *(f"{path}: {problem}" for path, problem in different.items()),
        *(f"{path}: not in the manifest" for path in dangerous),
        *(f"{path}: missing, but other shards count it" for path in manifest.missing_shards()),
    ]
    for shard in manifest.shards:
        if shard.path not in different:
            problems += (
                f"{shard.path}: {problem}" for problem in _shard_problems(directory, shard, manifest)
            )
    problems += [
        *_ledger_problems(manifest),
        *key_problems(manifest),
        *release_problems(directory, "dataset", skipped),
    ]
    counts = {
        "shards": len(manifest.shards),
        "rows": sum(s.rows for s in manifest.shards),
        "tokens": sum(s.tokens for s in manifest.shards),
    }
    unlisted = [path for path in unknown if path not in dangerous]
    agrees = f"{THE_MANIFEST}, and the ledger adds up"
    return VerifyReport(
        str(directory), "dataset", manifest.fingerprint, counts, agrees, problems, unlisted, tuple(skipped)
    )


def _shard_problems(directory: Path, shard: ShardEntry, manifest: Manifest) -> list[str]:
    """Compare what is in a shard with its entry."""
    try:
        with pq.ParquetFile(directory / shard.path) as file:
            if problem := _schema_problem(file.schema_arrow, shard, manifest):
                return [problem]
            return _content_problems(file, shard, manifest)
    except (pa.ArrowException, OSError) as error:
        return [f"cannot be read: {' '.join(str(error).split())}"]


def _schema_problem(schema: pa.Schema, shard: ShardEntry, manifest: Manifest) -> str | None:
    """Check the columns that are counted."""
    types = dict(zip(schema.names, schema.types, strict=True))
    counts = {"lengths": pa.list_(pa.int32())} if shard.view == "packed" else {"tokens": pa.int32()}
    for column, wanted in counts.items():
        if types.get(column) != wanted:
            return f"column {column} is {types.get(column, 'missing')}, not {wanted}"
    if shard.view != "packed":
        return None
    ids, length = types.get("input_ids"), manifest.recipe["packing"]["sequence_length"]
    if ids not in (pa.list_(pa.uint16(), length), pa.list_(pa.uint32(), length)):
        return f"column input_ids is {ids or 'missing'}; the recipe says sequences of {length} tokens"
    return None


def _content_problems(file: pq.ParquetFile, shard: ShardEntry, manifest: Manifest) -> list[str]:
    problems = []
    if file.metadata.num_rows != shard.rows:
        problems.append(f"{counted(file.metadata.num_rows, 'row')}, the manifest says {shard.rows:,}")
    tokens, highest, vocabulary = 0, 0, manifest.tokenizer.vocab_size
    packed = shard.view == "packed"
    columns = ["lengths", "input_ids"] if packed else ["tokens"]
    rows = max(1, BATCH_POSITIONS // manifest.recipe["packing"]["sequence_length"]) if packed else 1024
    for batch in file.iter_batches(rows, columns=columns):
        lengths = batch.column("lengths").flatten() if packed else batch.column("tokens")
        tokens += pc.sum(lengths).as_py() or 0
        if packed:
            highest = max(highest, pc.max(batch.column("input_ids").flatten()).as_py() or 0)
    if highest >= vocabulary:
        problems.append(f"token id {highest} is not in the tokenizer ({vocabulary} entries)")
    if tokens != shard.tokens:
        problems.append(f"{tokens:,} tokens, the manifest says {shard.tokens:,}")
    return problems


def _ledger_problems(manifest: Manifest) -> list[str]:
    """Check the ledger by itself, against its partitions, and each partition's against the partition's shards."""
    ledger, length = Ledger.from_json(manifest.ledger), manifest.recipe["packing"]["sequence_length"]
    problems = [f"ledger: {problem}" for problem in ledger.check(bool(manifest.recipe["build"]["packed"]))]
    parts = [Ledger.from_json(part.ledger) for part in manifest.partitions]
    if merged(parts).to_json() != manifest.ledger:
        problems.append("ledger: it is not the sum of the partitions' ledgers")
    shards: list[list[ShardEntry]] = [[] for _ in parts]
    for shard in manifest.shards:
        shards[shard.partition].append(shard)
    for number, part in enumerate(parts):
        where = f"partition {number}, " if len(parts) > 1 else ""
        problems += (f"{where}{problem}" for problem in _count_problems(part, shards[number], manifest))
    if totals(ledger, manifest.shards, length) != manifest.totals:
        problems.append("totals: they do not follow from the ledger and the shards")
    return problems


def _count_problems(ledger: Ledger, shards: Sequence[ShardEntry], manifest: Manifest) -> Iterable[str]:
    """Compare the rows and tokens of a partition's shards with what its ledger says went into them."""
    build, length = manifest.recipe["build"], manifest.recipe["packing"]["sequence_length"]
    rows: Counter[tuple[str, str]] = Counter()
    tokens: Counter[tuple[str, str]] = Counter()
    for shard in shards:
        rows[shard.view, shard.split] += shard.rows
        tokens[shard.view, shard.split] += shard.tokens
    for split in sorted({*ledger.splits(), *(split for _, split in rows)}):
        counts: list[tuple[str, int, int]] = []
        if build["raw"] != "none":
            documents = ledger.get("document", split, RAW).went_out
            counts.append(("raw rows", rows["raw", split], documents))
        if build["examples"] == "all":
            counts.append(("example rows", rows["examples", split], ledger.total("fit", split).went_out))
        if build["packed"]:
            pack = ledger.total("pack", split)
            counts.append(("positions", rows["packed", split] * length, pack.came_in))
            counts.append(("packed tokens", tokens["packed", split], pack.went_out))
        for what, in_shards, in_ledger in counts:
            if in_shards != in_ledger:
                yield f"{split}: {in_shards:,} {what} in the shards, {in_ledger:,} in the ledger"
