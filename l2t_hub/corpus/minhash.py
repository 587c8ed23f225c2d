"""Which texts are near-identical: MinHash signatures of 8-word shingles, and the bands by which they are found. Pure.

Shingles and resemblance are Broder's (1997), the signature is one-permutation hashing (Li, Owen and Zhang, 2012) with
empty bins filled by rotation (Shrivastava and Li, 2014), and the 14 bands of 8 hashes are FineWeb's (Penedo et al.,
2024): two texts that share 80% of their shingles are found with probability 0.92, 90% with 0.9997, 50% with 0.05,
20% with 4 in 100,000. One changed word changes eight shingles, so in a text of 200 words it is overlooked with
probability 0.0001. datatrove's MinHash takes 112 hashes of every shingle; here one is enough.
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

# Letters and digits stand for themselves, upper case folded; bytes of other scripts count as letters.
_FOLDED = bytes(n + 32 if 65 <= n <= 90 else n if n >= 128 or chr(n).isalnum() else 0 for n in range(256))
_PUNCTUATION = re.compile(
    rb"\xe2[\x80\x81].", re.DOTALL
)  # U+2000 to U+207F in UTF-8: quotation marks, dashes
_BASE = np.uint64(0x9E3779B97F4A7C15)
_STEP = np.uint64(0xD6E8FEB86659FD93)
_EMPTY = np.uint64((1 << 64) - 1)


def _powers(base: np.uint64, count: int) -> NDArray[np.uint64]:
    """The first `count` powers of a number, modulo 2^64."""
    return _table(base, max(count - 1, 2 * BATCH_BYTES).bit_length())[:count]


@lru_cache(maxsize=8)
def _table(base: np.uint64, bits: int) -> NDArray[np.uint64]:
    powers = np.full(1 << bits, base, np.uint64)
    powers[0] = 1
    return np.multiply.accumulate(powers)


def signatures(texts: Iterable[str]) -> Iterator[NDArray[np.uint64]]:
    """Give batches of signatures, shape (texts, BANDS), in order: equal values in a band mark likely twins.

    Case, punctuation and white space do not count. A text of fewer than SHINGLE words is one shingle.
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
    """A text in UTF-8, without the punctuation that is not ASCII, its letters that are not ASCII in lower case."""
    if text.isascii():
        return text.encode()
    data = _PUNCTUATION.sub(SEPARATOR, text.encode())
    return data if data.isascii() else _PUNCTUATION.sub(SEPARATOR, text.lower().encode())


def _signatures(texts: Sequence[bytes]) -> NDArray[np.uint64]:
    words, counts = _words(texts)
    hashes, owner = _shingles(words, counts)
    hashes = _mixed(hashes)
    minima = np.full(len(texts) * BINS, _EMPTY)
    place = owner * BINS + (hashes % np.uint64(BINS)).astype(np.int64)
    np.minimum.at(minima, place, hashes)
    return _banded(_filled(minima.reshape(len(texts), BINS)))


def _words(texts: Sequence[bytes]) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    """A hash of each word of all texts, one after the other, and how many words each text has."""
    data = np.frombuffer(SEPARATOR + SEPARATOR.join(texts).translate(_FOLDED) + SEPARATOR, np.uint8)
    inside = data != 0
    edges = np.flatnonzero(inside[1:] != inside[:-1])
    starts, ends = edges[::2] + 1, edges[1::2] + 1
    sums = np.zeros(len(data) + 1, np.uint64)
    np.cumsum(data * _powers(_BASE, len(data)), out=sums[1:])
    words = (sums[ends] - sums[starts]) * _powers(_inverse(_BASE), len(data))[starts]
    borders = np.cumsum([len(text) + 1 for text in texts])
    upto = np.searchsorted(starts, borders, side="right")
    return _mixed(words), np.diff(upto, prepend=0)


def _shingles(
    words: NDArray[np.uint64], counts: NDArray[np.int64]
) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    """A hash of every run of SHINGLE words within a text (all of them in a shorter text), and whose it is."""
    sums = np.zeros(len(words) + 1, np.uint64)
    np.cumsum(words * _powers(_STEP, len(words) + 1)[:-1], out=sums[1:])
    runs = np.maximum(counts - SHINGLE + 1, 1)
    owner = np.repeat(np.arange(len(counts)), runs)
    first = np.repeat(np.cumsum(counts) - counts - (np.cumsum(runs) - runs), runs) + np.arange(len(owner))
    last = first + np.repeat(np.minimum(counts, SHINGLE), runs)
    return (sums[last] - sums[first]) * _powers(_inverse(_STEP), len(words) + 1)[first], owner


def _filled(minima: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Let an empty bin borrow from the next full one, marked by how far it lies."""
    empty = minima == _EMPTY
    if not empty.any():
        return minima
    twice = np.concatenate([empty, empty], axis=1)
    places = np.where(twice, 2 * BINS, np.arange(2 * BINS))
    following = np.minimum.accumulate(places[:, ::-1], axis=1)[:, ::-1][:, :BINS]
    distance = following - np.arange(BINS)
    borrowed = np.take_along_axis(minima, following % BINS, axis=1)
    marked = _mixed(borrowed + distance.astype(np.uint64) * _STEP)
    return np.where(distance > 0, marked, minima)


def _banded(minima: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """One value for the hashes of a band, different from band to band."""
    parts = minima.reshape(len(minima), BANDS, HASHES)
    values = (parts * _powers(_BASE, HASHES)).sum(axis=2, dtype=np.uint64)
    return _mixed(values + np.arange(1, BANDS + 1, dtype=np.uint64) * _STEP)


def _mixed(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """The finaliser of SplitMix64 (Steele, Lea and Flood, 2014): every bit in changes half of the bits out."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


def _inverse(odd: np.uint64) -> np.uint64:
    """The number that times `odd` is 1, modulo 2^64."""
    return np.uint64(pow(int(odd), -1, 1 << 64))
