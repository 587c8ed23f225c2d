"""Attacks that worked on an earlier version of the local Hub, and the classes they belong to.

The Hub runs in a thread of the test, so the CPU time of the process bounds what a request costs, on a busy machine too.
"""

import hashlib
import http.client
import io
import json
import logging
import shutil
import signal
import struct
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import quote, urlsplit

import pytest
import uvicorn
from hub_clients import Reply, ask, commit, commit_lfs, make_repo, put_lfs
from test_hub_xet import CONTENTS, make_shard, make_xorb, post, xet_token

from l2t_hub.local_hub.application import _find
from l2t_hub.local_hub.file_content import MAX_WILDCARDS
from l2t_hub.local_hub.history import History
from l2t_hub.local_hub.hub_process import serve_hub
from l2t_hub.local_hub.hub_request import ROOT
from l2t_hub.local_hub.routes import API, PAGES
from l2t_hub.local_hub.server import LocalHub, running
from l2t_hub.local_hub.xet_format import (
    SHARD_MAGIC,
    Chunk,
    file_hash,
    hash_bytes,
    hash_text,
    range_hash,
    read_xorb,
    tree_hash,
)

# -- signed Xet URLs ---------------------------------------------------------------------------------------------------


def shared_xorb(hub: LocalHub) -> tuple[str, list[tuple[int, int]], str]:
    """One xorb of five chunks: the public file is chunks 1 and 3, the private one all of them.

    Returns the xorb, the stored range of each chunk, and the Xet hash of the public file.
    """
    make_repo(hub, "a")
    make_repo(hub, "secret", private=True)
    data, chunks = make_xorb(CONTENTS)
    xorb = tree_hash(chunks)
    assert post(hub, f"xorbs/default/{hash_text(xorb)}", data).status == 200
    assert post(hub, "shards", make_shard(chunks, b"".join(CONTENTS))).status == 200
    public = [chunks[1], chunks[3]]
    content = CONTENTS[1] + CONTENTS[3]
    shard = two_term_shard(xorb, public, content)
    assert post(hub, "shards", shard).json() == {"result": 1}

    for repo, whole in (("secret", b"".join(CONTENTS)), ("a", content)):
        sha256 = hashlib.sha256(whole).hexdigest()
        assert commit_lfs(hub, f"models/org/{repo}", "x.bin", sha256, len(whole)).status == 200
    starts = [0, *(chunk.end for chunk in chunks)]
    return hash_text(xorb), [(starts[n], starts[n + 1]) for n in range(5)], hash_text(file_hash(public))


def two_term_shard(xorb: bytes, chunks: list[Chunk], content: bytes) -> bytes:
    """A shard of one file whose terms are the single chunks 1 and 3 of a xorb."""

    terms = b"".join(struct.pack("<32sIIII", xorb, 0, 1000, n, n + 1) for n in (1, 3))
    hashes = b"".join(struct.pack("<32s16x", range_hash([chunk])) for chunk in chunks)
    return b"".join(
        [
            SHARD_MAGIC + struct.pack("<QQ", 2, 0),
            struct.pack("<32sIIQ", file_hash(chunks), 1 << 31 | 1 << 30, 2, 0),
            terms,
            hashes,
            struct.pack("<32s16x", hash_bytes(hashlib.sha256(content).hexdigest())),
            struct.pack("<32s16x", b"\xff" * 32),
        ]
    )


