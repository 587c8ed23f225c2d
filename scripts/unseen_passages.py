"""Write passages of books that a model was not trained on, for the suite tasks: --text, or HELD_OUT of make evidence.

    python scripts/unseen_passages.py TRAINED.parquet OTHERS.parquet OUT.parquet [COUNT]

All files have the columns id, title, author and text. A book is known by its title.
"""

import random
import sys

import pyarrow.compute as pc
import pyarrow.parquet as pq


def main(trained: str, others: str, out: str, count: str = "200") -> None:
    """Draw `count` passages, always the same ones, from the books in `others` that are not in `trained`."""
    seen = pq.read_table(trained, columns=["title"]).column("title").unique()
    table = pq.read_table(others)
    places = pc.indices_nonzero(pc.invert(pc.is_in(table.column("title"), seen))).to_pylist()
    chosen = sorted(random.Random(0).sample(places, min(int(count), len(places))))
    pq.write_table(table.take(chosen), out)
    print(f"{out}: {len(chosen)} of {len(places):,} passages of unseen books")


if __name__ == "__main__":
    if not 4 <= len(sys.argv) <= 5:
        sys.exit(__doc__)
    main(*sys.argv[1:])
