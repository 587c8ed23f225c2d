"""The manifest of a dataset, `l2t_manifest.json`: what it was made from, what came out, and the files' hashes."""

from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal, NotRequired, Self

from pydantic import ConfigDict, Field, model_validator, with_config
from typing_extensions import TypedDict

from l2t_hub.artifacts import CARD, MANIFEST, MODULES
from l2t_hub.errors import UserError
from l2t_hub.records.bounds import (
    MAX_PARTITIONS,
    MAX_SHARD_POSITIONS,
    MAX_SHARD_ROWS,
    MAX_SHARDS,
    Count,
    Digests,
    FirstFormat,
    Name,
    Names,
    OneByOne,
    ReleaseName,
    Rows,
    Sha256,
    Share,
    Text,
    TokenId,
    Vocabulary,
)
from l2t_hub.records.file_list import ExpectedFile
from l2t_hub.records.reading import FileRecord, Record
from l2t_hub.records.recipe_tree import DataRecipeTree
from l2t_hub.records.repo_path import AsidePath, ShardPath, same_name
from l2t_hub.text import counted

CLOSED = with_config(ConfigDict(extra="forbid", strict=True))


View = Literal["raw", "examples", "packed"]
Split = Literal["train", "validation"]


class ShardEntry(Record):
    """A Parquet file of the dataset. `fill` is the share of a packed shard's positions that hold tokens."""

    path: ShardPath
    config: Name
    view: View
    split: Split
    partition: Annotated[int, Field(ge=0, lt=MAX_PARTITIONS)]
    rows: Annotated[int, Field(ge=0, le=MAX_SHARD_ROWS)]
    tokens: Count
    bytes: Count
    sha256: Sha256
    fill: Share = 0.0

    @model_validator(mode="after")
    def _path_fits(self) -> Self:
        folder = f"data/examples/{self.config}" if self.view == "examples" else f"data/{self.view}"
        if not self.path.startswith(f"{folder}/{self.split}-"):
            raise ValueError(f"view, config and split say {folder}/{self.split}-*, path says {self.path}")
        return self


LedgerRow = TypedDict(
    "LedgerRow",
    {
        "stage": Annotated[str, Field(pattern=r"^(read|assign|document|block|make|fit|tokens|pack)$")],
        "split": Name,
        "what": Name,
        "unit": Name,
        "in": Count,
        "out": Count,
        "dropped": Annotated[dict[Text, Count], OneByOne],
    },
)
"""One flow of the ledger: `in` = `out` + the sum of `dropped`, in `unit`."""
CLOSED(LedgerRow)
LedgerRows = Annotated[Rows[LedgerRow], Field(max_length=100_000)]


@CLOSED
class FileDrops(TypedDict):
    """How many documents of a file were dropped for a reason; "" is a source without files."""

    file: Text
    reason: Text
    count: Count


class PartitionEntry(Record):
    """A part of the source that was built on its own: `key` hashes what decides its bytes, `inputs` what it read.

    `drops` are those of the files with most of them; the ledger has all.
    """

    key: Sha256
    inputs: Sha256
    ledger: LedgerRows
    drops: Annotated[Rows[FileDrops], Field(max_length=1000)] = Field(default=[])


@CLOSED
class DroppedRecords(TypedDict):
    """Records left out of training: their numbers by partition. `key` hashes what decides them."""

    key: Sha256
    records: Annotated[Rows[Rows[Count]], Field(max_length=MAX_PARTITIONS)]


@CLOSED
class SourceFacts(TypedDict):
    """What was read: digests (or Hub commits) by name, the number of records, and what was left out.

    `near_identical` are training records near a held-out one, `duplicates` those that repeat an earlier one.
    `encodings` are those of the files that are not UTF-8, as the recipe names them or as they were detected.
    """

    contents: Annotated[dict[Text, Name], OneByOne]
    records: Count
    repeated_ids: Count
    near_identical: DroppedRecords | None
    duplicates: NotRequired[DroppedRecords | None]
    encodings: NotRequired[Annotated[dict[Text, Name], OneByOne]]


class TokenizerInfo(Record):
    """A saved tokenizer: `sha256` of what decides ids, the special ids, and for a trained one what it was trained on.

    `trained` is a key that says whether training again would give the same tokenizer; null for a named one.
    """

    name: Text | None
    revision: Text | None
    trained: Sha256 | None
    sha256: Sha256
    vocab_size: Vocabulary
    bos_id: TokenId | None
    eos_id: TokenId | None
    pad_id: TokenId
    method: Name


@CLOSED
class SplitTotals(TypedDict):
    """What came out of one split. `fill` is the share of positions that hold tokens, null without sequences."""

    raw_documents: Count
    task_documents: Count
    examples: Count
    raw_tokens: Count
    task_tokens: Count
    sequences: Count
    fill: Share | None


@CLOSED
class AskedMixture(TypedDict, total=False):
    """The mixture that the recipe asks for."""

    scheme: Name
    raw_share: Share
    unit: Name
    task: Name


@CLOSED
class RawShares(TypedDict):
    """The share of raw text that came out, by documents and by tokens; null where there are none."""

    documents: Share | None
    tokens: Share | None


