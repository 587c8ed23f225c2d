"""Read CSV and TSV with a header, row by row. Fields in double quotes may have delimiters and newlines in them."""

import csv
from collections.abc import Iterator
from typing import IO

from l2t_hub.corpus.columns import Columns, missing_column, named_columns
from l2t_hub.corpus.document import NOT_DECODED, NOT_UTF8, UNREADABLE, Record, document_of_mapping, refuse
from l2t_hub.corpus.files import Segment, SourceFile, numbered_lines, opened
from l2t_hub.errors import UsageError

DELIMITERS = (",", ";", "\t", "|")
# A quotation mark that is never closed makes a field of the rest of the file, up to this many characters.
MAX_FIELD = 1 << 28
QUOTES = (
    "Put a field with quotation marks in double quotes and double those in it, or set build.on_error: drop."
)

csv.field_size_limit(MAX_FIELD)


def read_csv(segment: Segment, columns: Columns) -> Iterator[Record]:
    """Yield one record per row. Without an id column, its id is the file's name and the byte at which it starts."""
    file = segment.file
    names = header(file, file.delimiter)
    with opened(file) as stream:
        for offset, row in rows(stream, file, segment.start):
            if not file.is_whole and offset >= segment.stop:
                return
            yield _record(row, names, file, offset, columns)


def rows(stream: IO[bytes], file: SourceFile, start: int = 0) -> Iterator[tuple[int, list[str] | csv.Error]]:
    """Yield each row that is not blank, without the header, and the byte at which it starts.

    `start` must be the start of a row. A row that breaks the rules of quoting is an error in its place.
    """
    end = start

    def lines() -> Iterator[str]:
        nonlocal end
        for offset, line in numbered_lines(stream, start):
            end = offset + len(line)
            yield line.decode(file.line_encoding, "surrogateescape")

    reader = csv.reader(lines(), delimiter=file.delimiter, strict=True)
    is_header = start == 0
    while True:
        offset = end
        try:
            row = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield offset, error
            continue
        if row and not is_header:
            yield offset, row
        is_header = is_header and not row


def header(file: SourceFile, delimiter: str) -> list[str]:
    """Return the names of the columns, if fields are divided by `delimiter`. UsageError if the header is damaged."""
    with opened(file) as stream:
        lines = (line.decode(file.line_encoding, "surrogateescape") for _, line in numbered_lines(stream))
        try:
            return next((row for row in csv.reader(lines, delimiter=delimiter, strict=True) if row), [])
        except csv.Error as error:
            raise UsageError(f"{file.path}: the header cannot be read: {error}", QUOTES) from None


def find_delimiter(file: SourceFile, columns: Columns, given: str | None) -> str:
    """Return the delimiter: the given one, or the one with which the header has the recipe's columns.

    Raises UsageError if a column is missing or there twice.
    """
    wanted = [name for _, name in named_columns(columns)]
    candidates = (given,) if given is not None else DELIMITERS
    headers = {delimiter: header(file, delimiter) for delimiter in candidates}
    found = [d for d, names in headers.items() if all(name in names for name in wanted)]
    delimiter = (
        found[0] if found else max(headers, key=lambda d: (columns.text in headers[d], len(headers[d])))
    )
    names = headers[delimiter]
    for key, name in named_columns(columns) if names else ():
        if names.count(name) != 1:
            where = f"{columns.where[key]}: {file.path}"
            if name not in names:
                raise missing_column(where, key, name, names)
            raise UsageError(f"{where} has {names.count(name)} columns '{name}'", "Rename all but one.")
    return delimiter


def _record(
    row: list[str] | csv.Error, names: list[str], file: SourceFile, offset: int, columns: Columns
) -> Record:
    def where() -> str:
        return f"{file.path}, row at byte {offset:,}"

    if isinstance(row, csv.Error):
        return refuse(UNREADABLE, where, f"not CSV: {row}", columns, QUOTES)
    if len(row) != len(names):
        problem = f"{len(row)} fields, but the header has {len(names)} with delimiter {file.delimiter!r}"
        return refuse(UNREADABLE, where, problem, columns)
    values = {name: field or None for name, field in zip(names, row, strict=True)}
    values[columns.text] = row[names.index(columns.text)]
    if not all(_is_text(values[name]) for _, name in named_columns(columns)):
        reason = NOT_UTF8 if file.line_encoding == "utf-8" else NOT_DECODED
        problem = f"it has bytes that are not {file.encoding}"
        return refuse(reason, where, problem, columns)
    count = values.get(columns.token_count or "")
    counted = {columns.token_count: int(count)} if columns.token_count and count and count.isdecimal() else {}
    return document_of_mapping({**values, **counted}, f"{file.name}@{offset}", where, columns)


def _is_text(field: str | None) -> bool:
    """Whether all bytes of a field were characters; those that were not are surrogates now."""
    try:
        return field is None or field.isascii() or bool(field.encode())
    except UnicodeEncodeError:
        return False
