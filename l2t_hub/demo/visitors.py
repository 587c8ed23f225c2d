"""How much a visitor may ask for in a minute, so that one cannot keep the page from the others."""

import time
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from ipaddress import ip_address
from threading import Lock
from typing import Any

import gradio as gr

from l2t_hub.errors import UserError

WINDOW = 60.0
"""Seconds."""
MAX_KNOWN = 10_000
"""Sessions and addresses remembered at once; the ones not seen for longest are forgotten."""


@dataclass
class Visitors:
    """Counts requests by session and by address. An address may be shared, so it gets `sharing` times as many."""

    per_minute: int = 120
    sharing: int = 4
    clock: Callable[[], float] = time.monotonic
    _seen: OrderedDict[str, deque[float]] = field(default_factory=OrderedDict)
    _lock: Lock = field(default_factory=Lock)

    def admit(self, session: str, address: str) -> None:
        """Count one request. Raises UserError if the visitor has made too many; a refused one does not count."""
        now = self.clock()
        limits = {f"session {session} {address}": self.per_minute}
        limits[f"address {address}"] = self.per_minute * self.sharing
        with self._lock:
            windows = {key: self._window(key, now) for key in limits}
            for key, limit in limits.items():
                if len(windows[key]) >= limit:
                    wait = max(1, round(windows[key][0] + WINDOW - now))
                    raise UserError(
                        f"You have made {limit} requests in a minute, which is the most that this page answers.",
                        f"Try again in {wait} seconds. `l2t demo` on your own machine has no limit.",
                    )
            for window in windows.values():
                window.append(now)

    def _window(self, key: str, now: float) -> deque[float]:
        """Return the times of the visitor's requests within the last minute."""
        window = self._seen.setdefault(key, deque())
        self._seen.move_to_end(key)
        while window and window[0] <= now - WINDOW:
            window.popleft()
        while len(self._seen) > MAX_KNOWN:
            self._seen.popitem(last=False)
        return window


def visitor_of(request: Any) -> tuple[str, str]:
    """Return the session and the address of a Gradio request.

    Behind a proxy, as on a Space, the address is the last public one that the proxies wrote down: what stands before
    it was sent by the visitor, who can write anything there.
    """
    client = getattr(request, "client", None)
    address = str(getattr(client, "host", "") or "")
    forwarded = str(dict(request.headers).get("x-forwarded-for", ""))[-500:]
    public = [part.strip() for part in forwarded.split(",") if _is_public(part.strip())]
    return str(getattr(request, "session_hash", "") or "")[:64], public[-1] if public else address


def _is_public(text: str) -> bool:
    try:
        return ip_address(text).is_global
    except ValueError:
        return False


class LimitedBlocks(gr.Blocks):  # type: ignore[misc]  # Gradio is not typed
    """Gradio's page with a limit on what each visitor may run, by button, API or MCP."""

    visitors: Visitors | None = None

    async def process_api(self, *arguments: Any, **named: Any) -> dict[str, Any]:
        """Run a function of the page, as Gradio does, if the visitor may: every event and call comes through here."""
        request = named.get("request")
        goes_on = named.get("iterator") is not None  # a stream counts once
        if self.visitors is not None and request is not None and not goes_on:
            try:
                self.visitors.admit(*visitor_of(request))
            except UserError as error:
                raise gr.Error(str(error), print_exception=False) from error
        result: dict[str, Any] = await super().process_api(*arguments, **named)
        return result
