"""Random requests to every route: each gets a status below 500 within seconds, and the Hub stays usable.

Reproduce a failure with the seed that hypothesis prints: `pytest --hypothesis-seed=N`.
"""

import http.client
import json
import logging
import random
import re
import socket
import time
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from hub_clients import ask, commit, commit_lfs, make_repo, put_lfs
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from random_moments import seeded

from l2t_hub.local_hub.hub_request import ROOT
from l2t_hub.local_hub.routes import API, PAGES, Route
from l2t_hub.local_hub.server import LocalHub, running

SECONDS = 20.0
LARGE = b"\0large"
HOSTILE = [
    "", ".", "..", "../..", "%2e%2e", "a/../b", "\0", "\n", "\r\nX-Evil: 1", "\ud800", "\udfff", "ü/ñ", "𝔘", "'", '"><script>', "{{7*7}}",
    "a" * 300, "a" * 5000, "-1", "0", "9" * 9, "9" * 30, "٣", "²", "NaN", "null", "refs/pr/1", "refs/pr/999999999", "refs/heads/main",
    "refs/tags/v1", "*" * 50, "[z-a]", "**/a/**/b/**", "\\", ":", "?", "#", "%", "%zz", "main", "true", "x.lock", "HEAD", "--", "org/--",
]  # fmt: skip
NAMES = [
    "org",
    "a",
    "d",
    "s",
    "old",
    "new",
    "secret",
    "main",
    "v1",
    "dev",
    "refs/pr/1",
    "README.md",
    "large.bin",
    "model",
    "dataset",
]
FIELDS = [
    "name", "organization", "type", "visibility", "private", "sdk", "fromRepo", "toRepo", "gated", "content", "repoType", "files", "gitIgnore",
    "paths", "expand", "startingPoint", "emptyBranch", "overwrite", "tag", "message", "title", "description", "pullRequest", "comment",
    "status", "namespace", "item", "note", "position", "theme", "operation", "objects", "transfers", "oid", "size", "parts", "partNumber",
    "etag", "path", "sample", "id", "key", "value", "summary", "parentCommit", "encoding", "algo",
]  # fmt: skip
QUERIES = ["limit", "cursor", "p", "recursive", "expand", "expand[]", "blobs", "full", "cardData", "author", "search", "filter", "owner",
           "item", "status", "type", "create_pr", "include_prs", "expires", "signature"]  # fmt: skip
RANGES = [
    "bytes=0-",
    "bytes=0-0",
    "bytes=-1",
    "bytes=5-2",
    "bytes=99999999999999999999-",
    "bytes=-0",
    "bytes=a-b",
    "bytes=0-1,2-3",
    "x",
    "bytes=²-",
]
CARDS = ["license: mit", "tags: [a]", 'tags: ["\\ud800"]', "a: &a [x]\nb: [*a]", "a: 0x" + "f" * 200, "x: .nan", "? [a]\n: b", "[" * 500, "- x",
         "configs: [{config_name: 7}]", "model-index: [7, {results: [{metrics: 7}]}]", "a: !!binary AAAA", "{" * 500, "a: 1:1:1"]  # fmt: skip


NOISE = [b"", b"[" * 5000, b"\xff\xfe{}", b'{"a": 1' + b"0" * 5000 + b"}", b"{}", b"null"]

texts = st.one_of(st.sampled_from(HOSTILE), st.sampled_from(NAMES), st.text(max_size=40))
numbers = st.one_of(st.integers(), st.sampled_from([2**31, 2**63, 2**64, 10**400, -1, 0, 1]), st.floats())
leaves = st.one_of(st.none(), st.booleans(), numbers, texts)
values = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(st.sampled_from(FIELDS), inner, max_size=5)
    ),
    max_leaves=12,
)
cards = st.builds(
    lambda front, body: f"---\n{front}\n---\n{body}", st.one_of(st.sampled_from(CARDS), texts), texts
)


def valid_bodies(sha256: str) -> list[dict[str, Any]]:
    """Return a body for each kind of request, which the fuzzer changes."""
    return [
        {"name": "a", "organization": "org", "type": "model"},
        {"name": "s", "organization": "org", "type": "space", "sdk": "gradio", "visibility": "private"},
        {"fromRepo": "org/old", "toRepo": "org/new", "type": "model"},
        {"fromRepo": "org/new", "toRepo": "org/old", "type": "model"},
        {"content": "---\nlicense: mit\n---\n", "repoType": "dataset"},
        {"files": [{"path": "x.bin", "sample": "AAAA", "size": 5}], "gitIgnore": "*.log"},
        {"paths": ["README.md", "data"], "expand": True},
        {"startingPoint": "main"},
        {"tag": "v2", "message": "m"},
        {"title": "t", "description": "d", "pullRequest": True},
        {"comment": "c"},
        {"status": "open", "comment": "c"},
        {"title": "New", "namespace": "org", "description": "d"},
        {"item": {"id": "org/d", "type": "dataset"}, "note": "n"},
        {"note": "n", "position": 0},
        {"operation": "upload", "transfers": ["multipart"], "objects": [{"oid": sha256, "size": len(LARGE)}]},
        {"oid": sha256, "size": len(LARGE)},
        {"oid": sha256, "parts": [{"partNumber": 1, "etag": "0" * 32}]},
    ]


