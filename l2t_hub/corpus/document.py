"""What a record of the source becomes: a document, or a drop with its reason."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from l2t_hub.corpus.columns import Columns, value_of
from l2t_hub.errors import UsageError, UserError

# Reasons of drops. They are part of the published manifest.
NULL_TEXT = "null text"
EMPTY_TEXT = "empty text"
NOT_UTF8 = "not UTF-8"
NOT_DECODED = "not in the source's encoding"
UNREADABLE = "unreadable row"
NULL_ID = "null id"
DUPLICATE_ID = "duplicate id"
OTHER_LANGUAGE = "another language"
DAMAGED_FILE = "unreadable file: {}"
DAMAGED_REST = "rest of a damaged file: {}"

HINT = "Repair or remove the record, or set build.on_error: drop to drop and count such records."
LANGUAGE_HINT = "Add it to source.language, or set build.on_error: drop to drop and count other languages."
ENCODING_HINT = (
    "If the file has another encoding, set source.encoding, such as latin-1. Else repair or remove the record, or "
    "set build.on_error: drop to drop and count such records."
)


@dataclass(frozen=True, slots=True)
class Document:
    """A text of the source. `token_count` and `language`, a code, are empty unless a column of the source holds them.

    `file` is for messages. `may_be_held_out` is false if the recipe holds no documents out from its file.
    """

    id: str
    text: str
    token_count: int | None = None
    language: str = ""
    file: str = field(default="", compare=False)
    may_be_held_out: bool = True


@dataclass(frozen=True, slots=True)
class Dropped:
    """A record of the source that gives no document, and the reason. `file` is for messages."""

    reason: str
    file: str = field(default="", compare=False)


Record = Document | Dropped
Where = Callable[[], str]
"""Returns the location of a record. It is called only to stop: a line number takes a pass over the file."""


def for_training(record: Record) -> Record:
    """Return a record of a file from which the recipe holds no documents out."""
    return replace(record, may_be_held_out=False) if isinstance(record, Document) else record


def decoded(
    data: bytes, encoding: str, offset: int, where: Where, columns: Columns, hint: str = ENCODING_HINT
) -> str | Dropped:
    """Decode the bytes of a record, which starts at byte `offset` of its file, or refuse it."""
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        name = "UTF-8" if encoding == "utf-8" else encoding
        problem = f"byte {offset + error.start:,} is not {name} ({error.reason})"
        reason = NOT_UTF8 if encoding == "utf-8" else NOT_DECODED
        return refuse(reason, where, problem, columns, hint)


def document_of_mapping(record: dict[str, Any], default_id: str, where: Where, columns: Columns) -> Record:
    """Make a document from a mapping. `default_id` is its id if the recipe names no id column."""
    text = value_of(record, columns.text)
    if text is not None and not isinstance(text, str):
        kind = type(text).__name__
        return refuse(UNREADABLE, where, f"column '{columns.text}' is {kind}, not text", columns)
    document_id = default_id if columns.id is None else value_of(record, columns.id)
    count = None if columns.token_count is None else value_of(record, columns.token_count)
    written = None if columns.language is None else value_of(record, columns.language)
    return document_of(text, document_id, count, where, columns, written)


def document_of(
    text: str | None, document_id: Any, count: Any, where: Where, columns: Columns, written: Any = None
) -> Record:
    """Make a document from the values of a record, or drop it. CR and CRLF become newlines.

    `written` is the value of the column with the language.
    """
    if text is None:
        return Dropped(NULL_TEXT)
    if not text or text.isspace():
        return Dropped(EMPTY_TEXT)
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError as error:  # JSON can escape half a surrogate pair, which is not a character
            problem = f"character {error.start:,} is half a surrogate pair, which UTF-8 cannot encode"
            return refuse(NOT_UTF8, where, problem, columns)
    if document_id is None:
        return refuse(NULL_ID, where, "the id is null", columns)
    if not isinstance(document_id, str | int):
        raise UsageError(
            f"{columns.where['id_column']}: {where()}: an id must be text or an integer, not {document_id!r}"
        )
    if count is not None and (not isinstance(count, int) or count < 0):
        raise UsageError(
            f"{columns.where['token_count_column']}: {where()}: a token count must be an integer of at least 0, "
            f"not {count!r}"
        )
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    if columns.language is None:
        return Document(str(document_id), text, count)
    code = columns.languages.get(re.split("[-_]", str(written).strip().lower())[0])
    if code is None:
        problem = f"its language is {written!r:.40}, which source.language does not name"
        return refuse(OTHER_LANGUAGE, where, problem, columns, LANGUAGE_HINT)
    return Document(str(document_id), text, count, code)


def refuse(reason: str, where: Where, problem: str, columns: Columns, hint: str = HINT) -> Dropped:
    """Stop at a record that cannot be read, or drop it, as the recipe says."""
    if columns.stop:
        raise UserError(f"{where()}: {problem}", hint)
    return Dropped(reason)
