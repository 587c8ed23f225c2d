"""Text to token ids, exactly as the tokenizers library gives them for text that has no special tokens in it.

Where it is safe (`wordwise.decide`), each different word is encoded once and its ids are cached. Results are flat:
one array of ids and one of lengths for a batch of texts.
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
from l2t_hub.tokens.special_text import ReservedIds, read_as_text
from l2t_hub.tokens.wordwise import (
    NEEDS_LIBRARY,
    OPEN_END,
    OPENING,
    Flat,
    Joiner,
    Key,
    Pieces,
    WordTable,
    cut,
    decide,
    encode_one_by_one,
    gather,
    interleave,
)

CACHE_BYTES = 24 << 20
"""Default limit of the word cache, in bytes. It holds the recurring words of English books several times over. With
four times as much, a build of 10M words is a tenth faster, but memory grows with the source up to that limit.
"""

CHUNK_CHARACTERS = 1 << 21
"""Texts are encoded in chunks of about this many characters, to bound the memory that a batch needs."""


@dataclass(frozen=True, slots=True)
class Encoded:
    """A batch of encoded texts.

    `ids` holds the ids of all texts, one text after another (uint16 if the vocabulary fits, else uint32);
    `lengths` the number of ids of each text (int32).
    """

    ids: NDArray[Any]
    lengths: NDArray[np.int32]

    @property
    def starts(self) -> NDArray[np.int64]:
        """The index in `ids` at which each text starts."""
        return np.cumsum(self.lengths, dtype=np.int64) - self.lengths


class Encoder:
    """Encodes batches of texts.

    `method` is "words" (through the cache) or "library" (whole texts); `reason` explains the choice in one sentence.
    Special tokens that the tokenizer would add are not added; BOS and EOS are added on request. Text that spells a
    special token is encoded as text (`special_text.py`). Not thread-safe. A pickled copy (in a build worker) starts
    with an empty cache.
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
        self._tokenizer = read_as_text(_without_limits(tokenizer))
        self.bos_id, self.eos_id, self.pad_id, self.cache_bytes = bos_id, eos_id, pad_id, cache_bytes
        self.vocab_size = 1 + max(self._tokenizer.get_vocab(with_added_tokens=True).values(), default=-1)
        self.dtype = np.dtype(np.uint16 if self.vocab_size <= 1 << 16 else np.uint32)
        definition = json.loads(self._tokenizer.to_str())
        self._decision = decide(definition)
        self.method = "words" if self._decision.safe else "library"
        self.reason = self._decision.reason
        self.texts_by_library = 0
        inner = self._decision.inner
        self._inner = read_as_text(Tokenizer.from_str(inner)) if inner is not None else self._tokenizer
        self._joiner = Joiner.of(self._tokenizer, definition)
        unknown = _unknown_token(definition["model"])
        unknown_id = self._tokenizer.token_to_id(unknown) if unknown else None
        self._reserved = ReservedIds(self._tokenizer, (bos_id, eos_id, pad_id), unknown_id)
        self._added = _AddedTokens.of(self._tokenizer, unknown, self._reserved)
        self._table = WordTable(cache_bytes, self.dtype, [] if bos_id is None else [bos_id])

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (self._tokenizer.to_str(), self.bos_id, self.eos_id, self.pad_id, self.cache_bytes)

    @property
    def table(self) -> WordTable:
        """The word cache, for callers that want to know its size or clear it."""
        return self._table

    def encode(self, texts: Sequence[str], *, bos: bool = False, eos: bool = False) -> Encoded:
        """Encode `texts`, with the BOS token before each text if `bos` is set, and EOS after each if `eos` is.

        Raises UserError if a text is not valid Unicode.
        """
        self._check_ends(bos, eos)
        parts = [self._encode_chunk(chunk, bos) for chunk in _chunks(texts)]
        ids = np.concatenate([part.ids for part in parts]) if parts else np.empty(0, self.dtype)
        lengths = np.concatenate([part.lengths for part in parts]) if parts else np.empty(0, np.int32)
        if eos and self.eos_id is not None:
            ids, lengths = (
                np.insert(ids, np.cumsum(lengths, dtype=np.int64), self.eos_id),
                lengths + np.int32(1),
            )
        return Encoded(ids, lengths)

    def count(self, texts: Sequence[str], *, bos: bool = False, eos: bool = False) -> NDArray[np.int32]:
        """Count the tokens of each text; a little faster than `encode`. Raises UserError as `encode` does."""
        self._check_ends(bos, eos)
        if not self._decision.safe:
            return self.encode(texts, bos=bos, eos=eos).lengths
        parts = [self._count_chunk(chunk, bos) for chunk in _chunks(texts)]
        return np.concatenate(parts) + np.int32(eos) if parts else np.empty(0, np.int32)

    def _check_ends(self, bos: bool, eos: bool) -> None:
        if (bos and self.bos_id is None) or (eos and self.eos_id is None):
            raise ValueError(f"this tokenizer has no {'BOS' if bos and self.bos_id is None else 'EOS'} token")

    def _encode_chunk(self, texts: Sequence[str], bos: bool) -> Encoded:
        if not self._decision.safe:
            return self._by_library(texts, bos)
        batch = self._look_up(texts, bos)
        table = self._table
        row_lengths = table.lengths(batch.rows)
        row_ids = table.gather(batch.rows, row_lengths)
        row_starts = np.cumsum(row_lengths, dtype=np.int64) - row_lengths
        lengths = row_lengths[batch.numbers]
        totals = np.add.reduceat(lengths, batch.starts, dtype=np.int32)
        encoded = Encoded(gather(row_ids, row_starts[batch.numbers], lengths), totals)
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
        """Cut `texts` into pieces and find each in the table; pieces that are not in it are encoded and added."""
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
                self._table.clear()  # the table must not keep rows without ids
                raise
        by_library = self._texts_for_library(texts, rows, pieces)
        numbers, starts = pieces.numbers, pieces.starts
        if bos:
            numbers = np.insert(numbers, starts, len(rows))
            starts = starts + np.arange(len(starts))
            rows = np.append(rows, np.int32(0))
        return _Batch(rows, numbers, starts, by_library)

    def _texts_for_library(
        self, texts: Sequence[str], rows: NDArray[np.int32], pieces: Pieces
    ) -> NDArray[np.int64]:
        """Return the indices of the texts that cannot be encoded word by word."""
        indices = np.empty(0, np.int64)
        flags_of_rows = self._table.flags(rows)
        if flags_of_rows.any():
            flags, starts = flags_of_rows[pieces.numbers], pieces.starts
            last = np.append(starts[1:], len(flags)) - 1
            flags[last] &= ~np.uint8(OPEN_END)
            indices = np.searchsorted(starts, np.flatnonzero(flags), side="right") - 1
        spanning = self._decision.spanning
        if spanning:
            indices = np.append(
                indices, [i for i, text in enumerate(texts) if any(token in text for token in spanning)]
            )
        return np.unique(indices).astype(np.int64)

    def _learn(self, missing: Sequence[Key]) -> None:
        """Encode pieces that are not in the table and add them."""
        keys = [key for key in missing if key is not None]
        data = np.frombuffer(b"".join(keys), np.uint8)
        ends = np.cumsum(np.fromiter(map(len, keys), np.int64, count=len(keys)))
        opening = data[np.append(0, ends[:-1])] == OPENING[0]
        open_ends = self._open_ends(keys, data[ends - 1])
        first = [key[len(OPENING) :] for key in compress(keys, opening.tolist())]
        inner = list(compress(keys, (~opening).tolist()))
        ids, lengths = interleave(
            self._encode_inner(inner, open_ends[~opening] == 0),
            encode_one_by_one(self._tokenizer, first, self.dtype),
            opening,
        )
        flags = self._added.flags(keys, ids, lengths)
        if self._decision.closed:
            flags |= open_ends
        self._table.store(keys, ids, lengths, flags)

    def _open_ends(self, keys: list[bytes], last: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return OPEN_END for each piece that is empty or ends in a blank or the mark once normalised, else 0.

        `last` holds the last byte of each piece. Every normaliser that `wordwise.decide` allows maps an ASCII
        character from "!" to "~" to itself or to the other case, so a piece that ends in one needs no second look.
        """
        flags = np.zeros(len(keys), np.uint8)
        for n in np.flatnonzero((last < ord("!")) | (last > ord("~"))).tolist():
            first = keys[n].startswith(OPENING)
            word = keys[n][len(OPENING) * first :].decode()
            normalizer = (self._tokenizer if first else self._inner).normalizer
            end = (normalizer.normalize_str(word) if normalizer else word)[-1:]
            if not end or end.isspace() or end == self._decision.mark:
                flags[n] = OPEN_END
        return flags

    def _encode_inner(self, pieces: list[bytes], closed: NDArray[np.bool_]) -> Flat:
        """Encode pieces that do not start a text. `closed` says which do not end in a blank: these can be joined."""
        if self._joiner is not None:
            joined = self._joiner.encode(list(compress(pieces, closed.tolist())), self.dtype)
            if joined is not None:
                open_pieces = list(compress(pieces, (~closed).tolist()))
                return interleave(joined, encode_one_by_one(self._inner, open_pieces, self.dtype), ~closed)
        return encode_one_by_one(self._inner, pieces, self.dtype)

    def _by_library(self, texts: Sequence[str], bos: bool) -> Encoded:
        """Encode whole texts with the library's own batch method."""
        self.texts_by_library += len(texts)
        try:
            lists = self._reserved.encode(texts)
        except (TypeError, UnicodeError) as error:
            _check_unicode(texts, error)
            raise
        if bos and self.bos_id is not None:
            lists = [[self.bos_id, *ids] for ids in lists]
        lengths = np.fromiter(map(len, lists), np.int32, count=len(lists))
        return Encoded(np.fromiter(chain.from_iterable(lists), self.dtype, count=int(lengths.sum())), lengths)


@dataclass(frozen=True, slots=True)
class _Batch:
    """A batch as rows of the table.

    `rows`: the table row of each different piece. `numbers`: for each piece of the batch, its index in `rows`.
    `starts`: the index in `numbers` at which each text starts. `by_library`: indices of the texts to encode whole.
    """

    rows: NDArray[np.int32]
    numbers: NDArray[np.int32]
    starts: NDArray[np.int64]
    by_library: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class _AddedTokens:
    """The ids of added and reserved tokens, and the unknown token, which the model also returns for unknown text."""

    ids: NDArray[np.int64]
    unknown_id: int | None
    unknown: bytes

    @classmethod
    def of(cls, tokenizer: Tokenizer, unknown: str, reserved: ReservedIds) -> "_AddedTokens":
        added = tokenizer.get_added_tokens_decoder()
        matched_raw = {token.content: id for id, token in added.items() if not token.normalized}
        ids = np.union1d(np.array(sorted(added), np.int64), reserved.ids)
        return cls(ids, matched_raw.get(unknown), unknown.encode())

    def flags(self, words: list[bytes], ids: NDArray[Any], lengths: NDArray[np.int32]) -> NDArray[np.uint8]:
        """Return NEEDS_LIBRARY for each word that has an added token, since the token may extend into its neighbours.

        The unknown token counts only in words that spell it out.
        """
        flags = np.zeros(len(words), np.uint8)
        hits = np.flatnonzero(np.isin(ids, self.ids))
        if len(hits):
            of_word = np.repeat(np.arange(len(words)), lengths)[hits]
            for word, id in zip(of_word.tolist(), ids[hits].tolist(), strict=True):
                if id != self.unknown_id or self.unknown in words[word]:
                    flags[word] = NEEDS_LIBRARY
        return flags


def _unknown_token(model: Mapping[str, Any]) -> str:
    """Return the token that the model uses for unknown text, or ""."""
    if model["type"] == "Unigram":
        return "" if model["unk_id"] is None else str(model["vocab"][model["unk_id"]][0])
    return str(model.get("unk_token") or "")


def _without_limits(tokenizer: Tokenizer) -> Tokenizer:
    """Return the tokenizer without truncation and padding.

    A tokenizer that has neither is returned as it is. A copy made through JSON may round the scores of a Unigram
    model and so change its choice between equally good segmentations.
    """
    if tokenizer.truncation is None and tokenizer.padding is None:
        return tokenizer
    copy = Tokenizer.from_str(tokenizer.to_str())
    copy.no_truncation()
    copy.no_padding()
    return copy


def _rebuild(
    definition: str, bos_id: int | None, eos_id: int | None, pad_id: int | None, cache_bytes: int
) -> Encoder:
    tokenizer = Tokenizer.from_str(definition)
    return Encoder(tokenizer, bos_id=bos_id, eos_id=eos_id, pad_id=pad_id, cache_bytes=cache_bytes)


def _chunks(texts: Sequence[str]) -> Iterator[Sequence[str]]:
    """Yield consecutive texts in groups of about CHUNK_CHARACTERS characters."""
    start = characters = 0
    for i, text in enumerate(texts):
        characters += len(text)
        if characters >= CHUNK_CHARACTERS:
            yield texts[start : i + 1]
            start, characters = i + 1, 0
    if start < len(texts):
        yield texts[start:]


def _replace(encoded: Encoded, indices: NDArray[np.int64], others: Encoded) -> Encoded:
    """Replace the texts at `indices` with the texts of `others`."""
    parts = np.split(encoded.ids, encoded.starts[1:])
    lengths = encoded.lengths.copy()
    lengths[indices] = others.lengths
    for i, ids in zip(indices.tolist(), np.split(others.ids, others.starts[1:]), strict=True):
        parts[i] = ids
    return Encoded(np.concatenate(parts), lengths)


def _check_unicode(texts: Sequence[str], error: BaseException) -> None:
    """Raise a UserError that names the first text with a lone surrogate; no tokenizer accepts such a text."""
    for i, text in enumerate(texts):
        if re.search("[\ud800-\udfff]", text):
            raise UserError(
                f"text {i} of the batch, which starts with {text[:40]!r}, has a lone surrogate: it is not Unicode",
                hint="Drop or repair the text where it is read.",
            ) from error
