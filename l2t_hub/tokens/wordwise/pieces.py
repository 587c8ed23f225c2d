"""Cut a batch of texts into pieces (about a word each) with whole-array operations on their UTF-8 bytes.

A piece is bytes and includes the blank before it. The first piece of a text starts with OPENING; no other piece can,
because texts are cut only before a blank or a sign. Arrow numbers the different pieces, so that a dict lookup is paid
once per different piece of a batch instead of once per word.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from string import ascii_letters

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

OPENING = b"\0"
"""Marks the first piece of a text; it precedes the text's first byte."""

_BLANKS = b" \t\n\r\x0b\x0c\x1c\x1d\x1e\x1f"
_NOT_BLANK, _LETTER = 1, 2
_WIDE_BLANKS = ("\x85", "\xa0", "\u1680", *map(chr, range(0x2000, 0x200B)), "\u2028", "\u2029", "\u202f")
_WIDE_BLANK_CODES = np.array(
    [int.from_bytes(blank.encode(), "big") for blank in (*_WIDE_BLANKS, "\u205f", "\u3000")], np.int64
)
_LARGEST_INT32 = (1 << 31) - 1


@dataclass(frozen=True, slots=True)
class Cuts:
    """Where texts may be cut.

    Always before a space that follows a non-blank; if `paragraphs`, also before a newline that follows one; and
    before each of `signs` (ASCII signs, or characters of three bytes) that follows an ASCII letter.
    """

    paragraphs: bool = False
    signs: str = ""


BLANKS_ONLY = Cuts()


@dataclass(frozen=True, slots=True)
class Pieces:
    """The pieces of a batch; every text has at least one.

    `different`: each different piece once. `numbers`: for each piece of the batch, its index in `different`.
    `starts`: the index in `numbers` at which each text starts.
    """

    different: list[bytes]
    numbers: NDArray[np.int32]
    starts: NDArray[np.int64]


def cut(texts: Sequence[str], cuts: Cuts) -> Pieces:
    """Cut texts into pieces. Raises UnicodeEncodeError if a text has no UTF-8 encoding."""
    encoded = [text.encode() for text in texts]
    data = OPENING + OPENING.join(encoded)
    sizes = np.fromiter(map(len, encoded), np.int64, count=len(encoded)) + len(OPENING)
    text_starts = np.cumsum(sizes) - sizes
    offsets = _offsets(data, text_starts, cuts)
    kind = pa.binary() if len(data) <= _LARGEST_INT32 else pa.large_binary()
    bounds = np.append(offsets, len(data)).astype(np.int32 if kind == pa.binary() else np.int64)
    buffers = [None, pa.py_buffer(bounds), pa.py_buffer(data)]
    numbered = pa.Array.from_buffers(kind, len(offsets), buffers).dictionary_encode()
    starts = np.searchsorted(offsets, text_starts)
    return Pieces(numbered.dictionary.to_pylist(), numbered.indices.to_numpy(), starts)


def _offsets(data: bytes, text_starts: NDArray[np.int64], cuts: Cuts) -> NDArray[np.int64]:
    """Return the offsets of the bytes before which to cut, ascending; the first byte of each text is one of them."""
    allows, needs = _tables(cuts)
    is_cut = np.empty(len(data), bool)
    left = np.frombuffer(data.translate(allows), np.uint8)[:-1]
    np.not_equal(left & np.frombuffer(data.translate(needs), np.uint8)[1:], 0, out=is_cut[1:])
    is_cut[text_starts] = True
    offsets = np.flatnonzero(is_cut)
    return offsets if data.isascii() else offsets[_confirmed(data, offsets, cuts)]


def _confirmed(data: bytes, offsets: NDArray[np.int64], cuts: Cuts) -> NDArray[np.bool_]:
    """Return which cuts remain once characters of several bytes are read whole.

    A cut after such a blank does not. A cut before a three-byte character does only if the character is a sign.
    """
    flat = np.frombuffer(data, np.uint8)
    confirmed = np.ones(len(offsets), bool)
    doubtful = np.flatnonzero((flat[offsets - 1] >= 0x80) & (flat[offsets] != OPENING[0]))
    if len(doubtful):
        code = _codes(flat, offsets[doubtful] - 3)
        blank = np.isin(code, _WIDE_BLANK_CODES) | np.isin(code & 0xFFFF, _WIDE_BLANK_CODES)
        confirmed[doubtful[blank]] = False
    wide = np.flatnonzero(flat[offsets] >= 0xE0)
    if len(wide):
        signs = [int.from_bytes(sign.encode(), "big") for sign in cuts.signs if not sign.isascii()]
        confirmed[wide] = np.isin(_codes(flat, offsets[wide]), np.array(signs, np.int64))
    return confirmed


def _codes(flat: NDArray[np.uint8], offsets: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the three bytes from each offset on, as one number."""
    parts = [flat[offsets + n].astype(np.int64) for n in range(3)]
    return (parts[0] << 16) | (parts[1] << 8) | parts[2]


@lru_cache(maxsize=16)
def _tables(cuts: Cuts) -> tuple[bytes, bytes]:
    """Return two tables of bits by byte: which cuts a byte allows after it, and which of these it needs before it.

    A text is cut between two bytes that have a bit in common.
    """
    allows, needs = bytearray(256), bytearray(256)
    for byte in range(1, 256):
        allows[byte] = 0 if byte in _BLANKS else _NOT_BLANK
    for letter in ascii_letters.encode():
        allows[letter] |= _LETTER
    needs[ord(" ")] = _NOT_BLANK
    needs[ord("\n")] = _NOT_BLANK if cuts.paragraphs else 0
    for sign in cuts.signs:
        needs[sign.encode()[0]] = _LETTER
    return bytes(allows), bytes(needs)
