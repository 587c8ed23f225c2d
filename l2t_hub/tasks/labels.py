"""Markers that tasks put into prompts in every language."""

from typing import Final

MARKERS: Final = ("[MASK]", "___", "@@@", "###", "+++", "<<>>", "(())", "$$$")
"""Markers that replace masked text (`docs/method.md`). None is a single character."""
