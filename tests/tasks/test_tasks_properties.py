"""For any text, a task makes a well-formed example or drops it for a reason that applies.

Each task has an oracle below that recomputes the example by means other than the task's code.
"""

import random
import re
import string
import unicodedata
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import permutations, product

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from l2t_hub.tasks import DROPS, TASKS, Block, Drop, Example, language, render
from l2t_hub.tasks.labels import MARKERS

CORRUPTIONS = ("masked_char", "space", "typo", "masked_word", "random", "shuffle", "reordering")
ENGLISH = language()
DICTIONARY = frozenset(ENGLISH.dictionary)
WORDINGS = {wording: kind for kind, wordings in ENGLISH.instructions.items() for wording in wordings}

HOSTILE = (
    "e\u0301a\u0308\u0323o\u0302", "\u0301", "👩‍👩‍👧‍👦", "🏳️‍🌈 👍🏽", "שלום עולם", "مرحبا بالعالم.", "\u202eabc\u202c", "日本語の文章には空白がない。",
    "नमस्ते दुनिया", "\x00", "a\x00b", "\x1c\x1d\x85", "\x0b\x0c\r\n", "\u00a0\u2003\u3000", "\u200b\u200d\ufeff", "w" * 3000, "?!...;:--", "“‘’”—…",
    "[MASK]", "___", "___ ___ ___ ___", "$$$", "(())", "the the the the", "ǅ ß ſ İ ı ﬁ", "½ ² Ⅷ ٣", "😀" * 50, "\ufffd\ufffe", "don’t", "John's",
    "The", "him.", "a", "A.", "Question: Options:", "\U0010ffff", "I", "ha ha ha ha ha ha ha ha",
)  # fmt: skip

plain_words = st.sampled_from(
    (
        "The",
        "quick",
        "brown",
        "fox,",
        "jumps",
        "over",
        "12",
        "lazy",
        "dogs;",
        "and",
        "don't",
        "stop.",
        "well-known",
        "HE",
    )
)
pieces = st.one_of(
    plain_words,
    st.sampled_from(HOSTILE),
    st.text(st.characters(exclude_categories=("Cs",)), max_size=12),
)
gaps = st.sampled_from((" ", " ", " ", "  ", "\n", "\t", ""))


@st.composite
def hostile_sentences(draw: st.DrawFn) -> str:
    """An arbitrary sentence, sometimes repeated to the length of a real block."""
    parts = draw(st.lists(st.tuples(pieces, gaps), max_size=10))
    return "".join(piece + gap for piece, gap in parts) * draw(st.sampled_from((1, 1, 1, 5, 12)))


documents = st.lists(hostile_sentences(), max_size=5).map(tuple)


def words_of(text: str) -> list[str]:
    """The words of a text, found character by character."""
    return "".join(char if not char.isspace() else "\n" for char in text).replace("\n", " ").split(" ")


def words(text: str) -> list[str]:
    return [word for word in words_of(text) if word]


def bounds(n: int, low: float, high: float) -> tuple[int, int]:
    return max(1, round(n * low)), max(1, round(n * high))


# Oracles: each receives the sentences, the other document and the example, and asserts that they agree.


