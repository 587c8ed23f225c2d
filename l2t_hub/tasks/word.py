"""The word-level tasks: choose an ending, restore masked, replaced and swapped words, count words and characters.

A *stop word* is a word whose lower-case form is on the language's list, a *content word* one that is wholly
alphanumeric (`str.isalnum`; or letters with combining marks, if they are letters of the language) and no stop word.
Words include their punctuation, so `text,` and `him.` are neither.
"""

import random
from collections.abc import Callable, Sequence
from string import punctuation
from typing import Final

from l2t_hub.tasks.base import Block, Drop, Example, Task
from l2t_hub.tasks.character import count, with_instruction
from l2t_hub.tasks.labels import MARKERS
from l2t_hub.tasks.languages import Language

MASKED_SHARE: Final = 0.15
"""The share of words that `masked_word` masks (`docs/method.md`)."""

CHANGED_SHARE: Final = (0.05, 0.10)
"""`random` replaces a share of words, and `shuffle` swaps pairs of a share of words, that is uniform between these
bounds (`docs/method.md`)."""

_EDGES: Final = punctuation + "“”‘’„‚«»–—…"
_OTHER_MARKERS: Final = {marker: tuple(m for m in MARKERS if m != marker) for marker in MARKERS}


def ending_start(sentence: Block) -> int:
    """Return the index at which the ending of a sentence starts: its last stop word, or else its last word."""
    words, stop_words = sentence.words, sentence.language.stop_words
    for index in range(len(words) - 1, -1, -1):
        if words[index].lower() in stop_words:
            return index
    return len(words) - 1


def _ending(text: str, language: Language) -> str:
    sentence = Block((text,), language)
    if not sentence.words:
        return ""
    start = ending_start(sentence)
    return sentence.joined(sentence.words[start:], start)


def wrong_ending(right: str, other: Sequence[str], language: Language, rng: random.Random) -> str | None:
    """Return the ending of a sentence of the other document, uniform over the endings that differ from `right`.

    Endings that differ only in case or outer punctuation count as equal. Returns None if none differs.
    """
    edges = _EDGES + language.about.punctuation

    def plain(ending: str) -> str:
        return ending.casefold().strip(edges)

    plain_right = plain(right)
    wrong = _ending(rng.choice(other), language)
    if not wrong or plain(wrong) == plain_right:
        # Filtering only after a failed draw keeps the choice uniform and costs nothing in the usual case.
        endings = [e for s in other if (e := _ending(s, language)) and plain(e) != plain_right]
        return rng.choice(endings) if endings else None
    return wrong


def last(block: Block, other: Sequence[str], rng: random.Random) -> Example | Drop:
    """The block with the ending of its last sentence replaced by a marker, and two endings to choose from.

    The layout of passage, question and options is that of `docs/method.md`, with one option per line and the labels
    of the language. For a block of one sentence there is no passage, and the prompt starts with the question.
    """
    language, about = block.language, block.language.about
    sentence = Block(block.sentences[-1:], language)
    words = sentence.words
    if not words:
        return Drop("empty")
    if not other:
        return Drop("no_other")
    start = ending_start(sentence)
    passage = language.joiner.join(block.sentences[:-1])
    if not start and not passage.strip():
        return Drop("no_context")
    right = sentence.joined(words[start:], start)
    wrong = wrong_ending(right, other, language, rng)
    if wrong is None:
        return Drop("no_distractor")
    beginning = sentence.joined(words[:start]) + (sentence.gap(start) if start else "")
    question = beginning + rng.choice(MARKERS) + (about.question_mark if rng.random() < 0.5 else "")
    options = [right, wrong] if rng.random() < 0.5 else [wrong, right]
    answer = options.index(right)
    if rng.random() < 0.5:
        options = [
            label + option for label, option in zip(rng.choice(language.option_labels), options, strict=True)
        ]
    before_question = language.joiner if rng.random() < 0.5 else f"\n\n{about.question}"
    before_options = f"\n\n{about.options}\n" if rng.random() < 0.5 else "\n\n"
    opening = f"{passage}{before_question}" if passage else before_question.lstrip()
    return Example(f"{opening}{question}{before_options}" + "\n".join(options), options[answer])


