"""Text to token ids, exactly as the tokenizers library gives them, but word by word from a cache where that
is provably the same (`words.py` decides). Everything comes out flat: one array of ids and one of lengths for
a batch of texts.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, compress
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from l2t_hub.errors import UserError
from l2t_hub.tokens.wordwise.alone import Flat, Joiner, in_order, one_by_one
from l2t_hub.tokens.wordwise.cache import LIBRARY, OPEN, Key, WordTable, gather
from l2t_hub.tokens.wordwise.cut import OPENING, Pieces, cut
from l2t_hub.tokens.wordwise.words import decide

CACHE_BYTES = 24 << 20
"""Default bound of the word cache. It holds what keeps coming back in English books several times over; four times
as much makes a build of 10M words a tenth faster, and its memory grow with the source until then.
"""

CHUNK_CHARACTERS = 1 << 21
"""Texts are encoded in chunks of about this many characters, so that what a chunk needs for itself stays
small.
"""


@dataclass(frozen=True, slots=True)
class Encoded:
    """A batch: `ids` of all texts one after another (uint16 if the vocabulary fits, else uint32), `lengths`
    per text (int32).
    """

    ids: NDArray[Any]
    lengths: NDArray[np.int32]

    @property
    def starts(self) -> NDArray[np.int64]:
        """Where each text begins in `ids`."""
        return np.cumsum(self.lengths, dtype=np.int64) - self.lengths


class Encoder:
    """Encodes batches of texts. `method` is "words" (the cache) or "library"; `reason` says in a sentence
    why.

    Special tokens that the tokenizer would add are not added; BOS is put in front where asked. Not for
    several threads at once. Copies made by pickling (build workers) start with an empty cache.
    """

    def __init__(
        self,
        tokenizer: Tokenizer,
        *,
        bos_id: int | None = None,
        eos_id: int | None = None,
        pad_id: int | None = None,
        cache_bytes: int = CACHE_BYTES,
    ) -> None:
        self._tokenizer = _unbounded(tokenizer)
        self.bos_id, self.eos_id, self.pad_id, self.cache_bytes = bos_id, eos_id, pad_id, cache_bytes
        self.vocab_size = 1 + max(self._tokenizer.get_vocab(with_added_tokens=True).values(), default=-1)
        self.dtype = np.dtype(np.uint16 if self.vocab_size <= 1 << 16 else np.uint32)
        definition = json.loads(self._tokenizer.to_str())
        self._decision = decide(definition)
        self.method = "words" if self._decision.safe else "library"
        self.reason = self._decision.reason
        self.texts_by_library = 0
        inner = self._decision.inner
        self._inner = Tokenizer.from_str(inner) if inner is not None else self._tokenizer
        self._joiner = Joiner.of(self._tokenizer, definition)
        self._added = _AddedTokens.of(self._tokenizer, definition["model"])
        self._table = WordTable(cache_bytes, self.dtype, [] if bos_id is None else [bos_id])

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (self._tokenizer.to_str(), self.bos_id, self.eos_id, self.pad_id, self.cache_bytes)

    @property
    def table(self) -> WordTable:
        """The word cache, for those who want to know its size or empty it."""
        return self._table

    def encode(self, texts: Sequence[str], *, bos: bool = False) -> Encoded:
        """Encode `texts`, with the BOS token in front of each if `bos`. UserError if a text is not valid
        Unicode.
        """
        self._check_bos(bos)
        parts = [self._encode_chunk(chunk, bos) for chunk in _chunks(texts)]
        ids = np.concatenate([part.ids for part in parts]) if parts else np.empty(0, self.dtype)
        lengths = np.concatenate([part.lengths for part in parts]) if parts else np.empty(0, np.int32)
        return Encoded(ids, lengths)

    def count(self, texts: Sequence[str], *, bos: bool = False) -> NDArray[np.int32]:
        """How many tokens `encode` would give for each text, a little faster."""
        self._check_bos(bos)
        if not self._decision.safe:
            return self.encode(texts, bos=bos).lengths
        parts = [self._count_chunk(chunk, bos) for chunk in _chunks(texts)]
        return np.concatenate(parts) if parts else np.empty(0, np.int32)

    def _check_bos(self, bos: bool) -> None:
        if bos and self.bos_id is None:
            raise ValueError("this tokenizer has no BOS token")

    def _encode_chunk(self, texts: Sequence[str], bos: bool) -> Encoded:
        if not self._decision.safe:
            return self._by_library(texts, bos)
        batch = self._look_up(texts, bos)
        table = self._table
        own_lengths = table.lengths(batch.rows)
        own_ids = table.gather(batch.rows, own_lengths)
        own_starts = np.cumsum(own_lengths, dtype=np.int64) - own_lengths
        lengths = own_lengths[batch.numbers]
        totals = np.add.reduceat(lengths, batch.starts, dtype=np.int32)
        encoded = Encoded(gather(own_ids, own_starts[batch.numbers], lengths), totals)
        table.settle(batch.rows)
        if not len(batch.by_library):
            return encoded
        others = self._by_library([texts[i] for i in batch.by_library], bos)
        return _replace(encoded, batch.by_library, others)

    def _count_chunk(self, texts: Sequence[str], bos: bool) -> NDArray[np.int32]:
        batch = self._look_up(texts, bos)
        lengths = self._table.lengths(batch.rows)[batch.numbers]
        totals: NDArray[np.int32] = np.add.reduceat(lengths, batch.starts, dtype=np.int32)
        self._table.settle(batch.rows)
        if len(batch.by_library):
            others = self._by_library([texts[i] for i in batch.by_library], bos)
            totals[batch.by_library] = others.lengths
        return totals

    def _look_up(self, texts: Sequence[str], bos: bool) -> "_Batch":
        """Cut `texts` into pieces and find each in the table; pieces that are not there yet are learnt."""
        try:
            pieces = cut(texts, self._decision.cuts)
        except UnicodeError as error:
            _check_unicode(texts, error)
            raise
        rows, missing = self._table.lookup(pieces.different)
        if missing:
            try:
                self._learn(missing)
            except BaseException:
                self._table.clear()  # rows without ids must not stay
                raise
        by_library = self._exceptions(texts, rows, pieces)
        numbers, starts = pieces.numbers, pieces.starts
        if bos:
            numbers = np.insert(numbers, starts, len(rows))
            starts = starts + np.arange(len(starts))
            rows = np.append(rows, np.int32(0))
        return _Batch(rows, numbers, starts, by_library)

    def _exceptions(self, texts: Sequence[str], rows: NDArray[np.int32], pieces: Pieces) -> NDArray[np.int64]:
        """Which texts hold something that the words alone cannot settle."""
        found = np.empty(0, np.int64)
        different = self._table.flags(rows)
        if different.any():
            flags, starts = different[pieces.numbers], pieces.starts
            last = np.append(starts[1:], len(flags)) - 1
            flags[last] &= ~np.uint8(OPEN)
            found = np.searchsorted(starts, np.flatnonzero(flags), side="right") - 1
        spanning = self._decision.spanning
        if spanning:
            found = np.append(
                found, [i for i, text in enumerate(texts) if any(token in text for token in spanning)]
            )
        return np.unique(found).astype(np.int64)

    def _learn(self, missing: Sequence[Key]) -> None:
        """Encode the pieces that the table does not know yet and put them into it."""
        keys = [key for key in missing if key is not None]
        data = np.frombuffer(b"".join(keys), np.uint8)
        ends = np.cumsum(np.fromiter(map(len, keys), np.int64, count=len(keys)))
        opening = data[np.append(0, ends[:-1])] == OPENING[0]
        open_ends = self._open_ends(keys, data[ends - 1])
        first = [key[len(OPENING) :] for key in compress(keys, opening.tolist())]
        inner = list(compress(keys, (~opening).tolist()))
        ids, lengths = in_order(
            self._encode_inner(inner, open_ends[~opening] == 0),
            one_by_one(self._tokenizer, first, self.dtype),
            opening,
        )
        flags = self._added.flags(keys, ids, lengths)
        if self._decision.closed:
            flags |= open_ends
        self._table.store(keys, ids, lengths, flags)

    def _open_ends(self, keys: list[bytes], last: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """OPEN for each piece whose normalised form is empty or ends in a blank or the mark; `last` are last bytes.

        A last character in the ASCII range from "!" to "~" stays what it is, or a letter's other case, under
        every normaliser that `words.py` allows, so those pieces need no second look.
        """
        flags = np.zeros(len(keys), np.uint8)
        for n in np.flatnonzero((last < ord("!")) | (last > ord("~"))).tolist():
            first = keys[n].startswith(OPENING)
            word = keys[n][len(OPENING) * first :].decode()
            normalizer = (self._tokenizer if first else self._inner).normalizer
            end = (normalizer.normalize_str(word) if normalizer else word)[-1:]
            if not end or end.isspace() or end == self._decision.mark:
                flags[n] = OPEN
        return flags

    def _encode_inner(self, pieces: list[bytes], closed: NDArray[np.bool_]) -> Flat:
        """Encode pieces that are not a text's first: joined, if this tokenizer can, those that end in no blank."""
        if self._joiner is not None:
            joined = self._joiner.encode(list(compress(pieces, closed.tolist())), self.dtype)
            if joined is not None:
                others = one_by_one(self._inner, list(compress(pieces, (~closed).tolist())), self.dtype)
                return in_order(joined, others, ~closed)
        return one_by_one(self._inner, pieces, self.dtype)

    def _by_library(self, texts: Sequence[str], bos: bool) -> Encoded:
        """Whole texts through the library's own batch encoding."""
        self.texts_by_library += len(texts)
        try:
            encodings = self._tokenizer.encode_batch_fast(list(texts), add_special_tokens=False)
        except (TypeError, UnicodeError) as error:
            _check_unicode(texts, error)
            raise
        lists = [encoding.ids for encoding in encodings]
        first = [self.bos_id] if bos and self.bos_id is not None else []
        if first:
            lists = [[*first, *ids] for ids in lists]
        lengths = np.fromiter(map(len, lists), np.int32, count=len(lists))
        return Encoded(np.fromiter(chain.from_iterable(lists), self.dtype, count=int(lengths.sum())), lengths)


