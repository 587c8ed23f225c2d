"""MinHash signatures of 8-word shingles, cut into bands, to find near-duplicate texts. Pure.

Shingles and resemblance follow Broder (1997). The signature is one-permutation hashing (Li, Owen and Zhang, 2012)
with empty bins filled by rotation (Shrivastava and Li, 2014). The 14 bands of 8 hashes are those of FineWeb (Penedo
et al., 2024). Two texts that share 90% of their shingles are found with probability 0.9997, 80% with 0.92, 50% with
0.05 and 20% with 0.00004. One changed word changes eight shingles: in a text of 200 words the pair is missed with
probability 0.0001. datatrove's MinHash computes 112 hashes of every shingle; here one is enough.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

SHINGLE = 8
BANDS = 14
HASHES = 8
BINS = BANDS * HASHES
BATCH_BYTES = 1 << 17
SEPARATOR = b"\0"

# Letters and digits map to themselves in lower case, bytes of other scripts to themselves, all others to 0.
_FOLDED = bytes(n + 32 if 65 <= n <= 90 else n if n >= 128 or chr(n).isalnum() else 0 for n in range(256))
# U+2000 to U+207F in UTF-8: quotation marks, dashes.
_PUNCTUATION = re.compile(rb"\xe2[\x80\x81].", re.DOTALL)
# Scripts that put no spaces between words, in UTF-8: each character is a word. Thai, Lao and Burmese to Khmer, then
# U+3000 to U+9FFF with CJK punctuation, then the rest of the CJK characters.
_UNSPACED = re.compile(
    rb"\xe0[\xb8-\xbb][\x80-\xbf]|\xe1[\x80-\x82\x9e\x9f][\x80-\xbf]"
    rb"|[\xe3-\xe9][\x80-\xbf]{2}|\xf0[\xa0-\xb3][\x80-\xbf]{2}"
)
_CJK_PUNCTUATION = re.compile(
    rb"\xe3\x80[\x80-\x84\x88-\xbf]|\xef\xbc[\x81-\x8f\x9a-\xa0\xbb-\xbf]|\xef\xbd[\x80\x9b-\xa5]"
)
_BASE = np.uint64(0x9E3779B97F4A7C15)
_STEP = np.uint64(0xD6E8FEB86659FD93)
_EMPTY = np.uint64((1 << 64) - 1)


def _powers(base: np.uint64, count: int) -> NDArray[np.uint64]:
    """Return the first `count` powers of a number, modulo 2^64."""
    return _table(base, max(count - 1, 2 * BATCH_BYTES).bit_length())[:count]


@lru_cache(maxsize=8)
def _table(base: np.uint64, bits: int) -> NDArray[np.uint64]:
    powers = np.full(1 << bits, base, np.uint64)
    powers[0] = 1
    return np.multiply.accumulate(powers)


def signatures(texts: Iterable[str]) -> Iterator[NDArray[np.uint64]]:
    """Yield signatures in batches of shape (texts, BANDS), in order. Near duplicates have an equal value in some
    band.

    Case, punctuation and whitespace do not count. A text with fewer than SHINGLE words is one shingle. In a script
    that puts no spaces between words, such as Chinese, each character is a word.
    """
    batch: list[bytes] = []
    size = 0
    for text in texts:
        batch.append(_bytes(text))
        size += len(batch[-1])
        if size >= BATCH_BYTES:
            yield _signatures(batch)
            batch, size = [], 0
    if batch:
        yield _signatures(batch)


def _bytes(text: str) -> bytes:
    """Return a text as UTF-8, with separators for non-ASCII punctuation, in lower case if other non-ASCII text
    remains.
    """
    if text.isascii():
        return text.encode()
    data = _PUNCTUATION.sub(SEPARATOR, text.encode())
    if data.isascii():
        return data
    data = _PUNCTUATION.sub(SEPARATOR, text.lower().encode())
    if not _UNSPACED.search(data):
        return data
    return _UNSPACED.sub(rb"\0\g<0>\0", _CJK_PUNCTUATION.sub(SEPARATOR, data))


def _signatures(texts: Sequence[bytes]) -> NDArray[np.uint64]:
    words, counts = _words(texts)
    hashes, owner = _shingles(words, counts)
    hashes = _mixed(hashes)
    minima = np.full(len(texts) * BINS, _EMPTY)
    bins = owner * BINS + (hashes % np.uint64(BINS)).astype(np.int64)
    np.minimum.at(minima, bins, hashes)
    return _banded(_filled(minima.reshape(len(texts), BINS)))


def _words(texts: Sequence[bytes]) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    """Return a hash of each word of all texts, text after text, and the number of words of each text."""
    data = np.frombuffer(SEPARATOR + SEPARATOR.join(texts).translate(_FOLDED) + SEPARATOR, np.uint8)
    inside = data != 0
    edges = np.flatnonzero(inside[1:] != inside[:-1])
    starts, ends = edges[::2] + 1, edges[1::2] + 1
    sums = np.zeros(len(data) + 1, np.uint64)
    np.cumsum(data * _powers(_BASE, len(data)), out=sums[1:])
    words = (sums[ends] - sums[starts]) * _powers(_inverse(_BASE), len(data))[starts]
    text_ends = np.cumsum([len(text) + 1 for text in texts])
    words_so_far = np.searchsorted(starts, text_ends, side="right")
    return _mixed(words), np.diff(words_so_far, prepend=0)


def _shingles(
    words: NDArray[np.uint64], counts: NDArray[np.int64]
) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    """Return a hash of every run of SHINGLE words (or of all words of a shorter text), and the index of its text."""
    sums = np.zeros(len(words) + 1, np.uint64)
    np.cumsum(words * _powers(_STEP, len(words) + 1)[:-1], out=sums[1:])
    runs = np.maximum(counts - SHINGLE + 1, 1)
    owner = np.repeat(np.arange(len(counts)), runs)
    first = np.repeat(np.cumsum(counts) - counts - (np.cumsum(runs) - runs), runs) + np.arange(len(owner))
    last = first + np.repeat(np.minimum(counts, SHINGLE), runs)
    return (sums[last] - sums[first]) * _powers(_inverse(_STEP), len(words) + 1)[first], owner


def _filled(minima: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Fill an empty bin with the value of the next full bin, mixed with the distance to it."""
    empty = minima == _EMPTY
    if not empty.any():
        return minima
    twice = np.concatenate([empty, empty], axis=1)
    full_bins = np.where(twice, 2 * BINS, np.arange(2 * BINS))
    next_full = np.minimum.accumulate(full_bins[:, ::-1], axis=1)[:, ::-1][:, :BINS]
    distance = next_full - np.arange(BINS)
    borrowed = np.take_along_axis(minima, next_full % BINS, axis=1)
    return np.where(distance > 0, _mixed(borrowed + distance.astype(np.uint64) * _STEP), minima)


def _banded(minima: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Combine the hashes of each band into one value, differently for each band."""
    parts = minima.reshape(len(minima), BANDS, HASHES)
    values = (parts * _powers(_BASE, HASHES)).sum(axis=2, dtype=np.uint64)
    return _mixed(values + np.arange(1, BANDS + 1, dtype=np.uint64) * _STEP)


def _mixed(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Mix as the finaliser of SplitMix64 does (Steele, Lea and Flood, 2014): each bit changes half the output."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


def _inverse(odd: np.uint64) -> np.uint64:
    """Return the multiplicative inverse of an odd number, modulo 2^64."""
    return np.uint64(pow(int(odd), -1, 1 << 64))
