"""From a document's sentences to blocks of about equally many sentences (method.md section 1). Pure."""

from collections.abc import Sequence
from math import ceil

from l2t_hub.tasks.base import Block

SHORT = "under min_words"


def block_count(token_count: int, tokens_per_block: int, blocks_per_unit: int = 1) -> int:
    """Into how many blocks a document of `token_count` tokens (BOS not counted) is cut, at most."""
    return blocks_per_unit * (token_count // tokens_per_block) + 1


def cut(sentences: Sequence[str], count: int) -> list[Block]:
    """Deal the sentences out in order, ceil(n / count) to a block; the last block may be short.

    Fewer than `count` blocks come out where the sentences do not reach that far, none where there are none.
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
    """Cut a document into blocks and leave out those of fewer than `min_words` whitespace words.

    Returns the blocks kept, each with its number in the document, and how many were left out.
    """
    every = cut(sentences, block_count(token_count, tokens_per_block, blocks_per_unit))
    kept = [(number, block) for number, block in enumerate(every) if len(block.words) >= min_words]
    return kept, len(every) - len(kept)
