"""Send a signal to an `l2t` command at a moment of its work, and check how it ends."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import psutil

BY = {signal.SIGINT: "Ctrl-C", signal.SIGTERM: "SIGTERM", signal.SIGUSR1: "SIGUSR1"}


def start(arguments: Sequence[str], cwd: Path, **environment: str) -> subprocess.Popen[str]:
    """Start `l2t` as a shell does: in a process group of its own, which Ctrl-C reaches as a whole."""
    return subprocess.Popen(
        [sys.executable, "-m", "l2t_hub.cli", *arguments],
        cwd=cwd,
        env={**os.environ, "OMP_NUM_THREADS": "1", **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def interrupt(process: subprocess.Popen[str], how: signal.Signals, *, group: bool | None = None) -> str:
    """Send a signal to a command (Ctrl-C, and with `group` any signal, to its whole group) and return its stderr.

    Asserts that it ends with the signal's exit code, in one sentence, without a traceback or a warning, and that no
    process of it is left.
    """
    children = psutil.Process(process.pid).children(recursive=True)
    if group or (group is None and how == signal.SIGINT):
        os.killpg(process.pid, how)
    else:
        process.send_signal(how)
    _, errors = process.communicate(timeout=90)
    assert process.returncode == 128 + how, errors
    check_sentence(errors, how)
    _, alive = psutil.wait_procs(children, timeout=20)
    assert alive == []
    return errors


def check_sentence(errors: str, how: signal.Signals) -> None:
    """Assert that the output ends in the one sentence, and has nothing that a program would print by itself."""
    assert errors.count(f"stopped by {BY[how]}: ") == 1, errors
    for noise in (
        "Traceback",
        "Warning",
        "KeyboardInterrupt",
        "Exception ignored",
        "resource_tracker",
        "leaked",
    ):
        assert noise not in errors, errors


def wait_for(condition: Callable[[], object], process: subprocess.Popen[str], seconds: float = 100) -> None:
    """Wait until a condition holds while a command runs."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline, "the moment was not reached"
        time.sleep(0.01)