def as_json(value: object) -> bytes:
    """Encode a value as JSON. Half of the time, lone surrogates become bytes that are not UTF-8."""
    return json.dumps(value, ensure_ascii=bool(hash(str(value)) % 2)).encode("utf-8", "surrogatepass")


def seed(hub: LocalHub) -> dict[str, str]:
    """Create what is missing for every route to succeed."""
    for name, kind, private in (
        ("a", "model", False),
        ("d", "dataset", False),
        ("s", "space", False),
        ("secret", "model", True),
    ):
        body = {
            "name": name,
            "organization": "org",
            "type": kind,
            "sdk": "gradio",
            "visibility": "private" if private else "public",
        }
        ask(hub, "POST", "/api/repos/create", body)
    if ask(hub, "GET", "/api/models/org/old").status == 404:
        make_repo(hub, "old")
        ask(hub, "POST", "/api/repos/move", {"fromRepo": "org/old", "toRepo": "org/new", "type": "model"})
    for repo in ("models/org/a", "datasets/org/d"):
        commit(hub, repo, {"README.md": b"---\nlicense: mit\n---\n# Card", "data/x.txt": b"x"})
        path = repo.removeprefix("models/")
        sha256 = put_lfs(hub, path, LARGE)
        commit_lfs(hub, repo, "large.bin", sha256, len(LARGE))
        ask(hub, "POST", f"/api/{repo}/tag/main", {"tag": "v1"})
        ask(hub, "POST", f"/api/{repo}/branch/dev", {})
        ask(hub, "POST", f"/api/{repo}/discussions", {"title": "t", "pullRequest": True})
    slug = ask(hub, "POST", "/api/collections", {"title": "Fixed", "namespace": "org"}).json()["slug"]
    ask(hub, "POST", f"/api/collections/{slug}/items", {"item": {"id": "org/d", "type": "dataset"}})
    items = ask(hub, "GET", f"/api/collections/{slug}").json()["items"]
    return {"slug": slug.partition("/")[2], "id": items[0]["_id"] if items else "0" * 24, "sha256": sha256}


@st.composite
def requests(draw: st.DrawFn, known: dict[str, str]) -> dict[str, Any]:
    """Draw one request. Most of its parts are valid, so that many requests succeed."""
    rng = draw(st.randoms(use_true_random=True))  # the choices of hypothesis are too extreme to succeed
    route: Route = rng.choice(API + PAGES)
    kind, name = rng.choice(
        [("models", "a"), ("datasets", "d"), ("models", "a"), ("spaces", "s"), ("models", "old")]
    )
    usual = {"kinds": "models", "ns": "org", "name": name, "rev": "main", "number": "1", "path": "README.md", "oid": known["sha256"],
             "size": str(len(LARGE)), "start": "0", "end": "5", "hash": "0" * 64, "prefix": "default", "rest": "x", "slug": known["slug"],
             "id": known["id"]}  # fmt: skip
    if "/tree/" in route.template:
        usual["path"] = "data"
    if route.template.startswith("/api/{repo}/tag") and route.method == "DELETE":
        usual["rev"] = "v1"
    if "/branch/" in route.template:
        usual["rev"] = "dev"

    def part(what: str) -> str:
        chance = rng.random()
        text = usual[what] if chance < 0.85 else rng.choice(NAMES) if chance < 0.93 else draw(texts)
        return quote(text.encode("utf-8", "surrogatepass"), safe=rng.choice(["", "", "/", "/:@"]))

    prefix = "" if kind == "models" else f"{kind}/"
    path = route.template.replace("{home}", f"{prefix}{part('ns')}/{part('name')}")
    path = path.replace("{repo}", f"{kind}/{part('ns')}/{part('name')}").replace("{kinds}", kind)
    path = re.sub(r"\{(\w+)\*\}", lambda m: "/" + part(m[1]), path)
    path = re.sub(r"\{(\w+):n\}", lambda m: rng.choice([usual[m[1]]] * 5 + ["0", "1", "9" * 15]), path)
    path = re.sub(r"\{(\w+)\}", lambda m: part(m[1]), path)
    query = (
        draw(st.lists(st.tuples(st.sampled_from(QUERIES), texts), max_size=3)) if rng.random() < 0.3 else []
    )
    return {
        "route": route,
        "method": route.method
        if rng.random() < 0.93
        else rng.choice(["GET", "HEAD", "POST", "PUT", "OPTIONS", "BREW"]),
        "path": path,
        "query": urlencode([(k, v.encode("utf-8", "surrogatepass")) for k, v in query]),
        "token": rng.choice(["right"] * 12 + ["write", "read", "outsider", "none", "junk"]),
        "headers": [name for name in ("Range", "Accept", "Content-Type") if rng.random() < 0.3],
        "range": rng.choice(RANGES),
        "body": draw(bodies(route, known, rng)) if route.method != "GET" else None,
    }


