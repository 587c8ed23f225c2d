"""Words of scripts that do not put spaces between them, such as Chinese, Japanese and Thai, by ICU's dictionaries.

A word keeps the punctuation around it, as a run of non-whitespace does: marks that open a bracket or a quotation
belong to the next word, all others to the word before.
"""

import re
from unicodedata import category

EXTRA = "languages"
"""The extra of the package that installs ICU (`extras.py`)."""

_RUNS = re.compile(r"(\S+)")


def parts(text: str, code: str) -> list[str]:
    """Return a text in parts that alternate: words at odd indices, what is between them at even ones.

    What is between two words is whitespace, or empty. The parts together are the text.
    """
    from icu4py.breakers import WordBreaker

    result: list[str] = []
    gap = ""
    for index, run in enumerate(_RUNS.split(text)):
        if index % 2 == 0:
            gap = run
            continue
        for word in _with_punctuation(list(WordBreaker(run, code))):
            result += (gap, word)
            gap = ""
    result.append(gap)
    return result


def _with_punctuation(segments: list[str]) -> list[str]:
    """Join segments without letters and digits to the words that they belong to."""
    words: list[str] = []
    opening = ""
    for segment in segments:
        if segment.isalnum() or any(map(str.isalnum, segment)):
            words.append(opening + segment)
            opening = ""
        elif opening or not words or category(segment[0]) in ("Ps", "Pi"):
            opening += segment
        else:
            words[-1] += segment
    if opening and words:
        words[-1] += opening
    elif opening:
        words.append(opening)
    return words
