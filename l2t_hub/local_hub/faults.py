"""Faults on demand, for tests: a table of which request is to fail, and how.

    hub.faults.add("POST", r"/commit/", Answer(503, after=True))          the commit is made, the answer is lost
    hub.faults.add("PUT", r"/lfs/", Cut("during"), nth=3)                 the third upload breaks off
    hub.faults.add("*", r"/preupload/", Answer(429, retry_after=1), times=2)
    hub.faults.add("POST", r"/xorbs/", DiskFull(), times=None)            until cleared

Each row counts the requests that match it; it strikes from the `nth` on, `times` times.
"""

import errno
import os
import re
import threading
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True)
class Answer:
    """Answer with `status` (and Retry-After, seconds) instead of serving; with `after`, once it has been served."""

    status: int
    retry_after: int | None = None
    after: bool = False


@dataclass(frozen=True)
class Cut:
    """Drop the connection: before the request is looked at, in the middle of its body, or once it has been served."""

    when: Literal["before", "during", "after"]


@dataclass(frozen=True)
class DiskFull:
    """Every write of this request fails as on a full disk."""


@dataclass(frozen=True)
class Delay:
    """Wait before serving."""

    seconds: float


Action = Answer | Cut | DiskFull | Delay


@dataclass
class Fault:
    """One row of the table; `seen` counts matching requests, `struck` those it made fail."""

    method: str
    path: re.Pattern[str]
    action: Action
    nth: int
    times: int | None
    seen: int = 0
    struck: int = 0


@dataclass
class FaultTable:
    """The faults in force. Threads may add, clear and read at any time."""

    rows: list[Fault] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, method: str, path: str, action: Action, *, nth: int = 1, times: int | None = 1) -> Fault:
        """Let requests of `method` ('*' for any) whose raw path matches the regular expression `path` fail."""
        row = Fault(method, re.compile(path), action, nth, times)
        with self._lock:
            self.rows.append(row)
        return row

    def clear(self) -> None:
        """No faults any more."""
        with self._lock:
            self.rows.clear()

    def strike(self, method: str, path: str) -> Action | None:
        """What is to happen to this request; counts it."""
        with self._lock:
            chosen = None
            for row in self.rows:
                if row.method not in ("*", method) or not row.path.search(path):
                    continue
                row.seen += 1
                due = row.seen >= row.nth and (row.times is None or row.struck < row.times)
                if due and chosen is None:
                    row.struck += 1
                    chosen = row.action
            return chosen


_disk_is_full: ContextVar[bool] = ContextVar("disk_is_full", default=False)


def fill_the_disk() -> None:
    """From here on this request's writes fail."""
    _disk_is_full.set(True)


def check_disk() -> None:
    """Raise `OSError` (ENOSPC) if this request's disk is full: what the store calls before it writes."""
    if _disk_is_full.get():
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