def usual_body(route: Route, known: dict[str, str], rng: random.Random) -> dict[str, Any]:
    """Return a body that the route accepts."""
    fitting = {
        "create": [0, 1], "delete": [0], "move": [2, 3], "validate-yaml": [4], "preupload": [5], "paths-info": [6], "branch": [7], "tag": [8],
        "super-squash": [10], "comment": [10], "title": [9], "status": [11], "merge": [10], "discussions": [9], "items": [13, 14],
        "collections": [12], "batch": [15], "verify": [16], "complete": [17],
    }  # fmt: skip
    bodies = valid_bodies(known["sha256"])
    word = next((word for word in fitting if word in route.template), "")
    return dict(bodies[rng.choice(fitting.get(word, range(len(bodies))))])


@st.composite
def bodies(draw: st.DrawFn, route: Route, known: dict[str, str], rng: random.Random) -> bytes:
    """Draw a body: valid, valid with changed fields, other JSON, the lines of a commit, or noise."""
    if "/commit/" in route.template:
        lines = [{"key": "header", "value": {"summary": draw(texts) or "s"}}] if rng.random() < 0.9 else []
        for _ in range(rng.randrange(4)):
            value = (
                draw(st.dictionaries(st.sampled_from(FIELDS), leaves, max_size=3))
                if rng.random() < 0.2
                else {}
            )
            paths = [
                "README.md",
                "x/y.txt",
                ".gitattributes",
                ".gitignore",
                *(HOSTILE if rng.random() < 0.2 else []),
            ]
            text = draw(st.one_of(cards, texts)).encode("utf-8", "surrogatepass")
            usual = {"path": rng.choice(paths), "content": b64encode(text).decode(), "encoding": "base64"}
            usual |= {"algo": "sha256", "oid": known["sha256"]}
            key = rng.choice(["file"] * 4 + ["lfsFile"] * 3 + ["deletedFile", "deletedFolder", "header", "x"])
            lines.append({"key": key, "value": usual | value if rng.random() < 0.9 else draw(values)})
        return b"\n".join(as_json(line) for line in lines)
    chance = rng.random()
    if route.streams or chance < 0.1:
        return LARGE if chance < 0.5 else draw(st.one_of(st.binary(max_size=200), st.sampled_from(NOISE)))
    if chance < 0.2:
        return as_json(draw(values))
    body = usual_body(route, known, rng)
    if "content" in body and rng.random() < 0.8:
        body["content"] = draw(cards)
    if chance > 0.5:
        body |= draw(st.dictionaries(st.sampled_from(sorted(body) + FIELDS[:5]), values, max_size=2))
    return as_json(body)


