"""Sentence splitters and blocks keep the order and lose nothing; block counts are the paper's."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from l2t_hub.corpus.blocks import block_count, blocks, cut
from l2t_hub.corpus.sentences import LIBRARIES, splitter
from l2t_hub.errors import UsageError
from l2t_hub.tasks import language

TEXT = "Mr. Bell came at 5 p.m. yesterday.  He left again!\n\nWhy? Nobody\nknows."


def test_both_splitters_split_and_strip() -> None:
    assert splitter("sentencex")(TEXT)[-2:] == ["Why?", "Nobody\nknows."]
    assert splitter("blingfire")(TEXT)[-2:] == ["Why?", "Nobody knows."]


@pytest.mark.parametrize("name", LIBRARIES)
@given(text=st.text(st.characters(exclude_categories=["Cs"]), max_size=300))
def test_sentences_are_never_blank_and_lose_no_visible_character(name: str, text: str) -> None:
    sentences = splitter(name)(text) if text.strip() else []
    assert all(s and s == s.strip() for s in sentences)
    if name == "sentencex":
        assert "".join("".join(sentences).split()) == "".join(text.split())
    elif text.strip():
        assert sentences, "a text that is not blank has at least one sentence"


def test_an_unknown_splitter_suggests_the_nearest() -> None:
    with pytest.raises(UsageError, match="Did you mean 'blingfire'"):
        splitter("blingfyre")


@given(n=st.integers(0, 200), count=st.integers(1, 50))
def test_cutting_keeps_every_sentence_in_order(n: int, count: int) -> None:
    sentences = [f"s{i}" for i in range(n)]
    cuts = cut(sentences, count, language())
    assert [s for block in cuts for s in block.sentences] == sentences
    assert len(cuts) <= count
    sizes = {len(block.sentences) for block in cuts[:-1]}
    assert len(sizes) <= 1
    assert not cuts or len(cuts[-1].sentences) <= len(cuts[0].sentences)


@pytest.mark.parametrize(
    ("tokens", "unit", "count"),
    [(0, 1, 1), (511, 1, 1), (512, 1, 2), (1300, 1, 3), (511, 2, 1), (1300, 2, 5)],
)
def test_the_number_of_blocks_is_that_of_the_paper(tokens: int, unit: int, count: int) -> None:
    assert block_count(tokens, 512, unit) == count


def test_short_blocks_are_counted_and_the_others_keep_their_numbers() -> None:
    sentences = ["one two three"] * 2 + ["short"] * 2 + ["four five six"]
    kept, short = blocks(sentences, token_count=1024, tokens_per_block=512, min_words=3, language=language())
    assert short == 1
    assert [(n, b.text) for n, b in kept] == [(0, "one two three one two three"), (2, "four five six")]
