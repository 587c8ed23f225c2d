"""How `l2t` prints: results on standard output, progress and errors on standard error."""

import json
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from rich.text import Text

from l2t_hub.console import SafeConsole, as_typed, error_console
from l2t_hub.interruption import is_main_process

if TYPE_CHECKING:
    from l2t_hub.recipe import Recipe

out = SafeConsole()
err = error_console(soft_wrap=True)


def answer(as_json: bool, value: Any, *parts: Any) -> None:
    """Print a result: `value` as JSON for a program, or `parts` (text and tables) for a person.

    Of the processes that `torchrun` started, the first prints it.
    """
    if not is_main_process():
        return
    if as_json:
        # In ASCII, so that no character of a stranger's record reaches a terminal as it is.
        sys.stdout.write(json.dumps(value, indent=2) + "\n")
        return
    for part in parts:
        out.print(part, soft_wrap=isinstance(part, str))


def progress(line: str) -> None:
    """Print a line about work under way."""
    err.print(line)


def note(recipes: "Iterable[Recipe]") -> None:
    """Print what the user should know of how the layers of recipes were combined, each sentence once."""
    for line in dict.fromkeys(line for recipe in recipes for line in recipe.notes):
        progress(f"note: {line}")


def fail(message: str, hint: str | None) -> None:
    """Print an error and, on the next line, what to do about it."""
    err.print(Text("error:", style="bold red"), as_typed(message))
    if hint:
        err.print(hint)
