"""How `l2t` prints: results on standard output, progress and errors on standard error."""

import json
import sys
from typing import Any

from rich.markup import escape

from l2t_hub.console import SafeConsole, error_console

out = SafeConsole(highlight=False)
err = error_console(soft_wrap=True)


def answer(as_json: bool, value: Any, *parts: Any) -> None:
    """Print a result: `value` as JSON for a program, or `parts` (text and tables) for a person."""
    if as_json:
        # In ASCII, so that no character of a stranger's record reaches a terminal as it is.
        sys.stdout.write(json.dumps(value, indent=2) + "\n")
        return
    for part in parts:
        out.print(part, markup=False, soft_wrap=isinstance(part, str))


def progress(line: str) -> None:
    """Print a line about work under way."""
    err.print(line, markup=False)


def fail(message: str, hint: str | None) -> None:
    """Print an error and, on the next line, what to do about it."""
    err.print(f"[bold red]error:[/] {escape(message)}")
    if hint:
        err.print(escape(hint))
