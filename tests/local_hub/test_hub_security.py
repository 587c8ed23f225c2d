"""Requests of strangers, web pages and broken clients: paths stay in the repo, and rights are checked."""

import json
import logging
import re
import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest
from hub_clients import ask, commit, commit_lfs, make_repo, put_lfs

from l2t_hub.local_hub.hub_request import Limits
from l2t_hub.local_hub.routes import API, PAGES, Route
from l2t_hub.local_hub.server import LocalHub, running

BAD_PATHS = [
    "../x", "a/../../x", "a/..", "..", ".", "", "/etc/passwd", "/x", "a//b", "a/", "a/./b", ".git/config", "a/.GIT/hooks/x",
    "a\\..\\x", "a\0b", "a\nb", "a\x7f", "x" * 256, "/".join(["y" * 200] * 6), "é" * 128,
]  # fmt: skip


@pytest.fixture(scope="module")
def one_hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalHub]:
    """One Hub for all tests that do not need a new one."""
    with running(tmp_path_factory.mktemp("security") / "hub") as hub:
        make_repo(hub, "secret", private=True)
        yield hub


@pytest.fixture
def fresh(one_hub: LocalHub) -> str:
    """The name of a new model repo on that Hub."""
    name = f"r{secrets.token_hex(4)}"
    make_repo(one_hub, name)
    return name


def outside(hub: LocalHub) -> list[Path]:
    return sorted(
        p for p in hub.directory.parent.rglob("*") if hub.directory not in p.parents and p != hub.directory
    )


@pytest.mark.parametrize("path", BAD_PATHS, ids=[repr(p)[:20] for p in BAD_PATHS])
def test_no_path_leaves_the_repo(one_hub: LocalHub, fresh: str, path: str) -> None:
    hub, repo = one_hub, f"org/{fresh}"
    before = outside(hub)
    assert commit(hub, f"models/{repo}", {path: b"x"}).status == 400
    assert commit(hub, f"models/{repo}", {path: b"x"}, parentCommit="../../x").status == 400
    sha256 = put_lfs(hub, f"{repo}", b"\0large")
    assert commit_lfs(hub, f"models/{repo}", path, sha256, 6).status == 400
    for key in ("deletedFile", "deletedFolder"):
        rows = [{"key": "header", "value": {"summary": "s"}}, {"key": key, "value": {"path": path}}]
        body = b"\n".join(json.dumps(row).encode() for row in rows)
        assert ask(hub, "POST", f"/api/models/{repo}/commit/main", body).status in (400, 404)
    files = {"files": [{"path": path, "sample": "", "size": 1}]}
    assert ask(hub, "POST", f"/api/models/{repo}/preupload/main", files).status == 400
    assert ask(hub, "POST", f"/api/models/{repo}/paths-info/main", {"paths": [path]}).status in (200, 400)
    assert outside(hub) == before
    assert ask(hub, "GET", f"/api/models/{repo}/commits/main").json()[0]["title"] == "initial commit"


@pytest.mark.parametrize(
    "path",
    [
        "%2E%2E%2F%2E%2E%2Ftokens.json",
        "..%2F..%2Ftokens.json",
        "../../tokens.json",
        "%2Fetc%2Fpasswd",
        "a%00b",
        "%ff%fe",
        "a%5C..%5Cb",
    ],
)
def test_no_query_leaves_the_repo(one_hub: LocalHub, fresh: str, path: str) -> None:
    hub, repo = one_hub, f"org/{fresh}"
    for prefix in (
        f"/api/models/{repo}/tree/main/",
        f"/{repo}/resolve/main/",
        f"/{repo}/blob/main/",
        f"/{repo}/tree/main/",
    ):
        reply = ask(hub, "GET", prefix + path)
        assert reply.status == 400, prefix
        assert hub.keys.write.encode() not in reply.body
    for prefix in (f"/api/models/{repo}/tree/", f"/{repo}/resolve/", f"/api/models/{repo}/revision/"):
        assert ask(hub, "GET", prefix + path + ("/x" if "resolve" in prefix else "")).status in (
            400,
            404,
            501,
        ), prefix
    assert ask(hub, "GET", f"/static/{path}").status in (400, 404)
    assert ask(hub, "GET", f"/{path}").status in (400, 404)


