"""What a handler gets and gives: one request with everything already checked, and the ways to answer it."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import parse_qs, quote, urlencode

from starlette.concurrency import iterate_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse

from l2t_hub.local_hub.auth import Keyring, TokenIdentity
from l2t_hub.local_hub.history import History
from l2t_hub.local_hub.http_errors import HubError
from l2t_hub.local_hub.identifiers import URL_PREFIX
from l2t_hub.local_hub.storage import Store

# The first segment of every URL, so that none can be taken for one of the real Hub.
ROOT = "/rehearsal"


@dataclass(frozen=True)
class Limits:
    """The largest things the Hub takes, in bytes. Above `part_bytes` an LFS upload goes in parts of that size."""

    json_bytes: int = 8 << 20
    commit_line_bytes: int = 16 << 20
    commit_lines: int = 25_000
    regular_bytes: int = 10 << 20
    object_bytes: int = 50 << 30
    part_bytes: int = 64 << 20
    xorb_bytes: int = 72 << 20
    shard_bytes: int = 64 << 20
    card_bytes: int = 1 << 20


@dataclass(frozen=True)
class Repo:
    """One repo as the database has it; `id` is its number there, never shown to a client."""

    id: int
    kind: str
    namespace: str
    name: str
    private: bool
    gated: str | None
    sdk: str | None
    created: str

    @property
    def full_name(self) -> str:
        """`namespace/name`."""
        return f"{self.namespace}/{self.name}"

    @property
    def path(self) -> str:
        """Where its pages and files are: `datasets/namespace/name`, no prefix for a model."""
        return URL_PREFIX[self.kind] + self.full_name


@dataclass(frozen=True)
class Hub:
    """The parts every handler works with."""

    store: Store
    history: History
    keys: Keyring
    limits: Limits


@dataclass(frozen=True)
class HubRequest:
    """One request whose route, token and repo have been checked. `body` is empty for routes that stream theirs."""

    hub: Hub
    request: Request
    path: str
    params: Mapping[str, str]
    who: TokenIdentity | None
    found: Repo | None
    body: bytes = b""

    @property
    def repo(self) -> Repo:
        """The repo of a route that names one."""
        if self.found is None:
            raise HubError(400, "This needs a repo")
        return self.found

    @property
    def user(self) -> str:
        """The name of the one who asks."""
        return self.who.user if self.who else "anonymous"

    @property
    def base(self) -> str:
        """`http://127.0.0.1:PORT/rehearsal`: what the client has as its endpoint."""
        return f"http://{self.request.headers['host']}{ROOT}"

    def query(self, name: str) -> str | None:
        """The last value of a query parameter."""
        return self.request.query_params.get(name)

    def flag(self, name: str) -> bool:
        """Whether a query parameter says yes."""
        return (self.query(name) or "").lower() in ("1", "true")

    def number(self, name: str, default: int, most: int) -> int:
        """A query parameter that is a number between 0 and `most`."""
        text = self.query(name)
        if text is None:
            return default
        if not text.isdecimal() or len(text) > 9:
            raise HubError(400, f"{name} must be a number")
        return min(int(text), most)

    def json(self) -> dict[str, object]:
        """The body as a JSON object; 400 if it is none."""
        try:
            value = json.loads(self.body or b"{}")
        except (ValueError, RecursionError):
            raise HubError(400, "The body is not JSON") from None
        if not isinstance(value, dict):
            raise HubError(400, "The body must be a JSON object")
        return value

    def form(self) -> dict[str, list[str]]:
        """The fields of a form-encoded body."""
        try:
            return parse_qs(self.body.decode(), keep_blank_values=True, max_num_fields=10_000)
        except ValueError:
            raise HubError(400, "The body is not a form") from None

    def page(self, items: list[object], next_query: Mapping[str, str] | None) -> Response:
        """One page of a list, with a link to the next if there is one."""
        headers = {}
        if next_query is not None:
            kept = [(k, v) for k, v in self.request.query_params.multi_items() if k not in next_query]
            path = f"http://{self.request.headers['host']}{self.path}"
            headers["Link"] = f'<{path}?{urlencode([*kept, *next_query.items()])}>; rel="next"'
        return JSONResponse(items, headers=headers)


def text_field(body: Mapping[str, object], name: str) -> str:
    """A field of a JSON body that must be a string; '' where it is missing."""
    value = body.get(name)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise HubError(400, f"{name} must be a string")
    return value


def quoted(text: str) -> str:
    """A path for use in a URL, slashes kept."""
    return quote(text, safe="/")


def byte_range(header: str | None, size: int) -> tuple[int, int] | None:
    """The half-open range a Range header asks for, None for all; 416 where it lies outside `size`.

    A header with several ranges, or one that is not about bytes, is ignored, as RFC 9110 (section 14.2) allows.
    """
    if not header or not header.startswith("bytes=") or "," in header:
        return None
    first, dash, last = header.removeprefix("bytes=").strip().partition("-")
    if not dash or not (first + last).isdecimal() or len(first) > 18 or len(last) > 18:
        return None
    if not first:
        start, end = max(0, size - int(last)), size
        start = size if int(last) == 0 else start
    else:
        start, end = int(first), min(int(last) + 1, size) if last else size
    if start >= size or start >= end:
        raise HubError(416, "The range lies outside the file", headers={"Content-Range": f"bytes */{size}"})
    return start, end


def content_response(call: HubRequest, size: int, read: "Reader", headers: dict[str, str]) -> Response:
    """The content, or the range of it that was asked for; for HEAD the headers alone."""
    wanted = byte_range(call.request.headers.get("range"), size)
    start, end = wanted or (0, size)
    headers = {**headers, "Accept-Ranges": "bytes", "Content-Length": str(end - start)}
    if wanted:
        headers["Content-Range"] = f"bytes {start}-{end - 1}/{size}"
    status = 206 if wanted else 200
    if call.request.method == "HEAD" or start == end:
        return Response(status_code=status, headers=headers)
    return StreamingResponse(iterate_in_threadpool(read.chunks(start, end)), status, headers)


class Reader(Protocol):
    """Content that can be read from any byte to any other, in pieces that fit in memory."""

    def chunks(self, start: int, end: int) -> Iterator[bytes]:
        """The bytes from `start` to before `end`."""
        ...
