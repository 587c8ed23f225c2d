"""Injected faults with the real clients: what they retry, what they report, and that the Hub stays consistent."""

import errno
import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hub_clients import SMALL_PARTS, ask, commit, make_repo, put_lfs, run_client

from l2t_hub.local_hub.faults import Answer, Cut, Delay, DiskFull, FaultTable
from l2t_hub.local_hub.server import LocalHub, running

# case -> method, path, fault, nth; outcome over LFS; commits on main afterwards
CASES: dict[str, tuple[str, str, object, int, str, int]] = {
    "commit-preupload429": ("POST", "commit-preupload429/preupload", Answer(429, retry_after=1), 1, "ok", 2),
    "commit-503": ("POST", "commit-503/commit", Answer(503), 1, "HfHubHTTPError 503", 1),
    "commit-after503": (
        "POST",
        "commit-after503/commit",
        Answer(503, after=True),
        1,
        "HfHubHTTPError 503",
        2,
    ),
    "commit-cutbefore": ("POST", "commit-cutbefore/commit", Cut("before"), 1, "connection", 1),
    "commit-cutduring": ("POST", "commit-cutduring/commit", Cut("during"), 1, "connection", 1),
    "commit-cutafter": ("POST", "commit-cutafter/commit", Cut("after"), 1, "connection", 2),
    "commit-full": ("POST", "commit-full/commit", DiskFull(), 1, "HfHubHTTPError 507", 1),
    "upload-batch503": ("POST", "upload-batch503.git/info/lfs/objects/batch", Answer(503), 1, "ok", 2),
    "tree-503": ("GET", "tree-503/tree", Answer(503), 1, "ok", 1),
    "range-slow": ("GET", "range-slow/resolve", Delay(0.2), 1, "ok", 1),
}
CONNECTION = ("RemoteProtocolError", "ReadError", "WriteError", "ConnectError")
TRANSFERS: dict[str, dict[str, tuple[str, str, object, int]]] = {
    "lfs": {
        "upload-cutput": ("PUT", "/lfs/part/", Cut("during"), 1),
        "upload-500put": ("PUT", "/lfs/part/", Answer(500), 2),
        "upload-cutdone": ("POST", "/lfs/complete/", Cut("after"), 1),
    },
    "xet": {
        "upload-cutxorb": ("POST", "/xet/v1/xorbs/", Cut("during"), 1),
        "upload-503xorb": ("POST", "/xet/v1/xorbs/", Answer(503), 1),
        "upload-cutshard": ("POST", "/xet/v1/shards", Cut("after"), 1),
    },
}


def outcome(answer: str) -> str:
    return "connection" if answer in CONNECTION else answer


@pytest.fixture(scope="module")
def afterwards(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[str, int]]:
    """The outcome for the client in each case, and the number of commits on `main` afterwards."""
    folder = tmp_path_factory.mktemp("faults")
    with running(folder / "hub", limits=SMALL_PARTS) as hub:
        for name, (method, path, action, nth, _, _) in CASES.items():
            make_repo(hub, name)
            hub.faults.add(method, path, action, nth=nth)
        done = run_client(hub, "faulty.py", folder / "client", *CASES, xet=False)
        assert done.returncode == 0, done.stderr[-2000:]
        assert [row for row in hub.faults.rows if row.struck != 1] == []
        return {
            name: (outcome(answer), commits_of(hub, name)) for name, answer in json.loads(done.stdout).items()
        }


def commits_of(hub: LocalHub, name: str) -> int:
    return len(ask(hub, "GET", f"/api/models/org/{name}/commits/main").json())


@pytest.mark.parametrize("name", CASES)
def test_a_fault_has_its_outcome(afterwards: dict[str, tuple[str, int]], name: str) -> None:
    *_, answer, commits = CASES[name]
    assert afterwards[name] == (answer, commits)


@pytest.mark.parametrize("way", TRANSFERS)
def test_interrupted_transfers_are_retried_and_complete(tmp_path: Path, way: str) -> None:
    with running(tmp_path / "hub", limits=SMALL_PARTS) as hub:
        for name, (method, path, action, nth) in TRANSFERS[way].items():
            make_repo(hub, name)
            # One at a time: these paths do not name the repo.
            row = hub.faults.add(method, path, action, nth=nth)
            done = run_client(hub, "faulty.py", tmp_path / name, name, xet=way == "xet")
            assert done.returncode == 0, done.stderr[-2000:]
            assert json.loads(done.stdout) == {name: "ok"}
            assert row.struck == 1
            node = ask(hub, "GET", f"/api/models/org/{name}/tree/main").json()[-1]
            assert (node["path"], node["size"], "xetHash" in node) == (
                "large.bin",
                1_280_000 + len(name),
                way == "xet",
            )
            hub.faults.clear()


def test_a_full_disk_stores_nothing_of_the_request(hub: LocalHub) -> None:
    make_repo(hub, "a")
    before = sorted(
        p for p in hub.directory.rglob("*") if p.is_file() and p.parent.name not in ("", hub.directory.name)
    )
    hub.faults.add("*", "/lfs/|/commit/|/repos/create|/xet/", DiskFull(), times=None)
    assert commit(hub, "models/org/a", {"x.txt": b"never kept"}).status == 507
    with pytest.raises(AssertionError):
        put_lfs(hub, "org/a", b"\0never kept")
    assert ask(hub, "POST", "/api/repos/create", {"name": "b", "organization": "org"}).status == 507
    assert (
        sorted(
            p
            for p in hub.directory.rglob("*")
            if p.is_file() and p.parent.name not in ("", hub.directory.name)
        )
        == before
    )
    hub.faults.clear()
    assert commit(hub, "models/org/a", {"x.txt": b"kept"}).status == 200
    assert put_lfs(hub, "org/a", b"\0kept")


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), 507),
        (OSError(errno.EIO, "input/output error"), 500),
        (KeyError("a bug"), 500),
    ],
)
def test_failures_of_the_hub_itself_are_answered(
    hub: LocalHub, monkeypatch: pytest.MonkeyPatch, error: Exception, status: int
) -> None:
    from l2t_hub.local_hub.storage import Store

    make_repo(hub, "a")

    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(Store, "write_blob", fail)
    reply = commit(hub, "models/org/a", {"x.txt": b"x"})
    assert reply.status == status
    assert b"Traceback" not in reply.body


def test_the_table_counts_requests() -> None:
    table = FaultTable()
    second = table.add("GET", r"/a$", Answer(500), nth=2, times=2)
    always = table.add("*", r"/b", Cut("before"), times=None)
    check: Callable[[str, str], object] = table.strike
    assert [check("GET", "/a") for _ in range(4)] == [None, Answer(500), Answer(500), None]
    assert check("POST", "/a") is None
    assert [check("PUT", "/b/c"), check("GET", "/b")] == [Cut("before")] * 2
    assert (second.seen, second.struck, always.struck) == (4, 2, 2)
    table.clear()
    assert check("GET", "/b") is None