@pytest.mark.parametrize(
    "oid",
    ["../../../tokens.json", "..%2F..", "A" * 64, "0" * 63, "0" * 65, "g" * 64, "0" * 63 + "\n", 7, None],
)
def test_an_oid_is_not_a_path(one_hub: LocalHub, fresh: str, oid: object) -> None:
    hub, repo = one_hub, f"org/{fresh}"
    batch = {"operation": "upload", "objects": [{"oid": oid, "size": 5}]}
    assert ask(hub, "POST", f"/{repo}.git/info/lfs/objects/batch", batch).status == 400
    assert ask(hub, "POST", f"/{repo}.git/info/lfs/objects/verify", {"oid": oid, "size": 5}).status == 400
    assert commit_lfs(hub, f"models/{repo}", "x", oid, 5).status == 400
    quoted = str(oid).replace("\n", "%0A").replace("/", "%2F")
    for path in (f"/lfs/object/{quoted}/5", f"/xet/v1/xorbs/default/{quoted}", f"/xet/xorb/{quoted}/0/5"):
        method = {"/lfs/o": "PUT", "/xet/v": "POST", "/xet/x": "GET"}[path[:6]]
        assert ask(hub, method, path, b"12345" if method != "GET" else None, token=None).status in (401, 403)


@pytest.mark.parametrize(
    "name", ["..", "a..b", "a--b", "-a", "a.git", "a b", "a/b", "é", "x" * 97, "", ".a", "a\n"]
)
def test_repo_names_follow_the_rules_of_the_hub(one_hub: LocalHub, name: str) -> None:
    body = {"name": name, "organization": "org", "type": "model"}
    assert ask(one_hub, "POST", "/api/repos/create", body).status == 400
    assert (
        ask(one_hub, "POST", "/api/repos/create", {"name": "a", "organization": name or "api"}).status == 400
    )


@pytest.mark.parametrize(
    "ref",
    ["../x", "refs/heads/x", "refs/pr/1", "a..b", "a/.b", "x.lock", "-x", "0" * 40, "x" * 201, "a~1", "a:b"],
)
def test_ref_names_follow_the_rules_of_git(one_hub: LocalHub, fresh: str, ref: str) -> None:
    hub, repo = one_hub, f"org/{fresh}"
    encoded = ref.replace("/", "%2F").replace("~", "%7E")
    assert ask(hub, "POST", f"/api/models/{repo}/branch/{encoded}", {}).status == 400
    assert ask(hub, "POST", f"/api/models/{repo}/tag/main", {"tag": ref}).status == 400
    assert ask(hub, "DELETE", f"/api/models/{repo}/branch/main").status == 403


# -- rights -------------------------------------------------------------------------------------------------------------

VALUES = {"kinds": "models", "ns": "org", "name": "secret", "rev": "main", "number": "1", "path": "README.md", "oid": "0" * 64,
          "size": "5", "start": "0", "end": "5", "hash": "0" * 64, "prefix": "default", "slug": "x-" + "0" * 24, "id": "0" * 24, "rest": "x"}  # fmt: skip


def example(route: Route) -> str:
    path = route.template.replace("{repo}", "models/org/secret").replace("{home}", "org/secret")
    path = re.sub(r"\{(\w+)\*\}", lambda m: "/" + VALUES[m[1]], path)
    return re.sub(r"\{(\w+)(:n)?\}", lambda m: VALUES[m[1]], path)


@pytest.mark.parametrize("route", API + PAGES, ids=lambda route: f"{route.method} {route.template}")
def test_every_route_checks_the_token(one_hub: LocalHub, route: Route) -> None:
    hub, path = one_hub, example(route)

    def status(token: str | None) -> int:
        return ask(hub, route.method, path, b"{}" if route.method != "GET" else None, token=token).status

    assert route.match(route.method, path) is not None
    if route.access == "open":
        assert status(None) in (200, 400, 404)
    elif route.access == "anyone":
        assert (status(None), status("write"), status("hf_wrong")) == (403, 403, 403)
    elif route.access == "signed":
        assert (status(None), status("write")) == (403, 403)
    elif route.access.startswith("xet-"):
        assert (status(None), status("write"), status("xet_rehearsal.write.1.9999999999.0")) == (
            401,
            401,
            401,
        )
    elif route.access == "repo-read":
        assert (status(None), status("outsider")) == (404, 404)
        assert status("read") in (200, 400, 404)
    elif route.access == "user":
        answer = 400 if "validate" in path else 404 if "/jobs/" in path else 200  # there is no such job
        assert (status(None), status("read")) == (401, answer)
    else:
        assert (status(None), status("read"), status("outsider")) == (401, 403, 403)
    assert status("hf_wrong") == (403 if route.access in ("signed", "anyone") else 401)


