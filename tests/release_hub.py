"""A local Hub that records every request, and releases in child processes with the real clients."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

from l2t_hub.artifacts import RELEASE_RECORD
from l2t_hub.local_hub.history import History
from l2t_hub.local_hub.hub_request import Limits
from l2t_hub.local_hub.repos import find_repo
from l2t_hub.local_hub.server import LocalHub
from l2t_hub.publish.stage import stage

CLIENTS = Path(__file__).parent / "clients"
Listing = dict[str, tuple[str, int, str]]


@dataclass
class Seen:
    """A request as the Hub saw it; `received` counts the bytes of its body, `sent` those of the answer's."""

    method: str
    path: str
    received: int = 0
    sent: int = 0
    status: int = 0

    @property
    def is_upload(self) -> bool:
        """Whether its body carries file contents."""
        return any(mark in self.path for mark in ("/lfs/", "/xorbs/", "/commit/"))


@dataclass
class Recorder:
    """Sits between uvicorn and the Hub: records requests, and calls `hook(number, when)` before and after each."""

    app: Any
    requests: list[Seen] = field(default_factory=list)
    hook: Callable[[int, str], None] = lambda number, when: None
    watch: Callable[[], None] = lambda: None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        seen = Seen(scope["method"], scope["raw_path"].decode())
        self.requests.append(seen)
        number = len(self.requests)

        async def counted() -> Any:
            message = await receive()
            seen.received += len(message.get("body", b""))
            return message

        self.hook(number, "before")
        await self.app(scope, counted, _Sender(send, self, seen, number))
        self.watch()

    def uploaded(self) -> int:
        """Return the bytes of all bodies that carried file contents."""
        return sum(seen.received for seen in self.requests if seen.is_upload)


class _Sender:
    """A `send` that records the status. The fault injector drops connections through `__self__`."""

    def __init__(self, send: Any, recorder: Recorder, seen: Seen, number: int) -> None:
        self._send, self._recorder, self._seen, self._number = send, recorder, seen, number
        self.__self__ = send.__self__

    async def __call__(self, message: Any) -> None:
        if message["type"] == "http.response.start":
            self._seen.status = message["status"]
            self._recorder.hook(self._number, "after")
        self._seen.sent += len(message.get("body", b""))
        await self._send(message)


class WatchedHub(LocalHub):
    """A local Hub with a recorder in front, and shortcuts to look into its store."""

    def __init__(self, directory: Path, limits: Limits | None = None, port: int = 0) -> None:
        super().__init__(directory, port, limits)
        self.recorder = Recorder(self._server.config.app)
        self._server.config.app = self.recorder
        self.history = History(self._store)

    def number(self, kind: str, repo: str) -> int:
        record = find_repo(self._store, kind, *repo.split("/"))
        assert record, f"there is no {kind} {repo}"
        return record.id

    def listing(self, kind: str, repo: str, revision: str = "main") -> Listing:
        """Return path -> (oid, size, sha256) of every file."""
        number = self.number(kind, repo)
        tree = self.history.tree(number, self.history.resolve(number, revision))
        return {path: (entry.oid, entry.size, entry.sha256) for path, entry in tree.items()}

    def pulls(self, kind: str, repo: str) -> list[str]:
        """Return the states of all pull requests."""
        rows = self._store.rows(
            "SELECT status FROM discussions WHERE repo=? ORDER BY number", self.number(kind, repo)
        )
        return [row["status"] for row in rows]

    def tags(self, kind: str, repo: str) -> dict[str, str]:
        return self.history.refs(self.number(kind, repo), "refs/tags/")

    def empty_commits(self, kind: str, repo: str, revision: str) -> int:
        """Return how many commits of a revision changed nothing."""
        number = self.number(kind, repo)
        log = list(self.history.log(number, self.history.resolve(number, revision)))
        return sum(1 for commit in log[:-1] if not self.history.changes(number, commit.id))

    def collected(self, title: str) -> list[str]:
        rows = self._store.rows("SELECT items FROM collections WHERE title=?", title)
        assert len(rows) <= 1
        return [item["id"] for row in rows for item in json.loads(row["items"])]

    def watch_main(self, kind: str, repo: str) -> list[Listing]:
        """Record, after every request from now on, each state of `main` that a reader could see."""
        states: list[Listing] = []

        def look() -> None:
            if find_repo(self._store, kind, *repo.split("/")):
                now = self.listing(kind, repo)
                if now not in states:
                    states.append(now)

        self.recorder.watch = look
        return states


def start(hub: LocalHub, directory: Path, repo: str, *arguments: str, **how: Any) -> "subprocess.Popen[str]":
    """Start a release in a child process whose clients use only `hub`."""
    home = how.pop("home", directory.parent / "home")
    env = hub.environment(home, **how) | {"OMP_NUM_THREADS": "1", "HF_XET_CLIENT_RETRY_BASE_DELAY": "100ms"}
    command = [sys.executable, str(CLIENTS / "release_one.py"), str(directory), repo, *arguments]
    return subprocess.Popen(
        command, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=directory.parent
    )