@dataclass(frozen=True, slots=True)
class _Batch:
    """The table's `rows` of all different pieces, which of them each piece is (`numbers`), at which piece each text
    begins (`starts`), and which texts the library must encode.
    """

    rows: NDArray[np.int32]
    numbers: NDArray[np.int32]
    starts: NDArray[np.int64]
    by_library: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class _AddedTokens:
    """The ids of the added tokens, and the unknown token, which a model also gives for what it does not know."""

    ids: NDArray[np.int64]
    unknown_id: int | None
    unknown: bytes

    @classmethod
    def of(cls, tokenizer: Tokenizer, model: Mapping[str, Any]) -> "_AddedTokens":
        added = tokenizer.get_added_tokens_decoder()
        matched_raw = {token.content: id for id, token in added.items() if not token.normalized}
        unknown = _unknown_token(model)
        return cls(np.array(sorted(added), np.int64), matched_raw.get(unknown), unknown.encode())

    def flags(self, words: list[bytes], ids: NDArray[Any], lengths: NDArray[np.int32]) -> NDArray[np.uint8]:
        """LIBRARY for each word in which the library found an added token: its neighbours may be part of it.

        An unknown token only counts if the word spells it.
        """
        flags = np.zeros(len(words), np.uint8)
        hits = np.flatnonzero(np.isin(ids, self.ids))
        if len(hits):
            of_word = np.repeat(np.arange(len(words)), lengths)[hits]
            for word, id in zip(of_word.tolist(), ids[hits].tolist(), strict=True):
                if id != self.unknown_id or self.unknown in words[word]:
                    flags[word] = LIBRARY
        return flags


