"""How `l2t` prints: results on standard output, progress and errors on standard error."""

import json
import sys
from typing import Any

from rich.console import Console
from rich.markup import escape

out = Console(highlight=False)
err = Console(stderr=True, highlight=False, soft_wrap=True)


def answer(as_json: bool, value: Any, *parts: Any) -> None:
    """Print a result: `value` as JSON for a program, or `parts` (text and tables) for a person."""
    if as_json:
        sys.stdout.write(json.dumps(value, indent=2, ensure_ascii=False) + "\n")
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
