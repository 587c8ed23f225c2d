"""Blocks of real text for the statistical tests of the tasks."""

from pathlib import Path

import pyarrow.parquet as pq
import pytest
import sentencex

from l2t_hub.tasks import Block

DOCUMENTS = 400
WORDS_PER_BLOCK = 350  # about 512 tokens of English


@pytest.fixture(scope="session")
def real_work(shared_data: Path) -> list[tuple[Block, list[str]]]:
    """Blocks of the first books of the sample, each with the sentences of the document before its own."""
    table = pq.read_table(shared_data / "gutenberg" / "sample-1m.parquet", columns=["text"])
    texts = table["text"].to_pylist()[:DOCUMENTS]
    documents = [[s.strip() for s in sentencex.segment("en", text) if s.strip()] for text in texts]
    work = []
    for number, sentences in enumerate(documents):
        n_blocks = sum(len(s.split()) for s in sentences) // WORDS_PER_BLOCK + 1
        size = -(-len(sentences) // n_blocks)
        for at in range(0, len(sentences), size):
            block = Block(tuple(sentences[at : at + size]))
            if len(block.words) >= 20:
                work.append((block, documents[number - 1]))
    return work