def masked_word(block: Block, other: Sequence[str], rng: random.Random) -> Example | Drop:
    """S with round(0.15 x words) of its words replaced, each by a marker drawn for it; whitespace is kept.

    A word that is itself a marker is replaced by one of the other seven.
    """
    if block.blank:
        return Drop("empty")
    parts = block.language.parts(block.text)  # words at odd indices
    masked = rng.sample(range(1, len(parts), 2), round(MASKED_SHARE * (len(parts) // 2)))
    if not masked:
        return Drop("nothing_masked")
    for index in masked:
        parts[index] = rng.choice(_OTHER_MARKERS.get(parts[index], MARKERS))
    return Example("".join(parts), block.text)


def random_word(block: Block, other: Sequence[str], rng: random.Random) -> Example | Drop:
    """S with max(1, round(words x U(0.05, 0.10))) of its words replaced by words of the dictionary.

    A word is replaced together with its punctuation, and never by itself. The new word starts with an upper-case
    letter if and only if the old one does. (German nouns, which the dictionary capitalizes, replace only such words.)
    Words are separated by one space on both sides.
    """
    words = list(block.words)
    if not words:
        return Drop("empty")
    pool, lower_pool = block.language.dictionary, block.language.lower_dictionary
    for index in rng.sample(range(len(words)), max(1, round(len(words) * rng.uniform(*CHANGED_SHARE)))):
        word = new = words[index]
        upper = word[0].isupper()
        while new == word:
            new = rng.choice(pool if upper else lower_pool)
            if upper:
                new = new[0].upper() + new[1:]
        words[index] = new
    return Example(block.joined(words), block.joined(block.words))


def _pairs(words: Sequence[str], wanted: int, rng: random.Random) -> list[tuple[int, int]]:
    """Draw disjoint pairs of indices of different words: `wanted` pairs, or as many as there are.

    Indices are drawn in random order. Each is paired with a waiting index if the two words differ, or else waits
    itself. So all waiting words are equal, and any two different words give at least one pair.
    """
    undrawn = list(range(len(words)))
    waiting: list[int] = []
    pairs: list[tuple[int, int]] = []
    while undrawn and len(pairs) < wanted:
        drawn = rng.randrange(len(undrawn))
        index, undrawn[drawn] = undrawn[drawn], undrawn[-1]
        undrawn.pop()
        if waiting and words[waiting[-1]] != words[index]:
            pairs.append((waiting.pop(), index))
        else:
            waiting.append(index)
    return pairs


def shuffle(block: Block, other: Sequence[str], rng: random.Random) -> Example | Drop:
    """S with max(1, round(words x U(0.05, 0.10))) disjoint pairs of words swapped, at most floor(words / 2).

    Only different words are swapped, and fewer pairs if too few words differ. Words are separated by one space on
    both sides.
    """
    words = list(block.words)
    if not words:
        return Drop("empty")
    wanted = min(max(1, round(len(words) * rng.uniform(*CHANGED_SHARE))), len(words) // 2)
    pairs = _pairs(words, wanted, rng)
    if not pairs:
        return Drop("words_alike")
    for a, b in pairs:
        words[a], words[b] = words[b], words[a]
    return Example(block.joined(words), block.joined(block.words))


def count_content_words(block: Block) -> int:
    """Count the words that are wholly alphanumeric and no stop words."""
    return sum(map(block.language.is_content_word, block.words))


def count_stop_words(block: Block) -> int:
    """Count the words that are stop words."""
    stop_words = block.language.stop_words
    return sum(word.lower() in stop_words for word in block.words)


def count_digits(block: Block) -> int:
    """Count the digits (`str.isdigit`)."""
    return count(block.text, str.isdigit)


def count_punctuation(block: Block) -> int:
    """Count the punctuation characters of the language, in English those of ASCII."""
    return count(block.text, block.language.punctuation.__contains__)


COUNTS: Final[dict[str, Callable[[Block], int]]] = {
    "content_words": count_content_words,
    "stop_words": count_stop_words,
    "digits": count_digits,
    "punctuation": count_punctuation,
}
"""What `token_type` asks for, a key of `Language.instructions`, and the function that answers."""


def token_type(block: Block, other: Sequence[str], rng: random.Random) -> Example | Drop:
    """How many content words, stop words, digits or punctuation characters S has. The kind is uniform."""
    if block.blank:
        return Drop("empty")
    kind = rng.choice(tuple(COUNTS))
    question = rng.choice(block.language.instructions[kind])
    return Example(with_instruction(question, block.text, rng), str(COUNTS[kind](block)))


TASKS: Final = (
    Task(
        "last",
        "word",
        "Choose the ending of a text's last sentence from two.",
        last,
        min_sentences=2,
        needs_other=True,
        needs=("stop words",),
    ),
    Task("masked_word", "word", "Restore a text in which words are masked.", masked_word),
    Task(
        "random",
        "word",
        "Restore a text in which words are replaced by random ones.",
        random_word,
        needs=("dictionary words",),
    ),
    Task("shuffle", "word", "Restore a text in which pairs of words are swapped.", shuffle),
    Task(
        "token_type",
        "word",
        "Count the words or characters of one kind in a text.",
        token_type,
        needs=("stop words", "questions"),
    ),
)
