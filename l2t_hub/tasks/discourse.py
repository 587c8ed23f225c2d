"""The discourse-level tasks: write the missing middle, the second half, or a whole text from its first word.

`fill_middle` and `half` cut between words and join the words of each part with single spaces (in a script without
spaces, where the text has some).
"""

import random
from collections.abc import Sequence
from typing import Final

from l2t_hub.tasks.base import Block, Drop, Example, Task

MIN_PART_WORDS: Final = 20
"""The least number of words in each third of a `fill_middle` block (`docs/method.md`); `blocks.min_words` of a recipe
does not change it."""


def fill_middle(block: Block, other: Sequence[str], rng: random.Random) -> Example | Drop:
    """The first and third part of the block on two lines, labelled with probability 0.5; the second part completes
    them.

    Of w words, each of the first two parts has floor(w / 3) and the third has the rest.
    """
    words = block.words
    third = len(words) // 3
    if third < MIN_PART_WORDS:
        return Drop("short_part") if words else Drop("empty")
    before, after = rng.choice(block.language.part_labels) if rng.random() < 0.5 else ("", "")
    first, rest = block.joined(words[:third]), block.joined(words[2 * third :], 2 * third)
    return Example(f"{before}{first}\n{after}{rest}", block.joined(words[third : 2 * third], third))


def half(block: Block, other: Sequence[str], rng: random.Random) -> Example | Drop:
    """The first floor(w / 2) of w words; the completion is a space (if the script has them) and the rest."""
    words = block.words
    middle = len(words) // 2
    if not middle:
        return Drop("too_few_words") if words else Drop("empty")
    return Example(block.joined(words[:middle]), block.gap(middle) + block.joined(words[middle:], middle))


def one(block: Block, other: Sequence[str], rng: random.Random) -> Example | Drop:
    """The first word; the completion is the whole text S, including the first word, with its whitespace."""
    if block.blank:
        return Drop("empty")
    beginning = block.text.split(maxsplit=1) if block.language.spaced else block.words
    return Example(beginning[0], block.text) if len(beginning) > 1 else Drop("too_few_words")


TASKS: Final = (
    Task(
        "fill_middle",
        "discourse",
        "Write the missing middle third of a text.",
        fill_middle,
        min_sentences=3,
        blocks_per_unit=2,
    ),
    Task("half", "discourse", "Write the second half of a text.", half),
    Task("one", "discourse", "Write a text from its first word.", one),
)