def test_a_private_repo_is_in_no_list_page_or_collection(hub: LocalHub) -> None:
    make_repo(hub, "hidden", "dataset", private=True)
    slug = ask(hub, "POST", "/api/collections", {"title": "All", "namespace": "org"}).json()["slug"]
    item = {"item": {"id": "org/hidden", "type": "dataset"}}
    assert ask(hub, "POST", f"/api/collections/{slug}/items", item).status == 200
    for path in (
        "/api/datasets",
        f"/api/collections/{slug}",
        "/api/collections",
        "/",
        f"/collections/{slug}",
    ):
        assert b"hidden" not in ask(hub, "GET", path, token=None).body, path
        assert b"hidden" not in ask(hub, "GET", path, token="outsider").body, path
        assert b"hidden" in ask(hub, "GET", path, token="read").body or path == "/api/collections", path


def test_a_signed_url_is_valid_for_its_path_only(hub: LocalHub) -> None:
    make_repo(hub, "a")
    batch = {"operation": "upload", "objects": [{"oid": "1" * 64, "size": 5}]}
    href = ask(hub, "POST", "/org/a.git/info/lfs/objects/batch", batch).json()["objects"][0]["actions"][
        "upload"
    ]["href"]
    path = href.removeprefix(hub.url)
    put = lambda path, body=b"12345": ask(hub, "PUT", path, body, token=None).status  # noqa: E731
    assert put(path.replace("1" * 64, "2" * 64)) == 403
    assert put(path.replace("/5?", "/6?"), b"123456") == 403
    assert put(re.sub(r"expires=\d+", "expires=99999999999", path)) == 403
    assert put(path.partition("?")[0]) == 403
    assert put(path) == 400  # signed, but the content does not hash to its name
    assert put(path, b"1234567") == 400
    assert put(path, b"1") == 400
    assert ask(hub, "GET", "/api/models/org/a").status == 200
    expired = hub.keys.mint(seconds=-1)
    assert ask(hub, "GET", "/api/models/org/a", token=expired).status == 401


def test_other_host_names_are_refused(hub: LocalHub) -> None:
    for host in ("evil.example", f"evil.example:{hub.port}", "127.0.0.1:1", ""):
        assert ask(hub, "GET", "/api/models", headers={"Host": host}).status == 421
    assert ask(hub, "GET", "/api/models", headers={"Host": f"localhost:{hub.port}"}).status == 200


def test_the_password_of_a_browser_cannot_write(hub: LocalHub) -> None:
    from base64 import b64encode

    make_repo(hub, "secret", private=True)
    basic = {"Authorization": "Basic " + b64encode(f"me:{hub.keys.write}".encode()).decode()}
    page = {"Accept": "text/html"}
    asked = ask(hub, "GET", "/org/secret", token=None, headers=page)
    assert (asked.status, asked.headers["www-authenticate"].split()[0]) == (401, "Basic")
    assert ask(hub, "GET", "/org/secret", token=None, headers=basic | page).status == 200
    assert ask(hub, "GET", "/org/secret/resolve/main/.gitattributes", token=None, headers=basic).status == 200
    assert ask(hub, "GET", "/api/models/org/secret", token=None, headers=basic).status == 401
    assert ask(hub, "POST", "/api/repos/create", {"name": "x"}, token=None, headers=basic).status == 401


# -- limits ------------------------------------------------------------------------------------------------------------


def test_sizes_are_limited(tmp_path: Path) -> None:
    small = Limits(
        json_bytes=1000,
        commit_line_bytes=2000,
        commit_lines=10,
        regular_bytes=500,
        object_bytes=1000,
        xorb_bytes=100,
        shard_bytes=100,
    )
    with running(tmp_path / "hub", limits=small) as hub:
        make_repo(hub, "a")
        assert ask(hub, "POST", "/api/validate-yaml", {"content": "x" * 1001}).status == 413
        assert commit(hub, "models/org/a", {"x": b"x" * 501}).status == 400
        assert commit(hub, "models/org/a", {"x": b"x" * 3000}).status == 413
        assert commit(hub, "models/org/a", {str(n): b"" for n in range(10)}).status == 413
        objects = {"operation": "upload", "objects": [{"oid": "0" * 64, "size": 1001}]}
        answer = ask(hub, "POST", "/org/a.git/info/lfs/objects/batch", objects).json()["objects"][0]
        assert answer["error"]["code"] == 422
        token = ask(hub, "GET", "/api/models/org/a/xet-write-token/main").json()["accessToken"]
        for path in (f"/xet/v1/xorbs/default/{'0' * 64}", "/xet/v1/shards"):
            assert ask(hub, "POST", path, b"x" * 101, token=token).status == 413
        files = {"files": [{"path": f"f{n}", "sample": "", "size": 1} for n in range(500)]}
        assert ask(hub, "POST", "/api/models/org/a/preupload/main", files).status == 413


