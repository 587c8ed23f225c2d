"""The local Hub as an ASGI application: host check, route, token, repo, handler, response, log line."""

import errno
import logging
import sqlite3
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from traceback import extract_tb
from typing import cast

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from l2t_hub.local_hub import lfs, xet
from l2t_hub.local_hub.auth import TokenIdentity
from l2t_hub.local_hub.faults import FaultInjector, FaultTable, check_disk
from l2t_hub.local_hub.http_errors import HubError
from l2t_hub.local_hub.hub_request import ROOT, Hub, HubRequest, Repo
from l2t_hub.local_hub.pages import error_page
from l2t_hub.local_hub.repos import visible_repo
from l2t_hub.local_hub.routes import API, PAGES, Access, Route
from l2t_hub.local_hub.storage import damaged

logger = logging.getLogger("l2t_hub.local_hub")

IDENTIFICATION = {
    "Server": "l2t-rehearsal-hub",
    "X-Rehearsal": "a local Hub on this machine, not huggingface.co",
}
# Paths of clients: an unknown one is not implemented. Other unknown paths are pages that do not exist.
_CLIENT_PATHS = ("/api/", "/xet/", "/lfs/")
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT)


def application(hub: Hub, table: FaultTable) -> ASGIApp:
    """Return the Starlette application over `hub`, behind the faults of `table`."""
    hub.store.before_write = check_disk
    app = Starlette()
    app.router.default = Dispatcher(hub)  # Starlette's own routes match decoded paths
    return FaultInjector(app, table)


class Dispatcher:
    """Finds the route of a request, checks what the route requires, and turns exceptions into responses."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            return
        started = time.perf_counter()
        request = Request(scope, receive)
        method, path = scope["method"], scope["raw_path"].decode("ascii", "replace").partition("?")[0]
        try:
            response = await self._respond(request, path)
        except ClientDisconnect:
            logger.info("%s %s: the client disconnected", method, path)
            return
        for name, value in IDENTIFICATION.items():
            response.headers[name] = value
        milliseconds = 1000 * (time.perf_counter() - started)
        # The query is left out: it may have a signature.
        logger.info("%s %s -> %d (%.0f ms)", method, path, response.status_code, milliseconds)
        try:
            await response(scope, receive, send)
        except (OSError, HubError) as error:  # the headers are sent; uvicorn drops the connection
            logger.error("%s %s: the response was cut off: %.300r", method, path, error)

    async def _respond(self, request: Request, path: str) -> Response:
        try:
            return await self._routed(request, path)
        except HubError as error:
            refusal = error
        except ClientDisconnect:
            raise
        except Exception as error:
            refusal = self._failure(request, path, error)
        if refusal.status == 500:
            logger.error("%s %s: %s", request.method, path, refusal.message)
        if "text/html" in request.headers.get("accept", "") and request.method == "GET":
            return error_page(refusal, self._known(request))
        return error_response(refusal)

    def _failure(self, request: Request, path: str, error: Exception) -> HubError:
        """Turn an unexpected exception into an answer, and log it."""
        if getattr(error, "errno", None) in _NO_ROOM or "disk is full" in str(error):
            return HubError(507, "The disk of this Hub is full. Nothing of the request was stored.")
        if isinstance(error, sqlite3.DatabaseError) and not isinstance(error, sqlite3.IntegrityError):
            logger.error("%s %s: SQLite: %.300r", request.method, path, error)
            return damaged()
        frames = extract_tb(error.__traceback__)
        where = f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else "unknown place"
        logger.error("%s %s: %.300r (%s)", request.method, path, error, where)
        logger.debug("The traceback:", exc_info=error)
        return HubError(500, "The local Hub failed to serve this request. Its log has the details.")

    async def _routed(self, request: Request, path: str) -> Response:
        _check_host(request)
        if path in ("/", ROOT):
            return RedirectResponse(f"{ROOT}/")
        if not path.startswith(f"{ROOT}/"):
            endpoint = f"http://{request.headers['host']}{ROOT}"
            raise HubError(404, f"This is a rehearsal Hub. Its endpoint is {endpoint}.")
        route, params = _find(request.method, path.removeprefix(ROOT))
        return await self._serve(request, path, route, params)

    async def _serve(self, request: Request, path: str, route: Route, params: dict[str, str]) -> Response:
        identity = None
        if route.access not in ("anyone", "signed", "xet-read", "xet-write"):
            browser = route.method == "GET" and (route.page or "/resolve/" in path)
            identity = self._hub.keys.identify(request.headers.get("authorization"), password=browser)
        _check_role(route.access, identity)
        repo = await run_in_threadpool(self._repo, route.access, params, identity)
        if repo and (repo.namespace, repo.name) != (params["ns"], params["name"]):
            location = ROOT + route.moved(path.removeprefix(ROOT), repo.full_name)
            query = request.url.query
            return RedirectResponse(f"{location}?{query}" if query else location, status_code=307)
        body = b"" if route.streams else await _body(request, self._hub.limits.json_bytes)
        hub_request = HubRequest(self._hub, request, path, params, identity, repo, body)
        if route.access == "signed":
            lfs.check_signature(hub_request)
        elif route.access in ("xet-read", "xet-write"):
            xet.require(hub_request, route.access.removeprefix("xet-"))
        if route.streams:
            return await cast(Callable[[HubRequest], Awaitable[Response]], route.handler)(hub_request)
        return await run_in_threadpool(cast(Callable[[HubRequest], Response], route.handler), hub_request)

    def _known(self, request: Request) -> TokenIdentity | None:
        try:
            return self._hub.keys.identify(request.headers.get("authorization"), password=True)
        except HubError:
            return None

    def _repo(self, access: Access, params: dict[str, str], identity: TokenIdentity | None) -> Repo | None:
        if not access.startswith("repo-"):
            return None
        kind = (params.get("kind") or "models").removesuffix("s")
        return visible_repo(self._hub.store, kind, params["ns"], params["name"], identity, moved=True)


def _check_host(request: Request) -> None:
    """Refuse other host names: a page elsewhere could let its own name resolve to this machine."""
    server = request.scope.get("server") or ("127.0.0.1", 80)
    if request.headers.get("host") not in {f"127.0.0.1:{server[1]}", f"localhost:{server[1]}"}:
        raise HubError(421, "This Hub answers requests to 127.0.0.1 and localhost only.")


def _find(method: str, path: str) -> tuple[Route, dict[str, str]]:
    for route in API + PAGES:
        params = route.match(method, path)
        if params is not None:
            return route, params
    if method in ("GET", "HEAD") and not path.startswith(_CLIENT_PATHS):
        raise HubError(404, "There is no such page.")
    logger.warning("501: unknown endpoint %s %s", method, path)
    raise HubError(501, f"The rehearsal Hub does not serve {method} {path[:200]}.")


def _check_role(access: Access, identity: TokenIdentity | None) -> None:
    if access in ("user", "write", "repo-write") and identity is None:
        raise HubError(401, "This request needs a token.")
    if access in ("write", "repo-write") and not (identity and identity.may_write):
        raise HubError(403, "Forbidden: this token cannot write here.")


async def _body(request: Request, limit: int) -> bytes:
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > limit:
            raise HubError(413, f"The body is larger than {limit} bytes.")
    return bytes(body)


def error_response(error: HubError) -> Response:
    """Return an error as clients read it: the message in the JSON body, the code in a header."""
    headers = error.headers | ({"X-Error-Code": error.code} if error.code else {})
    return JSONResponse({"error": error.message, **error.fields}, error.status, headers)
