"""Runs the real clients in child processes whose environment points them to a local Hub."""

import hashlib
import http.client
import json
import subprocess
import sys
from base64 import b64encode
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from l2t_hub.local_hub.hub_request import Limits
from l2t_hub.local_hub.server import LocalHub

CLIENTS = Path(__file__).parent / "clients"
# Small parts, so that files of a few megabytes are uploaded in several.
SMALL_PARTS = Limits(part_bytes=1 << 20)


def run_client(
    hub: LocalHub,
    script: str,
    workdir: Path,
    *arguments: str,
    xet: bool = True,
    token: str | None = None,
    timeout: float = 280,
) -> subprocess.CompletedProcess[str]:
    """Run `clients/<script>` in a child process whose clients talk to `hub`."""
    workdir.mkdir(parents=True, exist_ok=True)
    env = hub.environment(workdir / "home", xet=xet, token=token)
    keys = hub.keys
    tokens = {
        "read": keys.read,
        "outsider": keys.outsider,
        "expired": keys.mint(seconds=-1),
        "write": keys.write,
    }
    env |= {
        "L2T_TEST_TOKENS": json.dumps(tokens),
        "OMP_NUM_THREADS": "1",
        "PATH": f"{Path(sys.executable).parent}:{env['PATH']}",
    }
    command = [sys.executable, str(CLIENTS / script), *arguments]
    return subprocess.run(
        command, cwd=workdir, env=env, capture_output=True, text=True, timeout=timeout, check=False
    )


def rows_of(done: subprocess.CompletedProcess[str]) -> dict[str, str]:
    """Return the result of each row of a script."""
    assert done.returncode == 0, done.stderr[-4000:]
    results: dict[str, Any] = json.loads(done.stdout)
    return results


def names_of_rows(script: str) -> list[str]:
    """Return the rows of a script without running it, so that a row that disappears is noticed."""
    lines = (CLIENTS / script).read_text(encoding="utf-8").splitlines()
    return [line.removeprefix('@row("').removesuffix('")') for line in lines if line.startswith("@row(")]


@dataclass(frozen=True)
class Reply:
    """One response of the Hub, as it was received."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


def ask(
    hub: LocalHub,
    method: str,
    path: str,
    body: object = None,
    *,
    token: str | None = "write",
    headers: dict[str, str] | None = None,
) -> Reply:
    """Send one request with exactly this path. `token` is the name of a token of the Hub, a token, or None."""
    url = urlsplit(hub.url)
    sent = dict(headers or {})
    if token:
        sent["Authorization"] = f"Bearer {getattr(hub.keys, token, token)}"
    if body is not None and not isinstance(body, bytes):
        body = json.dumps(body).encode()
        sent.setdefault("Content-Type", "application/json")
    connection = http.client.HTTPConnection(url.hostname, url.port, timeout=30)
    try:
        connection.request(method, url.path + path, body=body, headers=sent)
        answer = connection.getresponse()
        return Reply(answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read())
    finally:
        connection.close()


def commit(
    hub: LocalHub, repo: str, files: dict[str, bytes], *, summary: str = "a commit", **more: Any
) -> Reply:
    """Commit regular files to a repo such as `datasets/org/name`. `more` joins the value of the header."""
    rows = [{"key": "header", "value": {"summary": summary, **more}}]
    for path, content in files.items():
        value = {"path": path, "content": b64encode(content).decode(), "encoding": "base64"}
        rows.append({"key": "file", "value": value})
    return ask(hub, "POST", f"/api/{repo}/commit/main", b"\n".join(json.dumps(row).encode() for row in rows))


def make_repo(hub: LocalHub, name: str, kind: str = "model", *, private: bool = False) -> None:
    """Create the repo `org/name`."""
    body = {
        "name": name,
        "organization": "org",
        "type": kind,
        "visibility": "private" if private else "public",
    }
    reply = ask(hub, "POST", "/api/repos/create", body | ({"sdk": "gradio"} if kind == "space" else {}))
    assert reply.status == 200, reply.body


def put_lfs(hub: LocalHub, repo: str, content: bytes) -> str:
    """Upload `content` to `org/name` over LFS, without a commit, and return its SHA-256."""
    sha256 = hashlib.sha256(content).hexdigest()
    batch = {"operation": "upload", "objects": [{"oid": sha256, "size": len(content)}]}
    answer = ask(hub, "POST", f"/{repo}.git/info/lfs/objects/batch", batch).json()["objects"][0]
    if "actions" in answer:
        href = answer["actions"]["upload"]["href"].removeprefix(hub.url)
        assert ask(hub, "PUT", href, content, token=None).status == 200
    return sha256


def commit_lfs(hub: LocalHub, repo: str, path: str, sha256: str, size: int) -> Reply:
    """Commit a large file that was uploaded before."""
    rows = [
        {"key": "header", "value": {"summary": "large"}},
        {"key": "lfsFile", "value": {"path": path, "algo": "sha256", "oid": sha256, "size": size}},
    ]
    return ask(hub, "POST", f"/api/{repo}/commit/main", b"\n".join(json.dumps(row).encode() for row in rows))