@CLOSED
class PartCounts(TypedDict):
    """What became raw text, or examples of one task."""

    documents: Count
    examples: Count
    tokens: Count


@CLOSED
class SolvedShare(TypedDict):
    """How a raw share in tokens was reached: a document is raw if its draw is below `threshold`."""

    key: Sha256
    threshold: Share
    predicted: Share
    documents: Count
    calibrated: Count
    complete: bool


@CLOSED
class MixtureFacts(TypedDict):
    """The mixture asked for, and what came out: raw text and each task, in documents, examples and tokens."""

    asked: AskedMixture
    raw_share: RawShares
    parts: Annotated[dict[Name, PartCounts], OneByOne]
    solved: SolvedShare | None


@CLOSED
class TaskFacts(TypedDict):
    """What a task is: its linguistic level, and what the model must do, in a line."""

    level: Name
    description: Text


@CLOSED
class LanguageFacts(TypedDict):
    """The English name of a language of the source, and what it lacks for each task that it leaves out."""

    name: Name
    left_out: Annotated[dict[Name, list[Name]], OneByOne]


class Manifest(FileRecord):
    """Everything a reader, a verifier or a later build needs to know of a dataset directory.

    `recipe` has the keys that decide the dataset, and `fingerprint` hashes them, source contents and tokenizer.
    `files` are the hashes of the tokenizer's files and of the card, without the owner's text in it. `tasks` are those
    of the mixture, in order; `languages` are those of the source, by code. `modules` are the hashes of task modules;
    those that are files are in `files` too.
    """

    FILE = MANIFEST
    WHAT = "a manifest"
    REMEDY = "Build or download the dataset again."
    INDENT = 1

    name: ReleaseName
    fingerprint: Sha256
    recipe: DataRecipeTree
    source: SourceFacts
    tokenizer: TokenizerInfo
    made_by: Names
    modules: Digests
    tasks: Annotated[dict[Name, TaskFacts], OneByOne] = Field(default_factory=dict)
    languages: Annotated[dict[Name, LanguageFacts], OneByOne] = Field(default_factory=dict)
    partitions: Annotated[Rows[PartitionEntry], Field(max_length=MAX_PARTITIONS)]
    shards: Annotated[Rows[ShardEntry], Field(max_length=MAX_SHARDS)]
    ledger: LedgerRows
    totals: Annotated[dict[Name, SplitTotals], OneByOne]
    mixture: MixtureFacts
    files: Annotated[dict[AsidePath, Sha256], OneByOne]
    format: FirstFormat

    @model_validator(mode="after")
    def _partitions_add_up(self) -> Self:
        wanted, length = self.recipe["build"]["partitions"], self.recipe["packing"]["sequence_length"]
        if len(self.partitions) != wanted:
            raise ValueError(f"{counted(len(self.partitions), 'partition')}, where the recipe has {wanted}")
        for number, shard in enumerate(self.shards):
            if shard.partition >= wanted:
                raise ValueError(f"shards[{number}] is of partition {shard.partition} of {wanted}")
            if shard.view == "packed" and shard.rows * length > MAX_SHARD_POSITIONS:
                raise ValueError(f"shards[{number}] has more than {MAX_SHARD_POSITIONS:,} positions")
        for path, digest in self.files.items():
            if path.startswith(f"{MODULES}/") and self.modules.get(path) != digest:
                raise ValueError(
                    f"modules: {path} is a file of the dataset, but no such module with its hash"
                )
        both = same_name([*(shard.path for shard in self.shards), *self.files])
        if both:
            raise ValueError(f"{both[0]} and {both[1]} are the same file")
        return self

    def expected(self) -> dict[str, ExpectedFile]:
        """Return what the manifest says of each file, by path: the shards, the card and the tokenizer."""
        shards = {shard.path: ExpectedFile(shard.sha256, shard.bytes) for shard in self.shards}
        return shards | {
            path: ExpectedFile(digest, is_card=path == CARD) for path, digest in self.files.items()
        }

    def missing_shards(self) -> list[str]:
        """Return the shards that their numbering promises and the manifest lacks, such as 00002-of-00003."""
        numbers: dict[tuple[str, str], set[int]] = defaultdict(set)
        for shard in self.shards:
            stem, number, _, count = shard.path.removesuffix(".parquet").rsplit("-", 3)
            numbers[stem, count].add(int(number))
        # The first gap of each name is enough to say: what a count promises may be millions.
        gaps = [
            (stem, min(set(range(len(there) + 1)) - there), count)
            for (stem, count), there in sorted(numbers.items())
            if len(there) != int(count) or max(there) >= int(count)
        ]
        return [f"{stem}-{gap:05d}-of-{count}.parquet" for stem, gap, count in gaps]

    def with_files(self, files: Mapping[str, str]) -> Self:
        """Return a checked copy with other `files`."""
        return self.model_validate({**self.as_dict(), "files": dict(files)})


def read_manifest(directory: Path) -> Manifest:
    """Read a dataset directory's manifest. Raises UserError if there is none or it is not a good one."""
    manifest = Manifest.find(Path(directory))
    if manifest is None:
        raise UserError(
            f"{directory}: no dataset: {MANIFEST} is missing",
            "Build one with `l2t build RECIPE --out DIR`. If a build was interrupted, rerun it.",
        )
    return manifest
