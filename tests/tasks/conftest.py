"""Blocks of real text for the statistical tests of the tasks."""

from pathlib import Path

import pyarrow.parquet as pq
import pytest

from l2t_hub.corpus.blocks import cut
from l2t_hub.corpus.sentences import splitter
from l2t_hub.tasks import Block, language

DOCUMENTS = 400
WORDS_PER_BLOCK = 350  # about 512 tokens of English


@pytest.fixture(scope="session")
def real_work(shared_data: Path) -> list[tuple[Block, list[str]]]:
    """Blocks of the first documents of the sample, each with the sentences of the previous document."""
    table = pq.read_table(shared_data / "gutenberg" / "sample-1m.parquet", columns=["text"])
    texts = table["text"].to_pylist()[:DOCUMENTS]
    documents = list(map(splitter("sentencex"), texts))
    return [
        (block, documents[number - 1])
        for number, sentences in enumerate(documents)
        for block in cut(sentences, sum(len(s.split()) for s in sentences) // WORDS_PER_BLOCK + 1, language())
        if len(block.words) >= 20
    ]
