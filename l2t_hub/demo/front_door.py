"""What a visitor may send to the server, before Gradio reads it.

Gradio's server does more than a page needs: it takes files, fetches any public URL for a visitor, and keeps copies of
what the page shows. This page needs none of that, and no request of it is large.
"""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]

MAX_BODY = 16 * 2**20
"""Bytes. The page cuts longer texts itself, and says so; this only bounds the memory that a request takes."""

API = "/gradio_api/"
CLOSED = (
    "upload",
    "proxy=",
    "file=http:",
    "file=https:",
    "file=//",
    "deep_link",
    "runs",
    "run-history",
    "vibe-",
)
"""Beginnings of Gradio's routes that this page does not use. `file=` serves what the page offers for download."""


class FrontDoor:
    """ASGI middleware: answers 404 on closed routes and 413 to a body over `MAX_BODY`."""

    def __init__(self, app: App) -> None:
        self.app = app

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Handle a request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        if is_closed(scope["path"]):
            await _refuse(send, 404, "This page has no such route.")
            return
        length = dict(scope["headers"]).get(b"content-length", b"0")
        if not length.isdigit() or int(length) > MAX_BODY:
            await _refuse(send, 413, f"The request is too long: at most {MAX_BODY >> 20} MB.")
            return
        await self.app(scope, _bounded(receive), send)


def is_closed(path: str) -> bool:
    """Whether a path, without its escapes, is a route that this page does not use."""
    _, api, rest = path.partition(API)
    return bool(api) and rest.lstrip("/").lower().startswith(CLOSED)


def _bounded(receive: Receive) -> Receive:
    """Let a body that was sent without its length end as if the visitor had left."""
    received = 0

    async def bounded() -> Message:
        nonlocal received
        message = await receive()
        received += len(message.get("body", b""))
        return {"type": "http.disconnect"} if received > MAX_BODY else message

    return bounded


async def _refuse(send: Send, status: int, reason: str) -> None:
    body = f'{{"detail": "{reason}"}}'.encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
