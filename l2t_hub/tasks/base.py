"""Tasks, blocks and examples: a task turns a block of text into an example, or drops it for a reason.

Everything here and in the sibling modules is pure: the result depends on a block, another document's sentences and a
random generator alone. Two terms mean the same in all docstrings:

- *The text* S of a block is its sentences joined by one space, or by nothing if the language's script has no spaces.
  Whitespace inside sentences is that of the source.
- *The words* of S are its maximal runs of non-whitespace (`str.split()`), including punctuation. In a script without
  spaces ICU finds them, and they include the punctuation around them, too.

A character is a Unicode code point. A lone surrogate is neither a letter nor a space, and tasks do not change it. (No
reader of this package returns one, because UTF-8 cannot encode it.)
"""

import random
import re
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final, Literal, get_args

from l2t_hub.errors import UsageError, UserError, nearest
from l2t_hub.tasks.languages import DATA, Data, Language, language

Level = Literal["character", "word", "sentence", "discourse"]
"""The linguistic level of a task."""

LEVELS: Final[tuple[Level, ...]] = get_args(Level)

DROPS: Final = {
    "empty": "the block, or the part that the task uses, has no words",
    "too_few_words": "the block has only one word, which cannot be split",
    "short_part": "a third of the block has fewer than 20 words",
    "no_space": "the text has no U+0020 space to remove",
    "no_alphanumeric": "the text has no letter or digit to mistype",
    "nothing_masked": "0.15 of the letters or words rounds to zero",
    "words_alike": "the block has no two different words to swap",
    "sentences_alike": "the sentences read the same in any order, or there is only one",
    "no_other": "there is no other document to take a sentence from",
    "no_distractor": "every sentence of the other document repeats the correct answer or the block",
    "no_context": "the only sentence of the block is all ending, so nothing remains to complete",
}
"""The reasons for which a built-in task drops a block, and their meanings."""

_NAME = re.compile(r"[a-z][a-z0-9_]*")


@dataclass(frozen=True)
class Block:
    """Consecutive sentences of a document, about 512 tokens in total, from which one example is made.

    `sentences` are in the order of the document. Blocks that `corpus` makes have no blank sentences. `language` is
    that of the text.
    """

    sentences: tuple[str, ...]
    language: Language = field(default_factory=language)

    @cached_property
    def text(self) -> str:
        """The sentences, joined."""
        return self.language.joiner.join(self.sentences)

    @cached_property
    def words(self) -> tuple[str, ...]:
        """The words of the text."""
        return tuple(self.text.split() if self.language.spaced else self.parts[1::2])

    @cached_property
    def parts(self) -> list[str]:
        """The words at odd indices, the whitespace between them (or nothing) at even ones: together the text."""
        return self.language.parts(self.text)

    def gap(self, index: int) -> str:
        """Return what separates a word from the one before it: one space, or nothing in a script without spaces."""
        return " " if self.language.spaced or self.parts[2 * index] else ""

    def joined(self, words: Sequence[str], start: int = 0) -> str:
        """Join words that stand where the block's words from index `start` on stand."""
        if self.language.spaced:
            return " ".join(words)
        spaced = (self.gap(index) + word for index, word in enumerate(words, start))
        return "".join(spaced)[len(self.gap(start)) :] if words else ""

    @property
    def blank(self) -> bool:
        """Whether the block has no words."""
        return not self.text or self.text.isspace()


@dataclass(frozen=True)
class Example:
    """An input-output pair; neither side is empty."""

    prompt: str
    completion: str


@dataclass(frozen=True)
class Drop:
    """A block without an example, and the reason: a key of `DROPS`, or a reason of your own task."""

    reason: str


Make = Callable[[Block, Sequence[str], random.Random], Example | Drop]
"""Makes an example from a block; the sentences are those of another document (empty if there is none)."""


@dataclass(frozen=True)
class Task:
    """A language learning task.

    `make` must be pure: the same block, other sentences and generator state give the same example. `name` is used as
    a directory, a dataset configuration and a value in recipes. `min_sentences` is the number of sentences that a
    document needs to be eligible. `needs_other` says that `make` uses the other document's sentences. `needs` is the
    data of the language that `make` uses: a language without it leaves the task out. A document of c tokens is cut
    into `blocks_per_unit` * floor(c / tokens per block) + 1 blocks.

    Raises UsageError for an invalid name, level, description, function or number.
    """

    name: str
    level: Level
    description: str
    make: Make
    min_sentences: int = 1
    needs_other: bool = False
    blocks_per_unit: int = 1
    needs: tuple[Data, ...] = ()

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not _NAME.fullmatch(self.name):
            raise UsageError(
                f"{self.name!r} is not a valid name for a task",
                "Use lower-case letters, digits and underscores, starting with a letter.",
            )
        if self.level not in LEVELS:
            raise UsageError(
                f"task '{self.name}' has the unknown level {self.level!r}. {nearest(str(self.level), LEVELS)}"
            )
        if not isinstance(self.description, str) or not self.description.strip():
            raise UsageError(
                f"task '{self.name}' has no description", "Say in one line what the model must do."
            )
        if not callable(self.make):
            raise UsageError(
                f"the `make` of task '{self.name}' is not a function",
                "It must be a function of (block, other document's sentences, random generator).",
            )
        for what in self.needs:
            if what not in DATA:
                raise UsageError(
                    f"task '{self.name}' needs the unknown data {what!r}. {nearest(str(what), DATA)}"
                )
        for key in ("min_sentences", "blocks_per_unit"):
            value = getattr(self, key)
            if type(value) is not int or value < 1:
                raise UsageError(
                    f"`{key}` of task '{self.name}' must be an integer of at least 1, not {value!r}"
                )


def make_example(
    task: Task, block: Block, other: Sequence[str], rng: random.Random, where: str
) -> Example | Drop:
    """Return what a task makes of a block; `where` is the block's place in the source, such as "document 'a1'".

    Raises UserError that names task, place and line if the task raises or returns something else: it may be a user's.
    """
    try:
        made = task.make(block, other, rng)
    except Exception as error:
        line = traceback.extract_tb(error.__traceback__)[-1]
        raise UserError(
            f"task '{task.name}' failed on {where}: {type(error).__name__}: {error} ({line.filename}:{line.lineno})",
            "Mend the task, or let it return a Drop for a text that it cannot use. Then rerun the command.",
        ) from error
    if not isinstance(made, Example | Drop):
        raise UserError(
            f"task '{task.name}' returned {made!r:.80} for {where}", "It must return an Example or a Drop."
        )
    return made


def render(example: Example, rng: random.Random, language: Language) -> tuple[str, str]:
    """Draw an anchor of the language and return (anchor, text), where text is what a model is trained on.

    The text is the prompt, a blank line, the anchor and the completion. A space separates a non-empty anchor from a
    completion that does not start with one, but for scripts without spaces.
    """
    anchor = rng.choice(language.about.anchors)
    gap = language.joiner if anchor and not example.completion.startswith(" ") else ""
    return anchor, f"{example.prompt}\n\n{anchor}{gap}{example.completion}"