def test_a_signed_url_covers_the_chunks_of_the_file_and_no_others(hub: LocalHub) -> None:
    xorb, stored, digest = shared_xorb(hub)
    reply = ask(hub, "GET", f"/xet/v1/reconstructions/{digest}", token=xet_token(hub, "read")).json()
    fetches = reply["fetch_info"][xorb]
    assert [(f["url_range"]["start"], f["url_range"]["end"] + 1) for f in fetches] == [stored[1], stored[3]]
    for fetch, number in zip(fetches, (1, 3), strict=True):
        path = fetch["url"].removeprefix(hub.url)
        first, last = fetch["url_range"]["start"], fetch["url_range"]["end"]

        def get(header: str | None, path: str = path) -> Reply:
            return ask(hub, "GET", path, token=None, headers={"Range": header} if header else {})

        for allowed in (f"bytes={first}-{last}", None):
            reply = get(allowed)
            assert (reply.status, len(read_xorb(io.BytesIO(reply.body)))) == (206, 1)
            assert CONTENTS[number] in reply.body
        assert get(f"bytes={first + 8}-{first + 9}").body == CONTENTS[number][:2]
        size = stored[-1][1]
        for refused in (f"bytes=0-{last}", "bytes=0-", f"bytes={first}-", f"bytes={first}-{last + 1}", f"bytes={first - 1}-{last}",
                        "bytes=0-0", "bytes=-1", f"bytes=-{size}", f"bytes={size - 1}-"):  # fmt: skip
            reply = get(refused)
            assert (reply.status, CONTENTS[0] in reply.body) == (403, False), refused
        for several in (f"bytes=0-1,{first}-{last}", "chunks=0-5", "bytes=x"):
            assert get(several).body == get(None).body  # ignored, so the granted range is sent
        for changed in (
            path.replace(f"/{first}/", "/0/"),
            path.replace(f"/{last + 1}?", f"/{size}?"),
            path.replace(xorb, "0" * 64),
        ):
            assert ask(hub, "GET", changed, token=None).status == 403


def test_a_range_of_a_file_grants_only_its_chunks(hub: LocalHub) -> None:
    xorb, stored, digest = shared_xorb(hub)
    reply = ask(
        hub,
        "GET",
        f"/xet/v1/reconstructions/{digest}",
        token=xet_token(hub, "read"),
        headers={"Range": "bytes=1500-1600"},
    ).json()
    assert [f["url_range"] for f in reply["fetch_info"][xorb]] == [
        {"start": stored[3][0], "end": stored[3][1] - 1}
    ]


def test_a_shard_that_is_only_its_magic_or_endless_is_refused(hub: LocalHub) -> None:
    xorb, _, _ = shared_xorb(hub)
    assert post(hub, "shards", SHARD_MAGIC).status == 400
    assert post(hub, "shards", SHARD_MAGIC + bytes(8)).status == 400
    # 100,000 terms of one chunk each are a file of 100 GB that would be hashed for minutes.
    term = struct.pack("<32sIIII", hash_bytes(xorb), 0, 1_000_000, 0, 1)
    shard = SHARD_MAGIC + struct.pack("<QQ", 2, 0) + struct.pack("<32sIIQ", b"\1" * 32, 0, 100_000, 0)
    began = time.process_time()
    reply = post(hub, "shards", shard + term * 100_000 + struct.pack("<32s16x", b"\xff" * 32))
    assert (reply.status, time.process_time() - began < 10) == (400, True)


# -- text --------------------------------------------------------------------------------------------------------------

SURROGATE = "half \ud800 a pair"
LISTINGS = ("/api/models", "/api/models?full=1&cardData=1", "/api/models/org/a", "/api/models/org/a/refs", "/api/models/org/a/commits/main",
            "/api/models/org/a/discussions", "/api/collections", "/", "/org/a", "/org/a/commits/main", "/org/a/discussions")  # fmt: skip


def surrogate_requests(slug: str, item: str) -> dict[str, tuple[str, str, object]]:
    pull = "/api/models/org/a/discussions"
    return {
        "tag message": ("POST", "/api/models/org/a/tag/main", {"tag": "v1", "message": SURROGATE}),
        "squash": ("POST", "/api/models/org/a/super-squash/main", {"message": SURROGATE}),
        "discussion": ("POST", pull, {"title": SURROGATE}),
        "description": ("POST", pull, {"title": "t", "description": SURROGATE}),
        "comment": ("POST", f"{pull}/1/comment", {"comment": SURROGATE}),
        "title": ("POST", f"{pull}/1/title", {"title": SURROGATE}),
        "status": ("POST", f"{pull}/1/status", {"status": "open", "comment": SURROGATE}),
        "collection": ("POST", "/api/collections", {"title": SURROGATE, "namespace": "org"}),
        "collection text": (
            "PATCH",
            f"/api/collections/{slug}",
            {"description": SURROGATE, "theme": SURROGATE},
        ),
        "note": ("PATCH", f"/api/collections/{slug}/items/{item}", {"note": SURROGATE}),
        "item": ("POST", f"/api/collections/{slug}/items", {"item": {"id": SURROGATE, "type": "model"}}),
        "a key": ("POST", pull, {"title": "t", SURROGATE: 1}),
        "deep": ("POST", pull, {"title": "t", "x": [{"y": [SURROGATE]}]}),
        "card check": ("POST", "/api/validate-yaml", {"content": SURROGATE}),
        "preupload": ("POST", "/api/models/org/a/preupload/main", {"files": [], "gitIgnore": SURROGATE}),
    }


