"""Pieces encoded as one text are separated exactly as if each had been encoded alone."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import AddedToken, pre_tokenizers

from l2t_hub.tokens.wordwise import OPENING, Joiner, cut, decide, encode_one_by_one, joiner

from .families import LINES, SAFE, byte_level, hostile_texts, with_tokens

JOINED = {name: SAFE[name]() for name in ("gpt2", "gpt2 regex", "llama 3", "cl100k")}


def joiner_of(tokenizer) -> Joiner | None:
    return Joiner.of(tokenizer, json.loads(tokenizer.to_str()))


def inner_pieces(name: str, texts: list[str]) -> list[bytes]:
    """The pieces that may be joined: those that neither start a text nor end in a blank."""
    cuts = decide(json.loads(JOINED[name].to_str())).cuts
    every = [piece for piece in cut(texts, cuts).different if not piece.startswith(OPENING)]
    return [piece for piece in every if not piece.decode()[-1].isspace()]


@pytest.mark.parametrize("name", JOINED)
@given(texts=st.lists(hostile_texts, min_size=1, max_size=8))
@settings(deadline=None)
def test_joined_equals_one_by_one(name: str, texts: list[str]) -> None:
    pieces = inner_pieces(name, [*texts, "the dog, and"])
    of_name = joiner_of(JOINED[name])
    assert of_name is not None
    joined = of_name.encode(pieces, np.uint16)
    assert joined is not None
    ids, lengths = encode_one_by_one(JOINED[name], pieces, np.uint16)
    assert joined[0].tolist() == ids.tolist()
    assert joined[1].tolist() == lengths.tolist()


def test_more_pieces_than_one_text_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(joiner, "_GROUP", 3)
    pieces = inner_pieces("gpt2", LINES)
    gpt2 = joiner_of(JOINED["gpt2"])
    assert gpt2 is not None
    joined = gpt2.encode(pieces, np.uint16)
    assert joined is not None
    assert joined[1].tolist() == [len(JOINED["gpt2"].encode(piece.decode()).ids) for piece in pieces]


def test_a_token_across_two_pieces_is_detected() -> None:
    crossing = byte_level([pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    of_crossing = joiner_of(crossing)
    assert of_crossing is not None
    assert of_crossing.encode(inner_pieces("gpt2", LINES), np.uint16) is None


@pytest.mark.parametrize(
    "name",
    ["gpt2, prefix space", "qwen, NFC", "mistral, prepend", "bert, cased", "unigram", "metaspace, split"],
)
def test_there_is_no_joiner_where_bytes_cannot_be_counted(name: str) -> None:
    assert joiner_of(SAFE[name]()) is None


def test_there_is_no_joiner_with_an_added_token_that_strips_blanks() -> None:
    greedy = AddedToken("[M]", lstrip=True, normalized=False)
    assert joiner_of(with_tokens(SAFE["gpt2"](), greedy)) is None
