"""What the Compare button does, without a browser: checks, messages, and the pairs offered."""

from collections.abc import Sequence

import pytest

from l2t_hub.demo.compare_tab import MAX_CHARACTERS, check_pair, comparer, pair_choices
from l2t_hub.errors import UserError
from l2t_hub.scoring import Score, Token


def by_word(name: str, sentences: Sequence[str]) -> list[Score]:
    """Score a word by its length, doubled for the model called l2t."""
    factor = 2.0 if name == "l2t" else 1.0
    return [
        Score(text, tuple(Token(len(w), w, 0, len(w), factor * len(w)) for w in text.split()))
        for text in sentences
    ]


def test_two_models_give_two_cards_and_a_summary() -> None:
    page = comparer(by_word)("raw", "l2t", " The cat sits. ", "The cat sitting.")
    assert page.count("<article") == 2
    assert "raw and l2t both prefer the grammatical sentence, by 3.0 and 6.0 bits." in page


def test_a_model_compared_with_itself_is_shown_once() -> None:
    assert comparer(by_word)("raw", "raw", "a", "bb").count("<article") == 1


@pytest.mark.parametrize(
    ("good", "bad", "message"),
    [
        ("", "b", "The grammatical sentence is empty."),
        ("a", " \n\t ", "The ungrammatical sentence is empty."),
        ("a", None, "The ungrammatical sentence is empty."),
        ("same", " same ", "The two sentences are the same."),
        ("a", "b" * (MAX_CHARACTERS + 1), "The ungrammatical sentence has 1,001 characters"),
    ],
)
def test_a_pair_that_cannot_be_scored_gets_a_message(good: str, bad: str, message: str) -> None:
    page = comparer(by_word)("raw", "l2t", good, bad)
    assert message in page
    assert 'role="alert"' in page
    assert "<article" not in page


def test_no_model_chosen_gets_a_message() -> None:
    assert "No model selected." in comparer(by_word)("", "", "a", "b")


def test_an_error_of_the_scorer_is_shown_with_its_hint_escaped() -> None:
    def broken(name: str, sentences: Sequence[str]) -> list[Score]:
        raise UserError(f"model {name} is <broken>", "try <b>another</b>")

    page = comparer(broken)("raw", "l2t", "a", "b")
    assert "model raw is &lt;broken&gt;" in page
    assert "try &lt;b&gt;another&lt;/b&gt;" in page


def test_half_an_emoji_becomes_a_replacement_character() -> None:
    assert check_pair("a \ud83d", "b") == ("a \ufffd", "b")
    assert check_pair("a \ud83d\ude00", "b") == ("a 😀", "b")


def test_pairs_are_offered_by_number() -> None:
    assert pair_choices([("x", "y"), ("p", "q")]) == [("x  ↔  y", 0), ("p  ↔  q", 1)]
