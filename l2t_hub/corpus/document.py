"""What a record of the source becomes: a document, or a drop with its reason."""

from dataclasses import dataclass

# Reasons of drops. They are part of the published manifest.
NULL_TEXT = "null text"
EMPTY_TEXT = "empty text"
NOT_UTF8 = "not UTF-8"
UNREADABLE = "unreadable row"
NULL_ID = "null id"
DUPLICATE_ID = "duplicate id"
DAMAGED_FILE = "unreadable file: {}"
DAMAGED_REST = "rest of a damaged file: {}"


@dataclass(frozen=True, slots=True)
class Document:
    """A text of the source. `token_count` is None unless a column of the source holds it."""

    id: str
    text: str
    token_count: int | None = None


@dataclass(frozen=True, slots=True)
class Dropped:
    """A record of the source that gives no document, and the reason."""

    reason: str


Record = Document | Dropped