def test_text_that_is_not_unicode_is_refused_and_breaks_no_listing(hub: LocalHub) -> None:
    make_repo(hub, "a")
    ask(hub, "POST", "/api/models/org/a/discussions", {"title": "t"})
    slug = ask(hub, "POST", "/api/collections", {"title": "c", "namespace": "org"}).json()["slug"]
    item = {"item": {"id": "org/a", "type": "model"}}
    item_id = ask(hub, "POST", f"/api/collections/{slug}/items", item).json()["items"][0]["_id"]
    for name, (method, path, body) in surrogate_requests(slug, item_id).items():
        for data in (
            json.dumps(body).encode(),
            json.dumps(body, ensure_ascii=False).encode("utf-8", "surrogatepass"),
        ):
            assert ask(hub, method, path, data).status == 400, name
    header = {"key": "header", "value": {"summary": SURROGATE}}
    for line in (header, {"key": "header", "value": {"summary": "s", "description": SURROGATE}},
                 {"key": "file", "value": {"path": SURROGATE, "content": ""}}):  # fmt: skip
        assert ask(hub, "POST", "/api/models/org/a/commit/main", json.dumps(line).encode()).status == 400
    for path in LISTINGS:
        assert ask(hub, "GET", path).status == 200, path
    assert ask(hub, "GET", "/api/models/org/a/commits/main").json()[0]["title"] == "initial commit"


def test_a_surrogate_pair_is_one_character_and_is_kept(hub: LocalHub) -> None:
    make_repo(hub, "a")
    body = rb'{"title": "\ud83d\ude80 launched"}'
    assert ask(hub, "POST", "/api/models/org/a/discussions", body).json()["title"] == "🚀 launched"
    assert "🚀" in ask(hub, "GET", "/org/a/discussions").body.decode()


@pytest.mark.parametrize(
    "front",
    [
        'tags: ["\\ud800"]',
        'tags: ["\\uDFFF", b]',
        '"\\ud800": 1',
        'license: "x\\udc00y"',
        'a: {b: ["\\ud834"]}',
    ],
)
def test_a_card_that_is_not_unicode_is_refused(hub: LocalHub, front: str) -> None:
    make_repo(hub, "a")
    card = f"---\n{front}\n---\n# Card"
    reply = commit(hub, "models/org/a", {"README.md": card.encode()})
    assert (reply.status, b"not Unicode" in reply.body) == (400, True)
    assert ask(hub, "POST", "/api/validate-yaml", {"content": card}).status == 400
    # One that came before this was checked, or as a large file, is listed without its metadata.
    sha256 = put_lfs(hub, "org/a", card.encode())
    assert commit_lfs(hub, "models/org/a", "README.md", sha256, len(card)).status == 200
    for path in LISTINGS:
        assert ask(hub, "GET", path).status == 200, path
    assert ask(hub, "GET", "/api/models/org/a").json()["cardData"] == {}


def test_no_header_holds_a_message(hub: LocalHub) -> None:
    """Clients act on `X-Error-Message`, so a name that a stranger chose must not get into it."""
    evil = quote("Access to this resource is disabled.\r\nX-Evil: 1", safe="")
    make_repo(hub, "a")
    for path in (f"/api/models/org/a/revision/{evil}", f"/org/a/resolve/main/{evil}", f"/org/a/resolve/{evil}/x", f"/api/models/org/{evil}",
                 f"/api/models/org/a/tree/main/{evil}", f"/{evil}", f"/api/{evil}", f"/org/a/tree/{evil}"):  # fmt: skip
        for accept in ("", "text/html"):
            reply = ask(hub, "GET", path, headers={"Accept": accept})
            assert reply.status in (400, 404, 501)
            assert "x-evil" not in reply.headers
            assert not any("disabled" in value for value in reply.headers.values()), reply.headers
            assert "x-error-message" not in reply.headers
    # The only value is a constant, which huggingface_hub compares.
    assert (
        ask(hub, "GET", "/api/whoami-v2", token="hf_x").headers["x-error-message"]
        == "Invalid credentials in Authorization header"
    )


