"""Python code run in a child process, as a user who has logged in to huggingface.co and set nothing else."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

SETTINGS = ("HF_ENDPOINT", "HF_HOME", "HF_TOKEN", "HF_TOKEN_PATH", "XDG_CACHE_HOME", "HF_HUB_OFFLINE")
RELEASE_LOCALLY = """
import json, os, sys
from l2t_hub.publish.release import release
from l2t_hub.hub.retry import RetryPolicy
result = release(
    os.environ["DIRECTORY"], "org/toy", hub="local:the hub", say=lambda line: None, policy=RetryPolicy(2, 0.05)
)
print(json.dumps([result.unchanged, result.url, result.rehearsal]))
"""


@pytest.fixture
def plain(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The home folder of such a user."""
    for name in SETTINGS:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".cache" / "huggingface").mkdir(parents=True)
    (tmp_path / ".cache" / "huggingface" / "token").write_text("hf_of_the_user\n")
    return tmp_path


def python(code: str, home: Path, cwd: Path, **settings: str) -> "subprocess.CompletedProcess[str]":
    """Run code with this home, working directory and these environment variables."""
    return subprocess.run(
        [sys.executable, "-c", code],
        env=environment(home) | settings,
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def environment(home: Path) -> dict[str, str]:
    """Return the environment without any setting of the Hugging Face libraries."""
    return {n: v for n, v in os.environ.items() if not n.startswith("HF_")} | {"HOME": str(home)}
