"""Word lists for the tasks, read once from package data: English stop words, and dictionary words.

`SOURCES.md` in this directory names their sources and licences.
"""

import lzma
from functools import cache
from importlib.resources import files


@cache
def stop_words() -> frozenset[str]:
    """Return the stop words in lower case, contractions with a straight apostrophe."""
    lines = files(__name__).joinpath("stop_words.txt").read_text("utf-8").splitlines()
    return frozenset(word for line in lines if not line.startswith("#") for word in line.split())


@cache
def dictionary() -> tuple[str, ...]:
    """Return the dictionary words of the `random` task, sorted by code point. They are ASCII, without whitespace.

    They are the first lemmas of WordNet 3.0's noun, verb and adjective synsets (`docs/method.md`).
    """
    compressed = files(__name__).joinpath("dictionary.txt.xz").read_bytes()
    return tuple(lzma.decompress(compressed).decode("ascii").split())
