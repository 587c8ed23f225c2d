"""The word-level tasks: choose an ending, restore masked, replaced and swapped words, count words and characters.

Two readings that the method leaves open are fixed here. *Words* are runs of non-whitespace with their punctuation,
as everywhere, except where a question counts stop words and content words: there `text,` must count as `text`, and
a word is what `COUNTED_WORD` matches. A *stop word* is one on the list of `lexicon`, case-insensitive, a curly
apostrophe read as a straight one. `last` looks it up for the word as it stands, so that `him.` at a sentence's end
is none and the ending stays a phrase ("with him.") rather than shrink to a bare pronoun.
"""

import random
import re
from collections.abc import Callable, Sequence
from string import punctuation
from typing import Final

from l2t_hub.tasks.base import Block, Drop, Example, Task
from l2t_hub.tasks.character import asked, count
from l2t_hub.tasks.instructions import CONTENT_WORDS, DIGITS, PUNCTUATION, STOP_WORDS
from l2t_hub.tasks.labels import MARKERS, OPTION_LABELS
from l2t_hub.tasks.lexicon import dictionary, stop_words

MASKED_SHARE: Final = 0.15
"""The share of words that `masked_word` takes out (method.md section 2)."""

CHANGED_SHARE: Final = (0.05, 0.10)
"""The bounds of the uniform share of words `random` replaces, and of pairs `shuffle` swaps (method.md section 2)."""

COUNTED_WORD: Final = re.compile("[^\\W_]+(?:['’\u0300-\u036f]+[^\\W_]+)*")
"""A word to be counted: a run of letters and digits (`str.isalnum`). Apostrophes and combining accents between
two of them do not end it (`don't` is one word), anything else does (`well-known` is two)."""

_EDGES: Final = punctuation + "“”‘’„‚«»–—…"
_OTHER_MARKERS: Final = {marker: tuple(m for m in MARKERS if m != marker) for marker in MARKERS}
_PUNCTUATION: Final = frozenset(punctuation)


def is_stop_word(word: str) -> bool:
    """Whether the word, just as it stands, is on the stop word list (case-insensitive, `’` read as `'`)."""
    return word.lower().replace("’", "'") in stop_words()


def ending_start(words: Sequence[str]) -> int:
    """Return where the ending of a sentence of these words starts: at its last stop word, else its last word."""
    for place in range(len(words) - 1, -1, -1):
        if is_stop_word(words[place]):
            return place
    return len(words) - 1


def _ending(sentence: str) -> str:
    words = sentence.split()
    return " ".join(words[ending_start(words) :]) if words else ""


def _plain(ending: str) -> str:
    return ending.casefold().strip(_EDGES)


def wrong_ending(right: str, other: Sequence[str], rng: random.Random) -> str | None:
    """Return the ending of a sentence of the other document, uniform over those that are not `right`.

    Endings that differ in case or outer punctuation alone count as the same. None if there is no other.
    """
    plain = _plain(right)
    wrong = _ending(rng.choice(other))
    if not wrong or _plain(wrong) == plain:
        # Drawing again from the rest only now leaves the choice uniform, and costs nothing in the usual case.
        endings = [e for e in map(_ending, other) if e and _plain(e) != plain]
        return rng.choice(endings) if endings else None
    return wrong


def last(block: Block, other: Sequence[str], rng: random.Random) -> Example | Drop:
    """The block with the ending of its last sentence replaced by a marker, and two endings to choose from.

    Passage, question and options are laid out as method.md section 2 says; the options stand on a line each. A
    block of one sentence has no passage: its question opens the prompt.
    """
    words = block.sentences[-1].split() if block.sentences else []
    if not words:
        return Drop("empty")
    if not other:
        return Drop("no_other")
    start = ending_start(words)
    passage = " ".join(block.sentences[:-1])
    if not start and not passage.strip():
        return Drop("no_context")
    right = " ".join(words[start:])
    wrong = wrong_ending(right, other, rng)
    if wrong is None:
        return Drop("no_distractor")
    question = " ".join((*words[:start], rng.choice(MARKERS))) + ("?" if rng.random() < 0.5 else "")
    options = [right, wrong] if rng.random() < 0.5 else [wrong, right]
    answer = options.index(right)
    if rng.random() < 0.5:
        options = [label + option for label, option in zip(rng.choice(OPTION_LABELS), options, strict=True)]
    before_question = " " if rng.random() < 0.5 else "\n\nQuestion: "
    before_options = "\n\nOptions:\n" if rng.random() < 0.5 else "\n\n"
    opening = f"{passage}{before_question}" if passage else before_question.lstrip()
    return Example(f"{opening}{question}{before_options}" + "\n".join(options), options[answer])


