"""Text that others wrote, made safe to show: what a terminal would obey or a reader could not see becomes visible."""

import csv
import io
import re
import unicodedata
from collections.abc import Iterable, Sequence
from typing import Any

# Characters that reorder the text around them, and so can show a name that is not there.
_DIRECTION = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_KEPT = frozenset("\n\t")
REPLACEMENT = "\ufffd"
# Text that a spreadsheet would take for a formula.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
SPREADSHEET_ENCODING = "utf-8-sig"
"""Encoding of a CSV file that people open: spreadsheets take it for UTF-8 only with the mark at its start."""


def visible(text: str) -> str:
    """Return `text` with control, escape and direction characters and lone surrogates replaced by U+FFFD.

    Line feeds and tabs stay. Carriage returns do not: on a terminal they overwrite the line.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(REPLACEMENT if _is_hidden(character) else character for character in text)


def _is_hidden(character: str) -> bool:
    if character in _KEPT:
        return False
    return character in _DIRECTION or unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp")


def spreadsheet_cell(value: Any) -> Any:
    """Return a value for a cell of a CSV file. Text is visible and, in a spreadsheet, no formula.

    >>> spreadsheet_cell("=1+1"), spreadsheet_cell("1 + 1"), spreadsheet_cell(-1)
    ("'=1+1", '1 + 1', -1)
    """
    if not isinstance(value, str):
        return value
    text = visible(value)
    return f"'{text}" if text.lstrip(" \n").startswith(_FORMULA) else text


def csv_text(columns: Sequence[str], rows: Iterable[Iterable[Any]]) -> str:
    """Return a table as CSV, whose cells are safe to open in a spreadsheet. A row has a value for each column."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([spreadsheet_cell(value) for value in row] for row in rows)
    return text.getvalue()


def counted(count: int, noun: str, plural: str | None = None) -> str:
    """Return a number with its noun in the number that fits it.

    >>> counted(1, "partition"), counted(2_000, "query")
    ('1 partition', '2,000 queries')
    """
    if count == 1:
        return f"1 {noun}"
    if plural is None:
        ending = re.search(r"([^aeiou])y$|(s|x|ch|sh)$", noun)
        plural = f"{noun}s" if not ending else f"{noun[:-1]}ies" if ending[1] else f"{noun}es"
    return f"{count:,} {plural}"


def rounded(count: float, letters: str = "kMBT") -> str:
    """Return a large number with three digits and a letter for thousands, millions and so on.

    >>> rounded(614_400), rounded(999_900), rounded(3.66e9, letters="kMGT"), rounded(2e18)
    ('614k', '1M', '3.66G', '2e+18')
    """
    value = float(f"{count:.3g}")
    if value >= 1000 ** (len(letters) + 1):
        return f"{value:g}"
    power = (len(str(int(value))) - 1) // 3
    return f"{value / 1000**power:g}{letters[power - 1] if power else ''}"
