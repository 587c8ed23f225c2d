"""Alignment, critical region and summary of a minimal pair."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from l2t_hub.demo.comparison import Column, PairComparison, align, critical_region, summarize_preferences
from l2t_hub.scoring import Score, Token


def tokens(text: str, bits: float = 1.0) -> tuple[Token, ...]:
    return tuple(Token(sum(map(ord, word)), word, 0, len(word), bits) for word in text.split())


def shown(columns: tuple[Column, ...]) -> list[tuple[str, str]]:
    return [(c.good.text if c.good else "", c.bad.text if c.bad else "") for c in columns]


def preferring(model: str, bits: float) -> PairComparison:
    good, bad = (
        Score(word, (Token(0, word, 0, 1, value),)) for word, value in (("a", 20.0), ("b", 20.0 + bits))
    )
    return PairComparison(model, good, bad)


def test_one_word_replaced() -> None:
    columns = align(tokens("the keys are here"), tokens("the keys is here"))
    assert shown(columns) == [("the", "the"), ("keys", "keys"), ("are", "is"), ("here", "here")]
    assert critical_region(columns) == range(2, 3)


def test_one_word_more_leaves_a_gap() -> None:
    columns = align(tokens("who did he see"), tokens("who did he see him"))
    assert shown(columns)[-1] == ("", "him")
    assert critical_region(columns) == range(4, 5)


def test_the_common_beginning_is_never_torn_apart() -> None:
    # A longest match inside would tempt difflib to align the second "a b c" with the first.
    columns = align(tokens("a x a b c d"), tokens("a b c d"))
    assert shown(columns)[0] == ("a", "a")
    assert columns[0].same


def test_only_the_first_difference_is_critical() -> None:
    columns = align(
        tokens("the man saw himself today and smiled"), tokens("the man saw herself today and smiles")
    )
    assert critical_region(columns) == range(3, 4)


def test_equal_sentences_have_no_critical_region() -> None:
    assert len(critical_region(align(tokens("a b"), tokens("a b")))) == 0


words = st.lists(st.sampled_from(list("abcde")), max_size=12).map(" ".join)


@given(words, words)
def test_alignment_keeps_every_token_in_order(good: str, bad: str) -> None:
    columns = align(tokens(good), tokens(bad))
    assert [c.good.text for c in columns if c.good] == [t.text for t in tokens(good)]
    assert [c.bad.text for c in columns if c.bad] == [t.text for t in tokens(bad)]
    assert all(c.good or c.bad for c in columns)
    first = critical_region(columns).start
    assert all(c.same for c in columns[:first])
    assert first == len(columns) or not columns[first].same


def test_totals_and_preference() -> None:
    comparison = PairComparison(
        "m", Score("a b c", tokens("a b c", 2.0)), Score("a b d", tokens("a b d", 3.5))
    )
    assert comparison.preference == 4.5
    assert comparison.choice == "good"


@pytest.mark.parametrize(
    ("preferences", "expected"),
    [
        ((3.2, -1.1), "l2t prefers the grammatical sentence by 3.2 bits; raw prefers the other by 1.1 bits."),
        (
            (-1.1, 3.2),
            "l2t prefers the ungrammatical sentence by 1.1 bits; raw prefers the other by 3.2 bits.",
        ),
        ((3.2, 1.0), "l2t and raw both prefer the grammatical sentence, by 3.2 and 1.0 bits."),
        ((-3.2, -1.0), "l2t and raw both prefer the ungrammatical sentence, by 3.2 and 1.0 bits."),
        (
            (0.0, -2.0),
            "l2t finds both sentences equally probable; raw prefers the ungrammatical sentence by 2.0 bits.",
        ),
        (
            (2.0, 0.01),
            "l2t prefers the grammatical sentence by 2.0 bits; raw finds both sentences equally probable.",
        ),
        ((0.0, 0.0), "l2t and raw both find the two sentences equally probable."),
        ((1.0,), "l2t prefers the grammatical sentence by 1.0 bits."),
        ((1.0, 2.0, 3.0), "l2t, raw and mix all prefer the grammatical sentence, by 1.0, 2.0 and 3.0 bits."),
        (
            (1.0, -2.0, 3.0),
            "l2t and mix prefer the grammatical sentence by 1.0 and 3.0 bits; raw prefers the other by 2.0 bits.",
        ),
        (
            (1.0, 0.0, -2.0, 0.0),
            "l2t prefers the grammatical sentence by 1.0 bits; raw and old find both sentences equally probable; "
            "mix prefers the ungrammatical sentence by 2.0 bits.",
        ),
        ((0.0, 0.0, 0.0), "l2t, raw and mix all find the two sentences equally probable."),
    ],
)
def test_summary_of_preferences(preferences: tuple[float, ...], expected: str) -> None:
    names = ("l2t", "raw", "mix", "old")
    comparisons = [preferring(name, bits) for name, bits in zip(names, preferences, strict=False)]
    assert summarize_preferences(comparisons) == expected