def check_char_count(sentences: Sequence[str], other: Sequence[str], example: Example) -> None:
    text = " ".join(sentences)
    assert example.completion == str(len(text.encode("utf-32-le")) // 4)
    assert example.prompt in {f"{w}\n\n{text}" for w in ENGLISH.instructions["char_count"]} | {
        f"{text}\n\n{w}" for w in ENGLISH.instructions["char_count"]
    }


def check_masked_char(sentences: Sequence[str], other: Sequence[str], example: Example) -> None:
    text = " ".join(sentences)
    assert example.completion == text
    letters = sum(char.isalnum() and not char.isdigit() for char in text)
    counts = []
    for marker in MARKERS:
        position, masked = 0, 0  # no marker starts with a letter, so the match is unambiguous
        for char in text:
            if example.prompt.startswith(marker, position) and char.isalnum() and not char.isdigit():
                position, masked = position + len(marker), masked + 1
            elif example.prompt.startswith(char, position):
                position += 1
            else:
                break
        else:
            counts.append(masked if position == len(example.prompt) else -1)
    assert round(0.15 * letters) in counts


def check_space(sentences: Sequence[str], other: Sequence[str], example: Example) -> None:
    text = " ".join(sentences)
    assert example == Example("".join(char for char in text if ord(char) != 32), text)


def check_typo(sentences: Sequence[str], other: Sequence[str], example: Example) -> None:
    text = " ".join(sentences)
    assert example.completion == text
    changed = [(old, new) for old, new in zip(text, example.prompt, strict=True) if old != new]
    assert all(old.isalnum() and new in string.ascii_letters for old, new in changed)
    assert all(old.isupper() == new.isupper() for old, new in changed)
    low, high = bounds(sum(map(str.isalnum, text)), 0.03, 0.08)
    assert low <= len(changed) <= high


def ending_of(sentence: str) -> tuple[str, str]:
    """The beginning and the ending of a sentence."""
    all_words = words(sentence)
    stops = [i for i, word in enumerate(all_words) if word.lower() in ENGLISH.stop_words]
    start = max(stops, default=len(all_words) - 1)
    return " ".join(all_words[:start]), " ".join(all_words[start:])


def check_last(sentences: Sequence[str], other: Sequence[str], example: Example) -> None:
    passage = " ".join(sentences[:-1])
    beginning, right = ending_of(sentences[-1])
    wrongs = {ending_of(sentence)[1] for sentence in other if sentence.strip()} - {right}
    asked = [
        (f"{passage}{gap}" if passage else gap.lstrip()) + f"{beginning} {marker}{end}".lstrip()
        for marker, end, gap in product(MARKERS, ("", "?"), (" ", "\n\nQuestion: "))
    ]
    heads = {question + options for question, options in product(asked, ("\n\nOptions:\n", "\n\n"))}
    choices = {}
    for wrong, (first, second), swapped in product(
        wrongs, (("", ""), *language().option_labels), (False, True)
    ):
        pair = (first + wrong, second + right) if swapped else (first + right, second + wrong)
        choices["\n".join(pair)] = pair[swapped]
    assert any(
        example.prompt.removesuffix(choice) in heads and example.completion == answer
        for choice, answer in choices.items()
        if example.prompt.endswith(choice)
    )


def check_masked_word(sentences: Sequence[str], other: Sequence[str], example: Example) -> None:
    text = " ".join(sentences)
    assert example.completion == text
    assert [c for c in example.prompt if c.isspace()] == [c for c in text if c.isspace()]
    changed = [(old, new) for old, new in zip(words(text), words(example.prompt), strict=True) if old != new]
    assert len(changed) == round(0.15 * len(words(text)))
    assert {new for _, new in changed} <= set(MARKERS)


def check_random(sentences: Sequence[str], other: Sequence[str], example: Example) -> None:
    source = words(" ".join(sentences))
    assert example.completion == " ".join(source)
    changed = [(old, new) for old, new in zip(source, example.prompt.split(" "), strict=True) if old != new]
    low, high = bounds(len(source), 0.05, 0.10)
    assert low <= len(changed) <= high
    for old, new in changed:
        assert new.lower() in DICTIONARY
        assert new == (new.lower()[0].upper() + new.lower()[1:] if old[0].isupper() else new.lower())


def check_shuffle(sentences: Sequence[str], other: Sequence[str], example: Example) -> None:
    source = words(" ".join(sentences))
    assert example.completion == " ".join(source)
    new = example.prompt.split(" ")
    assert Counter(new) == Counter(source)
    moved = sum(a != b for a, b in zip(source, new, strict=True))
    low, high = bounds(len(source), 0.05, 0.10)
    commonest = Counter(source).most_common(1)[0][1]
    # Every pair has a word other than the commonest, which bounds the number of pairs if words repeat.
    assert moved % 2 == 0
    assert min(low, len(source) // 2, len(source) - commonest) <= moved // 2 <= min(high, len(source) // 2)


def check_token_type(sentences: Sequence[str], other: Sequence[str], example: Example) -> None:
    text = " ".join(sentences)
    fitting = [w for w in WORDINGS if example.prompt in (f"{w}\n\n{text}", f"{text}\n\n{w}")]
    assert len(fitting) == 1
    stops = [word for word in words(text) if word.lower() in ENGLISH.stop_words]
    plain = [word for word in words(text) if all(map(str.isalnum, word))]
    assert (
        int(example.completion)
        == {
            "content_words": len([word for word in plain if word not in stops]),
            "stop_words": len(stops),
            "digits": len([char for char in text if unicodedata.digit(char, None) is not None]),
            "punctuation": len(re.findall(r"[!-/:-@\[-`{-~]", text)),
        }[WORDINGS[fitting[0]]]
    )


def check_deletion(sentences: Sequence[str], other: Sequence[str], example: Example) -> None:
    strangers = {s for s in other if s.strip()} - set(sentences)
    text = " ".join(sentences)
    cases = {
        (" ".join([*sentences[:n], s, *sentences[n:]]), answer)
        for s in strangers
        for n in range(len(sentences) + 1)
        for answer in (text, s)
    }
    assert (example.prompt, example.completion) in cases
    assert example.prompt != example.completion


def check_reordering(sentences: Sequence[str], other: Sequence[str], example: Example) -> None:
    assert example.completion == " ".join(sentences)
    assert example.prompt in {" ".join(order) for order in permutations(sentences)} - {example.completion}


def check_fill_middle(sentences: Sequence[str], other: Sequence[str], example: Example) -> None:
    source = words(" ".join(sentences))
    n = len(source) // 3
    assert n >= 20
    first, third = " ".join(source[:n]), " ".join(source[2 * n :])
    assert example.completion == " ".join(source[n : 2 * n])
    assert example.prompt in {f"{a}{first}\n{b}{third}" for a, b in (("", ""), *language().part_labels)}


def check_half(sentences: Sequence[str], other: Sequence[str], example: Example) -> None:
    source = words(" ".join(sentences))
    assert example.prompt + example.completion == " ".join(source)
    assert example.completion.startswith(" ")
    assert example.prompt.count(" ") + 1 == len(source) // 2


def check_one(sentences: Sequence[str], other: Sequence[str], example: Example) -> None:
    text = " ".join(sentences)
    assert example == Example(words(text)[0], text)
    assert example.prompt != example.completion


ORACLES: dict[str, Callable[[Sequence[str], Sequence[str], Example], None]] = {
    name.removeprefix("check_"): check for name, check in dict(globals()).items() if name.startswith("check_")
}


def drop_applies(reason: str, name: str, sentences: Sequence[str], other: Sequence[str]) -> bool:
    """Whether a reason for a drop applies to a block."""
    text = " ".join(sentences)
    source = words(text)
    letters = sum(char.isalnum() and not char.isdigit() for char in text)
    strangers = [s for s in other if s.strip()]
    if reason == "no_distractor" and name == "last":
        outer = string.punctuation + "“”‘’„‚«»–—…"
        endings = {ending_of(s)[1].casefold().strip(outer) for s in strangers}
        return endings <= {ending_of(sentences[-1])[1].casefold().strip(outer)}
    if reason == "nothing_masked":
        return round(0.15 * (letters if name == "masked_char" else len(source))) == 0
    if reason == "no_context":
        return not " ".join(sentences[:-1]).strip() and not ending_of(sentences[-1])[0]
    return {
        "empty": not source or (name == "last" and not words(sentences[-1])),
        "too_few_words": len(source) == 1,
        "short_part": 0 < len(source) < 60,
        "no_space": " " not in text,
        "no_alphanumeric": not any(map(str.isalnum, text)),
        "words_alike": len(set(source)) == 1,
        "sentences_alike": len({" ".join(order) for order in permutations(sentences)}) == 1,
        "no_other": not other,
        "no_distractor": set(strangers) <= set(sentences),
    }[reason]


@pytest.mark.parametrize("name", TASKS)
@settings(max_examples=100, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(sentences=documents, other=documents, seed=st.integers(0, 2**32))
def test_an_example_is_well_formed_or_a_drop_has_a_reason(
    name: str, sentences: tuple[str, ...], other: tuple[str, ...], seed: int
) -> None:
    example = TASKS[name].make(Block(sentences), other, random.Random(seed))
    again = TASKS[name].make(Block(sentences), list(other), random.Random(seed))
    assert again == example
    if isinstance(example, Drop):
        assert example.reason in DROPS
        assert drop_applies(example.reason, name, sentences, other)
        return
    assert isinstance(example, Example)
    assert example.prompt
    assert example.completion
    assert (example.prompt + example.completion).encode("utf-8") == (again.prompt + again.completion).encode(
        "utf-8"
    )
    if name in CORRUPTIONS:
        assert example.prompt != example.completion
    ORACLES[name](sentences, other, example)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(prompt=st.text(min_size=1), completion=st.text(min_size=1), seed=st.integers())
def test_render_can_be_reversed(prompt: str, completion: str, seed: int) -> None:
    anchor, text = render(Example(prompt, completion), random.Random(seed), language())
    assert anchor in language().about.anchors
    assert text.startswith(f"{prompt}\n\n{anchor}")
    rest = text.removeprefix(f"{prompt}\n\n{anchor}")
    assert rest == completion or (anchor and rest == f" {completion}" and not completion.startswith(" "))


def test_every_task_has_an_oracle() -> None:
    assert set(ORACLES) == set(TASKS)


def test_tasks_do_not_use_the_global_generator() -> None:
    sentences = (
        "The hens slept in the barn until it was light.",
        "Then they walked out.",
        "It rained on them.",
    ) * 7
    before = random.getstate()
    for task in TASKS.values():
        assert isinstance(task.make(Block(sentences), ("A dog barked.",), random.Random(1)), Example)
    assert random.getstate() == before