def masked_word(block: Block, other: Sequence[str], rng: random.Random) -> Example | Drop:
    """S with round(0.15 x words) of its words each replaced by a marker of its own; whitespace stays.

    A word that happens to be a marker gets one of the seven others.
    """
    if block.blank:
        return Drop("empty")
    parts = re.split(
        r"(\S+)", block.text
    )  # words at the odd places, the whitespace around them at the even ones
    masked = rng.sample(range(1, len(parts), 2), round(MASKED_SHARE * (len(parts) // 2)))
    if not masked:
        return Drop("nothing_masked")
    for place in masked:
        parts[place] = rng.choice(_OTHER_MARKERS.get(parts[place], MARKERS))
    return Example("".join(parts), block.text)


def random_word(block: Block, other: Sequence[str], rng: random.Random) -> Example | Drop:
    """S with max(1, round(words x U(0.05, 0.10))) of its words replaced by words of the dictionary.

    A word goes with its punctuation; one that starts with an upper-case letter gives one that does; none is
    replaced by itself. On both sides one space stands between words.
    """
    words = list(block.words)
    if not words:
        return Drop("empty")
    pool = dictionary()
    for place in rng.sample(range(len(words)), max(1, round(len(words) * rng.uniform(*CHANGED_SHARE)))):
        word = new = words[place]
        while new == word:
            new = rng.choice(pool)
            if word[0].isupper():
                new = new[0].upper() + new[1:]
        words[place] = new
    return Example(" ".join(words), " ".join(block.words))


def _pairs(words: Sequence[str], wanted: int, rng: random.Random) -> list[tuple[int, int]]:
    """Draw disjoint pairs of places that hold different words: `wanted` of them, or as many as the draw yields.

    Places come in random order; each is paired with one that waits, if the two words differ, else it waits too.
    So all that wait hold the same word, and two different words anywhere give at least one pair.
    """
    places = list(range(len(words)))
    waiting: list[int] = []
    pairs: list[tuple[int, int]] = []
    while places and len(pairs) < wanted:
        drawn = rng.randrange(len(places))
        place, places[drawn] = places[drawn], places[-1]
        places.pop()
        if waiting and words[waiting[-1]] != words[place]:
            pairs.append((waiting.pop(), place))
        else:
            waiting.append(place)
    return pairs


def shuffle(block: Block, other: Sequence[str], rng: random.Random) -> Example | Drop:
    """S with max(1, round(words x U(0.05, 0.10))) disjoint pairs of words swapped, at most floor(words / 2).

    Only different words are swapped; where too few words differ for that many pairs, fewer are. On both sides one
    space stands between words.
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
    return Example(" ".join(words), " ".join(block.words))


def count_content_words(text: str) -> int:
    """Return how many counted words are no stop words."""
    return sum(not is_stop_word(word) for word in COUNTED_WORD.findall(text))


def count_stop_words(text: str) -> int:
    """Return how many counted words are stop words."""
    return sum(map(is_stop_word, COUNTED_WORD.findall(text)))


def count_digits(text: str) -> int:
    """Return how many characters are digits (`str.isdigit`)."""
    return count(text, str.isdigit)


def count_punctuation(text: str) -> int:
    """Return how many characters are ASCII punctuation (`string.punctuation`)."""
    return count(text, _PUNCTUATION.__contains__)


KINDS: Final[tuple[tuple[tuple[str, ...], Callable[[str], int]], ...]] = (
    (CONTENT_WORDS, count_content_words),
    (STOP_WORDS, count_stop_words),
    (DIGITS, count_digits),
    (PUNCTUATION, count_punctuation),
)
"""What `token_type` asks for: the wordings of the question, and the function that answers it."""


def token_type(block: Block, other: Sequence[str], rng: random.Random) -> Example | Drop:
    """How many content words, stop words, digits or punctuation characters S has; the kind is drawn uniformly."""
    if block.blank:
        return Drop("empty")
    wordings, answer = rng.choice(KINDS)
    return Example(asked(rng.choice(wordings), block.text, rng), str(answer(block.text)))


TASKS: Final = (
    Task(
        "last",
        "word",
        "Choose the ending of a text's last sentence from two.",
        last,
        min_sentences=2,
        needs_other=True,
    ),
    Task("masked_word", "word", "Restore a text in which words are masked.", masked_word),
    Task("random", "word", "Restore a text in which words are replaced by random ones.", random_word),
    Task("shuffle", "word", "Restore a text in which pairs of words are swapped.", shuffle),
    Task("token_type", "word", "Count the words or characters of one kind in a text.", token_type),
)
