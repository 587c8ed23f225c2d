"""Names the Hub accepts for repos and collections, checked before anything is sent or fetched."""

import os
from collections.abc import Iterator
from difflib import get_close_matches
from itertools import islice
from pathlib import Path

from l2t_hub.errors import UsageError
from l2t_hub.records.bounds import is_repo

# Limits of a collection on the Hub.
MAX_TITLE_CHARS = 60
MAX_DESCRIPTION_CHARS = 150
MAX_NOTE_CHARS = 500
_FILE_ENDINGS = (
    ".yaml",
    ".yml",
    ".json",
    ".jsonl",
    ".parquet",
    ".safetensors",
    ".txt",
    ".csv",
    ".gz",
    ".zst",
)
SCHEME = "hf://"
_FORM = "A name on the Hub is ORG/NAME or ORG/NAME@REVISION."
# How much of the disk is looked at for what a mistyped name may mean.
_MAX_ENTRIES = 300


def check_repo(text: str, what: str = "--repo") -> str:
    """Return `text` if it is a valid repo name, else raise UsageError. `what` names the argument in the error."""
    if not is_repo(text):
        raise UsageError(
            f"{what} {text}: not a valid repo name",
            "Use ORG/NAME. Each part has at most 96 letters, digits, '-', '_' and '.', without '--' or '..'.",
        )
    return text


def check_hub_name(text: str, *, nearby: bool = True) -> None:
    """Raise UsageError unless `text`, which is no path on this machine, can only mean a repo on a Hub.

    It must be ORG/NAME[@REVISION] and not look like a path. With `nearby`, it must also not resemble a path on this
    machine: a stranger could own the name of a mistyped directory. A revision says that the Hub is meant.
    """
    if looks_like_path(text):
        raise UsageError(f"{text}: no such file or directory", _suggestion(text) or _FORM)
    repo, at, _ = text.partition("@")
    if not is_repo(repo):
        raise UsageError(f"{text}: no such directory, and not a name on the Hub", _suggestion(text) or _FORM)
    if nearby and not at and (Path(repo).parent.is_dir() or _suggestion(text)):
        way_on = f"If you mean the Hub, name a revision: {repo}@main."
        raise UsageError(f"{text}: no such directory", " ".join(filter(None, (_suggestion(text), way_on))))


def without_scheme(text: str) -> str:
    """Return the name of a repo that may be written as hf://ORG/NAME or hf://datasets/ORG/NAME."""
    if not text.startswith(SCHEME):
        return text
    return text.removeprefix(SCHEME).removeprefix("datasets/").removeprefix("models/")


def looks_like_path(text: str) -> bool:
    """Whether `text` has the form of a path rather than of a repo name."""
    is_rooted = text.startswith((".", "/", "~")) or text.endswith("/")
    return is_rooted or "\\" in text or text.count("/") > 1 or text.lower().endswith(_FILE_ENDINGS)


def _suggestion(text: str) -> str:
    """Return a sentence that suggests the path on this machine that resembles `text` most, '' if none does."""
    path = Path(text)
    if path.parent.is_dir():
        near = get_close_matches(path.name, list(_entries(path.parent)), n=1, cutoff=0.6)
        return f"Did you mean '{path.parent / near[0]}'?" if near else ""
    below = [f"{top}/{name}" for top in _entries(Path()) for name in _entries(Path(top))]
    near = get_close_matches(text, below, n=1, cutoff=0.85)
    return f"Did you mean '{near[0]}'?" if near else ""


def _entries(directory: Path) -> Iterator[str]:
    try:
        with os.scandir(directory) as entries:
            visible = (entry.name for entry in entries if not entry.name.startswith("."))
            yield from list(islice(visible, _MAX_ENTRIES))
    except OSError:
        return


def check_collection(title: str | None, note: str | None) -> None:
    """Raise UsageError if the Hub would reject a collection's title or an item's note."""
    if title is not None and not 1 <= len(title.strip()) <= MAX_TITLE_CHARS:
        raise UsageError(f"--collection {title!r}: a title must have 1 to {MAX_TITLE_CHARS} characters")
    if note is not None and len(note) > MAX_NOTE_CHARS:
        raise UsageError(f"--note: {len(note)} characters; the Hub allows {MAX_NOTE_CHARS}")
