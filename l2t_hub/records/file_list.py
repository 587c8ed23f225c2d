"""The one comparison of files that are there with files that a record lists."""

import os
from collections.abc import Container, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from l2t_hub.artifacts import MANIFEST, MODULES, RELEASE_RECORD, sha256_of
from l2t_hub.errors import UserError
from l2t_hub.records.card_text import card_digest
from l2t_hub.records.reading import read_bounded
from l2t_hub.records.repo_path import inside

# The records themselves, and the Hub's own file: no record lists them.
UNLISTED = (MANIFEST, RELEASE_RECORD, ".gitattributes")
# What a library loads by default: rows, weights, and the settings that decide how they are used.
LOADED = {
    "dataset": (".parquet", ".arrow", ".py"),  # older versions of `datasets` run a script of the repository
    "model": (".safetensors", ".json", ".jinja", ".model", "merges.txt", "vocab.txt"),
    "space": (".py", ".whl", "requirements.txt", "packages.txt"),
}
_DATASET_FOLDERS = ("data/", "tokenizer/", f"{MODULES}/")
EDITED = "`l2t card DIR` writes it again, and keeps the edited file beside it"


class FoundFile(Protocol):
    """A file that is there. `sha256` may be computed when it is asked for."""

    @property
    def size(self) -> int:
        """Bytes."""

    @property
    def sha256(self) -> str:
        """64 hex digits."""

    @property
    def card_sha256(self) -> str:
        """The SHA-256 of a card without the owner's text."""


@dataclass(frozen=True)
class ExpectedFile:
    """What a record says of a file; `size` in bytes, None where the record does not say.

    With `is_card`, `sha256` is that of the card without the owner's text.
    """

    sha256: str
    size: int | None = None
    is_card: bool = False


@dataclass(frozen=True)
class LocalFile:
    """A file of a directory on this machine; hashed when `sha256` is asked for."""

    path: Path

    @property
    def size(self) -> int:
        """Bytes. Raises OSError if the file cannot be read."""
        return self.path.stat().st_size

    @property
    def sha256(self) -> str:
        """64 hex digits. Raises OSError if the file cannot be read."""
        return sha256_of(self.path)

    @property
    def card_sha256(self) -> str:
        """64 hex digits. Raises UserError if the file cannot be read or is too large for a card."""
        return card_digest(read_bounded(self.path))


def file_problem(found: FoundFile | None, expected: ExpectedFile, record: str) -> str | None:
    """Say how a file differs from what `record` says of it; None if it is the same. A wrong size spares the hash."""
    if found is None:
        return f"missing, but listed in {record}"
    try:
        if expected.size is not None and found.size != expected.size:
            return f"{found.size:,} bytes, but {expected.size:,} in {record}"
        if expected.is_card:
            if found.card_sha256 != expected.sha256:
                return f"was edited outside your own section of it, or is not the card of {record}: {EDITED}"
        elif found.sha256 != expected.sha256:
            return f"its SHA-256 is {found.sha256[:12]}..., but {expected.sha256[:12]}... in {record}"
    except OSError as error:
        return f"cannot be read: {error.strerror or error}"
    except UserError as error:
        return error.message
    return None


def compare_directory(directory: Path, expected: Mapping[str, ExpectedFile], record: str) -> dict[str, str]:
    """Return what is wrong with each of the `expected` files of a directory, by path; {} if all are as expected.

    Nothing outside the directory is opened: a symlink that leads out is a problem.
    """
    problems = {}
    for path, facts in expected.items():
        try:
            file = inside(directory, path)
        except UserError as error:
            problems[path] = error.message.removeprefix(f"{directory}: {path} is ")
            continue
        problem = file_problem(LocalFile(file) if file.is_file() else None, facts, record)
        if problem:
            problems[path] = problem
    return problems


def unknown_files(directory: Path, known: Container[str]) -> list[str]:
    """Return the files of a directory that are neither `known` nor a record, sorted; hidden folders are left out.

    A symlink to a folder is one entry, and is not followed.
    """
    unknown = []
    for folder, folders, files in os.walk(directory):
        below = Path(folder).relative_to(directory)
        hidden = [name for name in folders if name.startswith(".") and below == Path()]
        links = [name for name in folders if (Path(folder) / name).is_symlink()]
        folders[:] = [name for name in folders if name not in hidden]
        paths = [(below / name).as_posix() for name in (*files, *links)]
        unknown += [path for path in paths if path not in known and path not in UNLISTED]
    return sorted(unknown)


def is_loaded(kind: str, path: str) -> bool:
    """Whether a library would load this file of a "dataset", "model" or "space" although no record lists it."""
    return path.endswith(LOADED[kind]) or (kind == "dataset" and path.startswith(_DATASET_FOLDERS))
