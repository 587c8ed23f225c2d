"""The embedded Hub as a process of its own: `l2t hub serve`, and the child that `--hub local` starts.

A child process, because the clients of this one would otherwise share its memory, its threads and its fate; it ends
when the pipe from its parent closes, however the parent died.
"""

import http.client
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

from l2t_hub.errors import UserError
from l2t_hub.extras import require
from l2t_hub.hub.endpoint import SERVING

LOG = "hub.log"
_PATIENCE = 30.0


@contextmanager
def running_local_hub(directory: Path) -> Iterator[tuple[str, str]]:
    """An embedded Hub over `directory` for the length of a block: its URL and its write token.

    One that serves the folder already is used and left alone. Raises UserError if none can be started.
    """
    found = _running(directory)
    if found:
        yield found
        return
    child = _start(directory)
    try:
        yield _wait(directory, child)
    finally:
        if child.stdin:
            child.stdin.close()
        with suppress(subprocess.TimeoutExpired):
            child.wait(timeout=10)
        child.kill()
        child.wait()


def _start(directory: Path) -> "subprocess.Popen[bytes]":
    require("local-hub", "the local Hub")
    try:
        directory.mkdir(parents=True, exist_ok=True)
        log = (directory / LOG).open("ab")
    except OSError as error:
        raise UserError(f"{directory}: cannot keep the embedded Hub here: {error.strerror}") from error
    command = [sys.executable, "-m", "l2t_hub.local_hub", str(directory)]
    with log:
        return subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
            start_new_session=True,  # Ctrl-C is for the command: it still needs the Hub to end well
        )


def _wait(directory: Path, child: "subprocess.Popen[bytes]") -> tuple[str, str]:
    deadline = time.monotonic() + _PATIENCE
    while time.monotonic() < deadline:
        if child.poll() is not None:
            break
        found = _running(directory, child.pid)
        if found:
            return found
        time.sleep(0.02)
    child.kill()
    last = (directory / LOG).read_text(encoding="utf-8", errors="replace").strip().splitlines()[-1:]
    raise UserError(
        f"the embedded Hub over {directory} did not start: {''.join(last)}", f"Its log: {directory / LOG}"
    )


def _running(directory: Path, pid: int | None = None) -> tuple[str, str] | None:
    """URL and write token of the Hub that serves this folder; None if none answers. With `pid`, only that process."""
    try:
        told = json.loads((directory / SERVING).read_text(encoding="utf-8"))
        token = json.loads((directory / "tokens.json").read_text(encoding="utf-8"))["write"]
        url, owner = str(told["url"]), told["pid"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    if pid is not None and owner != pid:
        return None
    parts = urlsplit(url)
    if parts.hostname != "127.0.0.1":
        return None
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=5)
    try:
        connection.request("GET", f"{parts.path}/api/whoami-v2", headers={"Authorization": f"Bearer {token}"})
        answer = connection.getresponse()
        ours = answer.status == 200 and answer.getheader("X-Rehearsal") is not None
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()
    return (url, str(token)) if ours else None
