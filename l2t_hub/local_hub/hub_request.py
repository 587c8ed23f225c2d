"""HubRequest: what a handler receives after route, token and repo have been checked, and the common responses."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol
from urllib.parse import parse_qs, quote, urlencode

from starlette.concurrency import iterate_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse

from l2t_hub.local_hub.auth import Keyring, TokenIdentity
from l2t_hub.local_hub.history import History
from l2t_hub.local_hub.http_errors import HubError
from l2t_hub.local_hub.identifiers import URL_PREFIX
from l2t_hub.local_hub.storage import Store

# The first segment of every URL, so that nobody mistakes one for a URL of huggingface.co.
ROOT = "/rehearsal"


@dataclass(frozen=True)
class Limits:
    """The largest sizes the Hub accepts, in bytes. LFS uploads above `part_bytes` are sent in parts of that size."""

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
    """One repo as the database has it. `id` is its row number there; clients never see it."""

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
        """The path of its pages and files: `datasets/namespace/name`, without a prefix for a model."""
        return URL_PREFIX[self.kind] + self.full_name


@dataclass(frozen=True)
class Hub:
    """The parts of one local Hub that every handler uses."""

    store: Store
    history: History
    keys: Keyring
    limits: Limits
    jobs: dict[str, dict[str, object]] = field(default_factory=dict)
    """The Jobs since the Hub was started, by ID."""


@dataclass(frozen=True)
class HubRequest:
    """One request after its route, token and repo were checked. `body` is empty on routes that stream theirs."""

    hub: Hub
    http: Request
    path: str
    params: Mapping[str, str]
    identity: TokenIdentity | None
    found_repo: Repo | None
    body: bytes = b""

    @property
    def store(self) -> Store:
        """The content and database of the Hub."""
        return self.hub.store

    @property
    def history(self) -> History:
        """The commits and refs of the Hub."""
        return self.hub.history

    @property
    def limits(self) -> Limits:
        """The largest sizes the Hub accepts."""
        return self.hub.limits

    @property
    def repo(self) -> Repo:
        """The repo named in the route."""
        if self.found_repo is None:
            raise HubError(400, "This request needs a repo.")
        return self.found_repo

    @property
    def user(self) -> str:
        """The user name of the caller."""
        return self.identity.user if self.identity else "anonymous"

    @property
    def base(self) -> str:
        """`http://127.0.0.1:PORT/rehearsal`: the endpoint that the client uses."""
        return f"http://{self.http.headers['host']}{ROOT}"

    def commit_id(self) -> str:
        """Return the commit that the route's revision means. Raises HubError 404 RevisionNotFound."""
        return self.history.resolve(self.repo.id, self.params.get("rev", "main"))

    def query(self, name: str) -> str | None:
        """Return the last value of a query parameter."""
        return self.http.query_params.get(name)

    def flag(self, name: str) -> bool:
        """Whether a query parameter is `1` or `true`."""
        return (self.query(name) or "").lower() in ("1", "true")

    def number(self, name: str, default: int, maximum: int, minimum: int = 0) -> int:
        """Return a query parameter as a number, cut to the range from `minimum` to `maximum`."""
        text = self.query(name)
        if text is None:
            return default
        if not text.isdecimal() or len(text) > 9:
            raise HubError(400, f"{name} must be a number.")
        return max(minimum, min(int(text), maximum))

    def json(self) -> dict[str, object]:
        """Return the body as a JSON object. Raises HubError 400 if it is something else."""
        value = parse_json(self.body or b"{}")
        if not isinstance(value, dict):
            raise HubError(400, "The body must be a JSON object.")
        return value

    def form(self) -> dict[str, list[str]]:
        """Return the fields of a form-encoded body."""
        try:
            return parse_qs(self.body.decode(), keep_blank_values=True, max_num_fields=10_000)
        except ValueError:
            raise HubError(400, "The body is not a form.") from None

    def page(self, items: list[object], next_query: Mapping[str, str] | None) -> Response:
        """Return one page of a list. `next_query` holds the query parameters of the next page, None on the last."""
        headers = {}
        if next_query is not None:
            kept = [(k, v) for k, v in self.http.query_params.multi_items() if k not in next_query]
            url = f"http://{self.http.headers['host']}{quote(self.path, safe='/%')}"
            headers["Link"] = f'<{url}?{urlencode([*kept, *next_query.items()])}>; rel="next"'
        return JSONResponse(items, headers=headers)


def parse_json(data: bytes) -> Any:
    r"""Decode JSON strictly: UTF-8, no NaN or Infinity, and no `\ud800` outside a pair, which is not Unicode.

    Text with half of a surrogate pair can be stored but never sent again. Raises HubError 400.
    """
    try:
        value = json.loads(data.decode(), parse_constant=_refuse_constant)
        if b"\\u" in data:
            json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise HubError(400, "A string in the body is not Unicode: it has half of a surrogate pair.") from None
    except (ValueError, RecursionError):
        raise HubError(400, "The body is not JSON.") from None
    return value


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is not JSON")


def text_field(body: Mapping[str, object], name: str) -> str:
    """Return a text field of a JSON body, '' if it is missing. Raises HubError 400 if it is not a string."""
    value = body.get(name)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise HubError(400, f"{name} must be a string.")
    return value


def quoted(text: str) -> str:
    """Percent-encode a path for a URL; slashes stay."""
    return quote(text, safe="/")


def byte_range(header: str | None, size: int) -> tuple[int, int] | None:
    """Return the half-open byte range that a Range header asks for, None for the whole content of `size` bytes.

    Several ranges at once and units other than bytes are ignored, as RFC 9110 (section 14.2) allows. Raises HubError
    416 for a range outside the content.
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
        raise HubError(416, "The range is outside the file.", headers={"Content-Range": f"bytes */{size}"})
    return start, end


def content_response(
    request: HubRequest, size: int, content: "Reader", headers: dict[str, str], part: tuple[int, int] | None
) -> Response:
    """Return the bytes of `part`, or all `size` bytes if it is None. A HEAD request gets the headers alone."""
    start, end = part or (0, size)
    headers = {**headers, "Accept-Ranges": "bytes", "Content-Length": str(end - start)}
    if part:
        headers["Content-Range"] = f"bytes {start}-{end - 1}/{size}"
    status = 206 if part else 200
    if request.http.method == "HEAD" or start == end:
        return Response(status_code=status, headers=headers)
    return StreamingResponse(iterate_in_threadpool(content.chunks(start, end)), status, headers)


class Reader(Protocol):
    """Content that can be read from any byte to any other, in pieces that fit in memory."""

    def chunks(self, start: int, end: int) -> Iterator[bytes]:
        """Yield the bytes from `start` to before `end`."""
        ...
