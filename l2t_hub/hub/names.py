"""Names the Hub accepts for repos, files and collections, checked before anything is sent or fetched."""

import re

from l2t_hub.errors import UsageError

MAX_SEGMENT_BYTES = 255
MAX_PATH_BYTES = 1024
MAX_TITLE_CHARS = 60
MAX_NOTE_CHARS = 500
_WORD = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9._-]{0,94}[A-Za-z0-9_])?")


def is_repo(text: str) -> bool:
    """Whether `text` is a valid repo name, ORG/NAME."""
    parts = text.split("/")
    words = all(_WORD.fullmatch(part) and "--" not in part and ".." not in part for part in parts)
    return len(parts) == 2 and words and not text.endswith((".git", ".ipynb"))


def check_repo(text: str, what: str = "--repo") -> str:
    """Return `text` if it is a valid repo name, else raise UsageError. `what` names the argument in the error."""
    if not is_repo(text):
        raise UsageError(
            f"{what} {text}: not a valid repo name",
            "Use ORG/NAME. Each part has at most 96 letters, digits, '-', '_' and '.', without '--' or '..'.",
        )
    return text


def check_collection(title: str | None, note: str | None) -> None:
    """Raise UsageError if the Hub would reject a collection's title or an item's note."""
    if title is not None and not 1 <= len(title.strip()) <= MAX_TITLE_CHARS:
        raise UsageError(f"--collection {title!r}: a title must have 1 to {MAX_TITLE_CHARS} characters")
    if note is not None and len(note) > MAX_NOTE_CHARS:
        raise UsageError(f"--note: {len(note)} characters; the Hub allows {MAX_NOTE_CHARS}")


def path_problem(path: str) -> str | None:
    """Return why `path` cannot be a path in a repo, or None if it can: it must stay inside the repo and suit git."""
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
        return "files in a .git folder are not allowed"
    if len(raw) > MAX_PATH_BYTES or any(len(part.encode()) > MAX_SEGMENT_BYTES for part in parts):
        return f"it is too long (limits: {MAX_SEGMENT_BYTES} bytes for a name, {MAX_PATH_BYTES} for a path)"
    return None
