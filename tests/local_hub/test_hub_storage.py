"""Hashes are those of git, and stored content survives a restart and a SIGKILL."""

import errno
import hashlib
import http.client
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from hub_clients import ask, commit, commit_lfs, make_repo, put_lfs
from random_moments import seeded

from l2t_hub.errors import UserError
from l2t_hub.local_hub.git_objects import TreeEntry, commit_hash, folder_oids, git_hash, regular_entry
from l2t_hub.local_hub.history import MAIN, History, Put, Remove, applied, difference
from l2t_hub.local_hub.http_errors import HubError
from l2t_hub.local_hub.server import LocalHub, running
from l2t_hub.local_hub.storage import Store

FILES = {
    "a/b/f": b"x\n",
    "a/g": b"y\n",
    "a.txt": b"z\n",
    "c/d": b"w\n",
    "a-b": b"q\n",
    "a/b.c/e": b"",
    "ü/ñ": b"n",
}


def tree(files: dict[str, bytes]) -> dict[str, TreeEntry]:
    return {path: regular_entry(content) for path, content in files.items()}


@pytest.mark.skipif(not shutil.which("git"), reason="git is not installed")
def test_hashes_are_those_of_git(tmp_path: Path) -> None:
    def git(*arguments: str, **more: str) -> str:
        env = {**os.environ, "GIT_CONFIG_GLOBAL": "/dev/null", **more}
        return subprocess.run(
            ["git", *arguments], cwd=tmp_path, env=env, check=True, capture_output=True, text=True
        ).stdout

    git("init", "-q", ".")
    git("config", "core.quotepath", "off")
    for path, content in FILES.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes(content)
    git("add", "-A")
    who = {f"GIT_{part}_{field}": value for part in ("AUTHOR", "COMMITTER") for field, value in (
        ("NAME", "me"), ("EMAIL", "me@rehearsal.invalid"), ("DATE", "1700000000 +0000"))}  # fmt: skip
    git("commit", "-q", "--cleanup=verbatim", "-m", "hello", **who)
    oids = folder_oids(tree(FILES))
    assert oids[""] == git("rev-parse", "HEAD^{tree}").strip()
    assert oids["a/b"] == git("rev-parse", "HEAD:a/b").strip()
    assert commit_hash(oids[""], (), "me", 1700000000, "hello\n") == git("rev-parse", "HEAD").strip()


def test_changes_are_applied_in_order_and_refused_where_they_clash() -> None:
    before = tree(FILES)
    entry = regular_entry(b"new")
    after = applied(before, [Remove("a", folder=True), Put("a", entry), Remove("c/d")], "c")
    assert set(after) == {"a", "a.txt", "a-b", "ü/ñ"}
    for changes in ([Put("a", entry)], [Put("a.txt/x", entry)], [Put("new", entry), Put("new/below", entry)]):
        with pytest.raises(HubError, match=r"same path|folder as well") as caught:
            applied(before, changes, "c")
        assert caught.value.status == 400
    for change in (Remove("nope"), Remove("nope", folder=True), Remove("a")):
        with pytest.raises(HubError) as caught:
            applied(before, [change], "c")
        assert (caught.value.status, caught.value.code) == (404, "EntryNotFound")


def test_a_merge_takes_both_sides_and_names_conflicts(tmp_path: Path) -> None:
    store = Store(tmp_path)
    history = History(store)
    base = history.add_commit(
        1, tree({"same": b"1", "mine": b"1", "theirs": b"1", "both": b"1"}), {}, (), "base", "", "me"
    )
    for ref in (MAIN, "refs/pr/1"):
        history.set_ref(1, ref, base)
    put = lambda ref, path, text: history.write(1, ref, [Put(path, regular_entry(text))], "t", "", "me", None)  # noqa: E731
    put(MAIN, "mine", b"2")
    put("refs/pr/1", "theirs", b"3")
    put(MAIN, "alike", b"4")
    put("refs/pr/1", "alike", b"4")
    history.write(1, "refs/pr/1", [Remove("same")], "t", "", "me", None)
    ours, head = history.resolve(1, MAIN), history.resolve(1, "refs/pr/1")
    merged, conflicts = history.merged_tree(1, ours, head)
    assert conflicts == []
    assert {path: entry.oid for path, entry in merged.items()} == {
        path: regular_entry(text).oid
        for path, text in {"mine": b"2", "theirs": b"3", "both": b"1", "alike": b"4"}.items()
    }
    ours, head = put(MAIN, "both", b"5"), put("refs/pr/1", "both", b"6")
    assert history.merged_tree(1, ours, head)[1] == ["both"]
    assert set(difference(history.tree(1, base), history.tree(1, ours))) == {"mine", "alike", "both"}
    store.close()