def run(
    hub: LocalHub, directory: Path, repo: str, *arguments: str, **how: Any
) -> "subprocess.CompletedProcess[str]":
    """Run a release in a child process to its end."""
    child = start(hub, directory, repo, *arguments, **how)
    try:
        out, err = child.communicate(timeout=how.pop("timeout", 120))
    finally:
        child.kill()
    return subprocess.CompletedProcess(child.args, child.returncode, out, err)


def released(done: "subprocess.CompletedProcess[str]") -> dict[str, Any]:
    """Return what a successful release printed."""
    assert done.returncode == 0, done.stderr[-4000:]
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def assert_is(hub: WatchedHub, kind: str, repo: str, directory: Path) -> None:
    """Check that `main` has exactly the files of the directory, `.gitattributes` and the release record."""
    here = {
        p.relative_to(directory).as_posix(): p
        for p in directory.rglob("*")
        if p.is_file() and not p.name.startswith(".")
    }
    there = hub.listing(kind, repo)
    assert set(there) == {*here, ".gitattributes", RELEASE_RECORD}
    for path, file in here.items():
        assert there[path][1:] == (file.stat().st_size, sha256(file.read_bytes()).hexdigest()), path
    record = stage(directory).file(RELEASE_RECORD)
    assert record
    assert there[RELEASE_RECORD] == (record.git_hash, record.size, record.sha256)


def assert_clean(hub: WatchedHub, kind: str, repo: str, directory: Path, pulls: int = 1) -> None:
    """Check that the release is whole and nothing is duplicated: one merged pull request, no empty commit, its tags."""
    assert_is(hub, kind, repo, directory)
    states = hub.pulls(kind, repo)
    assert states.count("merged") == pulls
    assert not {"open", "draft"} & set(states)
    assert hub.empty_commits(kind, repo, f"refs/pr/{len(states)}") == 0
    head = hub.history.resolve(hub.number(kind, repo), "main")
    versions = {name: commit for name, commit in hub.tags(kind, repo).items() if not name.startswith("fp-")}
    assert list(versions) == [f"v{n + 1}" for n in range(pulls)]
    assert versions[f"v{pulls}"] == head


def put(hub: WatchedHub, kind: str, repo: str, files: dict[str, bytes]) -> None:
    """Put files on `main` inside the server, bypassing the clients' checks. Creates the repo if it is new."""
    from l2t_hub.local_hub.git_objects import lfs_entry, regular_entry
    from l2t_hub.local_hub.history import MAIN, Put, now

    namespace, name = repo.split("/")
    if not find_repo(hub._store, kind, namespace, name):
        with hub._store.transaction() as db:
            row = (
                "INSERT INTO repos(kind, namespace, name, private, sdk, created) VALUES(?, ?, ?, 0, NULL, ?)"
            )
            number = db.execute(row, (kind, namespace, name, now())).lastrowid
            assert number
            hub.history.set_ref(
                number, MAIN, hub.history.add_commit(number, {}, {}, (), "initial", "", "another")
            )
    changes = []
    for path, content in files.items():
        hub._store.write_blob(content)
        entry = (
            lfs_entry(sha256(content).hexdigest(), len(content))
            if b"\0" in content
            else regular_entry(content)
        )
        changes.append(Put(path, entry))
    hub.history.write(hub.number(kind, repo), MAIN, changes, "past the clients", "", "another", None)


@contextmanager
def hub_process(directory: Path, port: int = 0) -> "Iterator[tuple[subprocess.Popen[bytes], dict[str, str]]]":
    """Run a local Hub as a process that can be killed or measured. Yields it and the environment of its clients."""
    command = [
        sys.executable,
        "-m",
        "l2t_hub.cli",
        "hub",
        "serve",
        "--dir",
        str(directory),
        "--port",
        str(port),
    ]
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        note = directory / "serving.json"
        until(lambda: note.exists() and json.loads(note.read_text())["pid"] == child.pid)
        token = json.loads((directory / "tokens.json").read_text())["write"]
        environment = {n: v for n, v in os.environ.items() if not n.startswith("HF_")}
        environment |= {"HF_ENDPOINT": json.loads(note.read_text())["url"], "HF_TOKEN": token}
        yield child, environment
    finally:
        child.kill()
        child.wait()


def until(condition: Callable[[], object], seconds: float = 60) -> None:
    """Wait until a condition holds. Fails if it takes longer."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.005)


def download(
    hub: LocalHub, name: str, kind: str, home: Path, *arguments: str, **how: Any
) -> "subprocess.CompletedProcess[str]":
    """Resolve a DIR|REPO argument in a child process."""
    command = [sys.executable, str(CLIENTS / "download_one.py"), name, kind, *arguments]
    return subprocess.run(
        command, env=hub.environment(home, **how), capture_output=True, text=True, timeout=120, check=False
    )
