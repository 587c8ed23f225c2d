"""What may be the name of a repo, and the path of a file in one: checked before anything is sent or fetched."""

import re

from l2t_hub.errors import UsageError

MAX_SEGMENT_BYTES = 255
MAX_PATH_BYTES = 1024
MAX_TITLE_CHARS = 60
MAX_NOTE_CHARS = 500
_WORD = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9._-]{0,94}[A-Za-z0-9_])?")


def is_repo(text: str) -> bool:
    """Whether `text` is ORG/NAME by the Hub's rules."""
    parts = text.split("/")
    words = all(_WORD.fullmatch(part) and "--" not in part and ".." not in part for part in parts)
    return len(parts) == 2 and words and not text.endswith((".git", ".ipynb"))


def check_repo(text: str, what: str = "--repo") -> str:
    """Give `text` back if it is ORG/NAME; else raise UsageError, which says `what` it was to name."""
    if not is_repo(text):
        raise UsageError(
            f"{what} {text}: not the name of a repo",
            "It is ORG/NAME: letters, digits, '-', '_' and '.', at most 96 each, without '--' or '..'.",
        )
    return text


def check_collection(title: str | None, note: str | None) -> None:
    """Raise UsageError for a collection's title or note that the Hub would refuse, when all else was done."""
    if title is not None and not 1 <= len(title.strip()) <= MAX_TITLE_CHARS:
        raise UsageError(f"--collection {title!r}: a title has 1 to {MAX_TITLE_CHARS} characters")
    if note is not None and len(note) > MAX_NOTE_CHARS:
        raise UsageError(f"--note: {len(note)} characters, and the Hub takes {MAX_NOTE_CHARS}")


def path_problem(path: str) -> str | None:
    """What is wrong with a path in a repo, None if it may be one: no way out of the repo, nothing git refuses."""
    try:
        raw = path.encode()
    except UnicodeEncodeError:
        return "its name is not UTF-8"
    if any(ord(character) < 32 or ord(character) == 127 for character in path) or "\\" in path:
        return "control characters and backslashes are not allowed"
    parts = path.split("/")
    if any(part in ("", ".", "..") for part in parts):
        return "it must be a relative path without empty, '.' or '..' parts"
    if any(part.lower() == ".git" for part in parts):
        return "nothing may be below .git"
    if len(raw) > MAX_PATH_BYTES or any(len(part.encode()) > MAX_SEGMENT_BYTES for part in parts):
        return f"it is too long (a name may have {MAX_SEGMENT_BYTES} bytes, a path {MAX_PATH_BYTES})"
    return None
