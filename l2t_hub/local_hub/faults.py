"""Faults for tests: a table that says which requests fail and how, and the layer in front of the Hub that applies it.

    hub.faults.add("POST", r"/commit/", Answer(503, after=True))          the commit succeeds, its answer is lost
    hub.faults.add("PUT", r"/lfs/", Cut("during"), nth=3)                 the third upload is cut off
    hub.faults.add("*", r"/preupload/", Answer(429, retry_after=1), times=2)
    hub.faults.add("POST", r"/xorbs/", DiskFull(), times=None)            until the table is cleared

Each row counts the requests that match it and applies to `times` of them, beginning with the `nth`.
"""

import asyncio
import errno
import os
import re
import threading
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Literal

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send


@dataclass(frozen=True)
class Answer:
    """Answer with `status`, and Retry-After in seconds, instead of serving; with `after`, serve first."""

    status: int
    retry_after: int | None = None
    after: bool = False


@dataclass(frozen=True)
class Cut:
    """Drop the connection: before the request is read, in the middle of its body, or after it was served."""

    when: Literal["before", "during", "after"]


@dataclass(frozen=True)
class DiskFull:
    """Let every write of the request fail as on a full disk."""


@dataclass(frozen=True)
class Delay:
    """Wait before serving."""

    seconds: float


Action = Answer | Cut | DiskFull | Delay


@dataclass
class Fault:
    """One row of the table. `seen` counts matching requests, `struck` those it applied to."""

    method: str
    path: re.Pattern[str]
    action: Action
    nth: int
    times: int | None
    seen: int = 0
    struck: int = 0


@dataclass
class FaultTable:
    """The active faults. Threads may add, clear and read at any time."""

    rows: list[Fault] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, method: str, path: str, action: Action, *, nth: int = 1, times: int | None = 1) -> Fault:
        """Apply `action` to requests of `method`, '*' for any, whose raw path matches the regular expression."""
        row = Fault(method, re.compile(path), action, nth, times)
        with self._lock:
            self.rows.append(row)
        return row

    def clear(self) -> None:
        """Remove all faults."""
        with self._lock:
            self.rows.clear()

    def strike(self, method: str, path: str) -> Action | None:
        """Count a request and return the action that applies to it, if any."""
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


def check_disk() -> None:
    """Raise OSError (ENOSPC) if a fault fills the disk for this request. The store calls this before it writes."""
    if _disk_is_full.get():
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


class FaultInjector:
    """Applies the faults of a table to requests; the others pass unchanged."""

    def __init__(self, app: ASGIApp, table: FaultTable) -> None:
        self._app = app
        self._table = table

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request or let it fail."""
        action = None
        if scope["type"] == "http" and self._table.rows:
            action = self._table.strike(scope["method"], scope["raw_path"].decode("ascii", "replace"))
        if isinstance(action, Answer):
            await self._answer(action, scope, receive, send)
        elif isinstance(action, Cut):
            await self._cut(action.when, scope, receive, send)
        else:
            if isinstance(action, DiskFull):
                _disk_is_full.set(True)
            elif isinstance(action, Delay):
                await asyncio.sleep(action.seconds)
            await self._app(scope, receive, send)

    async def _answer(self, action: Answer, scope: Scope, receive: Receive, send: Send) -> None:
        if action.after:
            await self._app(scope, receive, _discard)
        else:
            while (message := await receive())["type"] == "http.request" and message.get("more_body"):
                pass
        headers = {} if action.retry_after is None else {"Retry-After": str(action.retry_after)}
        await JSONResponse({"error": "an injected fault"}, action.status, headers)(scope, receive, send)

    async def _cut(self, when: str, scope: Scope, receive: Receive, send: Send) -> None:
        if when == "during":
            await self._app(scope, _cut_body(receive), _discard)
        elif when == "after":
            await self._app(scope, receive, _discard)
        # ASGI cannot drop a connection; uvicorn's `send` is a method of the object that holds it.
        send.__self__.transport.abort()  # type: ignore[attr-defined]
        while (await receive())["type"] != "http.disconnect":
            pass


async def _discard(message: Message) -> None:
    """A `send` that loses the answer."""


def _cut_body(receive: Receive) -> Receive:
    """Return a `receive` whose body ends in the middle of its first piece."""
    pieces = 0

    async def cut() -> Message:
        nonlocal pieces
        pieces += 1
        if pieces > 1:
            return {"type": "http.disconnect"}
        message = await receive()
        body = message.get("body", b"")
        return {**message, "body": body[: len(body) // 2], "more_body": True}

    return cut
