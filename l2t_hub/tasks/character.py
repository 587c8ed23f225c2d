"""The character-level tasks: count characters, restore masked letters, missing spaces and mistyped letters."""

import random
from collections.abc import Callable, Sequence
from itertools import compress
from typing import Final
from unicodedata import category

from l2t_hub.tasks.base import Block, Drop, Example, Task
from l2t_hub.tasks.labels import MARKERS

MASKED_SHARE: Final = 0.15
"""The share of letters that `masked_char` masks (`docs/method.md`)."""

TYPO_SHARE: Final = (0.03, 0.08)
"""`typo` replaces a share of the alphanumeric characters that is uniform between these bounds (`docs/method.md`)."""


def is_letter(char: str) -> bool:
    """Whether `masked_char` may mask a character: it is alphanumeric (`str.isalnum`) but not a digit (`str.isdigit`).

    Chinese characters and vulgar fractions are letters; combining marks are not.
    """
    return char.isalnum() and not char.isdigit()


def indices(text: str, accept: Callable[[str], bool]) -> list[int]:
    """Return the indices of the characters that `accept` accepts; it is called once per different character."""
    accepted = set(filter(accept, set(text)))
    return list(compress(range(len(text)), map(accepted.__contains__, text)))


def count(text: str, accept: Callable[[str], bool]) -> int:
    """Count the characters that `accept` accepts; it is called once per different character."""
    return sum(map(text.count, filter(accept, set(text))))


def with_instruction(instruction: str, text: str, rng: random.Random) -> str:
    """Return instruction and text with a blank line between them, in either order with probability 0.5."""
    return f"{text}\n\n{instruction}" if rng.random() < 0.5 else f"{instruction}\n\n{text}"


def char_count(block: Block, other: Sequence[str], rng: random.Random) -> Example | Drop:
    """How many code points S has, including spaces. A letter with a combining accent counts as two."""
    if block.blank:
        return Drop("empty")
    question = rng.choice(block.language.instructions["char_count"])
    return Example(with_instruction(question, block.text, rng), str(len(block.text)))


def masked_char(block: Block, other: Sequence[str], rng: random.Random) -> Example | Drop:
    """S with round(0.15 x letters) of its letters (`is_letter`) replaced by a marker, the same one throughout.

    If combining marks are letters of the language, the marks after a letter go with it: a marker never carries a
    vowel sign.
    """
    if block.blank:
        return Drop("empty")
    text = block.text
    letters = indices(text, is_letter)
    masked = rng.sample(letters, round(MASKED_SHARE * len(letters)))
    if not masked:
        return Drop("nothing_masked")
    marker = rng.choice(MARKERS)
    chars = list(text)
    for index in masked:
        chars[index] = marker
    if block.language.has_marks:
        _remove_marks(chars, masked)
    return Example("".join(chars), text)


def _remove_marks(chars: list[str], masked: Sequence[int]) -> None:
    """Empty the combining marks that follow the masked characters."""
    for index in masked:
        following = index + 1
        while following < len(chars) and chars[following] and category(chars[following][0])[0] == "M":
            chars[following] = ""
            following += 1


def space(block: Block, other: Sequence[str], rng: random.Random) -> Example | Drop:
    """S without its U+0020 spaces; other whitespace remains."""
    if block.blank:
        return Drop("empty")
    text = block.text
    joined = text.replace(" ", "")
    return Example(joined, text) if len(joined) < len(text) else Drop("no_space")


def typo(block: Block, other: Sequence[str], rng: random.Random) -> Example | Drop:
    """S with max(1, round(alphanumerics x U(0.03, 0.08))) alphanumeric characters replaced by letters.

    The letters are those of the block's language, a-z in English. No letter is replaced by itself, and an upper-case
    letter is replaced by one. A language may have several groups of letters, such as Hiragana and Katakana: a letter
    is replaced by one of its group. Combining marks count as alphanumeric if they are letters of the language. The
    new letter is uniform over the letters that remain.
    """
    if block.blank:
        return Drop("empty")
    text = block.text
    mistyped = block.language.mistyped
    alphanumeric = indices(text, lambda char: char.isalnum() or char in mistyped.letters)
    if not alphanumeric:
        return Drop("no_alphanumeric")
    chars = list(text)
    for index in rng.sample(alphanumeric, max(1, round(len(alphanumeric) * rng.uniform(*TYPO_SHARE)))):
        chars[index] = rng.choice(mistyped[chars[index]])
    return Example("".join(chars), text)


TASKS: Final = (
    Task("char_count", "character", "Count the characters of a text.", char_count, needs=("questions",)),
    Task("masked_char", "character", "Restore a text in which letters are masked.", masked_char),
    Task("space", "character", "Restore the spaces of a text that has lost them.", space, needs=("spaces",)),
    Task("typo", "character", "Correct a text with mistyped letters.", typo, needs=("letters",)),
)
