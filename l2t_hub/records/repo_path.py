"""Paths inside a repository: the only type for a path that a record, a card or a Hub listing names."""

import os
import re
import unicodedata
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator

from l2t_hub.artifacts import CARD, MODULES, TOKENIZER, TRAINING_RECORD
from l2t_hub.errors import UserError

MAX_SEGMENT_BYTES = 255
MAX_PATH_BYTES = 1024
MAX_SEGMENTS = 32
# Bidirectional controls: they make a terminal or a page show another name than the one that is opened.
_BIDI = frozenset("\u200e\u200f\u061c\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\ufeff")
_UNSAFE_CATEGORIES = ("Cc", "Cs", "Zl", "Zp")
# huggingface_hub marks with this file the folder of contents that it shares among repositories.
_SHARED_BLOBS = ".huggingface-shared-blobs"
_DRIVE = re.compile(r"[A-Za-z]:")
_SHARD = re.compile(
    r"data/(?:raw|packed|examples/[^/]+)/(?:train|validation)-[0-9]{5,7}-of-[0-9]{5,7}\.parquet"
)
_ASIDE = re.compile(rf"{re.escape(CARD)}|{TOKENIZER}/[^/]+|{MODULES}/[A-Za-z0-9_-]{{1,100}}\.py")


def path_problem(path: str) -> str | None:
    """Say what is wrong with a path in a repository; None for a good one.

    A good path is relative, normalised POSIX, and cannot leave the repository on any system: no empty, `.`, `..` or
    `.git` part, no drive, backslash, control or bidirectional character, no part over 255 and no path over 1024 bytes
    of UTF-8.
    """
    try:
        encoded = path.encode()
    except UnicodeEncodeError:
        return "its name is not UTF-8"
    if len(encoded) > MAX_PATH_BYTES:
        return f"a path may have at most {MAX_PATH_BYTES} bytes"
    if "\\" in path or any(c in _BIDI or unicodedata.category(c) in _UNSAFE_CATEGORIES for c in path):
        return "control characters and backslashes are not allowed"
    parts = path.split("/")
    if any(part in ("", ".", "..") for part in parts):
        return "it must be a relative path without empty, '.' or '..' parts"
    if _DRIVE.match(path):
        return "it must not begin with a drive"
    if any(part.lower() == ".git" for part in parts):
        return "nothing may be below .git"
    if len(parts) > MAX_SEGMENTS or any(len(part.encode()) > MAX_SEGMENT_BYTES for part in parts):
        return f"a path may have {MAX_SEGMENTS} parts of {MAX_SEGMENT_BYTES} bytes each"
    return None


def _checked(path: str) -> str:
    if problem := path_problem(path):
        raise ValueError(f"not a path inside a repository: {problem}")
    return path


def _shard(path: str) -> str:
    if not _SHARD.fullmatch(path):
        raise ValueError("a shard is data/VIEW/SPLIT-NUMBER-of-COUNT.parquet")
    return path


def _aside(path: str) -> str:
    if not _ASIDE.fullmatch(path):
        raise ValueError(f"beside its shards, a dataset has {CARD}, {TOKENIZER}/FILE and {MODULES}/NAME.py")
    return path


def _model_file(path: str) -> str:
    if "/" in path or path in (CARD, TRAINING_RECORD):
        raise ValueError(
            f"the files of a model are at its top, and {CARD} and {TRAINING_RECORD} are not listed"
        )
    return path


RepoPath = Annotated[str, AfterValidator(_checked)]
"""A path of any file of a repository: a dataset, a model or a Space."""
ShardPath = Annotated[RepoPath, AfterValidator(_shard)]
"""A path of a dataset's Parquet shard."""
AsidePath = Annotated[RepoPath, AfterValidator(_aside)]
"""A path of a dataset's card, of a file of its tokenizer, or of a task module."""
ModelPath = Annotated[RepoPath, AfterValidator(_model_file)]
"""A path of a file that training wrote: weights, configuration, tokenizer or log."""


def same_name(paths: Iterable[str]) -> tuple[str, str] | None:
    """Return the first two paths that name one file where case or Unicode form does not count, as on a Mac."""
    seen: dict[str, str] = {}
    for path in paths:
        folded = unicodedata.normalize("NFC", path).casefold()
        if folded in seen:
            return seen[folded], path
        seen[folded] = path
    return None


def inside(directory: Path, path: str) -> Path:
    """Join a repository path to a directory; the file need not exist.

    Raises UserError if `path` is not a path inside a repository, or if a symlink leads it out of the directory. The
    files of a snapshot in the Hub cache are symlinks; those may lead into the `blobs` folder of the same repository,
    or into the one that all repositories of the cache share.
    """
    if problem := path_problem(path):
        raise UserError(f"{directory}: {path!r} is not a path inside a repository: {problem}")
    joined = directory / path
    real = os.path.realpath(joined)
    if not any(_is_below(real, root) for root in _roots(directory)):
        raise UserError(
            f"{directory}: {path} is a symlink that leads out of the directory",
            "Replace the link by the file it points to.",
        )
    return joined


def _roots(directory: Path) -> list[str]:
    """The directory itself and, for a snapshot of the Hub cache, the contents it links to."""
    real = Path(os.path.realpath(directory))
    roots = [str(real)]
    if real.parent.name == "snapshots":
        repo, cache = real.parent.parent, real.parent.parent.parent
        roots.append(os.path.realpath(repo / "blobs"))
        if (cache / "blobs" / _SHARED_BLOBS).is_file():
            roots.append(os.path.realpath(cache / "blobs"))
    return roots


def _is_below(path: str, root: str) -> bool:
    return path.startswith(root.rstrip(os.sep) + os.sep)