def test_content_that_differs_from_its_announcement_is_not_stored(tmp_path: Path) -> None:
    store = Store(tmp_path)
    with store.incoming() as file:
        file.write(b"abc")
        with pytest.raises(HubError, match="differs from what was announced"):
            file.keep_as_blob("0" * 64, 3)
    store.before_write = lambda: (_ for _ in ()).throw(OSError(errno.ENOSPC, "full"))
    with pytest.raises(OSError, match="full"):
        store.write_blob(b"abc")
    assert [path for path in tmp_path.rglob("*") if path.parent.name in ("tmp", "blobs")] == []
    store.close()


def test_everything_survives_a_restart(tmp_path: Path) -> None:
    with running(tmp_path) as hub:
        make_repo(hub, "kept", "dataset", private=True)
        first = commit(hub, "datasets/org/kept", {"README.md": b"# kept"}).json()["commitOid"]
        sha256 = put_lfs(hub, "datasets/org/kept", b"\0large")
        assert commit_lfs(hub, "datasets/org/kept", "large.bin", sha256, 6).status == 200
        ask(hub, "POST", "/api/datasets/org/kept/tag/main", {"tag": "v1"})
        ask(
            hub,
            "POST",
            "/api/datasets/org/kept/discussions",
            {"title": "a pull request", "pullRequest": True},
        )
        tokens = (hub.keys.write, hub.keys.read)
    with running(tmp_path) as hub:
        assert (hub.keys.write, hub.keys.read) == tokens
        assert ask(hub, "GET", "/datasets/org/kept/resolve/v1/large.bin").body == b"\0large"
        assert ask(hub, "GET", f"/datasets/org/kept/resolve/{first}/README.md").body == b"# kept"
        assert ask(hub, "GET", "/datasets/org/kept/resolve/v1/large.bin", token=None).status == 404
        assert ask(hub, "GET", "/api/datasets/org/kept/discussions/1").json()["status"] == "draft"
    assert (tmp_path / "tokens.json").stat().st_mode & 0o077 == 0


def test_a_directory_and_a_port_have_one_server(tmp_path: Path) -> None:
    with running(tmp_path / "one") as hub:
        with pytest.raises(UserError, match="another local Hub"):
            LocalHub(tmp_path / "one")
        with pytest.raises(UserError, match="cannot be used"):
            LocalHub(tmp_path / "two", hub.port)