class Fuzzer:
    """Sends requests to a Hub, checks the responses, and counts them by status."""

    def __init__(self, hub: LocalHub, errors: list[str]) -> None:
        self.hub, self.errors = hub, errors
        self.known = seed(hub)
        self.statuses: dict[int, int] = {}
        self.sent = 0

    def send(self, request: dict[str, Any]) -> None:
        route, path, hub = request["route"], request["path"], self.hub
        headers = {"Accept": "text/html", "Range": request["range"], "Content-Type": "application/json"}
        headers = {name: headers[name] for name in request["headers"]}
        token = getattr(
            hub.keys,
            request["token"],
            {"junk": "hf_junk", "none": None}.get(request["token"], hub.keys.write),
        )
        target = f"{path}?{request['query']}"
        if request["token"] == "right" and route.access == "signed":
            target, token = hub.keys.signed(path), None
        elif request["token"] == "right" and route.access.startswith("xet-"):
            token = hub.keys.xet_token(route.access.removeprefix("xet-"), 1)[0]
        if token:
            headers["Authorization"] = f"Bearer {token}"
        began = time.monotonic()
        connection = http.client.HTTPConnection("127.0.0.1", hub.port, timeout=SECONDS)
        try:
            connection.request(request["method"], ROOT + target, body=request["body"], headers=headers)
            answer = connection.getresponse()
            body = answer.read()
        finally:
            connection.close()
        assert time.monotonic() - began < SECONDS
        assert answer.status < 500 or answer.status == 501, (answer.status, body[:300])
        assert answer.status != 501 or route.match(request["method"], path) is None
        assert b"Traceback" not in body
        assert not self.errors, self.errors
        self.statuses[answer.status] = self.statuses.get(answer.status, 0) + 1
        self.sent += 1
        if self.sent % 100 == 0:
            self.check()
            self.known = seed(hub)

    def check(self) -> None:
        """Check that everything stored can be listed and shown."""
        for path in (
            "/api/models?full=1&cardData=1",
            "/api/datasets",
            "/api/spaces",
            "/api/collections",
            "/",
        ):
            reply = ask(self.hub, "GET", path)
            assert reply.status == 200, (path, reply.body[:300])
        for kind in ("models", "datasets", "spaces"):
            for repo in ask(self.hub, "GET", f"/api/{kind}").json():
                home = f"{'' if kind == 'models' else kind + '/'}{repo['id']}"
                for path in (f"/api/{kind}/{repo['id']}?blobs=1", f"/{home}", f"/{home}/tree/main", f"/{home}/commits/main",
                             f"/{home}/discussions", f"/api/{kind}/{repo['id']}/tree/main?recursive=1&expand=1"):  # fmt: skip
                    assert ask(self.hub, "GET", path).status == 200, path


class Errors(logging.Handler):
    """Keeps the errors that are logged."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(self.format(record))


@pytest.fixture
def fuzzer(tmp_path: Path) -> Iterator[Fuzzer]:
    errors = Errors()
    loggers = [logging.getLogger(name) for name in ("l2t_hub.local_hub", "uvicorn.error")]
    for logger in loggers:
        logger.addHandler(errors)
    with running(tmp_path / "hub") as hub:
        yield Fuzzer(hub, errors.lines)
    for logger in loggers:
        logger.removeHandler(errors)


def fuzz(fuzzer: Fuzzer, count: int, *, derandomize: bool) -> None:
    phases = [Phase.explicit, Phase.generate, Phase.shrink]

    @settings(max_examples=count, deadline=None, database=None, derandomize=derandomize, phases=phases,
              suppress_health_check=list(HealthCheck))  # fmt: skip
    @given(st.data())
    def run(data: st.DataObject) -> None:
        fuzzer.send(data.draw(requests(fuzzer.known)))

    run()
    fuzzer.check()
    assert fuzzer.sent >= count
    # Many requests get through to what they ask for; how many is chance, about a quarter.
    assert fuzzer.statuses.get(200, 0) > fuzzer.sent / 10, fuzzer.statuses


def test_five_hundred_random_requests_are_answered(fuzzer: Fuzzer) -> None:
    fuzz(fuzzer, 500, derandomize=True)


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_twenty_thousand_random_requests_are_answered(fuzzer: Fuzzer) -> None:
    fuzz(fuzzer, 20_000, derandomize=False)


@pytest.mark.parametrize(
    "count", [60, pytest.param(2000, marks=[pytest.mark.slow, pytest.mark.timeout(3600)])]
)
def test_bytes_that_are_not_http_are_refused(fuzzer: Fuzzer, count: int) -> None:
    """Broken request lines, headers and lengths get a response or a closed connection, and cause no error."""
    hub = fuzzer.hub
    rng = seeded()
    whole = (
        f"POST {ROOT}/api/repos/create HTTP/1.1\r\nHost: 127.0.0.1:{hub.port}\r\nAuthorization: Bearer {hub.keys.write}\r\n"
        'Content-Length: 13\r\n\r\n{"name": "z"}'
    ).encode()
    for _ in range(count):
        data = bytearray(whole)
        for _ in range(rng.randrange(1, 6)):
            at = rng.randrange(len(data))
            data[at : at + rng.randrange(3)] = rng.choice(
                [b"", b"\0", b"\r\n", b":", b" ", b"\xff", b"9" * 30, b"-", bytes([rng.randrange(256)])]
            )
        with socket.create_connection(("127.0.0.1", hub.port), timeout=5) as connection:
            connection.sendall(data)
            connection.shutdown(socket.SHUT_WR)
            answer = b""
            while piece := connection.recv(65536):
                answer += piece
        assert not answer or int(answer.split()[1]) < 500 or b" 501 " in answer[:20], answer[:200]
    assert not fuzzer.errors, fuzzer.errors
    assert ask(hub, "GET", "/api/whoami-v2").status == 200
