"""The character-level tasks: count characters, restore masked letters, lost spaces and typing errors."""

import random
from collections.abc import Callable, Sequence
from itertools import compress
from string import ascii_lowercase, ascii_uppercase
from typing import Final

from l2t_hub.tasks.base import Block, Drop, Example, Task
from l2t_hub.tasks.instructions import CHARACTERS
from l2t_hub.tasks.labels import MARKERS

MASKED_SHARE: Final = 0.15
"""The share of letters that `masked_char` takes out (method.md section 2)."""

TYPO_SHARE: Final = (0.03, 0.08)
"""The bounds of the uniform share of alphanumeric characters that `typo` replaces (method.md section 2)."""

_MISTYPED: Final = {
    letter: alphabet.replace(letter, "")
    for alphabet in (ascii_lowercase, ascii_uppercase)
    for letter in alphabet
}


def is_letter(char: str) -> bool:
    """Whether `masked_char` may mask it: alphanumeric (`str.isalnum`) and no digit (`str.isdigit`).

    So a Chinese character is a letter, and so is a vulgar fraction; a combining mark is not.
    """
    return char.isalnum() and not char.isdigit()


def places(text: str, wanted: Callable[[str], bool]) -> list[int]:
    """Return the indices of the characters that `wanted` accepts, asking it once per different character."""
    accepted = set(filter(wanted, set(text)))
    return list(compress(range(len(text)), map(accepted.__contains__, text)))


def count(text: str, wanted: Callable[[str], bool]) -> int:
    """Return how many characters `wanted` accepts, asking it once per different character."""
    return sum(map(text.count, filter(wanted, set(text))))


def asked(instruction: str, text: str, rng: random.Random) -> str:
    """Return instruction and text with a blank line between, in either order with p 0.5."""
    return f"{text}\n\n{instruction}" if rng.random() < 0.5 else f"{instruction}\n\n{text}"


def char_count(block: Block, other: Sequence[str], rng: random.Random) -> Example | Drop:
    """How many Unicode code points S has, spaces included: a letter with a combining accent counts two."""
    if block.blank:
        return Drop("empty")
    text = block.text
    return Example(asked(rng.choice(CHARACTERS), text, rng), str(len(text)))


def masked_char(block: Block, other: Sequence[str], rng: random.Random) -> Example | Drop:
    """S with round(0.15 x letters) of its letters (`is_letter`) each replaced by the one marker of this example."""
    if block.blank:
        return Drop("empty")
    text = block.text
    letters = places(text, is_letter)
    masked = rng.sample(letters, round(MASKED_SHARE * len(letters)))
    if not masked:
        return Drop("nothing_masked")
    marker = rng.choice(MARKERS)
    chars = list(text)
    for place in masked:
        chars[place] = marker
    return Example("".join(chars), text)


def space(block: Block, other: Sequence[str], rng: random.Random) -> Example | Drop:
    """S without its U+0020 spaces; other whitespace stays."""
    if block.blank:
        return Drop("empty")
    text = block.text
    joined = text.replace(" ", "")
    return Example(joined, text) if len(joined) < len(text) else Drop("no_space")


def typo(block: Block, other: Sequence[str], rng: random.Random) -> Example | Drop:
    """S with max(1, round(alphanumerics x U(0.03, 0.08))) alphanumeric characters replaced by letters a-z.

    A letter is never replaced by itself, and an upper-case one gives an upper-case one; the letter is uniform over
    those that remain.
    """
    if block.blank:
        return Drop("empty")
    text = block.text
    keys = places(text, str.isalnum)
    if not keys:
        return Drop("no_alphanumeric")
    chars = list(text)
    for place in rng.sample(keys, max(1, round(len(keys) * rng.uniform(*TYPO_SHARE)))):
        char = chars[place]
        alphabet = ascii_uppercase if char.isupper() else ascii_lowercase
        chars[place] = rng.choice(_MISTYPED.get(char, alphabet))
    return Example("".join(chars), text)


TASKS: Final = (
    Task("char_count", "character", "Count the characters of a text.", char_count),
    Task("masked_char", "character", "Restore a text in which letters are masked.", masked_char),
    Task("space", "character", "Restore the spaces of a text that has lost them.", space),
    Task("typo", "character", "Correct a text with mistyped letters.", typo),
)
