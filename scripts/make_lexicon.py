"""Make the English dictionary words of the `random` task from a WordNet 3.0 database.

    apt-get install wordnet-base
    python scripts/make_lexicon.py            # writes l2t_hub/tasks/languages/en/dictionary.txt.xz
    python scripts/make_lexicon.py --check    # compares it with the database; exit code 1 if it differs

The words are the first lemma of each noun, verb and adjective synset, in lower case, except those with an underscore
(they stand for several words). A line is a word and, if it has several, the number of its synsets. Lines are sorted
by code point. wndb(5WN) documents the format of the database.
"""

import argparse
import lzma
import re
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

DATABASE = Path("/usr/share/wordnet")
DICTIONARY = (
    Path(__file__).resolve().parents[1] / "l2t_hub" / "tasks" / "languages" / "en" / "dictionary.txt.xz"
)
FILES = ("data.noun", "data.verb", "data.adj")


def first_lemmas(path: Path) -> Iterator[str]:
    """Yield the first lemma of each synset of a database file, without the position mark `(p)` of adjectives."""
    for line in path.read_text("ascii").splitlines():
        if not line.startswith(" "):  # the licence is indented
            yield re.sub(r"\((?:a|p|ip)\)$", "", line.split(" ", 5)[4])


def synset_counts(database: Path) -> Counter[str]:
    """Return how many synsets each word is the first lemma of."""
    lemmas = (lemma for name in FILES for lemma in first_lemmas(database / name))
    return Counter(lemma.lower() for lemma in lemmas if "_" not in lemma)


def lines_of(counts: Counter[str]) -> str:
    """Return the content of the file."""
    return "".join(f"{word} {n}\n" if n > 1 else f"{word}\n" for word, n in sorted(counts.items()))


def main() -> int:
    """Write the words, or compare them with the database."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--wordnet", type=Path, default=DATABASE, help=f"directory of the database (default: {DATABASE})"
    )
    parser.add_argument(
        "--check", action="store_true", help="compare the words with the database and write nothing"
    )
    arguments = parser.parse_args()
    missing = [name for name in FILES if not (arguments.wordnet / name).is_file()]
    if missing:
        print(
            f"{arguments.wordnet} has no {', '.join(missing)}. Run apt-get install wordnet-base, or set --wordnet."
        )
        return 1
    counts = synset_counts(arguments.wordnet)
    text = lines_of(counts)
    if arguments.check:
        same = lzma.decompress(DICTIONARY.read_bytes()).decode("ascii") == text
        print(f"{DICTIONARY} {'agrees' if same else 'DIFFERS'} with {arguments.wordnet}")
        return 0 if same else 1
    # An xz stream has no time stamp and no file name, so its bytes depend on the words alone.
    DICTIONARY.write_bytes(
        lzma.compress(text.encode("ascii"), check=lzma.CHECK_CRC32, preset=9 | lzma.PRESET_EXTREME)
    )
    size = DICTIONARY.stat().st_size
    print(f"{DICTIONARY}: {len(counts):,} words, {counts.total():,} synsets, {size:,} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
