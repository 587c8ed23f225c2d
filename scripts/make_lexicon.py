"""Make the dictionary words of the `random` task from a WordNet 3.0 database.

    apt-get install wordnet-base
    python scripts/make_lexicon.py            # writes l2t_hub/tasks/languages/en/dictionary.txt.xz
    python scripts/make_lexicon.py --check    # compares it with the database; exit code 1 if it differs

The words are the first lemma of each noun, verb and adjective synset, except those with an underscore (they stand for
several words), without duplicates and sorted by code point. wndb(5WN) documents the format of the database.
"""

import argparse
import lzma
import re
import sys
from pathlib import Path

DATABASE = Path("/usr/share/wordnet")
POOL = Path(__file__).resolve().parents[1] / "l2t_hub" / "tasks" / "languages" / "en" / "dictionary.txt.xz"
FILES = ("data.noun", "data.verb", "data.adj")


def first_lemmas(path: Path) -> set[str]:
    """Return the first lemma of each synset of a database file, without the position mark `(p)` of adjectives."""
    lines = path.read_text("ascii").splitlines()
    synsets = (line.split(" ", 5) for line in lines if not line.startswith(" "))  # the licence is indented
    return {re.sub(r"\((?:a|p|ip)\)$", "", fields[4]) for fields in synsets}


def word_pool(database: Path) -> list[str]:
    """Return the sorted words."""
    lemmas = set().union(*(first_lemmas(database / name) for name in FILES))
    return sorted(lemma for lemma in lemmas if "_" not in lemma)


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
    text = "\n".join(word_pool(arguments.wordnet)) + "\n"
    if arguments.check:
        same = lzma.decompress(POOL.read_bytes()).decode("ascii") == text
        print(f"{POOL} {'agrees' if same else 'DIFFERS'} with {arguments.wordnet}")
        return 0 if same else 1
    # An xz stream has no time stamp and no file name, so its bytes depend on the words alone.
    POOL.write_bytes(
        lzma.compress(text.encode("ascii"), check=lzma.CHECK_CRC32, preset=9 | lzma.PRESET_EXTREME)
    )
    print(f"{POOL}: {text.count(chr(10))} words, {POOL.stat().st_size} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
