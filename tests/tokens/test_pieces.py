"""Texts are cut exactly where the rule says, and no text is lost."""

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from l2t_hub.tokens.encode import Encoder
from l2t_hub.tokens.wordwise.pieces import BLANKS_ONLY, OPENING, Cuts, cut

from .families import SAFE, hostile_texts

EVERYTHING = Cuts(paragraphs=True, signs=".,'\u2019\u2014")


def pieces_of(texts: list[str], cuts: Cuts) -> list[list[str]]:
    """The pieces of each text."""
    pieces = cut(texts, cuts)
    every = [pieces.different[n].decode() for n in pieces.numbers.tolist()]
    return [part.tolist() for part in np.split(np.array(every, object), pieces.starts[1:])]


def by_rule(text: str, cuts: Cuts) -> list[str]:
    """The same pieces, cut by a regular expression. A NUL counts as a blank before a cut."""
    blank = "\n " if cuts.paragraphs else " "
    rule = rf"(?<=[^\s\0])(?=[{blank}])"
    if cuts.signs:
        rule += rf"|(?<=[A-Za-z])(?=[{re.escape(cuts.signs)}])"
    return re.split(rule, f"\0{text}")


@pytest.mark.parametrize("cuts", [BLANKS_ONLY, Cuts(paragraphs=True), Cuts(signs=".,\u201d"), EVERYTHING])
@given(texts=st.lists(hostile_texts, min_size=1, max_size=6))
def test_cuts_are_where_the_rule_says(cuts: Cuts, texts: list[str]) -> None:
    assert pieces_of(texts, cuts) == [by_rule(text, cuts) for text in texts]


def test_only_first_pieces_begin_with_the_opening() -> None:
    pieces = cut(["a \0b,c", "\0 \0", ""], EVERYTHING)
    first = {int(pieces.numbers[start]) for start in pieces.starts}
    assert {n for n, piece in enumerate(pieces.different) if piece.startswith(OPENING)} == first


def test_the_different_pieces_are_different() -> None:
    pieces = cut(["the dog and the dog", "the dog"], BLANKS_ONLY)
    assert pieces.different == [b"\0the", b" dog", b" and", b" the"]
    assert pieces.numbers.tolist() == [0, 1, 2, 3, 1, 0, 1]
    assert pieces.starts.tolist() == [0, 5]


@pytest.mark.parametrize(
    ("name", "entries"),
    [("gpt2", 3), ("llama 3", 3), ("byte-level, signs added", 2), ("o200k", 2), ("mistral, prepend", 2)],
)
def test_signs_are_cut_off_where_that_is_safe(name: str, entries: int) -> None:
    """Otherwise a word would be cached once for every sign that follows it. No added token may be cut."""
    encoder = Encoder(SAFE[name]())
    encoder.encode(["the dog,"])
    assert len(encoder.table) == entries
