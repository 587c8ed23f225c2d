"""The types of a record's fields: every number, text, list and mapping with its limits.

The limits are far above what the toolkit's users do, and low enough that a loop or an allocation of that size is safe
or is refused for another reason first.
"""

import re
from collections.abc import Callable
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, FailFast, Field, WrapValidator

T = TypeVar("T")

MAX_PARTITIONS = 100_000
MAX_RECORDS = 10**12
MAX_BLOCK_TOKENS = 10**9
MAX_SHARDS = 1_000_000
# A shard has 500 MB or so; these keep the time to read one within minutes, however well it is compressed.
MAX_SHARD_ROWS = 1 << 28
MAX_SHARD_POSITIONS = 1 << 31
MAX_SEQUENCE_LENGTH = 1 << 20
MAX_VOCABULARY = 1 << 22
MAX_STEPS = 100_000_000
MAX_BATCH = 1 << 20
MAX_LAYERS = 1 << 10
MAX_WIDTH = 1 << 17
MAX_HEADS = 1 << 12
MAX_PREDICTION_HEADS = 16
MAX_SEED = 2**64 - 1
MAX_SEEDS = 100

_REPO_WORD = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9._-]{0,94}[A-Za-z0-9_])?")
_REVISION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]{0,99}")


def is_repo(text: str) -> bool:
    """Whether `text` is ORG/NAME by the Hub's rules."""
    words = text.split("/")
    good = all(_REPO_WORD.fullmatch(word) and "--" not in word and ".." not in word for word in words)
    return len(words) == 2 and good and not text.endswith((".git", ".ipynb"))


def is_revision(text: str) -> bool:
    """Whether `text` can be the name of a branch, a tag or a commit."""
    return bool(_REVISION.fullmatch(text)) and ".." not in text


def _repo_name(text: str) -> str:
    if not is_repo(text):
        raise ValueError("not the name of a repository, ORG/NAME")
    return text


FirstFormat = Annotated[int, Field(ge=1, le=1)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Count = Annotated[int, Field(ge=0, le=10**15)]
"""How many bytes, rows, documents, examples or tokens."""
Share = Annotated[float, Field(ge=0, le=1)]
Seconds = Annotated[float, Field(ge=0, le=10**10)]
Loss = Annotated[float, Field(ge=-1e9, le=1e9)]
"""A mean loss in nats per token."""
SequenceLength = Annotated[int, Field(ge=1, le=MAX_SEQUENCE_LENGTH)]
Vocabulary = Annotated[int, Field(ge=1, le=MAX_VOCABULARY)]
TokenId = Annotated[int, Field(ge=0, lt=MAX_VOCABULARY)]
Steps = Annotated[int, Field(ge=0, le=MAX_STEPS)]
Batch = Annotated[int, Field(ge=1, le=MAX_BATCH)]
Commit = Annotated[str, Field(pattern=r"^[0-9a-f]{40}([0-9a-f]{24})?$")]
"""A commit of a repository."""
RepoName = Annotated[str, AfterValidator(_repo_name)]
"""A repository as ORG/NAME."""
ReleaseName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,95}$")]
"""What a recipe, its dataset and its model are called."""
Name = Annotated[str, Field(pattern=r"^[^\p{C}\p{Zl}\p{Zp}]{0,200}$")]
"""A task, split, version or method: text without control characters."""
Text = Annotated[str, Field(max_length=4096)]
"""A title, a local path or the name of a source file."""


def _one_by_one(value: Any, check: Callable[[Any], Any]) -> Any:
    """Stop at a mapping's first wrong entry: a million wrong ones would give a million errors."""
    if not isinstance(value, dict):
        return check(value)
    return {k: v for key, entry in value.items() for k, v in check({key: entry}).items()}


OneByOne = WrapValidator(_one_by_one)
Names = Annotated[dict[Name, Name], OneByOne]
"""Versions by library, and the like."""
Digests = Annotated[dict[Text, Sha256], OneByOne]
"""SHA-256 by name."""
Rows = Annotated[list[T], FailFast()]
"""A list that is checked up to its first wrong entry."""
