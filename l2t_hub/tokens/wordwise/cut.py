"""A batch of texts as pieces: the words of `words.Decision`, cut out by whole-array operations on their UTF-8.

A piece is bytes, its own blank in front included. The first piece of a text begins with OPENING, which no other can
begin with, since a cut is only ever made before a blank or a sign. Arrow then numbers the different pieces, so that
what costs a dict lookup is paid once per different piece of a batch and not once per word.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from string import ascii_letters

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

OPENING = b"\0"
"""What the first piece of a text begins with, before its own first byte."""

_BLANKS = b" \t\n\r\x0b\x0c\x1c\x1d\x1e\x1f"
_NOT_BLANK, _LETTER = 1, 2
_WIDE_BLANKS = ("\x85", "\xa0", "\u1680", *map(chr, range(0x2000, 0x200B)), "\u2028", "\u2029", "\u202f")
_WIDE_BLANK_CODES = np.array(
    [int.from_bytes(blank.encode(), "big") for blank in (*_WIDE_BLANKS, "\u205f", "\u3000")], np.int64
)
_LARGEST_OFFSET = (1 << 31) - 1


@dataclass(frozen=True, slots=True)
class Cuts:
    """Where texts may be cut: before a space that follows a non-blank; if `paragraphs`, before a newline that does;
    and before each of `signs` (ASCII signs, or characters of three bytes) that follows an ASCII letter.
    """

    paragraphs: bool = False
    signs: str = ""


BLANKS_ONLY = Cuts()


@dataclass(frozen=True, slots=True)
class Pieces:
    """`different` pieces, the number in it of each piece of a batch (`numbers`), and at which of them each text
    begins (`starts`). No text is without a piece.
    """

    different: list[bytes]
    numbers: NDArray[np.int32]
    starts: NDArray[np.int64]


def cut(texts: Sequence[str], cuts: Cuts) -> Pieces:
    """Cut texts into pieces. UnicodeEncodeError if one has no UTF-8."""
    encoded = [text.encode() for text in texts]
    data = OPENING + OPENING.join(encoded)
    sizes = np.fromiter(map(len, encoded), np.int64, count=len(encoded)) + len(OPENING)
    begins = np.cumsum(sizes) - sizes
    places = _places(data, begins, cuts)
    kind = pa.binary() if len(data) <= _LARGEST_OFFSET else pa.large_binary()
    offsets = np.append(places, len(data)).astype(np.int32 if kind == pa.binary() else np.int64)
    buffers = [None, pa.py_buffer(offsets), pa.py_buffer(data)]
    numbered = pa.Array.from_buffers(kind, len(places), buffers).dictionary_encode()
    starts = np.searchsorted(places, begins)
    return Pieces(numbered.dictionary.to_pylist(), numbered.indices.to_numpy(), starts)


def _places(data: bytes, begins: NDArray[np.int64], cuts: Cuts) -> NDArray[np.int64]:
    """The bytes before which to cut, in ascending order; the first byte of each text is one."""
    after, before = _tables(cuts)
    allowed = np.empty(len(data), bool)
    left = np.frombuffer(data.translate(after), np.uint8)[:-1]
    np.not_equal(left & np.frombuffer(data.translate(before), np.uint8)[1:], 0, out=allowed[1:])
    allowed[begins] = True
    places = np.flatnonzero(allowed)
    return places if data.isascii() else places[_good(data, places, cuts)]


def _good(data: bytes, places: NDArray[np.int64], cuts: Cuts) -> NDArray[np.bool_]:
    """Which of the `places` hold when characters of several bytes are looked at whole: none after such a blank, and
    of those before one of them, only those before one of the signs.
    """
    flat = np.frombuffer(data, np.uint8)
    good = np.ones(len(places), bool)
    doubtful = np.flatnonzero((flat[places - 1] >= 0x80) & (flat[places] != OPENING[0]))
    if len(doubtful):
        code = _codes(flat, places[doubtful] - 3)
        blank = np.isin(code, _WIDE_BLANK_CODES) | np.isin(code & 0xFFFF, _WIDE_BLANK_CODES)
        good[doubtful[blank]] = False
    wide = np.flatnonzero(flat[places] >= 0xE0)
    if len(wide):
        signs = [int.from_bytes(sign.encode(), "big") for sign in cuts.signs if not sign.isascii()]
        good[wide] = np.isin(_codes(flat, places[wide]), np.array(signs, np.int64))
    return good


def _codes(flat: NDArray[np.uint8], places: NDArray[np.int64]) -> NDArray[np.int64]:
    """The three bytes from each place on, as one number."""
    parts = [flat[places + n].astype(np.int64) for n in range(3)]
    return (parts[0] << 16) | (parts[1] << 8) | parts[2]


@lru_cache(maxsize=16)
def _tables(cuts: Cuts) -> tuple[bytes, bytes]:
    """For each byte, what it allows after it and what it needs before it, as bits: a cut is where both have one."""
    after, before = bytearray(256), bytearray(256)
    for byte in range(1, 256):
        after[byte] = 0 if byte in _BLANKS else _NOT_BLANK
    for letter in ascii_letters.encode():
        after[letter] |= _LETTER
    before[ord(" ")] = _NOT_BLANK
    before[ord("\n")] = _NOT_BLANK if cuts.paragraphs else 0
    for sign in cuts.signs:
        before[sign.encode()[0]] = _LETTER
    return bytes(after), bytes(before)
