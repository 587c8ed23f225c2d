"""The encoder returns the library's ids, for every family of tokenizers, on texts designed to break it."""

from functools import cache
from itertools import compress

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from l2t_hub.tokens.encode import Encoder

from .families import LINES, SAFE, UNSAFE, hostile_texts, reserved

EXAMPLES = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)


@cache
def encoder_and_library(name: str) -> tuple[Encoder, object]:
    """One encoder per family for the whole session: later texts meet a cache that is full and often evicted."""
    tokenizer = SAFE[name]() if name in SAFE else UNSAFE[name][0]()
    return Encoder(tokenizer, bos_id=1, eos_id=2, cache_bytes=40_000), tokenizer


def assert_same(name: str, texts: list[str]) -> None:
    encoder, library = encoder_and_library(name)
    by_library = [encoding.ids for encoding in library.encode_batch(texts, add_special_tokens=False)]
    # Where the model reads a special token out of a text, the encoder differs on purpose (test_special_text.py).
    agreed = [not reserved(encoder) & set(ids) for ids in by_library]
    texts, expected = list(compress(texts, agreed)), list(compress(by_library, agreed))
    encoded = encoder.encode(texts)
    assert encoded.lengths.tolist() == [len(ids) for ids in expected]
    parts = np.split(encoded.ids, encoded.starts[1:])
    for text, part, ids in zip(texts, parts, expected, strict=False):
        assert part.tolist() == ids, repr(text)
    assert encoder.count(texts).tolist() == encoded.lengths.tolist()
    with_bos = encoder.encode(texts, bos=True)
    assert with_bos.ids.tolist() == [id for ids in expected for id in (1, *ids)]
    assert (with_bos.lengths == encoded.lengths + 1).all()
    with_both = encoder.encode(texts, bos=True, eos=True)
    assert with_both.ids.tolist() == [id for ids in expected for id in (1, *ids, 2)]
    assert with_both.ids.dtype == encoded.ids.dtype
    assert with_both.lengths.tolist() == encoder.count(texts, bos=True, eos=True).tolist()
    assert with_both.lengths.tolist() == [len(ids) + 2 for ids in expected]


@pytest.mark.parametrize("name", SAFE)
@given(texts=st.lists(hostile_texts, min_size=1, max_size=6))
@EXAMPLES
def test_word_by_word_equals_the_library(name: str, texts: list[str]) -> None:
    assert encoder_and_library(name)[0].method == "words"
    assert_same(name, texts)


@pytest.mark.parametrize("name", UNSAFE)
@given(texts=st.lists(hostile_texts, min_size=1, max_size=4))
@settings(EXAMPLES, max_examples=20)
def test_unsafe_tokenizers_go_to_the_library(name: str, texts: list[str]) -> None:
    encoder = encoder_and_library(name)[0]
    assert encoder.method == "library"
    assert UNSAFE[name][1] in encoder.reason
    assert_same(name, texts)


@pytest.mark.parametrize("name", SAFE)
def test_plain_text_needs_no_help_from_the_library(name: str) -> None:
    encoder = Encoder(SAFE[name]())
    texts = ["the dog and the cats it is so", "He said no, and she said: it's (not) 1998."]
    before = encoder.texts_by_library
    encoder.encode(texts)
    assert encoder.texts_by_library == before
    assert_same(name, texts + LINES)
