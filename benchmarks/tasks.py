"""Measure what each task costs: microseconds per 512-token block of real text, on one core.

    python benchmarks/tasks.py ../shared/data [--sentences blingfire]

Every block of `gutenberg/sample-1m.parquet`, cut by the tokens of `tokenizer-32k`, goes through every task. Cutting
the blocks and making a generator are not counted, splitting a block into words is.
"""

import argparse
import random
from collections import Counter
from pathlib import Path
from time import perf_counter

import pyarrow.parquet as pq
from tokenizers import Tokenizer

from l2t_hub.corpus.blocks import blocks
from l2t_hub.corpus.sentences import LIBRARIES, splitter
from l2t_hub.tasks import TASKS, Block, Drop, Task, language


def measure(task: Task, documents: list[list[str]], tokens: list[int]) -> tuple[float, int, Counter[str]]:
    """Return seconds in all, the number of blocks, and the drops by reason."""
    work = [
        (
            Block(block.sentences),
            documents[number - 1],
        )  # a new block, without the words that the cutting cached
        for number, sentences in enumerate(documents)
        for _, block in blocks(sentences, tokens[number], 512, 20, language(), task.blocks_per_unit)[0]
    ]
    drops: Counter[str] = Counter()
    rng = random.Random(42)
    start = perf_counter()
    for block, other in work:
        result = task.make(block, other, rng)
        if isinstance(result, Drop):
            drops[result.reason] += 1
    return perf_counter() - start, len(work), drops


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path, help="the folder with gutenberg/ and tokenizer-32k/")
    parser.add_argument("--sentences", choices=LIBRARIES, default=LIBRARIES[0], help="the sentence splitter")
    arguments = parser.parse_args()
    table = pq.read_table(arguments.data / "gutenberg" / "sample-1m.parquet", columns=["text"])
    texts = table["text"].to_pylist()
    tokenizer = Tokenizer.from_file(str(arguments.data / "tokenizer-32k" / "tokenizer.json"))
    tokens = [len(encoding.ids) for encoding in tokenizer.encode_batch(texts, add_special_tokens=False)]
    documents = list(map(splitter(arguments.sentences), texts))
    costs = []
    for task in TASKS.values():
        seconds, n_blocks, drops = measure(task, documents, tokens)
        costs.append(seconds / n_blocks * 1e6)
        print(f"{task.name:12} {costs[-1]:7.1f} us/block  {n_blocks:5} blocks  dropped {dict(drops)}")
    print(f"{'mean':12} {sum(costs) / len(costs):7.1f} us/block")


if __name__ == "__main__":
    main()