def test_one_of_several_commits_on_a_parent_succeeds(hub: LocalHub) -> None:
    make_repo(hub, "raced")
    wins = []

    def contend(name: str) -> None:
        for turn in range(10):
            head = ask(hub, "GET", "/api/models/org/raced").json()["sha"]
            reply = commit(hub, "models/org/raced", {f"{name}-{turn}": b"x"}, parentCommit=head)
            assert reply.status in (200, 412)
            if reply.status == 200:
                wins.append((f"{name}-{turn}", head))

    threads = [threading.Thread(target=contend, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    files = {node["path"] for node in ask(hub, "GET", "/api/models/org/raced/tree/main").json()}
    assert files == {name for name, _ in wins} | {".gitattributes"}
    assert len({head for _, head in wins}) == len(wins) >= 10


def test_abandoned_uploads_are_cleared_away(tmp_path: Path) -> None:
    Store(tmp_path).close()
    for name, age in (("old", 7 * 3600), ("young", 60)):
        folder = tmp_path / "parts" / name
        folder.mkdir(parents=True)
        (folder / "00001").write_bytes(b"x")
        os.utime(folder, (time.time() - age,) * 2)
    Store(tmp_path).close()
    assert [path.name for path in (tmp_path / "parts").iterdir()] == ["young"]


SERVE = """
import pathlib, sys
from l2t_hub.local_hub.server import LocalHub
LocalHub(pathlib.Path(sys.argv[1]), int(sys.argv[2])).serve()
"""


class Writer:
    """Commits to a Hub until the server is killed, and records what was acknowledged."""

    def __init__(self, hub: LocalHub) -> None:
        self.hub = hub
        self.acknowledged: list[tuple[str, str, str]] = []
        self._count = 0

    def run(self) -> None:
        while True:
            name, self._count = f"{self._count:04d}", self._count + 1
            content = f"\0{name}".encode()
            try:
                reply = commit(self.hub, "models/org/killed", {f"{name}.txt": content, "last.txt": content})
                if reply.status == 200:
                    self.acknowledged.append((f"{name}.txt", reply.json()["commitOid"], "regular"))
                sha256 = put_lfs(self.hub, "org/killed", content * 50_000)
                reply = commit_lfs(
                    self.hub, "models/org/killed", f"{name}.bin", sha256, len(content) * 50_000
                )
                if reply.status == 200:
                    self.acknowledged.append((f"{name}.bin", reply.json()["commitOid"], sha256))
            except (OSError, ValueError, http.client.HTTPException):
                return


def check_whole(hub: LocalHub, writer: Writer) -> None:
    """Check that acknowledged commits and files exist and that content has its hash."""
    log = "/api/models/org/killed/commits/main?limit=1000&p="
    pages = [ask(hub, "GET", f"{log}{page}").json() for page in range(1 + len(writer.acknowledged) // 500)]
    assert list((hub.directory / "tmp").iterdir()) == []
    assert {oid for _, oid, _ in writer.acknowledged} <= {row["id"] for page in pages for row in page}
    files: list[str] = []
    while not files or len(files) % 1000 == 0:
        page = f"/api/models/org/killed/tree/main?limit=1000{f'&cursor={files[-1]}' if files else ''}"
        more = [node["path"] for node in ask(hub, "GET", page).json()]
        files += more
        if not more:
            break
    assert {name for name, _, _ in writer.acknowledged} <= set(files)
    for name in files[-4:]:
        reply = ask(hub, "GET", f"/org/killed/resolve/main/{name}")
        assert reply.status == 200
        etag = reply.headers["etag"].strip('"')
        actual = hashlib.sha256(reply.body).hexdigest() if len(etag) == 64 else git_hash("blob", reply.body)
        assert etag == actual


@pytest.mark.parametrize("kills", [5, pytest.param(60, marks=[pytest.mark.slow, pytest.mark.timeout(1800)])])
def test_a_killed_server_loses_nothing_it_acknowledged(tmp_path: Path, kills: int) -> None:
    """SIGKILL at random moments while the server takes commits and uploads."""
    moments = seeded()
    hub = LocalHub(tmp_path / "hub")  # for its tokens and its port
    hub.stop()
    writer = Writer(hub)
    for kill in range(kills):
        command = [sys.executable, "-c", SERVE, str(hub.directory), str(hub.port)]
        server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 60
        while True:
            try:
                if kill == 0:
                    make_repo(hub, "killed")
                check_whole(hub, writer)
                break
            except ConnectionError:
                assert server.poll() is None
                assert time.monotonic() < deadline
                time.sleep(0.02)
        thread = threading.Thread(target=writer.run)
        thread.start()
        time.sleep(moments.uniform(0.01, 0.5))
        server.send_signal(signal.SIGKILL)
        server.wait()
        thread.join()
    with running(hub.directory, hub.port) as back:
        check_whole(back, writer)
    assert len(writer.acknowledged) >= kills