# -- cards -------------------------------------------------------------------------------------------------------------

BOMB = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{chr(98 + n)}: &{chr(98 + n)} [{','.join(['*' + chr(97 + n)] * 9)}]\n" for n in range(12)
)
HEAVY = {
    "bomb": BOMB, "one alias": "a: &a [x]\nb: *a", "merge": "a: &a {b: 1}\nc: {<<: *a}", "deep": "[" * 100_000, "deep maps": "{a: " * 50_000,
    "deep blocks": "".join("  " * n + f"k{n}:\n" for n in range(400)), "wide": "a: [" + "1," * 60_000 + "]", "long": "a: " + "x" * 300_000,
    "hex": "a: 0x" + "f" * 200_000, "sexagesimal": "a: 1" + ":1" * 100_000, "decimal": "a: 1" + "0" * 100_000, "float": "a: 1" + "0" * 100_000 + ".5",
    "keys": "".join(f"k{n}: 1\n" for n in range(30_000)), "octal": "a: 0" + "7" * 200_000, "quoted": 'a: "' + "x" * 250_000 + '"',
}  # fmt: skip


@pytest.mark.parametrize("front", HEAVY.values(), ids=HEAVY)
def test_a_heavy_card_is_refused_or_read_at_once(hub: LocalHub, front: str) -> None:
    make_repo(hub, "a")
    began = time.process_time()
    card = f"---\n{front}\n---\n# Card"
    reply = ask(hub, "POST", "/api/validate-yaml", {"content": card})
    assert reply.status == (200 if front == HEAVY["quoted"] else 400)
    assert commit(hub, "models/org/a", {"README.md": card.encode()}).status == 200
    assert ask(hub, "GET", "/api/models/org/a").status == 200
    assert ask(hub, "GET", "/org/a").status == 200
    assert time.process_time() - began < 5


def test_validate_yaml_needs_a_token_and_has_a_size(hub: LocalHub) -> None:
    body = {"content": "---\nlicense: mit\n---\n"}
    assert ask(hub, "POST", "/api/validate-yaml", body, token=None).status == 401
    for token in ("read", "outsider", "write"):
        assert ask(hub, "POST", "/api/validate-yaml", body, token=token).status == 200
    assert ask(hub, "POST", "/api/validate-yaml", {"content": "x" * (1 << 20) + "x"}).status == 413
    assert ask(hub, "POST", "/api/validate-yaml", {"content": "x" * (9 << 20)}).status == 413


@pytest.mark.parametrize(
    "body",
    ["[" * 150_000, "*" * 150_000, "![" * 75_000, "](" * 75_000, "_a_" * 50_000, "|a|b|\n|-|-|\n" * 12_000],
)
def test_a_heavy_card_text_is_shown_within_seconds(hub: LocalHub, body: str) -> None:
    make_repo(hub, "a")
    commit(hub, "models/org/a", {"README.md": body.encode()})
    began = time.process_time()
    reply = ask(hub, "GET", "/org/a")
    assert (reply.status, time.process_time() - began < 15) == (200, True)
    assert b"Only the first 100000 characters of this card are shown." in reply.body


