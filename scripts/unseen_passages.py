"""Write passages of books that a model was not trained on, for the suite tasks: --text, or HELD_OUT of make evidence.

    python scripts/unseen_passages.py TRAINED.parquet OTHERS.parquet OUT.parquet --count 200

All files have the columns id, title, author and text. A book is known by its title.
"""

import argparse
import random
from pathlib import Path

import pyarrow.compute as pc
import pyarrow.parquet as pq


def parse() -> argparse.Namespace:
    """Return the arguments."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("trained", type=Path, help="the text that the model was trained on")
    parser.add_argument("others", type=Path, help="the text that passages are drawn from")
    parser.add_argument("out", type=Path)
    parser.add_argument("--count", type=int, default=200)
    return parser.parse_args()


def main(trained: Path, others: Path, out: Path, count: int) -> None:
    """Draw `count` passages, always the same ones, from the books in `others` that are not in `trained`."""
    seen = pq.read_table(trained, columns=["title"]).column("title").unique()
    table = pq.read_table(others)
    places = pc.indices_nonzero(pc.invert(pc.is_in(table.column("title"), seen))).to_pylist()
    chosen = sorted(random.Random(0).sample(places, min(count, len(places))))
    pq.write_table(table.take(chosen), out)
    print(f"{out}: {len(chosen)} of {len(places):,} passages of unseen books")


if __name__ == "__main__":
    main(**vars(parse()))