@pytest.mark.parametrize(
    "card",
    [
        "a: &a [x]\nb: [*a, *a]",
        "x: 2026-01-01",
        "x: .nan",
        "? [a]\n: b",
        "[" * 900,
        "- list",
        "a: !!python/object:os.system {}",
    ],
)
def test_odd_cards_do_no_harm(one_hub: LocalHub, fresh: str, card: str) -> None:
    hub, repo = one_hub, f"org/{fresh}"
    assert commit(hub, f"models/{repo}", {"README.md": f"---\n{card}\n---\n# Odd".encode()}).status == 200
    assert ask(
        hub, "POST", "/api/validate-yaml", {"content": f"---\n{card}\n---\n", "repoType": "model"}
    ).status in (200, 400)
    assert isinstance(ask(hub, "GET", f"/api/models/{repo}").json()["cardData"], dict)
    assert b"Odd" in ask(hub, "GET", f"/{repo}").body


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"nonsense",
        b"\xff\xfe",
        b"{}",
        b'{"name": 7}',
        b'{"name": {"a": 1}, "title": [], "tag": [], "item": 7, "files": 7}',
        b"[" * 5000,
    ],
)
def test_no_body_breaks_a_route(one_hub: LocalHub, body: bytes) -> None:
    for route in API:
        if route.method in ("POST", "PUT", "PATCH", "DELETE") and route.access not in ("signed", "xet-write"):
            if "repos/delete" in route.template or "/settings" in route.template:
                continue
            reply = ask(one_hub, route.method, example(route), body)
            assert reply.status < 500, (route.template, reply.status, reply.body)


def test_an_unknown_endpoint_is_501_and_logged(hub: LocalHub, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "l2t_hub.local_hub"):
        assert ask(hub, "GET", "/api/jobs/org").status == 501
        assert ask(hub, "POST", "/api/models/org/a/like", {}).status == 501
        assert ask(hub, "GET", "/xet/v1/nope").status == 501
    assert [r.message for r in caplog.records if r.levelname == "WARNING"] == [
        "501: unknown endpoint GET /api/jobs/org",
        "501: unknown endpoint POST /api/models/org/a/like",
        "501: unknown endpoint GET /xet/v1/nope",
    ]


def test_tokens_are_in_no_log_and_no_answer(hub: LocalHub, caplog: pytest.LogCaptureFixture) -> None:
    make_repo(hub, "a")
    with caplog.at_level(logging.DEBUG):
        answers = [
            ask(hub, "GET", f"/api/models/org/a?token={hub.keys.write}"),
            ask(hub, "GET", "/api/whoami-v2"),
            ask(hub, "GET", "/api/whoami-v2", token=hub.keys.write + "x"),
            ask(hub, "POST", "/api/models/org/a/commit/main", hub.keys.write.encode()),
            ask(hub, "GET", "/org/a", token="read", headers={"Accept": "text/html"}),
            commit(hub, "models/org/a", {"../x": b""}),
        ]
    assert len(caplog.records) >= len(answers)
    for secret in (hub.keys.write, hub.keys.read, hub.keys.outsider):
        assert secret not in caplog.text
        assert not any(secret.encode() in answer.body or secret in str(answer.headers) for answer in answers)


def test_every_answer_says_rehearsal(hub: LocalHub) -> None:
    make_repo(hub, "a", "space")
    for path in (
        "/api/spaces/org/a",
        "/spaces/org/a",
        "/spaces/org/a/resolve/main/.gitattributes",
        "/api/nope",
        "/nope/nope",
    ):
        reply = ask(hub, "GET", path)
        assert reply.headers["server"] == "l2t-rehearsal-hub"
        assert "not huggingface.co" in reply.headers["x-rehearsal"]
    answer = commit(hub, "spaces/org/a", {"x": b"1"}).json()
    assert "/rehearsal/spaces/org/a/commit/" in answer["commitUrl"]
    assert answer["rehearsal"] is True
