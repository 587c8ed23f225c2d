"""Encode many pieces of text, each as if it were a text by itself, faster than one call per piece.

If every token of a byte-level tokenizer stands for a known number of bytes, pieces can be concatenated, encoded as
one text and separated again by counting bytes. This is allowed for the same reason as cutting: at every place where
`pieces.cut` cuts, both sides have the ids that they have alone.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, compress
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray
from tokenizers import Tokenizer
from tokenizers.pre_tokenizers import ByteLevel

from l2t_hub.tokens.wordwise.word_table import gather

Flat = tuple[NDArray[Any], NDArray[np.int32]]
"""The ids of all pieces, one piece after another, and the number of ids of each piece."""

_GROUP = 1024
_LETTER = b" a"
_BLANKS = np.frombuffer(b" \n", np.uint8)


@dataclass(frozen=True, slots=True)
class Joiner:
    """Encodes pieces in one go. `size_of` is the number of bytes that each token id stands for."""

    tokenizer: Tokenizer
    size_of: NDArray[np.int64]

    @classmethod
    def of(cls, tokenizer: Tokenizer, definition: Mapping[str, Any]) -> "Joiner | None":
        """Return a joiner for a tokenizer with this definition, or None if its bytes cannot be counted reliably."""
        model = definition["model"]
        if definition["normalizer"] is not None or model["type"] != "BPE" or model.get("dropout"):
            return None
        pre_tokenizer = definition["pre_tokenizer"] or {}
        steps = pre_tokenizer.get("pretokenizers", [pre_tokenizer])
        byte_levels = [step for step in steps if step.get("type") == "ByteLevel"]
        if not byte_levels or any(step["add_prefix_space"] for step in byte_levels):
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
        """Encode pieces made by `pieces.cut` that neither start a text nor end in a blank.

        Returns None if, against expectation, a token spans two pieces.
        """
        is_sign = ~np.isin(np.frombuffer(b"".join([piece[:1] for piece in pieces]), np.uint8), _BLANKS)
        # A text is cut before a sign only where a letter precedes it, so signs are encoded after a letter.
        plain = self._joined(list(compress(pieces, (~is_sign).tolist())), b"", dtype)
        signs = self._joined(list(compress(pieces, is_sign.tolist())), _LETTER, dtype)
        if plain is None or signs is None:
            return None
        return interleave(plain, signs, is_sign)

    def _joined(self, pieces: Sequence[bytes], glue: bytes, dtype: DTypeLike) -> Flat | None:
        """Encode pieces with `glue` before each; the tokens of the glue are left out."""
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


def encode_one_by_one(tokenizer: Tokenizer, pieces: Sequence[bytes], dtype: DTypeLike) -> Flat:
    """Encode each piece as a text by itself, with any tokenizer.

    The library takes a list of pieces as one input and runs the whole pipeline on each piece, at half the cost of as
    many inputs.
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


def interleave(left: Flat, right: Flat, is_right: NDArray[np.bool_]) -> Flat:
    """Merge two results; `is_right` says for each piece of the merged one which of the two it comes from."""
    origin = np.argsort(np.argsort(is_right, kind="stable"), kind="stable")
    ids, lengths = np.concatenate([left[0], right[0]]), np.concatenate([left[1], right[1]])
    starts = np.cumsum(lengths, dtype=np.int64) - lengths
    return gather(ids, starts[origin], lengths[origin]), lengths[origin]
