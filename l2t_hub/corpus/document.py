"""The nouns of the corpus room: a document, a record that could not become one, and the names of the reasons."""

from dataclasses import dataclass

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
    """One text of the source. `token_count` is set where a column of the source already holds it."""

    id: str
    text: str
    token_count: int | None = None


@dataclass(frozen=True, slots=True)
class Dropped:
    """A record of the source that gives no document, and why."""

    reason: str


Record = Document | Dropped
