"""The sentence-level tasks: find the sentence that does not belong, and put sentences back in order."""

import random
from collections.abc import Sequence
from typing import Final

from l2t_hub.tasks.base import Block, Drop, Example, Task

_SHUFFLES: Final = 64
"""`reordering` gives up after this many shuffles. Two different sentences stay in order 64 times with p = 2^-64."""


def deletion(block: Block, other: Sequence[str], rng: random.Random) -> Example | Drop:
    """The block with a random sentence of the other document, uniform over the n + 1 positions.

    The completion is the original block or the inserted sentence, with probability 0.5 each. The inserted sentence is
    uniform over the other document's sentences that are not in the block word for word.
    """
    if block.blank:
        return Drop("empty")
    if not other:
        return Drop("no_other")
    intruder = rng.choice(other)
    if intruder in block.sentences or not intruder.strip():
        # Filtering only after a failed draw keeps the choice uniform and costs nothing in the usual case.
        strangers = [s for s in other if s not in block.sentences and s.strip()]
        if not strangers:
            return Drop("no_distractor")
        intruder = rng.choice(strangers)
    sentences = list(block.sentences)
    sentences.insert(rng.randrange(len(sentences) + 1), intruder)
    prompt = block.language.joiner.join(sentences)
    return Example(prompt, block.text if rng.random() < 0.5 else intruder)


def reordering(block: Block, other: Sequence[str], rng: random.Random) -> Example | Drop:
    """The block's sentences in random order, uniform over the orders that change the text."""
    if block.blank:
        return Drop("empty")
    sentences = list(block.sentences)
    if len(set(sentences)) > 1:
        for _ in range(_SHUFFLES):
            rng.shuffle(sentences)
            if (shuffled := block.language.joiner.join(sentences)) != block.text:
                return Example(shuffled, block.text)
    return Drop("sentences_alike")


TASKS: Final = (
    Task(
        "deletion",
        "sentence",
        "Find the sentence that comes from another document.",
        deletion,
        min_sentences=2,
        needs_other=True,
    ),
    Task("reordering", "sentence", "Put shuffled sentences back in order.", reordering, min_sentences=3),
)
