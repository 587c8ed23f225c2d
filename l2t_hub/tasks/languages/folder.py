"""Read the data files of a language from its folder, of this package or of a user, and check them.

docs/languages.md describes the files. Only `language.yaml` is required; tasks that need a missing file are left out.
"""

import hashlib
import lzma
import re
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any, Final

import yaml
from pydantic import Field, ValidationError, model_validator

from l2t_hub.errors import UsageError, nearest
from l2t_hub.recipe.section import Section
from l2t_hub.records.requirement import requirement

KINDS: Final = ("char_count", "content_words", "stop_words", "digits", "punctuation")
"""What a question asks for: `char_count` is of the task with this name, the others are of `token_type`."""

FILES: Final = (
    "language.yaml",
    "stop_words.txt",
    "dictionary.txt.xz",
    "dictionary.txt",
    "letters.txt",
    "instructions.yaml",
)
"""The data files of a language."""

FORMS: Final = ("[{}] ", "({}) ", "{}. ", "{}: ")
"""The forms in which labels show the terms of a series."""

_SAFE_LOADER: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

MAX_BYTES: Final = 1 << 26
"""Size up to which a data file is read, unpacked."""

Pairs = tuple[tuple[str, str], ...]


class LanguageFile(Section):
    """The keys of `language.yaml`. The defaults serve a language without a folder: they have no words."""

    name: str = Field(min_length=1)
    """Name of the language in English."""
    aliases: tuple[str, ...] = ()
    """Other codes of the language that a column of a source may hold, such as ISO 639-3."""
    spaces: bool = True
    """Whether the script puts spaces between words. If not, ICU finds the words."""
    punctuation: str = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~"
    """Characters that `token_type` counts as punctuation."""
    anchors: tuple[str, ...] = Field(default=("A:", "(A)", "A)", "A.", ""), min_length=1)
    """Anchors between prompt and completion; an empty one writes none."""
    question: str = "? "
    """Label of the question of `last`, with the space after it."""
    question_mark: str = "?"
    """Mark at the end of that question."""
    options: str = ":"
    """Title of the options of `last`."""
    part_series: Pairs = (("1", "3"), ("a", "c"), ("A", "C"), ("i", "iii"), ("I", "III"))
    """Terms that label the first and the third part of `fill_middle`, each pair in the four forms `[1]`, `(1)`, `1.`,
    `1:`."""
    part_labels: Pairs = ()
    """More labels of these parts, as they stand."""
    option_series: Pairs = (("1", "2"), ("a", "b"), ("A", "B"), ("i", "ii"))
    """Terms that label the two options of `last`, in the same forms."""
    option_labels: Pairs = ()
    """More labels of the options."""
    passage: str = ""
    """A text that `l2t tasks NAME --language CODE` shows a task on."""
    other: str = ""
    """A text that it takes other sentences from."""

    @model_validator(mode="before")
    @classmethod
    def _tuples(cls, tree: Any) -> Any:
        """YAML has lists where the fields are tuples."""
        return {key: _tuple(value) for key, value in tree.items()} if isinstance(tree, dict) else tree

    @model_validator(mode="after")
    def _labels_are_there(self) -> "LanguageFile":
        for part, option in ((self.part_series, self.part_labels), (self.option_series, self.option_labels)):
            if not part and not option:
                raise ValueError(
                    "a language needs labels: `part_series` or `part_labels`, and the same of options"
                )
        return self


def _tuple(value: Any) -> Any:
    return tuple(map(_tuple, value)) if isinstance(value, list) else value


def user_folder(path: str) -> Traversable:
    """Return the folder of a user's language. Raises UsageError if there is none."""
    if not Path(path).is_dir():
        raise UsageError(
            f"there is no folder {path} with a language",
            f"Name a code such as de, or a folder with language.yaml. Relative paths are relative to {Path.cwd()}.",
        )
    return Path(path)


def package_folder(code: str) -> Traversable | None:
    """Return the folder of one of the package's languages, None if there is none."""
    return files("l2t_hub.tasks.languages").joinpath(code) if code in package_codes() else None


@cache
def package_codes() -> tuple[str, ...]:
    """Return the codes of the languages that the package has data of."""
    folders = files("l2t_hub.tasks.languages").iterdir()
    return tuple(sorted(folder.name for folder in folders if folder.joinpath("language.yaml").is_file()))


def folder_digest(path: str) -> str:
    """Return the SHA-256 (64 hex digits) of the data files of a user's language."""
    digest = hashlib.sha256()
    for name in FILES:
        file = user_folder(path).joinpath(name)
        digest.update(name.encode() + b"\0" + (file.read_bytes() if file.is_file() else b"\0missing"))
    return digest.hexdigest()


