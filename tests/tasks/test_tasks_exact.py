"""Each task on a small fixed text: its example byte for byte, and its behaviour on edge cases.

The exact cases also guard the random generator: a Python whose `random` draws differently fails them.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest

from l2t_hub.tasks import TASKS, Block, Drop, Example, language
from l2t_hub.tasks.labels import MARKERS
from l2t_hub.tasks.word import (
    count_content_words,
    count_digits,
    count_punctuation,
    count_stop_words,
    ending_start,
)

SENTENCES = (
    "Mr. Hale kept 12 hens behind the mill.",
    "Every day, at six, she fed them bran!",
    "The brown hen laid; the white one watched the road.",
    "In March a man came over the hill with her.",
)
OTHER = (
    "The comet returns.",
    "Astronomers in China wrote about it first.",
    "It was seen from the hills of Kent.",
)
S = " ".join(SENTENCES)
PASSAGE = " ".join(SENTENCES[:3])

EXACT = [
    (
        "char_count",
        1,
        f"What is the length of this passage in characters, spaces included?\n\n{S}",
        "172",
    ),
    ("char_count", 2, f"{S}\n\nHow many characters are there in this passage, counting the spaces?", "172"),
    (
        "masked_char",
        1,
        "Mr. H(())le ke(())t 12 he(())s b(())h(())nd the mil(()). Every (())ay, at six, she fed th(())m bran! "
        "The (())ro(())n (())(())n laid; the (())hite one wat(())hed the road. "
        "In M(())rc(()) a (())an cam(()) over t(())e hill with her.",
        S,
    ),
    (
        "space",
        1,
        "Mr.Halekept12hensbehindthemill.Everyday,atsix,shefedthembran!Thebrownhenlaid;"
        "thewhiteonewatchedtheroad.InMarchamancameoverthehillwithher.",
        S,
    ),
    (
        "typo",
        2,
        "Mr. Hale kepq 12 heos behinn tve mill. Every day, at sjx, sre fed them brpn! "
        "The brown sen laid; the whitm one watched the yoad. In March a man came over the hill with her.",
        S,
    ),
    (
        "last",
        1,
        f"{PASSAGE}\n\nQuestion: In March a man came over the hill ___?\n\n"
        "Options:\n[i] with her.\n[ii] The comet returns.",
        "[i] with her.",
    ),
    (
        "last",
        2,
        f"{PASSAGE}\n\nQuestion: In March a man came over the hill ___?\n\n"
        "Options:\nThe comet returns.\nwith her.",
        "with her.",
    ),
    (
        "masked_word",
        1,
        "Mr. Hale kept 12 $$$ behind the ### $$$ day, at six, she fed them bran! (()) brown hen laid; "
        "the white one watched the road. In March a man came ___ the hill with her.",
        S,
    ),
    (
        "random",
        1,
        "Mr. Hale kept 12 cleistes behind the mill. Every day, at six, she fed them bran! "
        "Rotate brown hen laid; the white one watched the road. In March a man came over the hill with her.",
        S,
    ),
    (
        "shuffle",
        1,
        "Mr. Hale kept 12 The behind the over Every day, at six, she fed them bran! "
        "hens brown hen laid; the white one watched the road. In March a man came mill. the hill with her.",
        S,
    ),
    ("token_type", 1, f"Report the number of stop words found in the text.\n\n{S}", "12"),
    ("token_type", 2, f"{S}\n\nHow many of the words in this text are content words?", "16"),
    ("deletion", 1, f"{S} The comet returns.", "The comet returns."),
    ("deletion", 2, f"The comet returns. {S}", S),
    (
        "reordering",
        1,
        f"{SENTENCES[3]} {SENTENCES[0]} {SENTENCES[2]} {SENTENCES[1]}",
        S,
    ),
    ("half", 1, " ".join(S.split()[:18]), " hen laid; the white one watched the road. " + SENTENCES[3]),
    ("one", 1, "Mr.", S),
]


def make(name: str, sentences: Sequence[str], other: Sequence[str] = OTHER, seed: int = 0) -> Example | Drop:
    return TASKS[name].make(Block(tuple(sentences)), other, random.Random(seed))


def many(
    name: str, sentences: Sequence[str], other: Sequence[str] = OTHER, times: int = 300
) -> list[Example]:
    examples = [make(name, sentences, other, seed) for seed in range(times)]
    assert all(isinstance(example, Example) for example in examples)
    return examples  # type: ignore[return-value]


@pytest.mark.parametrize(("name", "seed", "prompt", "completion"), EXACT)
def test_exact(name: str, seed: int, prompt: str, completion: str) -> None:
    assert make(name, SENTENCES, OTHER, seed) == Example(prompt, completion)


def test_exact_fill_middle() -> None:
    words = (S + " " + S).split()
    first, second, third = (" ".join(words[start : start + 24]) for start in (0, 24, 48))
    assert make("fill_middle", SENTENCES * 2, OTHER, 1) == Example(f"1. {first}\n3. {third}", second)
    assert make("fill_middle", SENTENCES * 2, OTHER, 2) == Example(f"{first}\n{third}", second)


def test_every_task_has_an_exact_case() -> None:
    assert {case[0] for case in EXACT} | {"fill_middle"} == set(TASKS)


@pytest.mark.parametrize("name", TASKS)
@pytest.mark.parametrize("sentences", [(), ("",), (" \n", "\t")])
def test_a_block_without_words_is_dropped(name: str, sentences: tuple[str, ...]) -> None:
    assert make(name, sentences) == Drop("empty")


@pytest.mark.parametrize(
    ("name", "sentences", "other", "reason"),
    [
        ("masked_char", ("abc, 1234 !",), OTHER, "nothing_masked"),  # 0.15 of 3 rounds to 0
        ("masked_char", ("?! ... 17",), OTHER, "nothing_masked"),
        ("masked_word", ("One two three.",), OTHER, "nothing_masked"),
        ("space", ("日本語の文です。",), OTHER, "no_space"),
        ("space", ("tabs\tand\nlines\u00a0only",), OTHER, "no_space"),
        ("typo", ("?! -- ...",), OTHER, "no_alphanumeric"),
        ("shuffle", ("one",), OTHER, "words_alike"),
        ("shuffle", ("ha ha ha ha",), OTHER, "words_alike"),
        ("reordering", ("Only one.",), OTHER, "sentences_alike"),
        ("reordering", ("No.", "No.", "No."), OTHER, "sentences_alike"),
        ("reordering", ("a", "a a"), OTHER, "sentences_alike"),  # either order reads "a a a"
        ("deletion", SENTENCES, (), "no_other"),
        ("deletion", SENTENCES, SENTENCES[:2], "no_distractor"),
        ("deletion", SENTENCES, (" ",), "no_distractor"),
        ("last", SENTENCES, (), "no_other"),
        ("last", SENTENCES, ("She came with her.", "He stayed WITH HER!"), "no_distractor"),
        ("last", ("Stop",), OTHER, "no_context"),
        ("last", ("The big dog barked.",), OTHER, "no_context"),
        ("last", ("A cat.", " "), OTHER, "empty"),
        ("fill_middle", ("word " * 59,), OTHER, "short_part"),
        ("half", ("word",), OTHER, "too_few_words"),
        ("one", ("word",), OTHER, "too_few_words"),
    ],
)
def test_drops_and_their_reasons(
    name: str, sentences: tuple[str, ...], other: tuple[str, ...], reason: str
) -> None:
    assert [make(name, sentences, other, seed) for seed in range(20)] == [Drop(reason)] * 20


def test_masked_char_masks_only_letters() -> None:
    text = "a1b2c3 d4e5f6 é日½!"
    masked = {
        example.prompt.replace(marker, "*") for example in many("masked_char", (text,)) for marker in MARKERS
    }
    once = {
        prompt for prompt in masked if "*" in prompt
    }  # 9 letters: one is masked, by one of the eight markers
    assert once == {text.replace(letter, "*") for letter in "abcdefé日½"}


def test_typo_keeps_case_and_never_repeats_the_letter() -> None:
    drawn = {example.prompt for example in many("typo", ("A",), times=2000)}
    assert drawn == set("BCDEFGHIJKLMNOPQRSTUVWXYZ")
    assert {example.prompt for example in many("typo", ("é",), times=2000)} == set(
        "abcdefghijklmnopqrstuvwxyz"
    )
    assert {example.prompt for example in many("typo", ("É",), times=2000)} == set(
        "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    )
    assert {example.prompt for example in many("typo", ("7",), times=2000)} == set(
        "abcdefghijklmnopqrstuvwxyz"
    )


def test_masked_word_keeps_whitespace_and_never_masks_a_marker_by_itself() -> None:
    text = "___ \t ___\n\n___ ___"
    changes = set()
    for example in many("masked_word", (text,)):
        assert example.completion == text
        (index,) = [i for i, word in enumerate(example.prompt.split()) if word != "___"]
        changes.add((index, example.prompt.split()[index]))
        assert example.prompt.replace(example.prompt.split()[index], "___") == text
    assert changes == {(index, marker) for index in range(4) for marker in MARKERS if marker != "___"}


def test_random_keeps_the_initial_capital_and_the_word_count() -> None:
    for example in many("random", ("Anna  met\nBen.",)):
        pairs = list(zip(example.prompt.split(" "), ["Anna", "met", "Ben."], strict=True))
        ((new, old),) = [pair for pair in pairs if pair[0] != pair[1]]
        assert new[0].isupper() or old == "met" or not new[0].isalpha()
        assert example.completion == "Anna met Ben."


@pytest.mark.parametrize(("word", "new"), [("cat", "dog"), ("Cat", "Dog")])
def test_random_never_draws_the_word_itself(word: str, new: str) -> None:
    block = Block((word,), replace(language(), dictionary=("cat", "dog")))
    assert {TASKS["random"].make(block, (), random.Random(seed)) for seed in range(30)} == {
        Example(new, word)
    }


def test_shuffle_swaps_the_only_words_that_differ() -> None:
    words = ["same"] * 30
    words[17] = "odd"
    for example in many("shuffle", (" ".join(words),)):
        assert sorted(example.prompt.split()) == sorted(words)
        assert example.prompt != example.completion


def test_shuffle_of_two_words_swaps_them() -> None:
    assert {e.prompt for e in many("shuffle", ("One two.",))} == {"two. One"}
    assert {e.prompt for e in many("shuffle", ("a b c",))} == {"b a c", "c b a", "a c b"}


def test_reordering_never_keeps_the_order() -> None:
    assert {e.prompt for e in many("reordering", ("A b.", "C d."))} == {"C d. A b."}
    assert {e.prompt for e in many("reordering", ("A.", "A.", "B."))} == {"A. B. A.", "B. A. A."}


def test_deletion_never_inserts_a_sentence_of_the_block() -> None:
    other = (SENTENCES[1], "Strange.", SENTENCES[0], "")
    assert {e.prompt.replace("Strange.", "") for e in many("deletion", SENTENCES, other)} == {
        (" ".join([*SENTENCES[:n], "", *SENTENCES[n:]])) for n in range(5)
    }


def test_the_ending_of_last_starts_at_the_last_stop_word() -> None:
    for sentence, start in [
        ("He went to the old mill.", 3),
        ("He stayed with him.", 2),
        ("Birds sing.", 1),
        ("THE END", 0),
        ("Nobody said they DON'T know.", 3),
        ("Why", 0),
    ]:
        assert ending_start(Block((sentence,))) == start, sentence


def test_last_without_passage_is_the_question_alone() -> None:
    openings = {example.prompt.partition("\n\nOptions")[0] for example in many("last", ("Eat the bones.",))}
    questions = {f"Eat {marker}{end}" for marker in MARKERS for end in ("", "?")}
    assert {opening.split("\n\n")[0] for opening in openings} == questions | {
        f"Question: {q}" for q in questions
    }


def test_last_skips_an_ending_that_differs_only_in_case_or_punctuation() -> None:
    other = ("She left with Her!", "He went with her...", "It fell from the hill.")
    for example in many("last", SENTENCES, other):
        options = example.prompt.split("\n")[-2:]
        assert [option.endswith("the hill.") for option in options].count(True) == 1
        assert example.completion in options
        assert example.completion.endswith("with her.")


def test_the_counts_of_token_type() -> None:
    block = Block(
        (
            "Don’t tell him, Don't AND don Anna’s 3 cafés well-known re\u0301sume\u0301 of 1984,",
            "in so on… (²) ²",
        )
    )
    assert count_stop_words(block) == 6  # Don't AND don of in so
    assert count_content_words(block) == 4  # tell 3 cafés ²
    assert count_digits(block) == 7  # a superscript is a digit to Unicode
    assert count_punctuation(block) == 6  # , ' - , ( ): the curly apostrophe and the ellipsis are not ASCII


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("The", True),
        ("DON’T", False),
        ("DON'T", True),
        ("would", False),
        ("him.", False),
        ("mill", False),
        ("", False),
    ],
)
def test_stop_words_match_with_their_punctuation(word: str, expected: bool) -> None:
    assert (count_stop_words(Block((word,))) == 1) is expected


@pytest.mark.parametrize("name", TASKS)
def test_a_lone_surrogate_is_kept(name: str) -> None:
    text = "One \ud800two three\udfff four five. " * 13
    example = make(name, (text.strip(), "And a second one."))
    assert isinstance(example, Example)
    assert "\ud800" in example.prompt + example.completion


@pytest.mark.parametrize(
    ("counter", "text"),
    [(count_digits, "no digit"), (count_punctuation, "no mark"), (count_stop_words, "cats purr")],
)
def test_counters_return_zero(counter: Callable[[Block], int], text: str) -> None:
    assert counter(Block((text,))) == 0