def test_patterns_that_take_minutes_are_refused(hub: LocalHub) -> None:
    make_repo(hub, "a")
    long = "a" * 200
    for pattern in ("*a" * (MAX_WILDCARDS + 1) + "b", "**/a/" * 20 + "b", "a\n" * 2000, "[z-a]*"):
        began = time.process_time()
        body = {"files": [{"path": f"{long}/{long}", "size": 1, "sample": ""}], "gitIgnore": pattern}
        reply = ask(hub, "POST", "/api/models/org/a/preupload/main", body)
        assert reply.status == 400 or pattern == "[z-a]*"
        attributes = "".join(f"{line} filter=lfs\n" for line in pattern.splitlines())
        assert commit(hub, "models/org/a", {".gitattributes": attributes.encode()}).status == 200
        del body["gitIgnore"]
        reply = ask(hub, "POST", "/api/models/org/a/preupload/main", body)
        assert reply.status == 400 or pattern == "[z-a]*"
        assert time.process_time() - began < 5
    commit(hub, "models/org/a", {".gitattributes": b"*.bin filter=lfs\n"})
    body = {"files": [{"path": "a/b/c.log", "size": 1, "sample": ""}], "gitIgnore": "**/b/*.l*"}
    assert ask(hub, "POST", "/api/models/org/a/preupload/main", body).json()["files"][0]["shouldIgnore"]


# -- git, moved repos --------------------------------------------------------------------------------------------------


@pytest.mark.skipif(not shutil.which("git"), reason="git is not installed")
@pytest.mark.parametrize("repo", ["org/a", "datasets/org/d.git", "org/secret", "org/nope", "spaces/org/nope"])
def test_git_clone_prints_what_to_use_instead(hub: LocalHub, tmp_path: Path, repo: str) -> None:
    make_repo(hub, "a")
    make_repo(hub, "d", "dataset")
    make_repo(hub, "secret", private=True)
    plain = f"{hub.url}/{repo}"
    with_token = plain.replace("http://", f"http://me:{hub.keys.write}@")
    with_junk = plain.replace("http://", "http://me:junk@")
    for url in (plain, with_token, with_junk):
        command = ["git", "clone", url, str(tmp_path / "clone")]
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=20, check=False, env={"PATH": "/usr/bin:/bin"}
        )
        assert done.returncode == 128
        assert "remote: The rehearsal Hub does not serve git. Use `hf download`" in done.stderr
        kind = {"datasets": "dataset", "spaces": "space"}.get(repo.split("/")[0], "model")
        name = "/".join(repo.removesuffix(".git").split("/")[-2:])
        assert (
            f"HF_ENDPOINT={hub.url} hf download {name} --type {kind} --local-dir {name.split('/')[1]}"
            in done.stderr
        )
        assert "501" not in done.stderr
        assert "Username" not in done.stderr


def test_a_moved_repo_redirects_every_route_that_names_it(hub: LocalHub) -> None:
    make_repo(hub, "old", "dataset")
    commit(hub, "datasets/org/old", {"README.md": b"# Card"})
    ask(hub, "POST", "/api/repos/move", {"fromRepo": "org/old", "toRepo": "l2t/new", "type": "dataset"})
    for path, new in (
        ("/api/datasets/org/old", "/api/datasets/l2t/new"),
        (
            "/api/datasets/org/old/tree/main/a%2Fb?recursive=1&x=%20y",
            "/api/datasets/l2t/new/tree/main/a%2Fb?recursive=1&x=%20y",
        ),
        ("/datasets/org/old/resolve/refs%2Fpr%2F1/x", "/datasets/l2t/new/resolve/refs%2Fpr%2F1/x"),
        ("/datasets/o%72g/old", "/datasets/l2t/new"),
        ("/api/datasets/org/old/xet-write-token/main", "/api/datasets/l2t/new/xet-write-token/main"),
    ):
        reply = ask(hub, "GET", path)
        assert (reply.status, reply.headers["location"]) == (307, ROOT + new)
    for method, path in (("POST", "/api/datasets/org/old/commit/main"), ("PUT", "/api/datasets/org/old/settings"),
                         ("POST", "/datasets/org/old.git/info/lfs/objects/batch"), ("DELETE", "/api/datasets/org/old/tag/v1")):  # fmt: skip
        assert ask(hub, method, path, {}).status == 307
        assert ask(hub, method, path, {}, token=None).status == 401
        assert ask(hub, method, path, {}, token="read").status == 403
    assert ask(hub, "GET", "/api/models/org/old").status == 404  # the name of another kind of repo
    ask(hub, "PUT", "/api/datasets/l2t/new/settings", {"visibility": "private"})
    for token in (None, "outsider"):
        reply = ask(hub, "GET", "/api/datasets/org/old", token=token)
        assert (reply.status, reply.headers["x-error-code"], b"l2t" in reply.body) == (
            404,
            "RepoNotFound",
            False,
        )
    assert (
        ask(
            hub, "DELETE", "/api/repos/delete", {"name": "old", "organization": "org", "type": "dataset"}
        ).status
        == 404
    )


