"""The languages of a source: which one a document is in, its sentences, and the tasks that a language leaves out.

A source of one language needs no look at its documents. For several, a column says each document's language, or else
a detector does (py3langid, from the first DETECTED characters, among the languages of the recipe only).
"""

from collections.abc import Callable, Mapping, Sequence

from l2t_hub.corpus.document import Document
from l2t_hub.corpus.sentences import Splitter, splitter
from l2t_hub.errors import UsageError
from l2t_hub.extras import require
from l2t_hub.recipe import Recipe
from l2t_hub.records.dataset_manifest import LanguageFacts
from l2t_hub.tasks.base import Task
from l2t_hub.tasks.languages import Language, language
from l2t_hub.tasks.languages.segmenter import EXTRA
from l2t_hub.tasks.registry import available, left_out

DETECTED = 2000
"""Number of characters of a document by which its language is detected."""

Detect = Callable[[str], str]


class SourceLanguages:
    """Tells the language of a document and splits its text. Each process makes its own."""

    def __init__(self, splitters: Mapping[Language, Splitter], detect: Detect | None = None) -> None:
        self.languages = tuple(splitters)
        self._splitters, self._detect = splitters, detect
        self._by_code = {of.code: of for of in splitters}
        self._only = self.languages[0] if len(self.languages) == 1 else None

    def of(self, document: Document) -> Language:
        """Return the language of a document."""
        if self._only is not None:
            return self._only
        if document.language or self._detect is None:
            return self._by_code[document.language]
        return self._by_code[self._detect(document.text[:DETECTED])]

    def sentences(self, text: str, of: Language) -> list[str]:
        """Split a text of a language into sentences."""
        return self._splitters[of](text)


def languages_of(recipe: Recipe) -> tuple[Language, ...]:
    """Return the languages of a recipe's source. Raises UsageError that names the key for one that cannot be used."""
    where = recipe.where("source.language")
    try:
        languages = tuple(map(language, recipe.source.languages))
    except UsageError as error:
        raise UsageError(f"{where}: {error.message}", error.hint) from None
    codes = [of.code for of in languages]
    twice = next((code for code in codes if codes.count(code) > 1), None)
    if twice is not None:
        raise UsageError(f"{where}: '{twice}' is listed twice")
    if recipe.blocks.sentences == "blingfire" and codes != ["en"]:
        raise UsageError(
            f"{recipe.where('blocks.sentences')}: BlingFire is the paper's splitter for English; the text is in "
            f"{' and '.join(of.name for of in languages)}",
            "Leave it out: sentencex splits by the rules of many languages.",
        )
    unspaced = [of.name for of in languages if not of.spaced]
    if unspaced:
        require(EXTRA, f"finding words in {' and '.join(unspaced)}")
    return languages


def source_languages(recipe: Recipe) -> SourceLanguages:
    """Return the languages of a recipe's source. Raises what `languages_of` and `splitter` raise."""
    languages = languages_of(recipe)
    splitters = {of: splitter(recipe.blocks.sentences, of.code) for of in languages}
    needs_detector = len(languages) > 1 and recipe.source.language_column is None
    return SourceLanguages(
        splitters, detector([of.code for of in languages], recipe) if needs_detector else None
    )


def detector(codes: Sequence[str], recipe: Recipe) -> Detect:
    """Return a function that detects which of some languages a text is in. Raises UsageError for an unknown one."""
    require(EXTRA, "telling the languages of documents apart")
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    identifier = LanguageIdentifier.from_model_file(MODEL_FILE)
    unknown = [code for code in codes if code not in set(identifier.nb_classes)]
    if unknown:
        raise UsageError(
            f"{recipe.where('source.language')}: the detector does not know {', '.join(unknown)}",
            "Name a column with the language of each document: source.language_column.",
        )
    identifier.set_languages(list(codes))
    return lambda text: str(identifier.classify(text)[0])


def accepted_codes(languages: Sequence[Language]) -> dict[str, str]:
    """Return the code of a language by each way to write it in a column: its code and its aliases."""
    return {name: of.code for of in languages for name in (*of.about.aliases, of.code)}


def check_tasks(recipe: Recipe, tasks: Mapping[str, Task]) -> None:
    """Raise UsageError if the languages of the recipe leave out every task of its mixture, `tasks`."""
    languages = source_languages(recipe).languages
    if recipe.mixture.scheme == "raw" or any(available(tasks, of) for of in languages):
        return
    names = " and ".join(of.name for of in languages)
    lacks = sorted({what for of in languages for whats in left_out(tasks, of).values() for what in whats})
    raise UsageError(
        f"{recipe.where('source.language')}: {', '.join(tasks)} cannot be made from text in {names}: no "
        f"{', '.join(lacks)}",
        "Choose other tasks, or give the language its data (docs/languages.md).",
    )


def left_out_lines(recipe: Recipe, tasks: Mapping[str, Task]) -> list[str]:
    """Return a line for each language that leaves out some of `tasks`, the mixture's, with what it lacks for each."""
    lines = []
    for of in languages_of(recipe) if recipe.mixture.scheme != "raw" else ():
        lacking = left_out(tasks, of)
        listed = ", ".join(f"{name} (no {', no '.join(whats)})" for name, whats in lacking.items())
        if lacking:
            lines.append(f"text in {of.name} leaves out {listed}")
    return lines


def language_facts(recipe: Recipe, tasks: Mapping[str, Task]) -> dict[str, LanguageFacts]:
    """Return what the manifest says of the languages of a source, by code."""
    return {of.code: {"name": of.name, "left_out": left_out(tasks, of)} for of in languages_of(recipe)}
