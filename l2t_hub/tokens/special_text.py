"""Text that spells a special token, such as a web page about `</s>`, stays text and never becomes the token's ID.

The tokenizers library can be told not to look for special tokens in a text (`encode_special_tokens`). That is
enough for a BPE. The model itself may still find one: a Unigram, WordPiece or WordLevel vocabulary lists special
tokens among its words. `ReservedIds` notices their IDs in a result and encodes the text again with a tokenizer that
has lost these spellings and nothing else.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from hashlib import blake2b
from typing import Any

import numpy as np
from tokenizers import Tokenizer


def read_as_text(tokenizer: Tokenizer) -> Tokenizer:
    """Tell a tokenizer not to look for special tokens in texts, and return it. Its definition does not change."""
    tokenizer.encode_special_tokens = True
    return tokenizer


class ReservedIds:
    """The IDs that no text may give: those of special tokens, BOS, EOS and padding.

    The unknown token is none of them, because a character outside the vocabulary may give it.
    """

    def __init__(self, tokenizer: Tokenizer, given: Iterable[int | None], unknown_id: int | None) -> None:
        added = tokenizer.get_added_tokens_decoder()
        special = {number for number, token in added.items() if token.special}
        reserved = special | {number for number in given if number is not None}
        self._tokenizer = tokenizer
        self.ids = np.array(sorted(reserved - {unknown_id}), np.int64)

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        """Encode whole texts with the library; no result has a reserved ID."""
        encoded = _ids(self._tokenizer, texts)
        flat = np.fromiter((number for ids in encoded for number in ids), np.int64)
        hits = np.flatnonzero(np.isin(flat, self.ids))
        if len(hits):
            ends = np.cumsum([len(ids) for ids in encoded])
            found = np.unique(np.searchsorted(ends, hits, side="right")).tolist()
            for n, ids in zip(found, _ids(self._without_spellings, [texts[n] for n in found]), strict=True):
                encoded[n] = ids
        return encoded

    @cached_property
    def _without_spellings(self) -> Tokenizer:
        """The tokenizer with another spelling for each reserved ID, which no text has by chance."""
        definition = json.loads(self._tokenizer.to_str())
        salt = blake2b(self._tokenizer.to_str().encode(), digest_size=16).hexdigest()
        tokens = {n: self._tokenizer.id_to_token(n) for n in self.ids.tolist()}
        spellings = {token: f"<{salt}-{n}>" for n, token in tokens.items() if token is not None}
        for token in definition["added_tokens"]:
            if token["content"] in spellings:
                token |= {"content": spellings[token["content"]], "special": True}
        definition["model"] |= _respelled(definition["model"], spellings)
        definition["post_processor"] = None  # it adds special tokens, which texts are encoded without
        return read_as_text(Tokenizer.from_str(json.dumps(definition)))


def _ids(tokenizer: Tokenizer, texts: Sequence[str]) -> list[list[int]]:
    return [e.ids for e in tokenizer.encode_batch_fast(list(texts), add_special_tokens=False)]


def _respelled(model: Mapping[str, Any], spellings: Mapping[str, str]) -> dict[str, Any]:
    """Return the changed parts of a model's definition. Merges that spell such a token are left out."""
    if model["type"] == "Unigram":
        return {"vocab": [[spellings.get(word, word), score] for word, score in model["vocab"]]}
    changed: dict[str, Any] = {
        "vocab": {spellings.get(word, word): number for word, number in model["vocab"].items()}
    }
    if "merges" in model:
        pairs = [merge.split(" ") if isinstance(merge, str) else merge for merge in model["merges"]]
        changed["merges"] = [
            pair for pair in pairs if not spellings.keys() & {pair[0], pair[1], "".join(pair)}
        ]
    return changed
