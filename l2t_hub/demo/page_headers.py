"""What the pages of a Parquet column become in memory, by the header of each page, before Arrow decodes them.

A file can claim small sizes in its footer and hold pages of gigabytes, or a text that an encoding repeats a thousand
times. The headers decide: Arrow allocates what they say and fails where the data are longer. They are Thrift structs
in the compact protocol (github.com/apache/parquet-format, parquet.thrift: PageHeader).
"""

from typing import NamedTuple

from l2t_hub.errors import UserError

MAX_PAGES = 20_000
_MAX_DEPTH = 6
_MAX_LIST = 1000
# Encodings that take no more memory than the page says: not those that build a text from the one before it.
_ENCODINGS = frozenset({0, 2, 3, 4, 8, 9})
_UNCOMPRESSED, _COMPRESSED = 2, 3
# Field of the header by kind of page -> field of its encoding there. All have the number of values in field 1.
_ENCODING_FIELDS = {5: 2, 7: 2, 8: 4}
_TRUE, _FALSE, _BYTE, _I16, _I32, _I64, _DOUBLE, _BINARY, _LIST, _SET, _STRUCT = (
    1,
    2,
    3,
    4,
    5,
    6,
    7,
    8,
    9,
    10,
    12,
)
Fields = dict[int, "int | Fields"]


class PageTotals(NamedTuple):
    """The pages of a column: their bytes in memory, and the values in them."""

    memory: int
    values: int


def page_totals(chunk: bytes, name: str) -> PageTotals:
    """Add up the headers of the pages of a column chunk. Raises UserError if they cannot be followed or trusted."""
    memory = values = position = pages = 0
    while position < len(chunk):
        try:
            header, position = _struct(chunk, position, _MAX_DEPTH)
        except (IndexError, ValueError) as error:
            raise UserError(f"{name} is damaged: a page has no header ({error})") from None
        pages += 1
        compressed = _size(header, _COMPRESSED)
        memory += _size(header, _UNCOMPRESSED)
        position += compressed
        for kind, encoding in _ENCODING_FIELDS.items():
            of_kind = header.get(kind)
            if isinstance(of_kind, dict):
                values += _size(of_kind, 1)
                if of_kind.get(encoding) not in _ENCODINGS:
                    raise UserError(f"{name} has pages in an encoding that this page does not read")
        if pages > MAX_PAGES:
            raise UserError(f"{name} has more than {MAX_PAGES:,} pages in a row group")
    return PageTotals(memory, values)


def _size(fields: Fields, number: int) -> int:
    value = fields.get(number)
    return value if isinstance(value, int) and value >= 0 else 1 << 40


def _struct(data: bytes, position: int, depth: int) -> tuple[Fields, int]:
    """Read a struct: its whole numbers and structs by field number. Returns the position after it."""
    fields: Fields = {}
    field = 0
    while kind := data[position] & 15:
        step, position = data[position] >> 4, position + 1
        if step:
            field += step
        else:
            field, position = _number(data, position)
        value, position = _value(data, position, kind, depth)
        if value is not None:
            fields[field] = value
    return fields, position + 1


def _value(data: bytes, position: int, kind: int, depth: int) -> "tuple[int | Fields | None, int]":
    if not depth:
        raise ValueError("it is nested too deeply")
    if kind in (_TRUE, _FALSE):
        return None, position
    if kind == _BYTE:
        return None, position + 1
    if kind in (_I16, _I32, _I64):
        return _number(data, position)
    if kind == _DOUBLE:
        return None, position + 8
    if kind == _BINARY:
        size, position = _unsigned(data, position)
        return None, position + size
    if kind in (_LIST, _SET):
        return None, _after_list(data, position, depth)
    if kind == _STRUCT:
        return _struct(data, position, depth - 1)
    raise ValueError(f"unknown type {kind}")


def _after_list(data: bytes, position: int, depth: int) -> int:
    size, kind = data[position] >> 4, data[position] & 15
    position += 1
    if size == 15:
        size, position = _unsigned(data, position)
    if size > _MAX_LIST:
        raise ValueError("it has a long list")
    for _ in range(size):
        # In a list, a truth value is a byte.
        _, position = _value(data, position, _BYTE if kind in (_TRUE, _FALSE) else kind, depth - 1)
    return position


def _number(data: bytes, position: int) -> tuple[int, int]:
    value, position = _unsigned(data, position)
    return (value >> 1) ^ -(value & 1), position


def _unsigned(data: bytes, position: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        byte = data[position]
        position += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, position
    raise ValueError("a number is too long")