def read_about(folder: Traversable) -> LanguageFile:
    """Read `language.yaml`. Raises UsageError that names the file and what is wrong."""
    path = folder.joinpath("language.yaml")
    tree = _yaml(path)
    if tree is None:
        raise UsageError(f"{path} is missing", "A language needs at least this file (docs/languages.md).")
    try:
        return LanguageFile.model_validate(tree)
    except ValidationError as error:
        problem = error.errors()[0]
        key = ".".join(str(part) for part in problem["loc"])
        if problem["type"] == "extra_forbidden":
            said = f"unknown key `{key}`. {nearest(key, LanguageFile.model_fields)}"
        elif problem["type"] == "missing":
            said = f"`{key}` is required"
        elif problem["type"] == "value_error":
            said = str(problem["ctx"]["error"])
        else:
            said = f"`{key}` must be {requirement(problem)}"
        raise UsageError(f"{path}: {said}") from None


def read_stop_words(folder: Traversable) -> frozenset[str]:
    """Read `stop_words.txt`: words in lower case, separated by whitespace; a line that starts with # is a comment."""
    lines = (_text(folder.joinpath("stop_words.txt")) or "").splitlines()
    return frozenset(word for line in lines if not line.startswith("#") for word in line.split())


def read_dictionary(folder: Traversable) -> tuple[str, ...]:
    """Read `dictionary.txt.xz` or `dictionary.txt`: a word a line; a number after it says how often it counts."""
    text = _text(folder.joinpath("dictionary.txt.xz")) or _text(folder.joinpath("dictionary.txt")) or ""
    words: list[str] = []
    for number, line in enumerate(text.splitlines(), 1):
        match = re.fullmatch(r"(\S+)(?: ([1-9]\d{0,3}))?", line.strip())
        if match:
            words += [match[1]] * int(match[2] or 1)
        elif line.strip():
            raise UsageError(
                f"{folder}: line {number} of the dictionary is not a word: {line[:60]!r}",
                "A line is one word without spaces, or a word and how often it counts.",
            )
    lower = {word.casefold() for word in words if not word[0].isupper()}
    if words and len(lower) < 2:
        raise UsageError(f"{folder}: the dictionary needs at least two words in lower case")
    return tuple(words)


def read_letters(folder: Traversable) -> tuple[str, ...]:
    """Read `letters.txt`: a line for each group of lower-case letters, of which one may be mistyped for another."""
    groups = tuple((_text(folder.joinpath("letters.txt")) or "").split())
    for group in groups:
        if len(set(group)) < 3 or len(set(group)) < len(group) or group.lower() != group:
            raise UsageError(
                f"{folder.joinpath('letters.txt')}: {group[:40]!r} is not a group of three or more different "
                "lower-case letters"
            )
    return groups


def read_instructions(folder: Traversable) -> dict[str, tuple[str, ...]]:
    """Read `instructions.yaml`: for each of `KINDS` the wordings of a question."""
    path = folder.joinpath("instructions.yaml")
    tree = _yaml(path)
    if tree is None:
        return {}
    for kind in KINDS:
        wordings = tree.get(kind)
        if (
            not isinstance(wordings, list)
            or not wordings
            or not all(isinstance(w, str) and w for w in wordings)
        ):
            raise UsageError(
                f"{path}: `{kind}` must be a list of questions", f"It needs: {', '.join(KINDS)}."
            )
    unknown = sorted(set(map(str, tree)) - set(KINDS))
    if unknown:
        raise UsageError(f"{path}: unknown kind `{unknown[0]}`. {nearest(unknown[0], KINDS)}")
    return {kind: tuple(tree[kind]) for kind in KINDS}


def _yaml(path: Traversable) -> dict[str, Any] | None:
    text = _text(path)
    if text is None:
        return None
    try:
        tree = yaml.load(text, _SAFE_LOADER)
    except yaml.YAMLError as error:
        raise UsageError(f"{path} is not valid YAML: {' '.join(str(error).split())}") from None
    if not isinstance(tree, dict):
        raise UsageError(f"{path} must be a mapping of keys to values")
    return tree


def _text(path: Traversable) -> str | None:
    """Return the content of a data file without a byte order mark, None if there is no such file."""
    if not path.is_file():
        return None
    data = path.read_bytes()
    try:
        if path.name.endswith(".xz"):
            unpacked = lzma.LZMADecompressor()
            data = unpacked.decompress(data, MAX_BYTES)
            if not unpacked.eof:
                raise lzma.LZMAError(f"it is cut off, or has more than {MAX_BYTES:,} bytes")
        return data.decode("utf-8-sig")
    except lzma.LZMAError as error:
        raise UsageError(f"{path} is damaged: {error}") from None
    except UnicodeDecodeError as error:
        raise UsageError(f"{path}: byte {error.start} is not UTF-8") from None
