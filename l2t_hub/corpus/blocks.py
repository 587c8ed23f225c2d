"""Cut a document's sentences into blocks of about equally many sentences (`docs/method.md`). Pure."""

from collections.abc import Sequence
from math import ceil

from l2t_hub.tasks.base import Block
from l2t_hub.tasks.languages import Language

SHORT = "under min_words"
"""Drop reason of a block with too few words."""


def block_count(token_count: int, tokens_per_block: int, blocks_per_unit: int = 1) -> int:
    """Return the largest number of blocks for a document of `token_count` tokens, not counting BOS."""
    return blocks_per_unit * (token_count // tokens_per_block) + 1


def cut(sentences: Sequence[str], count: int, language: Language) -> list[Block]:
    """Cut sentences into at most `count` blocks of ceil(n / count) consecutive sentences; the last may be shorter.

    A document of few sentences gives fewer blocks, and an empty one gives none.
    """
    size = ceil(len(sentences) / count)
    starts = range(0, len(sentences), size) if size else ()
    return [Block(tuple(sentences[start : start + size]), language) for start in starts]


def blocks(
    sentences: Sequence[str],
    token_count: int,
    tokens_per_block: int,
    min_words: int,
    language: Language,
    blocks_per_unit: int = 1,
) -> tuple[list[tuple[int, Block]], int]:
    """Cut a document into blocks and drop those with fewer than `min_words` words.

    Returns (number in the document, block) for each remaining block, and the number of blocks dropped.
    """
    candidates = cut(sentences, block_count(token_count, tokens_per_block, blocks_per_unit), language)
    kept = [(number, block) for number, block in enumerate(candidates) if len(block.words) >= min_words]
    return kept, len(candidates) - len(kept)
