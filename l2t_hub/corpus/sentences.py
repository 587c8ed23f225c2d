"""Split text into sentences with the library that the recipe names: sentencex (default) or BlingFire (the paper)."""

from collections.abc import Callable
from functools import partial

from l2t_hub.errors import UsageError, nearest
from l2t_hub.extras import require

Splitter = Callable[[str], list[str]]

LIBRARIES = ("sentencex", "blingfire")


def splitter(name: str, language: str = "en") -> Splitter:
    """Return a function that splits a text into its sentences, stripped, in order and without blank ones.

    `language` is a code of ISO 639. Raises UserError if the library is not installed, UsageError for a name that is
    not in LIBRARIES and for BlingFire in another language than English.
    """
    if name == "sentencex":
        return partial(_sentencex, language)
    if name != "blingfire":
        raise UsageError(f"unknown sentence splitter '{name}'. {nearest(name, LIBRARIES)}")
    if language != "en":
        raise UsageError(
            f"`blocks.sentences: blingfire` is the paper's splitter for English, and the text is in '{language}'",
            "Leave it out: sentencex splits by the rules of many languages.",
        )
    require("blingfire", "blocks.sentences: blingfire")
    return _blingfire


def _sentencex(language: str, text: str) -> list[str]:
    """Split by the rules of a language (or of one that it falls back to, at last English).

    A paragraph break always ends a sentence.
    """
    import sentencex

    return [sentence for part in sentencex.segment(language, text) if (sentence := part.strip())]


def _blingfire(text: str) -> list[str]:
    """Split with BlingFire's default model, which replaces control characters and line breaks in sentences by spaces.

    It returns nothing for a text of control characters only; such a text is one sentence.
    """
    import blingfire

    sentences = [
        sentence for part in blingfire.text_to_sentences(text).split("\n") if (sentence := part.strip())
    ]
    return sentences or [text.strip()]
