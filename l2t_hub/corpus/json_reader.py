"""Read JSON: one object per line (JSON Lines), or an array of objects, which is parsed as a stream.

ijson parses arrays with the C library yajl. It takes no integers over 64 bits, and half a surrogate pair becomes "?".
"""

import codecs
import json
from collections.abc import Iterator
from contextlib import suppress
from itertools import islice, takewhile
from typing import IO, Any

import ijson

from l2t_hub.corpus.columns import Columns, key_names, missing_column, named_columns
from l2t_hub.corpus.document import UNREADABLE, Dropped, Record, decoded, document_of_mapping, refuse
from l2t_hub.corpus.encodings import recoded
from l2t_hub.corpus.files import Segment, SourceFile, numbered_lines, opened
from l2t_hub.errors import UserError

LAYOUT = (
    "A JSON file is one object per line, or one array of objects. jq makes lines: jq -c '.KEY[]' FILE of an array "
    "under a key, jq -c . FILE of objects on several lines."
)
CHECKED_RECORDS = 20


def is_array(file: SourceFile) -> bool:
    """Whether the first character of a JSON file that is no blank begins an array."""
    with opened(file) as stream:
        head = stream.read(4096).removeprefix(codecs.BOM_UTF8).lstrip()
    return head.startswith(b"[")


def check_json(file: SourceFile, columns: Columns) -> None:
    """Raise UsageError if a column that the recipe names is in none of the first records."""
    names: set[str] = set()
    with suppress(UserError), opened(file) as stream:  # damage is reported when the file is read
        values = _array_items(stream, file) if file.kind == "json" else _lines_as_json(stream, file)
        for value in islice(values, CHECKED_RECORDS):
            names.update(key_names(value))
    for key, name in named_columns(columns) if names else ():
        if name not in names:
            raise missing_column(f"{columns.where[key]}: {file.path}", key, name, names)


def read_array(segment: Segment, columns: Columns) -> Iterator[Record]:
    """Yield one record per item of an array. Without an id column, its id is the file's name and its number."""
    file = segment.file
    with opened(file) as stream:
        for number, item in enumerate(_array_items(stream, file)):

            def where(number: int = number) -> str:
                return f"{file.path}, item {number:,}"

            if isinstance(item, dict):
                yield document_of_mapping(item, f"{file.name}:{number}", where, columns)
            else:
                yield refuse(UNREADABLE, where, "not a JSON object", columns)


def read_lines(segment: Segment, columns: Columns) -> Iterator[Record]:
    """Yield one record per line. Without an id column, its id is the file's name and the byte at which it starts."""
    file = segment.file
    with opened(file) as stream:
        start = segment.start
        if start:
            stream.seek(start - 1)
            start += len(stream.readline()) - 1
        for offset, line in numbered_lines(stream, start):
            if not file.is_whole and offset >= segment.stop:
                return
            if not line.isspace():
                yield _record_of_line(line, offset, file, columns)


def _record_of_line(line: bytes, offset: int, file: SourceFile, columns: Columns) -> Record:
    """Parse one line of JSON, which starts at byte `offset` of the file."""

    def where() -> str:
        return f"{file.path}, line {_line_number(file, offset)}"

    text = decoded(line, file.line_encoding, offset, where, columns)
    if isinstance(text, Dropped):
        return text
    try:
        record = json.loads(text)
    except (ValueError, RecursionError) as error:
        return refuse(UNREADABLE, where, f"not JSON: {error}", columns, LAYOUT)
    if not isinstance(record, dict):
        return refuse(UNREADABLE, where, "not a JSON object", columns, LAYOUT)
    return document_of_mapping(record, f"{file.name}@{offset}", where, columns)


def _lines_as_json(stream: IO[bytes], file: SourceFile) -> Iterator[Any]:
    """Yield the values of the lines. One that cannot be read is null: it is reported when it is read as a record."""
    for _, line in numbered_lines(stream):
        try:
            yield json.loads(line.decode(file.line_encoding))
        except (ValueError, RecursionError):
            yield None


def _array_items(stream: IO[bytes], file: SourceFile) -> Iterator[Any]:
    """Yield the items of an array. Raises UserError where it is not JSON: what follows cannot be read."""
    if file.line_encoding != "utf-8":
        stream = recoded(stream, file.line_encoding)
    head = stream.read(len(codecs.BOM_UTF8))
    try:
        yield from ijson.items(_Joined(head.removeprefix(codecs.BOM_UTF8), stream), "item", use_float=True)
    except (ijson.JSONError, UnicodeDecodeError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(
            f"{file.path}: the array cannot be read to its end: {reason}", "Repair the file, or get it again."
        ) from None


class _Joined:
    """A stream with some bytes put back in front of it."""

    def __init__(self, head: bytes, stream: IO[bytes]) -> None:
        self._head, self._stream = head, stream

    def read(self, size: int = -1) -> bytes:
        if not size:  # ijson asks what kind of stream this is
            return b""
        head, self._head = self._head, b""
        return head + self._stream.read(size - len(head) if size > 0 else size)


def _line_number(file: SourceFile, offset: int) -> int:
    """Return the number, from 1, of the line that starts at byte `offset`. This reads the file up to that line."""
    with opened(file) as stream:
        return 1 + sum(1 for _ in takewhile(lambda line: line[0] < offset, numbered_lines(stream)))
