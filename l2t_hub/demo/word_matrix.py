"""The surprisal of a sentence word by word, for models with different tokenizers.

A word's surprisal is the sum of its tokens'. Where a model has a token across the border of two words, they are one
word in the matrix, so that every model's words add up to its surprisal of the sentence. Pure functions.
"""

import math
import unicodedata
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from l2t_hub.demo.comparison import align_keys
from l2t_hub.scoring import Score, Token

# Han, kana: scripts without spaces, where a character is the best word that every tokenizer can agree on.
_UNSPACED = (("\u3040", "\u30ff"), ("\u3400", "\u4dbf"), ("\u4e00", "\u9fff"), ("\uf900", "\ufaff"))
_INSIDE_WORDS = frozenset("'’-‑")
_EQUAL_BITS = 0.001


@dataclass(frozen=True)
class Word:
    """A word with the space before it, and its surprisal in bits under each model."""

    text: str
    bits: tuple[float, ...]

    @property
    def spread(self) -> float:
        """The largest difference between two models, in bits."""
        return max(self.bits) - min(self.bits)


@dataclass(frozen=True)
class WordColumn:
    """The aligned words of a pair; None where a sentence has no word at this place."""

    good: Word | None
    bad: Word | None

    @property
    def same(self) -> bool:
        """Whether both sentences have the same word."""
        return self.good is not None and self.bad is not None and self.good.text == self.bad.text

    @property
    def shared(self) -> bool:
        """Whether both have the same word with the same surprisal: one value stands for both."""
        return (
            self.good is not None
            and self.bad is not None
            and self.good.text == self.bad.text
            and all(abs(g - b) < _EQUAL_BITS for g, b in zip(self.good.bits, self.bad.bits, strict=True))
        )


def words_of(scores: Sequence[Score]) -> tuple[Word, ...]:
    """Return the words of a sentence. `scores` are those of the same sentence under each model."""
    return _parts(scores, _word_starts(scores[0].sentence)) if scores else ()


def pieces_of(score: Score) -> tuple[Word, ...]:
    """Return a sentence's text token by token. Tokens that share a character, as in an emoji, are one piece."""
    return _parts([score], [token.start for token in score.tokens])


def align_words(good: Sequence[Word], bad: Sequence[Word]) -> tuple[WordColumn, ...]:
    """Align the words of the two sentences of a pair."""
    places = align_keys([word.text for word in good], [word.text for word in bad])
    return tuple(WordColumn(None if g is None else good[g], None if b is None else bad[b]) for g, b in places)


def _parts(scores: Sequence[Score], cuts: Iterable[int]) -> tuple[Word, ...]:
    """Cut the sentence at `cuts`, except inside a token, and sum up each part's tokens."""
    sentence = scores[0].sentence
    inside = {place for score in scores for token in score.tokens for place in range(*_interior(token))}
    starts = sorted({0, *(cut for cut in cuts if 0 < cut < len(sentence) and cut not in inside)})
    bits: list[list[list[float]]] = [[[] for _ in scores] for _ in starts]
    for number, score in enumerate(scores):
        for token in score.tokens:
            bits[bisect_right(starts, _span(token)[0]) - 1][number].append(token.bits)
    ends = [*starts[1:], len(sentence)]
    return tuple(
        Word(sentence[start:end], tuple(map(math.fsum, values)))
        for start, end, values in zip(starts, ends, bits, strict=True)
    )


def _span(token: Token) -> tuple[int, int]:
    """The part of the sentence that a token has, without spaces: whether they belong to it, tokenizers disagree."""
    text = token.text
    if not text.strip():
        return token.start, token.end
    return token.start + len(text) - len(text.lstrip()), token.end - len(text) + len(text.rstrip())


def _interior(token: Token) -> tuple[int, int]:
    start, end = _span(token)
    return start + 1, end


def _word_starts(sentence: str) -> Iterator[int]:
    """Yield where words start, each with the spaces before it. A run of punctuation is a word of its own."""
    before = ""
    for place, character in enumerate(sentence):
        kind = _kind(character)
        if kind == "joint":
            joins = before == "word" and _kind(sentence[place + 1 : place + 2] or " ") == "word"
            kind = "word" if joins else "mark"
        if (kind != before and before != "space") or (kind == "unspaced" and before == kind):
            yield place
        before = kind


def _kind(character: str) -> str:
    if character.isspace():
        return "space"
    if character in _INSIDE_WORDS:
        return "joint"
    if any(low <= character <= high for low, high in _UNSPACED):
        return "unspaced"
    return "mark" if unicodedata.category(character)[0] in "PS" else "word"
