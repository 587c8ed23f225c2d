"""Markers and labels that tasks put into prompts: mask markers, and pairs of labels for parts and for options."""

from typing import Final

MARKERS: Final = ("[MASK]", "___", "@@@", "###", "+++", "<<>>", "(())", "$$$")
"""Markers that replace masked text (`docs/method.md`). None is a single character."""

_FORMS: Final = ("[{}] ", "({}) ", "{}. ", "{}: ")


def _in_all_forms(*pairs: tuple[str, str]) -> tuple[tuple[str, str], ...]:
    return tuple((form.format(first), form.format(second)) for first, second in pairs for form in _FORMS)


PART_LABELS: Final = (
    *_in_all_forms(("1", "3"), ("a", "c"), ("A", "C"), ("i", "iii"), ("I", "III")),
    ("First: ", "Third: "),
    ("Part 1: ", "Part 3: "),
    ("Beginning: ", "End: "),
    ("Before: ", "After: "),
)
"""24 pairs of labels for the first and third part of a text whose second part is missing (`fill_middle`)."""

OPTION_LABELS: Final = (
    *_in_all_forms(("1", "2"), ("a", "b"), ("A", "B"), ("i", "ii")),
    ("Option 1: ", "Option 2: "),
    ("Option A: ", "Option B: "),
)
"""18 pairs of labels for two options (`last`)."""
