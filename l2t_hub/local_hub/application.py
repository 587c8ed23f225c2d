"""The embedded Hub as an ASGI application: faults, host check, route, token, repo, handler, answer, log line."""

import asyncio
import errno
import logging
import re
import sqlite3
import time
from collections.abc import Awaitable, Callable
from typing import cast

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from l2t_hub.local_hub import faults, lfs, xet
from l2t_hub.local_hub.auth import TokenIdentity
from l2t_hub.local_hub.http_errors import HubError
from l2t_hub.local_hub.hub_request import ROOT, Hub, HubRequest, Repo
from l2t_hub.local_hub.pages import problem_page
from l2t_hub.local_hub.repos import visible_repo
from l2t_hub.local_hub.routes import API, PAGES, Access, Route

logger = logging.getLogger("l2t_hub.local_hub")

BANNER = {"Server": "l2t-rehearsal-hub", "X-Rehearsal": "an embedded Hub on this machine, not huggingface.co"}
# Below these a client speaks: what is unknown there is not served, rather than not found.
_PROTOCOL = ("/api/", "/xet/", "/lfs/")
_UNPRINTABLE = re.compile(r"[^\x20-\x7e]")


def application(hub: Hub, table: faults.FaultTable) -> ASGIApp:
    """The Starlette application over `hub`, with the faults of `table` in front of it."""
    hub.store.before_write = faults.check_disk
    app = Starlette()
    app.router.default = Dispatcher(hub)  # the routes are ours: Starlette's own match decoded paths
    return FaultInjector(app, table)


class Dispatcher:
    """Finds the route, checks everything the table says about it, and turns what is raised into an answer."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            return
        started = time.perf_counter()
        request = Request(scope, receive)
        path = scope["raw_path"].decode("ascii", "replace").partition("?")[0]
        try:
            response = await self._respond(request, path)
        except ClientDisconnect:
            logger.info("%s %s: the client went away", scope["method"], path)
            return
        for name, value in BANNER.items():
            response.headers[name] = value
        milliseconds = 1000 * (time.perf_counter() - started)
        # The query is left out: it may hold a signature.
        logger.info("%s %s -> %d (%.0f ms)", scope["method"], path, response.status_code, milliseconds)
        await response(scope, receive, send)

    async def _respond(self, request: Request, path: str) -> Response:
        try:
            _check_host(request)
            if path in ("/", ROOT):
                return RedirectResponse(f"{ROOT}/")
            if not path.startswith(f"{ROOT}/"):
                raise HubError(
                    404, f"This is a rehearsal Hub: its endpoint is http://{request.headers['host']}{ROOT}"
                )
            route, params = _find(request.method, path.removeprefix(ROOT))
            return await self._serve(request, path, route, params)
        except HubError as problem:
            if "text/html" in request.headers.get("accept", "") and request.method == "GET":
                return problem_page(problem, self._known(request))
            return problem_response(problem)
        except (OSError, sqlite3.OperationalError) as error:
            if getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT) or "disk is full" in str(error):
                return problem_response(
                    HubError(507, "The disk of this Hub is full: nothing of this request was kept")
                )
            logger.exception("%s %s failed", request.method, path)
            return problem_response(HubError(500, "Internal error of the embedded Hub: see its log"))
        except ClientDisconnect:
            raise
        except Exception:
            logger.exception("%s %s failed", request.method, path)
            return problem_response(HubError(500, "Internal error of the embedded Hub: see its log"))

    async def _serve(self, request: Request, path: str, route: Route, params: dict[str, str]) -> Response:
        who = None
        if route.access not in ("signed", "xet-read", "xet-write"):
            browsing = route.method == "GET" and (route.page or "/resolve/" in path)
            who = self._hub.keys.identify(request.headers.get("authorization"), password=browsing)
        _check_role(route.access, who)
        found = await run_in_threadpool(self._repo, route.access, params, who)
        body = b"" if route.streams else await _body(request, self._hub.limits.json_bytes)
        call = HubRequest(self._hub, request, path, params, who, found, body)
        if route.access == "signed":
            lfs.check_signature(call)
        elif route.access in ("xet-read", "xet-write"):
            xet.require(call, route.access.removeprefix("xet-"))
        if route.streams:
            return await cast(Callable[[HubRequest], Awaitable[Response]], route.handler)(call)
        return await run_in_threadpool(cast(Callable[[HubRequest], Response], route.handler), call)

    def _known(self, request: Request) -> TokenIdentity | None:
        try:
            return self._hub.keys.identify(request.headers.get("authorization"), password=True)
        except HubError:
            return None

    def _repo(self, access: Access, params: dict[str, str], who: TokenIdentity | None) -> Repo | None:
        if not access.startswith("repo-"):
            return None
        kind = (params.get("kind") or "models").removesuffix("s")
        return visible_repo(self._hub.store, kind, params["ns"], params["name"], who)


def _check_host(request: Request) -> None:
    """Refuse names other than the loopback's: a page elsewhere could have its own name resolve to this machine."""
    server = request.scope.get("server") or ("127.0.0.1", 80)
    if request.headers.get("host") not in {f"127.0.0.1:{server[1]}", f"localhost:{server[1]}"}:
        raise HubError(421, "This Hub answers to 127.0.0.1 and localhost only")