def test_a_repo_that_moves_back_redirects_its_other_names(hub: LocalHub) -> None:
    make_repo(hub, "one")
    move = lambda old, new: ask(hub, "POST", "/api/repos/move", {"fromRepo": old, "toRepo": new}).status  # noqa: E731
    assert [move("org/one", "org/two"), move("org/two", "org/three"), move("org/three", "org/one")] == [
        200
    ] * 3
    assert ask(hub, "GET", "/api/models/org/one").status == 200
    for name in ("two", "three"):
        assert ask(hub, "GET", f"/api/models/org/{name}").headers["location"] == f"{ROOT}/api/models/org/one"
    make_repo(hub, "two")  # a new repo takes the name
    assert ask(hub, "GET", "/api/models/org/two").json()["id"] == "org/two"


def test_a_collection_follows_a_moved_repo(hub: LocalHub) -> None:
    make_repo(hub, "old")
    slug = ask(hub, "POST", "/api/collections", {"title": "c", "namespace": "org"}).json()["slug"]
    ask(hub, "POST", f"/api/collections/{slug}/items", {"item": {"id": "org/old", "type": "model"}})
    ask(hub, "POST", "/api/repos/move", {"fromRepo": "org/old", "toRepo": "org/new"})
    assert [item["id"] for item in ask(hub, "GET", f"/api/collections/{slug}").json()["items"]] == ["org/new"]
    assert b'href="/rehearsal/org/new"' in ask(hub, "GET", f"/collections/{slug}").body


# -- hosts, paths, rights-----------------------------------------------------------------------------------------------

HOSTS = ["evil.example", "evil.example:{port}", "127.0.0.1:1", "", "127.0.0.1", "localhost", "127.0.0.1.evil.example:{port}", "localhost.:{port}",
         "127.0.0.2:{port}", "0.0.0.0:{port}", "[::1]:{port}", "127.0.0.1:{port}@evil.example", "LOCALHOST:{port}x"]  # fmt: skip


def test_thirteen_wrong_hosts_are_refused_on_every_kind_of_route(hub: LocalHub) -> None:
    assert len(HOSTS) == 13
    for host in HOSTS:
        for path in (
            "/",
            "/api/models",
            "/api/whoami-v2",
            "/org/a/info/refs",
            "/static/style.css",
            "/xet/v1/chunks/x",
        ):
            reply = ask(hub, "GET", path, headers={"Host": host.format(port=hub.port)})
            assert reply.status == 421, (host, path)
            assert hub.keys.write.encode() not in reply.body


def test_570_hostile_paths_reach_nothing(hub: LocalHub) -> None:
    make_repo(hub, "a")
    targets = ["tokens.json", "hub.sqlite", "etc/passwd", "../etc/passwd", "proc/self/environ"]
    climbs = ["../", "../../", "../" * 8, "/", "//", "./", "..\\", "..%5c", "%2e%2e/", "%2e%2e%2f", "..%2f", "%252e%252e%252f", "..%c0%af",
              "%c0%ae%c0%ae/", "..;/", "....//", "%2f", "a/../../", "a%2f..%2f..%2f", "%00../", "..%00/", "~/", "file:///", "\u2025/"]  # fmt: skip
    prefixes = ["/org/a/resolve/main/", "/api/models/org/a/tree/main/", "/org/a/blob/main/", "/static/", "/"]
    secrets = [hub.keys.write.encode(), b"root:x:0", b"SQLite format"]
    sent = 0
    connection = http.client.HTTPConnection("127.0.0.1", hub.port, timeout=30)
    for prefix in prefixes:
        for climb in climbs:
            for target in targets:
                path = quote(f"{ROOT}{prefix}{climb}{target}", safe="/%.\\;~:")
                connection.request("GET", path, headers={"Authorization": f"Bearer {hub.keys.write}"})
                reply = connection.getresponse()
                body = reply.read()
                assert reply.status in (400, 404, 501), (path, reply.status)
                assert not any(secret in body for secret in secrets), path
                sent += 1
    connection.close()
    assert sent >= 570


