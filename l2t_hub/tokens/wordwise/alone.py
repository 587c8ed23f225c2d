"""Encoding many pieces of text as if each were a text of its own, faster than by handing them over one by one.

Where every token of a byte-level tokenizer stands for a known number of bytes, pieces are put end to end, encoded as
one text and told apart again by counting bytes. That is allowed for the same reason as cutting texts into them: where
`cut.py` would cut, both sides have the ids that they have alone.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, compress
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray
from tokenizers import Tokenizer
from tokenizers.pre_tokenizers import ByteLevel

from l2t_hub.tokens.wordwise.cache import gather

Flat = tuple[NDArray[Any], NDArray[np.int32]]
"""Ids of all pieces, one after another, and how many each has."""

_GROUP = 1024
_LETTER = b" a"
_BLANKS = np.frombuffer(b" \n", np.uint8)


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

    def encode(self, pieces: Sequence[bytes], dtype: DTypeLike) -> Flat | None:
        """Encode pieces that `cut.py` made, none of them a text's first and none with a blank at its end.

        None if, against expectation, a token lies across two of them.
        """
        sign = ~np.isin(np.frombuffer(b"".join([piece[:1] for piece in pieces]), np.uint8), _BLANKS)
        # A sign is only ever cut off behind a letter, so it gets one.
        plain = self._joined(list(compress(pieces, (~sign).tolist())), b"", dtype)
        signs = self._joined(list(compress(pieces, sign.tolist())), _LETTER, dtype)
        if plain is None or signs is None:
            return None
        return in_order(plain, signs, sign)

    def _joined(self, pieces: Sequence[bytes], glue: bytes, dtype: DTypeLike) -> Flat | None:
        """Encode pieces with `glue` in front of each, whose tokens are left out."""
        groups = (pieces[i : i + _GROUP] for i in range(0, len(pieces), _GROUP))
        texts = [(glue + glue.join(group)).decode() for group in groups]
        encodings = self.tokenizer.encode_batch_fast(texts, add_special_tokens=False)
        ids = np.concatenate([np.empty(0, dtype), *(np.array(e.ids, dtype) for e in encodings)])
        sizes = np.fromiter(map(len, pieces), np.int64, count=len(pieces))
        bounds = np.append(0, np.cumsum(self.size_of[ids]))
        ends = np.cumsum(sizes + len(glue))
        if len(ends) and bounds[-1] != ends[-1]:
            return None
        starts, stops = np.searchsorted(bounds, ends - sizes), np.searchsorted(bounds, ends)
        if (bounds[starts] != ends - sizes).any() or (bounds[stops] != ends).any():
            return None
        lengths = (stops - starts).astype(np.int32)
        return gather(ids, starts, lengths), lengths


def one_by_one(tokenizer: Tokenizer, pieces: Sequence[bytes], dtype: DTypeLike) -> Flat:
    """Encode each piece as a text of its own, by any tokenizer.

    The library takes a list of pieces as one input and runs its whole pipeline on each, which costs half of
    what as many inputs do.
    """
    words = [piece.decode() for piece in pieces]
    groups = [words[i : i + _GROUP] for i in range(0, len(words), _GROUP)]
    encodings = tokenizer.encode_batch(groups, is_pretokenized=True, add_special_tokens=False)
    ids = np.fromiter(chain.from_iterable(encoding.ids for encoding in encodings), dtype)
    lengths = [
        np.bincount(np.array(encoding.word_ids, np.int64), minlength=len(group))
        for encoding, group in zip(encodings, groups, strict=True)
    ]
    return ids, np.concatenate([np.empty(0, np.int32), *lengths]).astype(np.int32)


def in_order(left: Flat, right: Flat, is_right: NDArray[np.bool_]) -> Flat:
    """Merge two results; `is_right` says of each place in the merged one whence it comes."""
    back = np.argsort(np.argsort(is_right, kind="stable"), kind="stable")
    ids, lengths = np.concatenate([left[0], right[0]]), np.concatenate([left[1], right[1]])
    starts = np.cumsum(lengths, dtype=np.int64) - lengths
    return gather(ids, starts[back], lengths[back]), lengths[back]
