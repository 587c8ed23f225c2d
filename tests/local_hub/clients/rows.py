"""Runs rows, which are named checks of the contract with a client, in a child process that talks to a local Hub.

A script decorates its checks with `@row("what it shows")` and ends with `main()`, which runs them in order and prints one
JSON object: row -> "" if it held, else the traceback. A failing row does not stop those after it.
"""

import json
import os
import sys
import traceback
from collections.abc import Callable

ROWS: dict[str, Callable[[], None]] = {}


def row(name: str) -> Callable[[Callable[[], None]], Callable[[], None]]:
    def keep(check: Callable[[], None]) -> Callable[[], None]:
        assert name not in ROWS, name
        ROWS[name] = check
        return check

    return keep


def raises(kind: type[BaseException], call: Callable[[], object]) -> BaseException:
    try:
        call()
    except kind as error:
        return error
    raise AssertionError(f"{kind.__name__} was not raised")


def main() -> None:
    out = sys.stdout
    sys.stdout = sys.stderr
    results = {}
    for name, check in ROWS.items():
        try:
            check()
            results[name] = ""
        except Exception:
            results[name] = traceback.format_exc()
    print(json.dumps(results), file=out, flush=True)
    # Arrow reads Hub files in threads. One that outlives the interpreter's end can abort the process.
    os._exit(0)