def test_at_least_thirty_routes_need_rights() -> None:
    """`test_every_route_checks_the_token` sends the requests; this counts the routes."""
    routes = [route for route in API + PAGES if route.access not in ("open", "anyone")]
    assert len(routes) >= 30
    assert not [r.template for r in API if r.access == "open" and r.method != "GET"]
    assert _find("GET", "/api/whoami-v2")[0].access == "user"


# -- serving -----------------------------------------------------------------------------------------------------------


def test_the_banner_comes_when_the_port_accepts(tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "l2t_hub.cli",
        "hub",
        "serve",
        "--dir",
        str(tmp_path / "hub"),
        "--port",
        "0",
    ]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        assert server.stdout
        line = server.stdout.readline()
        assert "This is a rehearsal Hub, not huggingface.co: http://127.0.0.1:" in line
        url = urlsplit(line.split()[-1])
        connection = http.client.HTTPConnection("127.0.0.1", url.port, timeout=10)
        connection.request("GET", f"{ROOT}/api/models")
        assert connection.getresponse().status == 200
        connection.close()
        serving = json.loads((tmp_path / "hub" / "serving.json").read_text())
        assert serving == {"url": f"http://127.0.0.1:{url.port}{ROOT}", "pid": server.pid}
    finally:
        server.terminate()
        server.communicate(timeout=20)
    assert server.returncode == 143
    assert not (tmp_path / "hub" / "serving.json").exists()


def test_nothing_is_announced_before_the_server_has_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async def fail(*_: object) -> None:
        raise OSError("startup failed")

    monkeypatch.setattr(uvicorn.Server, "startup", fail)
    logger, handler = logging.getLogger("l2t_hub.local_hub"), signal.getsignal(signal.SIGTERM)
    handlers, level = logger.handlers[:], logger.level
    try:
        with pytest.raises(OSError, match="startup failed"):
            serve_hub(tmp_path / "hub", 0)
    finally:
        logger.handlers[:], logger.level = handlers, level
        signal.signal(signal.SIGTERM, handler)
    assert capsys.readouterr().out == ""
    assert not (tmp_path / "hub" / "serving.json").exists()


def test_a_failure_is_a_sentence_and_a_log_line(
    hub: LocalHub, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    make_repo(hub, "a")

    def fail(*_: object) -> None:
        raise KeyError("a bug\x1b[2J")

    monkeypatch.setattr(History, "resolve", fail)
    for accept in ("", "text/html"):
        reply = ask(hub, "GET", "/api/models/org/a", headers={"Accept": accept})
        assert reply.status == 500
        assert b"The local Hub failed to serve this request. Its log has the details." in reply.body
    lines = [r.getMessage() for r in caplog.records if r.levelno >= logging.ERROR]
    assert any(
        "GET /rehearsal/api/models/org/a: KeyError('a bug\\x1b[2J') (test_hub_attacks.py:" in line
        for line in lines
    )


def test_missing_content_is_reported_and_logged(hub: LocalHub, caplog: pytest.LogCaptureFixture) -> None:
    make_repo(hub, "a")
    content = b"\0" + b"x" * 3_000_000
    sha256 = put_lfs(hub, "org/a", content)
    commit_lfs(hub, "models/org/a", "x.bin", sha256, len(content))
    blob = next(hub.directory.glob(f"blobs/*/{sha256}"))
    blob.write_bytes(content[:1_500_000])
    with pytest.raises(http.client.IncompleteRead):
        ask(hub, "GET", "/org/a/resolve/main/x.bin")
    assert "the response was cut off" in caplog.text
    blob.unlink()
    reply = ask(hub, "GET", "/org/a/resolve/main/x.bin")
    assert (reply.status, b"is missing from the directory of this Hub" in reply.body) == (500, True)
    assert f"The content {sha256} is missing" in caplog.text
    with running(hub.directory.parent / "second") as other:
        assert ask(other, "GET", "/api/models").json() == []
