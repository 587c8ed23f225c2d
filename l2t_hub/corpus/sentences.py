"""Splitting a text into sentences, by the library a recipe names: sentencex (default) or BlingFire (the paper's)."""

from collections.abc import Callable

from l2t_hub.errors import UsageError, nearest
from l2t_hub.extras import require

Splitter = Callable[[str], list[str]]

LIBRARIES = ("sentencex", "blingfire")


def splitter(name: str) -> Splitter:
    """Give a function from text to its sentences, in order, without surrounding whitespace and blank ones.

    Raises UserError if the library is not installed, UsageError for a name that is none of LIBRARIES.
    """
    if name == "sentencex":
        return _sentencex
    if name != "blingfire":
        raise UsageError(f"no sentence splitter '{name}'. {nearest(name, LIBRARIES)}")
    require("blingfire", "blocks.sentences: blingfire")
    return _blingfire


def _sentencex(text: str) -> list[str]:
    """English rules; a paragraph break always ends a sentence."""
    import sentencex

    return [sentence for part in sentencex.segment("en", text) if (sentence := part.strip())]


def _blingfire(text: str) -> list[str]:
    """BlingFire's default model. It turns line breaks inside a sentence, and control characters, into spaces.

    It answers nothing for some texts (control characters only); such a text is one sentence.
    """
    import blingfire

    sentences = [
        sentence for part in blingfire.text_to_sentences(text).split("\n") if (sentence := part.strip())
    ]
    return sentences or [text.strip()]
