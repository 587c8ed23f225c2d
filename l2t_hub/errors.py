"""Errors shown to the user: a message that says what is wrong and where, and a hint that says what to do.

Every deliberate error is a `UserError`. `l2t` prints it without a traceback and exits with its `exit_code`. Work that
was stopped raises `Interrupted`.
"""

from collections.abc import Iterable
from difflib import get_close_matches

from l2t_hub.text import visible


class UserError(Exception):
    """An error the user can fix, such as a missing file, a full disk or a broken row. `l2t` exits with 1.

    Control characters in it are made visible: messages quote names and text that others wrote.
    """

    exit_code = 1

    def __init__(self, message: str, hint: str | None = None) -> None:
        self.message = visible(message)
        self.hint = visible(hint) if hint else hint
        super().__init__(self.message)

    def __str__(self) -> str:
        return f"{self.message}\n{self.hint}" if self.hint else self.message

    def __reduce__(self) -> tuple[type["UserError"], tuple[str, str | None]]:
        """Pickle both fields: build workers raise these across a process boundary."""
        return type(self), (self.message, self.hint)


class UsageError(UserError):
    """An invalid recipe or argument, found before any work starts. `l2t` exits with 2."""

    exit_code = 2


class Interrupted(KeyboardInterrupt):
    """Ctrl-C or a signal stopped the work: `message` says what is kept, `hint` how to go on.

    It is no UserError: who catches errors to continue with the next item does not want to catch this.
    """

    def __init__(self, message: str, hint: str) -> None:
        self.message, self.hint = visible(message), visible(hint)
        super().__init__(self.message, self.hint)

    def __str__(self) -> str:
        return f"{self.message}\n{self.hint}"


def nearest(name: str, names: Iterable[str]) -> str:
    """Return a sentence that suggests the closest of `names`, or lists them all if none is close.

    >>> nearest("slrm", ["local", "slurm"])
    "Did you mean 'slurm'?"
    >>> nearest("x", ["local", "slurm"])
    'Known: local, slurm.'
    """
    known = [str(n) for n in names]
    close = get_close_matches(name, known, n=1, cutoff=0.6)
    if close:
        return f"Did you mean '{close[0]}'?"
    return f"Known: {', '.join(known)}." if known else "None are available."
