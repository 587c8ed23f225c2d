"""The nouns of the tasks: a block of text goes in, an example comes out, or a drop with its reason.

Everything here and in the sibling modules is pure: a task sees a block, another document's sentences and a
generator, and its result depends on nothing else. Two notions recur, and mean the same everywhere:

- *The text* S of a block is its sentences joined by one space, its inner whitespace as the source had it.
- *The words* of S are its maximal runs of non-whitespace (`str.split()`), punctuation included.

Text is handled by Unicode code point. A lone surrogate (which no reader of this package produces, as it cannot
be written as UTF-8) is one more character that is no letter and no space: tasks carry it along unchanged.
"""

import random
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final, Literal, get_args

from l2t_hub.errors import UsageError, nearest

Level = Literal["character", "word", "sentence", "discourse"]
"""The linguistic level that a task exercises."""

LEVELS: Final[tuple[Level, ...]] = get_args(Level)

ANCHORS: Final = ("Answer:", "Response:", "A:", "(A)", "A)", "A.", "")
"""What may stand between prompt and completion (method.md section 2); the last is nothing at all."""

DROPS: Final = {
    "empty": "the block, or the part of it that the task works on, has no word",
    "too_few_words": "one word cannot be divided into a beginning and a rest",
    "short_part": "cut in three, a part of the block has fewer than 20 words",
    "no_space": "the text has no U+0020 space to remove",
    "no_alphanumeric": "the text has no letter or digit to mistype",
    "nothing_masked": "0.15 of so few letters or words rounds to none",
    "words_alike": "fewer than two different words: no swap would show",
    "sentences_alike": "the sentences read the same in any order, or there is only one",
    "no_other": "there is no other document to take a sentence from",
    "no_distractor": "every sentence of the other document would repeat the right answer or the block",
    "no_context": "nothing is left of the block to complete: its only sentence is all ending",
}
"""Every reason for which a built-in task makes no example of a block, and what it means."""

_NAME = re.compile(r"[a-z][a-z0-9_]*")


@dataclass(frozen=True)
class Block:
    """Some consecutive sentences of one document, about 512 tokens together: what one example is made from.

    `sentences` are in the order of the document and, coming from `corpus`, none is blank.
    """

    sentences: tuple[str, ...]

    @cached_property
    def text(self) -> str:
        """The sentences joined by one space."""
        return " ".join(self.sentences)

    @cached_property
    def words(self) -> tuple[str, ...]:
        """The text's maximal runs of non-whitespace."""
        return tuple(self.text.split())

    @property
    def blank(self) -> bool:
        """Whether the block has no word."""
        return not self.text or self.text.isspace()


@dataclass(frozen=True)
class Example:
    """One input-output pair; both sides hold at least one character."""

    prompt: str
    completion: str


@dataclass(frozen=True)
class Drop:
    """No example, and why: a key of `DROPS`, or a reason of a user's own task."""

    reason: str


Make = Callable[[Block, Sequence[str], random.Random], Example | Drop]
"""Makes one example of a block; the sentences are another document's (empty where there is none)."""


@dataclass(frozen=True)
class Task:
    """A language learning task.

    `make` must be pure: the same block, other sentences and generator state give the same example. `name` becomes
    a folder, a dataset configuration and a recipe key. `min_sentences` is how many sentences a document needs to be
    eligible; `needs_other` says that `make` reads the other document's sentences; a document of c tokens becomes
    `blocks_per_unit` * floor(c / tokens per block) + 1 blocks.

    Raises UsageError for a name, level or number that cannot be.
    """

    name: str
    level: Level
    description: str
    make: Make
    min_sentences: int = 1
    needs_other: bool = False
    blocks_per_unit: int = 1

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not _NAME.fullmatch(self.name):
            raise UsageError(
                f"{self.name!r} cannot name a task",
                "use lower-case letters, digits and underscores, a letter first",
            )
        if self.level not in LEVELS:
            raise UsageError(
                f"task '{self.name}' has level {self.level!r}, which is none",
                nearest(str(self.level), LEVELS),
            )
        if not isinstance(self.description, str) or not self.description.strip():
            raise UsageError(
                f"task '{self.name}' has no description", "say in one line what the model must do"
            )
        if not callable(self.make):
            raise UsageError(
                f"the `make` of task '{self.name}' is no function",
                "give a function of (block, other document's sentences, generator)",
            )
        for key in ("min_sentences", "blocks_per_unit"):
            value = getattr(self, key)
            if type(value) is not int or value < 1:
                raise UsageError(
                    f"`{key}` of task '{self.name}' is {value!r}", "give a whole number from 1 up"
                )


def render(example: Example, rng: random.Random) -> tuple[str, str]:
    """Draw an anchor and write the example out as the text that a model reads.

    Returns (anchor, text): prompt, blank line, anchor, completion. One space separates an anchor from a completion
    that does not start with one; the empty anchor brings no space of its own.
    """
    anchor = rng.choice(ANCHORS)
    gap = " " if anchor and not example.completion.startswith(" ") else ""
    return anchor, f"{example.prompt}\n\n{anchor}{gap}{example.completion}"
