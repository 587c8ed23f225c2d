"""What the tasks know of a language: its words, letters, labels and questions, from a folder of data files.

The package has a folder for each code of `package_codes()`; a recipe may name a folder of its user. A language
without a folder has no such data: the tasks that need some are left out. docs/languages.md describes the files.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import PurePath
from string import ascii_lowercase
from typing import Final, Literal, get_args
from unicodedata import category

from l2t_hub.errors import UsageError, nearest
from l2t_hub.tasks.languages import folder as data
from l2t_hub.tasks.languages.folder import FORMS, KINDS, LanguageFile, Pairs, package_codes
from l2t_hub.tasks.languages.segmenter import parts

__all__ = ["DATA", "KINDS", "Data", "Language", "language", "package_codes"]

Data = Literal["spaces", "stop words", "dictionary words", "letters", "questions"]
"""What a task may need of a language."""

DATA: Final[tuple[Data, ...]] = get_args(Data)

UNSPACED: Final = frozenset(("bo", "dz", "ii", "ja", "jv-Java", "km", "lo", "my", "th", "yue", "zh"))
"""Codes of languages whose scripts put no spaces between words, for those without a folder."""

_CODE: Final = re.compile(r"[a-z]{2,3}")


@dataclass(frozen=True, eq=False)
class Language:
    """The data of a language, in one object per language.

    `code` is its ISO 639 code, `name` its English name, `source` the code or path that a recipe gives it.
    `stop_words` are in lower case. A word that counts twice is in `dictionary` twice; a word in upper case takes only
    the place of one in upper case. A character of a group of `letters` is mistyped as another of its group.
    `instructions` holds the wordings of a question by its kind. What has no data is empty.
    """

    code: str
    source: str
    about: LanguageFile = field(repr=False)
    stop_words: frozenset[str] = field(default=frozenset(), repr=False)
    dictionary: tuple[str, ...] = field(default=(), repr=False)
    letters: tuple[str, ...] = field(default=(), repr=False)
    instructions: Mapping[str, tuple[str, ...]] = field(default_factory=dict, repr=False)

    def __reduce__(self) -> tuple[Callable[[str], "Language"], tuple[str]]:
        """Pickle the name alone, so that a pickled block does not carry a dictionary."""
        return language, (self.source,)

    @property
    def name(self) -> str:
        """The English name."""
        return self.about.name

    @cached_property
    def spaced(self) -> bool:
        """Whether words are separated by spaces; if not, ICU finds them."""
        return self.about.spaces

    @cached_property
    def joiner(self) -> str:
        """What separates sentences, and an anchor from its completion."""
        return " " if self.spaced else ""

    @cached_property
    def data(self) -> frozenset[Data]:
        """What there is to know of the language."""
        known: dict[Data, object] = {
            "spaces": self.spaced,
            "stop words": self.stop_words,
            "dictionary words": self.dictionary,
            "letters": self.letters,
            "questions": self.instructions,
        }
        return frozenset(what for what, value in known.items() if value)

    @cached_property
    def lower_dictionary(self) -> tuple[str, ...]:
        """The dictionary words that may take the place of a word in lower case."""
        lower = tuple(word for word in self.dictionary if not word[0].isupper())
        return self.dictionary if len(lower) == len(self.dictionary) else lower

    @cached_property
    def punctuation(self) -> frozenset[str]:
        """The characters that count as punctuation."""
        return frozenset(self.about.punctuation)

    @cached_property
    def part_labels(self) -> Pairs:
        """Pairs of labels for the first and third part of a text whose second part is missing (`fill_middle`)."""
        return (*_in_all_forms(self.about.part_series), *self.about.part_labels)

    @cached_property
    def option_labels(self) -> Pairs:
        """Pairs of labels for two options (`last`)."""
        return (*_in_all_forms(self.about.option_series), *self.about.option_labels)

    @cached_property
    def has_marks(self) -> bool:
        """Whether combining marks, such as the vowel signs of Hindi, are letters of the language."""
        return any(category(group[0])[0] == "M" for group in self.letters)

    def parts(self, text: str) -> list[str]:
        """Return a text in parts: words at odd indices, the whitespace between them (or nothing) at even ones."""
        return re.split(r"(\S+)", text) if self.spaced else parts(text, self.code)

    def is_content_word(self, word: str) -> bool:
        """Whether a word is wholly alphanumeric, or letters with marks, and no stop word."""
        plain = word.isalnum() or (self.has_marks and _is_letters_with_marks(word))
        return plain and word.lower() not in self.stop_words

    @cached_property
    def mistyped(self) -> "Mistyped":
        """What a character may be mistyped as."""
        return Mistyped(self.letters)


class Mistyped(dict[str, str]):
    """The letters that a character may be mistyped as, by character: those of its own group and case but itself.

    Latin letters are a group of every language. A character of no group, such as a digit, may be mistyped as any
    letter of the language's first group, in its case. `letters` has the group of each letter.
    """

    def __init__(self, groups: Sequence[str]) -> None:
        super().__init__()
        self.letters: dict[str, str] = {}
        for lower in (*groups, ascii_lowercase):
            for group in (lower, _upper(lower)):
                self.letters = dict.fromkeys(group, group) | self.letters
        self._lower = groups[0] if groups else ascii_lowercase
        self._upper = _upper(self._lower) or self._lower

    def __missing__(self, char: str) -> str:
        """Find the letters for a new character; they are kept only for letters, so that memory is bounded."""
        if char not in self.letters:
            return self._upper if char.isupper() else self._lower
        self[char] = self.letters[char].replace(char, "")
        return self[char]


def _upper(letters: str) -> str:
    """Return the letters in upper case, without those that have none or become several, such as `ß`."""
    return "".join(char.upper() for char in letters if len(char.upper()) == 1 and char.upper() != char)


def _in_all_forms(series: Pairs) -> Pairs:
    return tuple((form.format(first), form.format(second)) for first, second in series for form in FORMS)


def _is_letters_with_marks(word: str) -> bool:
    marks = sum(category(char)[0] == "M" for char in word)
    return len(word) > marks and marks + sum(map(str.isalnum, word)) == len(word)


def language(name: str = "en") -> Language:
    """Return the language with a code, an alias such as `deu`, or a path (with a slash) of a folder; read once.

    Raises UsageError for what is no code, and for data files with errors.
    """
    return _read(name if name in package_codes() else _aliases().get(name, name))


@cache
def _read(source: str) -> Language:
    is_path = "/" in source or "\\" in source
    code = PurePath(source).name if is_path else source
    if not _CODE.fullmatch(code):
        what = f"the folder of a language ({source})" if is_path else "a language"
        raise UsageError(
            f"{what} must be named by its code of two or three lower-case letters (ISO 639), not '{code}'. "
            f"{nearest(code, package_codes())}",
            f"The package has data for {', '.join(package_codes())}. For another language, see docs/languages.md.",
        )
    folder = data.user_folder(source) if is_path else data.package_folder(code)
    if folder is None:
        return Language(code, source, LanguageFile(name=f"language {code}", spaces=code not in UNSPACED))
    return Language(
        code,
        source,
        data.read_about(folder),
        data.read_stop_words(folder),
        data.read_dictionary(folder),
        data.read_letters(folder),
        data.read_instructions(folder),
    )


@cache
def _aliases() -> dict[str, str]:
    """Return the codes of the package's languages by their aliases."""
    about: dict[str, Sequence[str]] = {}
    for code in package_codes():
        folder = data.package_folder(code)
        about[code] = data.read_about(folder).aliases if folder is not None else ()
    return {alias: code for code, aliases in about.items() for alias in aliases}
