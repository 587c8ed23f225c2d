"""Running the real clients in child processes, where their environment points them at an embedded Hub."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from l2t_hub.hub.rehearsal import Limits, RehearsalHub

CLIENTS = Path(__file__).parent / "clients"
# Small parts, so that files of a few megabytes go up in several.
SMALL_PARTS = Limits(part_bytes=1 << 20)


def run_client(
    hub: RehearsalHub,
    script: str,
    workdir: Path,
    *arguments: str,
    xet: bool = True,
    token: str | None = None,
    timeout: float = 120,
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
    """What a script of rows found."""
    assert done.returncode == 0, done.stderr[-4000:]
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def names_of_rows(script: str) -> list[str]:
    """The rows of a script, without running it: a row that disappears must not pass unseen."""
    lines = (CLIENTS / script).read_text(encoding="utf-8").splitlines()
    return [line.removeprefix('@row("').removesuffix('")') for line in lines if line.startswith("@row(")]
