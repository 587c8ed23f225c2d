"""Words across tokenizers: nothing of a sentence and nothing of its surprisal is lost."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from page_markup import by_word, score

from l2t_hub.demo.word_matrix import align_words, pieces_of, words_of
from l2t_hub.scoring import Score, Token


def cut(sentence: str, *ends: int) -> Score:
    """A score with tokens that end at these places; the n-th has n bits."""
    starts = (0, *ends[:-1])
    spans = enumerate(zip(starts, ends, strict=True), start=1)
    return Score(sentence, tuple(Token(n, sentence[a:b], a, b, float(n)) for n, (a, b) in spans))


def shown(scores: list[Score]) -> list[tuple[str, tuple[float, ...]]]:
    return [(word.text, word.bits) for word in words_of(scores)]


def test_a_word_is_the_sum_of_its_tokens_in_each_tokenizer() -> None:
    assert shown([cut("The keys", 3, 8), cut("The keys", 1, 3, 6, 8)]) == [
        ("The", (1.0, 3.0)),
        (" keys", (2.0, 7.0)),
    ]


def test_words_that_one_model_reads_as_one_token_are_joined_for_all() -> None:
    assert shown([cut("in front of it", 2, 8, 11, 14), cut("in front of it", 11, 14)]) == [
        ("in front of", (6.0, 1.0)),
        (" it", (4.0, 2.0)),
    ]


def test_the_space_may_belong_to_the_token_after_it_or_before_it_or_to_none() -> None:
    sentence = "a b c"
    without = Score(sentence, tuple(Token(n, sentence[n], n, n + 1, 1.0) for n in (0, 2, 4)))
    for other in (cut(sentence, 1, 3, 5), cut(sentence, 2, 4, 5), cut(sentence, 1, 2, 3, 4, 5), without):
        assert [word.text for word in words_of([cut(sentence, 1, 3, 5), other])] == ["a", " b", " c"]


@pytest.mark.parametrize(
    ("sentence", "words"),
    [
        ("Don't stop, mother-in-law!", ["Don't", " stop", ",", " mother-in-law", "!"]),
        ("'Tis -5 ...", ["'", "Tis", " -", "5", " ..."]),
        ("猫が好き", ["猫", "が", "好", "き"]),
        ("हिन्दी में", ["हिन्दी", " में"]),
        ("  two   spaces ", ["  two", "   spaces", " "]),
        ("x", ["x"]),
    ],
)
def test_words_of_a_sentence(sentence: str, words: list[str]) -> None:
    characters = Score(sentence, tuple(Token(i, c, i, i + 1, 1.0) for i, c in enumerate(sentence)))
    assert [word.text for word in words_of([characters])] == words


def test_bytes_of_one_character_are_one_piece() -> None:
    sentence = "a 🐈"
    tokens = (
        Token(0, "a", 0, 1, 1.0),
        Token(1, " ", 1, 2, 2.0),
        *(Token(i, "🐈", 2, 3, 4.0) for i in (2, 3)),
    )
    assert [(p.text, p.bits) for p in pieces_of(Score(sentence, tokens))] == [
        ("a", (1.0,)),
        (" ", (2.0,)),
        ("🐈", (8.0,)),
    ]


letters = st.text("ab'., \t猫é\u0301🐈-", min_size=1, max_size=24)


@st.composite
def scores_of_one_sentence(draw: st.DrawFn) -> list[Score]:
    """Two to three tokenizations: any spans in order, which may overlap, be empty or leave characters out."""
    sentence = draw(letters)
    places = st.integers(0, len(sentence))
    found = []
    for _ in range(draw(st.integers(1, 3))):
        spans = sorted(tuple(sorted(draw(st.tuples(places, places)))) for _ in range(draw(st.integers(0, 8))))
        bits = [draw(st.floats(0, 50)) for _ in spans]
        tokens = (Token(0, sentence[a:b], a, b, bit) for (a, b), bit in zip(spans, bits, strict=True))
        found.append(Score(sentence, tuple(tokens)))
    return found


@given(scores_of_one_sentence())
def test_no_text_and_no_surprisal_is_lost(scores: list[Score]) -> None:
    words = words_of(scores)
    assert "".join(word.text for word in words) == scores[0].sentence
    assert all(word.text for word in words)
    for number, one in enumerate(scores):
        assert math.isclose(math.fsum(word.bits[number] for word in words), one.bits, abs_tol=1e-9)
        pieces = pieces_of(one)
        assert "".join(piece.text for piece in pieces) == one.sentence
        assert math.isclose(math.fsum(piece.bits[0] for piece in pieces), one.bits, abs_tol=1e-9)


@given(scores_of_one_sentence())
def test_no_token_is_cut_between_words(scores: list[Score]) -> None:
    ends, place = set(), 0
    for word in words_of(scores):
        ends.add(place)
        place += len(word.text)
    for token in (token for one in scores for token in one.tokens):
        text = token.text.strip()
        start = token.start + token.text.find(text)
        assert not ends & set(range(start + 1, start + len(text)))


def test_a_pair_is_aligned_word_by_word() -> None:
    good, bad = (words_of([by_word(text)]) for text in ("The keys are here", "The keys is not here"))
    columns = align_words(good, bad)
    assert [(c.good and c.good.text, c.bad and c.bad.text) for c in columns] == [
        ("The", "The"), (" keys", " keys"), (" are", " is"), (None, " not"), (" here", " here")
    ]  # fmt: skip
    assert [column.shared for column in columns] == [True, True, False, False, True]


def test_equal_words_with_other_surprisals_are_not_shared() -> None:
    good, bad = (words_of([score((1, "a", 1.0), (2, " b", bits))]) for bits in (2.0, 2.5))
    assert [(c.same, c.shared) for c in align_words(good, bad)] == [(True, True), (True, False)]
