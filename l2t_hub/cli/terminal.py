"""How the `l2t` command prints: answers on standard output, everything said on the way on standard error."""

import json
import sys
from typing import Any

from rich.console import Console

out = Console(highlight=False)
err = Console(stderr=True, highlight=False, soft_wrap=True)


def answer(as_json: bool, value: Any, *shown: Any) -> None:
    """Print an answer: as JSON for a program, else as text and tables for a person."""
    if as_json:
        sys.stdout.write(json.dumps(value, indent=2, ensure_ascii=False) + "\n")
        return
    for part in shown:
        out.print(part, markup=False, soft_wrap=isinstance(part, str))


def tell(line: str) -> None:
    """Say a line on the way, on standard error."""
    err.print(line, markup=False)