def _find(method: str, path: str) -> tuple[Route, dict[str, str]]:
    for route in API + PAGES:
        params = route.match(method, path)
        if params is not None:
            return route, params
    if method in ("GET", "HEAD") and not path.startswith(_PROTOCOL):
        raise HubError(404, "There is no such page")
    logger.warning("501: this Hub does not know %s %s", method, path)
    raise HubError(501, f"The rehearsal Hub does not serve {method} {path[:200]}")


def _check_role(access: Access, who: TokenIdentity | None) -> None:
    if access in ("user", "write", "repo-write") and who is None:
        raise HubError(401, "A token is needed for this")
    if access in ("write", "repo-write") and not (who and who.may_write):
        raise HubError(403, "Forbidden: this token has no write permission here")


async def _body(request: Request, most: int) -> bytes:
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > most:
            raise HubError(413, f"The body is larger than {most} bytes")
    return bytes(body)


def problem_response(problem: HubError) -> Response:
    """What was wrong, as the clients read it: a JSON body, and headers with the code and the sentence."""
    headers = {**problem.headers, "X-Error-Message": _UNPRINTABLE.sub("?", problem.message)[:500]}
    if problem.code:
        headers["X-Error-Code"] = problem.code
    return JSONResponse({"error": problem.message, **problem.fields}, problem.status, headers)


class FaultInjector:
    """Lets the requests fail that the table names; all others pass untouched."""

    def __init__(self, app: ASGIApp, table: faults.FaultTable) -> None:
        self._app = app
        self._table = table

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or make it fail."""
        action = None
        if scope["type"] == "http" and self._table.rows:
            action = self._table.strike(scope["method"], scope["raw_path"].decode("ascii", "replace"))
        if isinstance(action, faults.Answer):
            await self._answer(action, scope, receive, send)
        elif isinstance(action, faults.Cut):
            await self._cut(action.when, scope, receive, send)
        else:
            if isinstance(action, faults.DiskFull):
                faults.fill_the_disk()
            elif isinstance(action, faults.Delay):
                await asyncio.sleep(action.seconds)
            await self._app(scope, receive, send)

    async def _answer(self, action: faults.Answer, scope: Scope, receive: Receive, send: Send) -> None:
        if action.after:
            await self._app(scope, receive, _nowhere)
        else:
            while (message := await receive())["type"] == "http.request" and message.get("more_body"):
                pass
        headers = {} if action.retry_after is None else {"Retry-After": str(action.retry_after)}
        await JSONResponse({"error": "an injected fault"}, action.status, headers)(scope, receive, send)

    async def _cut(self, when: str, scope: Scope, receive: Receive, send: Send) -> None:
        if when == "during":
            await self._app(scope, _broken(receive), _nowhere)
        elif when == "after":
            await self._app(scope, receive, _nowhere)
        # Uvicorn's `send` is a method of the object that holds the connection; ASGI itself has no way to drop one.
        send.__self__.transport.abort()  # type: ignore[attr-defined]
        while (await receive())["type"] != "http.disconnect":
            pass


async def _nowhere(message: Message) -> None:
    """A `send` that loses the answer."""


def _broken(receive: Receive) -> Receive:
    """A `receive` whose body breaks off in its first piece."""
    pieces = 0

    async def broken() -> Message:
        nonlocal pieces
        pieces += 1
        if pieces > 1:
            return {"type": "http.disconnect"}
        message = await receive()
        body = message.get("body", b"")
        return {**message, "body": body[: len(body) // 2], "more_body": True}

    return broken
