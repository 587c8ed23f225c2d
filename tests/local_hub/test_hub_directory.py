"""The directory of a local Hub: which ones it accepts, their permissions, and damaged files."""

import json
import os
import sqlite3
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hub_clients import ask, commit, commit_lfs, make_repo, put_lfs

from l2t_hub.errors import UserError
from l2t_hub.local_hub.auth import Keyring
from l2t_hub.local_hub.hub_directory import MARKER, TOKENS
from l2t_hub.local_hub.server import LocalHub, running
from l2t_hub.local_hub.storage import Store


def snapshot(directory: Path) -> dict[str, tuple[int, int, int, str]]:
    """Return mode, size, modification time and link target of a directory and of everything in it."""
    return {
        str(p.relative_to(directory)): (
            p.lstat().st_mode,
            p.lstat().st_size,
            p.lstat().st_mtime_ns,
            str(p.readlink()) if p.is_symlink() else "",
        )
        for p in (directory, *directory.rglob("*"))
    }


FOREIGN: dict[str, dict[str, str]] = {
    "a home": {".bashrc": "x", "tmp/precious": "x", "parts/old/precious": "x"},
    "only tmp": {"tmp/precious": "x"},
    "only blobs": {"blobs/ab/precious": "x"},
    "only a lock": {"lock": "x"},
    "only a log": {"hub.log": "x"},
    "tokens alone": {"tokens.json": "{}"},
    "a Hub and more": {"tokens.json": "{}", "hub.sqlite": "", "tmp/precious": "x", "thesis.tex": "x"},
    "another marker": {MARKER: "mine", "tmp/precious": "x"},
    "an empty marker": {MARKER: "", "tmp/precious": "x"},
}


@pytest.mark.parametrize("files", FOREIGN.values(), ids=FOREIGN)
def test_a_directory_of_something_else_is_refused_and_unchanged(
    tmp_path: Path, files: dict[str, str]
) -> None:
    home = tmp_path / "home"
    for name, text in files.items():
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).write_text(text)
    os.utime(home / next(iter(files)), (0, 0))
    before = snapshot(home)
    with pytest.raises(UserError, match="files that do not belong to a local Hub") as caught:
        LocalHub(home)
    assert "empty directory" in str(caught.value.hint)
    assert snapshot(home) == before


LINKED = ["lock", "hub.sqlite", "hub.sqlite-wal", "tokens.json", "port", "serving.json", "hub.log", MARKER]


@pytest.mark.parametrize("name", LINKED)
def test_a_linked_file_is_refused_and_its_target_unchanged(tmp_path: Path, name: str) -> None:
    with running(tmp_path / "hub"):
        pass
    target = tmp_path / "precious"
    target.write_text("precious" if name != MARKER else (tmp_path / "hub" / MARKER).read_text())
    (tmp_path / "hub" / name).unlink(missing_ok=True)
    (tmp_path / "hub" / name).symlink_to(target)
    before = snapshot(tmp_path)
    with pytest.raises(UserError, match=r"does not follow links|do not belong"):
        LocalHub(tmp_path / "hub")
    assert snapshot(tmp_path) == before


@pytest.mark.parametrize("name", ["tmp", "parts", "blobs", "xorbs", "blobs/ab", "parts/old"])
def test_a_linked_folder_is_refused_and_its_target_unchanged(tmp_path: Path, name: str) -> None:
    with running(tmp_path / "hub"):
        pass
    target = tmp_path / "precious"
    (target / "old").mkdir(parents=True)
    (target / "file").write_text("precious")
    os.utime(target / "old", (0, 0))
    if (tmp_path / "hub" / name).exists():
        (tmp_path / "hub" / name).rmdir()
    (tmp_path / "hub" / name).symlink_to(target)
    before = snapshot(tmp_path)
    with pytest.raises(UserError, match="does not follow links"):
        LocalHub(tmp_path / "hub")
    assert snapshot(tmp_path) == before


def test_a_link_among_leftovers_is_deleted_not_followed(tmp_path: Path) -> None:
    with running(tmp_path / "hub"):
        pass
    (tmp_path / "precious").write_text("precious")
    (tmp_path / "hub" / "tmp" / "leftover").symlink_to(tmp_path / "precious")
    with running(tmp_path / "hub"):
        assert list((tmp_path / "hub" / "tmp").iterdir()) == []
    assert (tmp_path / "precious").read_text() == "precious"


def test_a_fifo_is_refused_without_waiting_for_it(tmp_path: Path) -> None:
    with running(tmp_path / "hub"):
        pass
    (tmp_path / "hub" / "port").unlink(missing_ok=True)
    os.mkfifo(tmp_path / "hub" / "port")
    with pytest.raises(UserError, match="special files"):
        LocalHub(tmp_path / "hub")


