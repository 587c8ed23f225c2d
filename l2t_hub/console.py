"""The consoles that the toolkit prints to: whatever they print is text, never a command to the terminal.

Messages name the command `l2t`. It may not be on the PATH under that name, so what is printed to be typed again names
it as the user typed it.
"""

import os
import re
import shlex
import shutil
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.table import Table

from l2t_hub.text import visible

MODULE = "l2t_hub.cli"
# Wide enough for any line: a program that reads a pipe wants it whole.
PIPE_WIDTH = 100_000
VERBS = (
    "build", "card", "demo", "eval", "generate", "hub", "plan", "recipes", "release", "report", "reproduce", "run",
    "space", "tasks", "train", "verify",
)  # fmt: skip
_COMMAND = re.compile(rf"(?<![\w./-])l2t (?=(?:{'|'.join(VERBS)})\b)")


def _typed() -> list[str] | None:
    """Return the words that name this program as it was typed, None in a call from Python."""
    typed = sys.orig_argv
    if MODULE in typed and typed[typed.index(MODULE) - 1] == "-m":
        return typed[: typed.index(MODULE) + 1]
    script = Path(sys.argv[0])
    if script.name != "l2t" or not script.is_file():
        return None
    found = shutil.which("l2t")
    return ["l2t"] if found is not None and script.samefile(found) else [sys.argv[0]]


def program() -> str:
    """Return the command as it was typed, for a shell: `l2t`, a path to it, or `python -m l2t_hub.cli`."""
    return shlex.join(_typed() or ["l2t"])


def same_command(*, without: str) -> str | None:
    """Return the whole command as it was typed but `without` an option; None in a call from Python."""
    typed = _typed()
    return shlex.join([*typed, *(word for word in sys.argv[1:] if word != without)]) if typed else None


def command(*words: str) -> str:
    """Return a command of this program as a line for a shell, named as it was typed."""
    return f"{program()} {shlex.join(words)}"


def as_typed(text: str) -> str:
    """Return a message in which each `l2t VERB` names the program as it was typed."""
    return _COMMAND.sub(lambda _: f"{program()} ", text)


class SafeConsole(Console):
    """A console that shows what it prints as it is: no markup, no control characters, no lines cut in a pipe.

    Escape, control and direction characters are shown instead of sent. Styles are given by `rich.text.Text`, since
    brackets in a path or a name are not markup.
    """

    def __init__(self, **settings: Any) -> None:
        super().__init__(**{"markup": False, "emoji": False, "highlight": False, **settings})
        if not self.is_terminal and "width" not in settings and "COLUMNS" not in os.environ:
            self.width = PIPE_WIDTH

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Render as rich does. Segments that rich itself made to control the terminal stay as they are."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else Segment(visible(segment.text), segment.style)


class WholeTable(Table):
    """A table that folds a long name onto the next line where rich would cut it off."""

    def add_column(self, *header: Any, **settings: Any) -> None:
        """Add a column as rich does."""
        super().add_column(*header, **{"overflow": "fold", **settings})


class MessageConsole(SafeConsole):
    """A console for messages, which names the program in them as it was typed."""

    def print(self, *objects: Any, **settings: Any) -> None:
        """Print as rich does."""
        super().print(*(as_typed(item) if isinstance(item, str) else item for item in objects), **settings)


def error_console(**settings: Any) -> SafeConsole:
    """Return a console on standard error, for progress and errors."""
    return MessageConsole(stderr=True, **settings)
