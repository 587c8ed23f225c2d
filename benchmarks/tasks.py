"""Measure what each task costs: microseconds per 512-token block of real text, on one core.

    python benchmarks/tasks.py ../shared/data/gutenberg/sample-1m.parquet

Every block of the sample goes through every task. Making the generator is not counted; drops are.
"""

import argparse
import random
from collections import Counter
from pathlib import Path
from time import perf_counter

import pyarrow.parquet as pq
import sentencex

from l2t_hub.tasks import TASKS, Block, Drop

TOKENS_PER_WORD = 1.36  # of a 32k byte-level BPE on this sample


def blocks_of(sentences: list[str]) -> list[Block]:
    """Cut a document's sentences as method.md section 1 does, its tokens estimated from its words."""
    tokens = TOKENS_PER_WORD * sum(len(sentence.split()) for sentence in sentences)
    size = -(-len(sentences) // (int(tokens // 512) + 1))
    return [Block(tuple(sentences[at : at + size])) for at in range(0, len(sentences), size)]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("parquet", type=Path, help="a Parquet file with a column `text`")
    parser.add_argument("--documents", type=int, default=None, help="take only the first so many")
    arguments = parser.parse_args()
    texts = pq.read_table(arguments.parquet, columns=["text"])["text"].to_pylist()[: arguments.documents]
    documents = [[s.strip() for s in sentencex.segment("en", text) if s.strip()] for text in texts]
    work = [
        (block, documents[number - 1])
        for number, sentences in enumerate(documents)
        for block in blocks_of(sentences)
        if len(block.text.split()) >= 20
    ]
    mean = 0.0
    for name, task in TASKS.items():
        fresh = [(Block(block.sentences), other) for block, other in work]  # nothing cached by another task
        drops: Counter[str] = Counter()
        rng = random.Random(42)
        start = perf_counter()
        for block, other in fresh:
            made = task.make(block, other, rng)
            if isinstance(made, Drop):
                drops[made.reason] += 1
        cost = (perf_counter() - start) / len(fresh) * 1e6
        mean += cost / len(TASKS)
        print(f"{name:12} {cost:7.1f} us/block   dropped {dict(drops)}")
    print(f"{'mean':12} {mean:7.1f} us/block   over {len(work)} blocks")


if __name__ == "__main__":
    main()