def test_a_directory_of_an_older_version_gets_a_marker(tmp_path: Path) -> None:
    with running(tmp_path / "hub") as hub:
        make_repo(hub, "kept")
    (tmp_path / "hub" / MARKER).unlink()
    (tmp_path / "hub" / "client" / "hub").mkdir(parents=True)
    with running(tmp_path / "hub") as hub:
        assert ask(hub, "GET", "/api/models/org/kept").status == 200
    assert "local Hub" in (tmp_path / "hub" / MARKER).read_text()


def test_everything_is_private_whatever_the_umask_is(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        with running(tmp_path / "deep" / "hub") as hub:
            make_repo(hub, "a")
            sha256 = put_lfs(hub, "org/a", b"\0large")
            commit_lfs(hub, "models/org/a", "x.bin", sha256, 6)
            commit(hub, "models/org/a", {"README.md": b"# Card"})
            modes = {p: stat.S_IMODE(p.lstat().st_mode) for p in (hub.directory, *hub.directory.rglob("*"))}
    finally:
        os.umask(before)
    assert {p for p in modes if p.name in ("hub.sqlite-wal", sha256, TOKENS, "lock", MARKER)}
    assert {p: oct(mode) for p, mode in modes.items() if mode != (0o700 if p.is_dir() else 0o600)} == {}


def test_an_existing_directory_becomes_private(tmp_path: Path) -> None:
    with running(tmp_path / "hub") as hub:
        make_repo(hub, "a")
    for path in (tmp_path / "hub", *(tmp_path / "hub").rglob("*")):
        path.chmod(0o777 if path.is_dir() else 0o666)
    with running(tmp_path / "hub"):
        pass
    top = [tmp_path / "hub", *(tmp_path / "hub").iterdir(), *(tmp_path / "hub" / "blobs").iterdir()]
    assert [p for p in top if p.lstat().st_mode & 0o077] == []


GOOD = {name: f"hf_rehearsal_{name}_{'0' * 32}" for name in ("write", "read", "outsider")} | {
    "secret": "0" * 64
}
BAD_TOKENS: dict[str, Any] = {
    "empty": "", "not JSON": "{", "deep": "[" * 100_000, "a list": "[]", "null": "null", "no secret": json.dumps({**GOOD, "secret": None}),
    "short secret": json.dumps({**GOOD, "secret": "00"}), "a number": json.dumps({**GOOD, "write": 7}), "a list of tokens": json.dumps({**GOOD, "read": []}),
    "one for all": json.dumps({**GOOD, "read": GOOD["write"]}), "a real token": json.dumps({**GOOD, "write": "hf_abc"}),
    "a line break": json.dumps({**GOOD, "write": GOOD["write"] + "\n"}), "missing": json.dumps({"write": GOOD["write"]}),
    "not UTF-8": b"\xff\xfe\x00", "large": " " * 100_000 + json.dumps(GOOD), "surrogate": '{"write": "\\ud800"}',
}  # fmt: skip


@pytest.mark.parametrize("text", BAD_TOKENS.values(), ids=BAD_TOKENS)
def test_a_malformed_token_file_is_one_sentence(tmp_path: Path, text: str | bytes) -> None:
    hub = LocalHub(tmp_path / "hub")
    hub.stop()
    (tmp_path / "hub" / TOKENS).write_bytes(text.encode() if isinstance(text, str) else text)
    with pytest.raises(UserError, match=r"tokens.json: this is not the token file of a local Hub"):
        LocalHub(tmp_path / "hub")
    (tmp_path / "hub" / TOKENS).unlink()  # as the hint says
    LocalHub(tmp_path / "hub").stop()


def test_a_token_file_of_the_right_form_is_used(tmp_path: Path) -> None:
    Store(tmp_path).close()
    (tmp_path / TOKENS).write_text(json.dumps(GOOD))
    assert Keyring(tmp_path / TOKENS).write == GOOD["write"]


def changed_database(path: Path, *statements: str) -> None:
    database = sqlite3.connect(path)
    for statement in statements:
        database.execute(statement)
    database.commit()
    database.close()


BAD_DATABASES: dict[str, Any] = {
    "text": b"not a database " * 100,
    "cut off": lambda content: content[: len(content) // 2],
    "zeros": lambda content: content[:4096] + bytes(len(content) - 4096),
    "noise": lambda content: content[:2000] + b"\xa5" * 3000 + content[5000:],
    "another table": ["CREATE TABLE recipes(soup TEXT)"],
    "another column": ["ALTER TABLE repos ADD COLUMN evil TEXT"],
    "a missing column": ["ALTER TABLE commits DROP COLUMN message"],
    "a view for a table": ["DROP TABLE refs", "CREATE VIEW refs AS SELECT 1 AS repo"],
    "a trigger": ["CREATE TRIGGER evil AFTER INSERT ON repos BEGIN DELETE FROM commits; END"],
}


@pytest.mark.parametrize("change", BAD_DATABASES.values(), ids=BAD_DATABASES)
def test_a_malformed_database_is_one_sentence(tmp_path: Path, change: Any) -> None:
    with running(tmp_path / "hub") as hub:
        for number in range(5):
            make_repo(hub, f"r{number}")
    path = tmp_path / "hub" / "hub.sqlite"
    if isinstance(change, list):
        changed_database(path, *change)
    else:
        path.write_bytes(change if isinstance(change, bytes) else change(path.read_bytes()))
    with pytest.raises(UserError, match=r"hub.sqlite: the local Hub cannot use this database: .+") as caught:
        LocalHub(tmp_path / "hub")
    assert "\n" not in caught.value.message
    assert "move the file away" in str(caught.value.hint)


BAD_ROWS = {
    "tree": "UPDATE commits SET tree='x'", "a tree of noise": "UPDATE commits SET tree=x'00112233'", "parents": "UPDATE commits SET parents='{'",
    "a tree of numbers": "UPDATE commits SET tree=x'789c33000000320032'", "a dangling ref": "UPDATE refs SET target='0'",
    "events": "UPDATE discussions SET events='[' ", "events of numbers": "UPDATE discussions SET events='7'", "items": "UPDATE collections SET items='{'",
    "items of numbers": "UPDATE collections SET items='[7]'", "a name": "UPDATE repos SET name=x'ff'", "a kind": "UPDATE repos SET kind='../x'",
    "not UTF-8": "UPDATE commits SET title=CAST(x'ff' AS TEXT)",
}  # fmt: skip


@pytest.mark.parametrize("statement", BAD_ROWS.values(), ids=BAD_ROWS)
def test_a_malformed_row_is_answered_with_a_sentence(
    tmp_path: Path, statement: str, caplog: pytest.LogCaptureFixture
) -> None:
    with running(tmp_path / "hub") as hub:
        make_repo(hub, "a")
        ask(hub, "POST", "/api/models/org/a/discussions", {"title": "t", "description": "d"})
        slug = ask(hub, "POST", "/api/collections", {"title": "c", "namespace": "org"}).json()["slug"]
    changed_database(tmp_path / "hub" / "hub.sqlite", statement)
    with running(tmp_path / "hub") as hub:
        for path in ("/api/models/org/a", "/api/models", "/org/a", "/", "/api/models/org/a/discussions/1", f"/api/collections/{slug}",
                     "/org/a/commits/main", "/api/models/org/a/tree/main?expand=1", "/org/a/resolve/main/.gitattributes"):  # fmt: skip
            reply = ask(hub, "GET", path)
            assert reply.status in (200, 404, 500), path
            assert b"Traceback" not in reply.body
            if reply.status == 500:
                assert b"damaged" in reply.body or b"Its log has the details" in reply.body
                assert any(r.levelname == "ERROR" for r in caplog.records)
        assert ask(hub, "GET", "/api/whoami-v2").status == 200
        assert "Traceback" not in caplog.text


@pytest.mark.parametrize("what", ["home", "tokens", "database", "port"])
def test_the_command_prints_one_sentence(tmp_path: Path, what: str) -> None:
    hub = LocalHub(tmp_path / "hub")
    if what != "port":
        hub.stop()
    if what == "home":
        (tmp_path / "hub" / MARKER).unlink()
        (tmp_path / "hub" / "thesis.tex").write_text("x")
    elif what == "tokens":
        (tmp_path / "hub" / TOKENS).write_text("[]")
    elif what == "database":
        (tmp_path / "hub" / "hub.sqlite").write_bytes(b"x" * 5000)
    port = str(hub.port) if what == "port" else "0"
    directory = tmp_path / ("other" if what == "port" else "hub")
    command = [sys.executable, "-m", "l2t_hub.cli", "hub", "serve", "--dir", str(directory), "--port", port]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    if what == "port":
        hub.stop()
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "rehearsal Hub" not in done.stdout  # the banner comes last
    expected = {
        "home": "do not belong",
        "tokens": "tokens.json",
        "database": "hub.sqlite",
        "port": f"port {port}",
    }
    assert expected[what] in done.stderr.replace("\n", " ")
