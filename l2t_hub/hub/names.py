"""Names the Hub accepts for repos and collections, checked before anything is sent or fetched."""

from l2t_hub.errors import UsageError
from l2t_hub.records.bounds import is_repo

# Limits of a collection on the Hub.
MAX_TITLE_CHARS = 60
MAX_DESCRIPTION_CHARS = 150
MAX_NOTE_CHARS = 500


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
