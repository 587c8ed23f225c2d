"""The consoles that the toolkit prints to: whatever they print is text, never a command to the terminal."""

from collections.abc import Iterable
from typing import Any

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

from l2t_hub.text import visible


class SafeConsole(Console):
    """A console that shows escape, control and direction characters of what it prints instead of sending them."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Render as rich does. Segments that rich itself made to control the terminal stay as they are."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else Segment(visible(segment.text), segment.style)


def error_console(**settings: Any) -> SafeConsole:
    """Return a console on standard error, for progress and errors."""
    return SafeConsole(stderr=True, highlight=False, **settings)
