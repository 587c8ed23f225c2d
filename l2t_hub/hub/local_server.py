"""The local Hub as a child process, which is what `--hub local` starts.

It runs in another process so that its memory and threads stay apart from the command's. The child reads a pipe from
its parent and ends when the pipe closes, even if the parent is killed.
"""

import http.client
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO
from urllib.parse import urlsplit

from l2t_hub.errors import UserError
from l2t_hub.extras import require
from l2t_hub.hub.endpoint import SERVING

LOG = "hub.log"
_START_SECONDS = 30.0


@contextmanager
def running_local_hub(directory: Path) -> Iterator[tuple[str, str]]:
    """Yield URL and write token of a local Hub in `directory` that runs for the length of a block.

    If a Hub already serves the folder, use that one and leave it running. Raises UserError if none can be started.
    """
    running = find_running(directory)
    if running:
        yield running
        return
    with tempfile.TemporaryFile() as output:
        child = _start(directory, output)
        try:
            yield _wait_until_ready(directory, child, output)
        finally:
            _end(child)


def _end(child: "subprocess.Popen[bytes]") -> None:
    if child.stdin:
        child.stdin.close()
    with suppress(subprocess.TimeoutExpired):
        child.wait(timeout=10)
    child.kill()
    child.wait()


def _start(directory: Path, output: IO[bytes]) -> "subprocess.Popen[bytes]":
    """Start the child. It writes to `output` until it has claimed the directory, then to its log there."""
    require("local-hub", "the local Hub")
    return subprocess.Popen(
        [sys.executable, "-m", "l2t_hub.local_hub", str(directory)],
        stdin=subprocess.PIPE,
        stdout=output,
        stderr=output,
        start_new_session=True,  # Ctrl-C stops the command, which still needs the Hub to finish cleanly
    )


def _wait_until_ready(
    directory: Path, child: "subprocess.Popen[bytes]", output: IO[bytes]
) -> tuple[str, str]:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        if child.poll() is not None:
            break
        running = find_running(directory, child.pid)
        if running:
            return running
        time.sleep(0.02)
    child.kill()
    output.seek(0)
    lines = output.read().decode(errors="replace").strip().splitlines()
    if len(lines) == 2 and not lines[0].startswith("Traceback"):
        raise UserError(*lines)
    raise UserError(
        f"the local Hub in {directory} did not start: {''.join(lines[-1:]) or 'no reason given'}",
        f"See its log: {directory / LOG}",
    )


def find_running(directory: Path, pid: int | None = None) -> tuple[str, str] | None:
    """Return URL and write token of the Hub that serves `directory`, None if none responds.

    With `pid`, accept only the Hub of that process.
    """
    try:
        serving = json.loads((directory / SERVING).read_text(encoding="utf-8"))
        token = json.loads((directory / "tokens.json").read_text(encoding="utf-8"))["write"]
        url, owner = str(serving["url"]), serving["pid"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None
    if pid is not None and owner != pid:
        return None
    try:
        parts = urlsplit(url)
        connection = http.client.HTTPConnection("127.0.0.1", parts.port, timeout=5)
    except ValueError:
        return None
    if parts.hostname != "127.0.0.1":
        return None
    try:
        connection.request("GET", f"{parts.path}/api/whoami-v2", headers={"Authorization": f"Bearer {token}"})
        response = connection.getresponse()
        is_ours = response.status == 200 and response.getheader("X-Rehearsal") is not None
    except (OSError, ValueError, http.client.HTTPException):
        return None
    finally:
        connection.close()
    return (url, str(token)) if is_ours else None
