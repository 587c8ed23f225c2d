"""The discourse-level tasks: write the missing middle, the second half, or all that follows the first word.

`fill_middle` and `half` cut between words, and write every part with one space between its words.
"""

import random
from collections.abc import Sequence
from typing import Final

from l2t_hub.tasks.base import Block, Drop, Example, Task
from l2t_hub.tasks.labels import PART_LABELS

MIN_PART_WORDS: Final = 20
"""The words that each third of a `fill_middle` block must have (method.md section 1), whatever the recipe's
`blocks.min_words`."""


def fill_middle(block: Block, other: Sequence[str], rng: random.Random) -> Example | Drop:
    """First and third part of the block on two lines, labelled with p 0.5; the second part completes them.

    With w words, the first two parts have floor(w / 3) words and the third takes the rest.
    """
    words = block.words
    third = len(words) // 3
    if third < MIN_PART_WORDS:
        return Drop("short_part") if words else Drop("empty")
    before, after = rng.choice(PART_LABELS) if rng.random() < 0.5 else ("", "")
    first, second, rest = words[:third], words[third : 2 * third], words[2 * third :]
    return Example(f"{before}{' '.join(first)}\n{after}{' '.join(rest)}", " ".join(second))


def half(block: Block, other: Sequence[str], rng: random.Random) -> Example | Drop:
    """The first floor(w / 2) words; the completion is a space and the rest."""
    words = block.words
    middle = len(words) // 2
    if not middle:
        return Drop("too_few_words") if words else Drop("empty")
    return Example(" ".join(words[:middle]), " " + " ".join(words[middle:]))


def one(block: Block, other: Sequence[str], rng: random.Random) -> Example | Drop:
    """The first word; the completion is the whole block S, first word included, its whitespace kept."""
    if block.blank:
        return Drop("empty")
    beginning = block.text.split(maxsplit=1)
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
