"""One task at work on one block, with what it changed marked: the substance of `l2t tasks NAME --text TEXT`."""

import random
import re
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Final

from l2t_hub.tasks.base import Block, Drop, Example, Task

Span = tuple[int, int]
"""Start and end of a run of characters, as a slice takes them."""

MAX_CHARACTERS: Final = 4000
"""Above so many characters changes are marked by whole words at any level: the comparison takes quadratic time."""


@dataclass(frozen=True)
class Shown:
    """What a task made of a source text, and where source and prompt differ.

    `removed` are the spans of the source that the prompt lacks, `added` those of the prompt that the source lacks;
    both in order, disjoint, and empty for a drop.
    """

    source: str
    made: Example | Drop
    removed: tuple[Span, ...] = ()
    added: tuple[Span, ...] = ()


def show(task: Task, block: Block, other: Sequence[str], rng: random.Random) -> Shown:
    """Make an example of the block and mark the changes: by character for a character task, else by word."""
    made = task.make(block, other, rng)
    if isinstance(made, Drop):
        return Shown(block.text, made)
    removed, added = differences(block.text, made.prompt, by_character=task.level == "character")
    return Shown(block.text, made, removed, added)


def differences(source: str, prompt: str, *, by_character: bool) -> tuple[tuple[Span, ...], tuple[Span, ...]]:
    """Return the spans of `source` missing from `prompt`, and the spans of `prompt` new to it."""
    short = len(source) + len(prompt) <= 2 * MAX_CHARACTERS
    unit = re.compile(r"(?s)." if by_character and short else r"\s+|\S+")
    old, new = unit.findall(source), unit.findall(prompt)
    matcher = SequenceMatcher(None, old, new, autojunk=False)
    changes = [operation for operation in matcher.get_opcodes() if operation[0] != "equal"]
    old_starts, new_starts = _starts(old), _starts(new)
    removed = tuple((old_starts[i], old_starts[j]) for _, i, j, _, _ in changes if i < j)
    added = tuple((new_starts[i], new_starts[j]) for _, _, _, i, j in changes if i < j)
    return removed, added


def _starts(units: Sequence[str]) -> list[int]:
    """Return where each unit starts in their concatenation, and where the last one ends."""
    starts = [0]
    for unit in units:
        starts.append(starts[-1] + len(unit))
    return starts
