"""Cut a document's sentences into blocks of about equally many sentences (`docs/method.md`). Pure."""

from collections.abc import Sequence
from math import ceil

from l2t_hub.tasks.base import Block

SHORT = "under min_words"
"""Drop reason of a block with too few words."""


def block_count(token_count: int, tokens_per_block: int, blocks_per_unit: int = 1) -> int:
    """Return the largest number of blocks for a document of `token_count` tokens, not counting BOS."""
    return blocks_per_unit * (token_count // tokens_per_block) + 1


def cut(sentences: Sequence[str], count: int) -> list[Block]:
    """Cut sentences into at most `count` blocks of ceil(n / count) consecutive sentences; the last may be shorter.

    A document of few sentences gives fewer blocks, and an empty one gives none.
    """
    size = ceil(len(sentences) / count)
    return [Block(tuple(sentences[i : i + size])) for i in range(0, len(sentences), size)] if size else []


def blocks(
    sentences: Sequence[str],
    token_count: int,
    tokens_per_block: int,
    min_words: int,
    blocks_per_unit: int = 1,
) -> tuple[list[tuple[int, Block]], int]:
    """Cut a document into blocks and drop those with fewer than `min_words` whitespace-separated words.

    Returns (number in the document, block) for each remaining block, and the number of blocks dropped.
    """
    candidates = cut(sentences, block_count(token_count, tokens_per_block, blocks_per_unit))
    kept = [(number, block) for number, block in enumerate(candidates) if len(block.words) >= min_words]
    return kept, len(candidates) - len(kept)
