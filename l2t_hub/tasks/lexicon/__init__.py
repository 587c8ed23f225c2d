"""The word lists that tasks draw on, as package data read once: English stop words, and a dictionary word pool.

Where they come from and under which licence: `SOURCES.md` beside this file.
"""

import lzma
from functools import cache
from importlib.resources import files


@cache
def stop_words() -> frozenset[str]:
    """Return the stop words, lower-case, contractions with a straight apostrophe."""
    lines = files(__name__).joinpath("stop_words.txt").read_text("utf-8").splitlines()
    return frozenset(word for line in lines if not line.startswith("#") for word in line.split())


@cache
def dictionary() -> tuple[str, ...]:
    """Return the dictionary words of the `random` task, sorted by code point; ASCII, none with whitespace.

    The first lemmas of WordNet 3.0's noun, verb and adjective synsets (method.md section 2).
    """
    packed = files(__name__).joinpath("dictionary.txt.xz").read_bytes()
    return tuple(lzma.decompress(packed).decode("ascii").split())
