"""What a visitor types: cleaned, cut with a notice, or refused in a sentence."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from l2t_hub.demo.pair_input import (
    MAX_CHARACTERS,
    MAX_PAIRS,
    pair_question,
    pairs_question,
    sentence_question,
)
from l2t_hub.errors import UserError


@pytest.mark.parametrize(
    ("good", "bad", "message"),
    [
        ("", "b", "The grammatical sentence is empty."),
        ("a", " \n\t ", "The ungrammatical sentence is empty."),
        ("a", None, "The ungrammatical sentence is empty."),
        ("same", " same ", "The two sentences are the same."),
        ("a" * 10_000_000, "a" * 10_000_001, "The first 1,000 characters of the two sentences are the same."),
    ],
)
def test_a_pair_that_cannot_be_scored(good: str, bad: str, message: str) -> None:
    with pytest.raises(UserError) as caught:
        pair_question(good, bad)
    assert caught.value.message == message


def test_a_long_sentence_is_cut_at_a_space_with_a_notice() -> None:
    question = pair_question(" a\n", "word " * 2_000_000)
    assert question.sentences[0] == "a"
    assert question.sentences[1] == ("word " * 200).strip()
    assert question.notices == (
        "The ungrammatical sentence has 9,999,999 characters; its first 999 were read.",
    )
    assert len(sentence_question("w" * 1001).sentences[0]) == MAX_CHARACTERS
    assert sentence_question("w" * 1000).notices == ()


def test_an_empty_sentence_is_refused() -> None:
    with pytest.raises(UserError, match="The sentence is empty"):
        sentence_question(" ")


def test_half_an_emoji_becomes_a_replacement_character() -> None:
    assert pair_question("a \ud83d", "b").sentences == ("a \ufffd", "b")
    assert pair_question("a \ud83d\ude00", "b").sentences == ("a 😀", "b")


@pytest.mark.parametrize("text", ["a\nb\nc\nd", "a\n b \r\n\n\nc\nd\n", "a\tb\nc\td", "\na\t b\n\n c\td"])
def test_pairs_on_two_lines_or_on_one_with_a_tab(text: str) -> None:
    assert pairs_question(text).pairs == (("a", "b"), ("c", "d"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "The list is empty."),
        ("a\n\nb\nc", "The list has 3 sentences, so the one on line 4 has no partner."),
        ("a\tb\nc", "Line 2 has 0 tabs; other lines have one tab between two sentences."),
        ("a\tb\tc", "Line 1 has 2 tabs; other lines have one tab between two sentences."),
        ("a\tb\n\nx\t", "Line 3: the ungrammatical sentence is empty."),
        ("a\nb\n\nsame\nsame", "Line 4: the two sentences of the pair are the same."),
        (f"a\n{'b' * 1001}", "Line 1: the ungrammatical sentence has 1,001 characters; the limit is 1,000."),
        ("a\nb\n" * 1000, "The list has 1,000 pairs; the limit is 200."),
        ("a" * 10_000_000, "The list has 10,000,000 characters; the limit is 400,800."),
    ],
)
def test_a_list_that_cannot_be_scored(text: str, message: str) -> None:
    with pytest.raises(UserError) as caught:
        pairs_question(text)
    assert caught.value.message == message
    assert caught.value.hint


def test_a_list_of_the_longest_pairs_is_read() -> None:
    good, bad = "g" * MAX_CHARACTERS, "b" * MAX_CHARACTERS
    assert pairs_question(f"{good}\n{bad}\n" * MAX_PAIRS).pairs == ((good, bad),) * MAX_PAIRS


@given(st.text("ab\t\n\r \ud83d\u2028", max_size=20))
def test_any_list_gives_pairs_or_a_message(text: str) -> None:
    with contextlib.suppress(UserError):
        pairs = pairs_question(text).pairs
        assert all(good and bad and good != bad and "\n" not in good + bad for good, bad in pairs)
