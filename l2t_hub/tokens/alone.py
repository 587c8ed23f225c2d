"""Encoding many pieces of text as if each were a text of its own, faster than by handing them over one by one.

Where every token of a byte-level tokenizer stands for a known number of bytes, pieces are put end to end, encoded as
one text and told apart again by counting bytes. That is allowed for the same reason as cutting texts into them: where
`cut.py` would cut, both sides have the ids that they have alone.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray
from tokenizers import Tokenizer
from tokenizers.pre_tokenizers import ByteLevel

Flat = tuple[NDArray[Any], NDArray[np.int32]]
"""Ids of all pieces, one after another, and how many each has."""

_GROUP = 1024
_LETTER = " a"


@dataclass(frozen=True, slots=True)
class Joiner:
    """Encodes pieces joined; `size_of` is the number of bytes that each token id stands for."""

    tokenizer: Tokenizer
    size_of: NDArray[np.int64]

    @classmethod
    def of(cls, tokenizer: Tokenizer, definition: Mapping[str, Any]) -> "Joiner | None":
        """A joiner for a tokenizer with this definition; None if bytes cannot be counted for certain."""
        model = definition["model"]
        if definition["normalizer"] is not None or model["type"] != "BPE" or model.get("dropout"):
            return None
        step = definition["pre_tokenizer"] or {}
        steps = step.get("pretokenizers", [step])
        levels = [one for one in steps if one.get("type") == "ByteLevel"]
        if not levels or any(level["add_prefix_space"] for level in levels):
            return None
        if not set(ByteLevel.alphabet()) <= model["vocab"].keys():
            return None
        added = definition["added_tokens"]
        if any(t["lstrip"] or t["rstrip"] or any(map(str.isspace, t["content"])) for t in added):
            return None
        sizes = {number: len(token) for token, number in model["vocab"].items()}
        sizes |= {token["id"]: len(token["content"].encode()) for token in added}
        size_of = np.zeros(1 + max(sizes), np.int64)
        size_of[list(sizes)] = list(sizes.values())
        return cls(tokenizer, size_of)

    def encode(self, pieces: Sequence[str], dtype: DTypeLike) -> Flat | None:
        """Encode pieces that `cut.py` made, none of them a text's first and none with a blank at its end.

        None if, against expectation, a token lies across two of them.
        """
        # A sign is only ever cut off behind a letter, so it gets one, which is left out of the result.
        signs = np.fromiter((not piece[:1].isspace() for piece in pieces), bool, count=len(pieces))
        joined = [f"{_LETTER}{p}" if sign else p for p, sign in zip(pieces, signs.tolist(), strict=True)]
        texts = ["".join(joined[i : i + _GROUP]) for i in range(0, len(joined), _GROUP)]
        encodings = self.tokenizer.encode_batch_fast(texts, add_special_tokens=False)
        ids = np.concatenate([np.array(encoding.ids, dtype) for encoding in encodings])
        sizes = np.fromiter((len(p.encode()) for p in joined), np.int64, count=len(joined))
        ends, wanted = np.cumsum(self.size_of[ids]), np.cumsum(sizes)
        first = np.flatnonzero(signs)
        letters = wanted[first] - sizes[first] + len(_LETTER)
        stops, letter_stops = np.searchsorted(ends, wanted), np.searchsorted(ends, letters)
        if ends[-1] != wanted[-1] or (ends[stops] != wanted).any() or (ends[letter_stops] != letters).any():
            return None
        starts = np.append(0, stops[:-1] + 1)
        kept = np.ones(len(ids), bool)
        kept[_ranges(starts[first], letter_stops + 1)] = False
        starts[first] = letter_stops + 1
        return ids[kept], (stops + 1 - starts).astype(np.int32)


def one_by_one(tokenizer: Tokenizer, pieces: Sequence[str], dtype: DTypeLike) -> Flat:
    """Encode each piece as a text of its own, by any tokenizer.

    The library takes a list of pieces as one input and runs its whole pipeline on each, which costs half of
    what as many inputs do.
    """
    groups = [pieces[i : i + _GROUP] for i in range(0, len(pieces), _GROUP)]
    encodings = tokenizer.encode_batch(groups, is_pretokenized=True, add_special_tokens=False)
    ids = np.fromiter(chain.from_iterable(encoding.ids for encoding in encodings), dtype)
    lengths = [
        np.bincount(np.array(encoding.word_ids, np.int64), minlength=len(group))
        for encoding, group in zip(encodings, groups, strict=True)
    ]
    return ids, np.concatenate([np.empty(0, np.int32), *lengths]).astype(np.int32)


def _ranges(starts: NDArray[np.int64], stops: NDArray[np.int64]) -> NDArray[np.int64]:
    """The numbers from each start up to its stop, one range after another."""
    counts = stops - starts
    ends = np.cumsum(counts)
    numbers: NDArray[np.int64] = np.arange(counts.sum()) + np.repeat(starts - ends + counts, counts)
    return numbers
