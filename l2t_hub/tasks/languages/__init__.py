"""What the tasks know of a language: stop words, dictionary words, letters and the questions that they ask.

A language is a folder of data files, named by its code. `SOURCES.md` in it names their sources and licences.

- `language.yaml`: `name` in English, and `letters`, the lower-case letters that `typo` draws from
- `stop_words.txt`: words in lower case, separated by whitespace; lines that start with `#` are comments
- `dictionary.txt.xz`: the words that `random` draws from, in lower case, one a line. A number after a word says how
  often it counts.
- `instructions.yaml`: for each of `KINDS`, the wordings of the question
"""

import lzma
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any, Final

import yaml

KINDS: Final = ("char_count", "content_words", "stop_words", "digits", "punctuation")
"""What a question asks for: `char_count` is of the task with this name, the others are of `token_type`."""


@dataclass(frozen=True, eq=False)
class Language:
    """The data of a language, in one object per language. `code` is its ISO 639-1 code, `name` its English name.

    `stop_words` and `dictionary` are in lower case; a word that counts twice is in `dictionary` twice. `letters` are
    the lower-case letters that `typo` draws from. `instructions` holds the wordings of a question by its kind.
    """

    code: str
    name: str
    stop_words: frozenset[str] = field(repr=False)
    dictionary: tuple[str, ...] = field(repr=False)
    letters: str = field(repr=False)
    instructions: Mapping[str, tuple[str, ...]] = field(repr=False)

    def __reduce__(self) -> tuple[Callable[[str], "Language"], tuple[str]]:
        """Pickle the code alone, so that a pickled block does not carry a dictionary."""
        return language, (self.code,)


def language(code: str = "en") -> Language:
    """Return the language with a code, read once from package data."""
    return _read(code)


@cache
def _read(code: str) -> Language:
    folder = files(__name__).joinpath(code)
    about = _read_yaml(folder, "language.yaml")
    lines = folder.joinpath("stop_words.txt").read_text("utf-8").splitlines()
    instructions = _read_yaml(folder, "instructions.yaml")
    return Language(
        code=code,
        name=about["name"],
        stop_words=frozenset(word for line in lines if not line.startswith("#") for word in line.split()),
        dictionary=_read_dictionary(folder),
        letters=about["letters"],
        instructions={kind: tuple(instructions[kind]) for kind in KINDS},
    )


def _read_dictionary(folder: Traversable) -> tuple[str, ...]:
    words: list[str] = []
    for line in (
        lzma.decompress(folder.joinpath("dictionary.txt.xz").read_bytes()).decode("utf-8").splitlines()
    ):
        word, _, times = line.partition(" ")
        words += [word] * int(times or 1)
    return tuple(words)


def _read_yaml(folder: Traversable, name: str) -> dict[str, Any]:
    tree: dict[str, Any] = yaml.safe_load(folder.joinpath(name).read_text("utf-8"))
    return tree
