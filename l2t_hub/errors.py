"""The errors a user sees: one sentence that says where and what, and a hint that says what to do.

Everything raised on purpose is a `UserError`; `l2t` prints it without a traceback and exits with its `exit_code`.
"""

from collections.abc import Iterable
from difflib import get_close_matches


class UserError(Exception):
    """Something the user can mend: a missing file, a full disk, a broken row. `l2t` exits with 1."""

    exit_code = 1

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\n{self.hint}" if self.hint else self.message

    def __reduce__(self) -> tuple[type["UserError"], tuple[str, str | None]]:
        """Pickle both fields: build workers raise these across a process boundary."""
        return type(self), (self.message, self.hint)


class UsageError(UserError):
    """A wrong recipe or argument, found before any work was done. `l2t` exits with 2."""

    exit_code = 2


def nearest(name: str, names: Iterable[str]) -> str:
    """Say which of `names` was probably meant: "did you mean 'typo'?", else the whole list."""
    known = [str(n) for n in names]
    close = get_close_matches(name, known, n=1, cutoff=0.6)
    if close:
        return f"did you mean '{close[0]}'?"
    return f"known: {', '.join(known)}" if known else "none are known"