def _unknown_token(model: Mapping[str, Any]) -> str:
    """What the model gives for what it does not know; "" if it has no such token."""
    if model["type"] == "Unigram":
        return "" if model["unk_id"] is None else str(model["vocab"][model["unk_id"]][0])
    return str(model.get("unk_token") or "")


def _unbounded(tokenizer: Tokenizer) -> Tokenizer:
    """The tokenizer without truncation and padding: itself if it has none, for reading a copy back from JSON
    may round the scores of a Unigram model, and with them its choice between equals.
    """
    if tokenizer.truncation is None and tokenizer.padding is None:
        return tokenizer
    copy = Tokenizer.from_str(tokenizer.to_str())
    copy.no_truncation()
    copy.no_padding()
    return copy


def _rebuild(
    definition: str, bos_id: int | None, eos_id: int | None, pad_id: int | None, cache: int
) -> Encoder:
    tokenizer = Tokenizer.from_str(definition)
    return Encoder(tokenizer, bos_id=bos_id, eos_id=eos_id, pad_id=pad_id, cache_bytes=cache)


def _chunks(texts: Sequence[str]) -> Iterator[Sequence[str]]:
    """Runs of texts of about CHUNK_CHARACTERS characters together."""
    start = characters = 0
    for i, text in enumerate(texts):
        characters += len(text)
        if characters >= CHUNK_CHARACTERS:
            yield texts[start : i + 1]
            start, characters = i + 1, 0
    if start < len(texts):
        yield texts[start:]


def _replace(encoded: Encoded, which: NDArray[np.int64], other: Encoded) -> Encoded:
    """Put the texts of `other` in place of those numbered `which`."""
    parts = np.split(encoded.ids, encoded.starts[1:])
    lengths = encoded.lengths.copy()
    lengths[which] = other.lengths
    for i, ids in zip(which.tolist(), np.split(other.ids, other.starts[1:]), strict=True):
        parts[i] = ids
    return Encoded(np.concatenate(parts), lengths)


def _check_unicode(texts: Sequence[str], error: BaseException) -> None:
    """Raise a UserError that names the first text with a lone surrogate, the one kind of string no tokenizer
    takes.
    """
    for i, text in enumerate(texts):
        if re.search("[\ud800-\udfff]", text):
            raise UserError(
                f"text {i} of the batch, which begins {text[:40]!r}, holds a lone surrogate and is no valid Unicode",
                hint="drop or repair it where the text is read",
            ) from error
