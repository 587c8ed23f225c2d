"""Releases to the real Hub. Run by hand with a token and a namespace, never by default.

    HF_TOKEN=... L2T_LIVE_NAMESPACE=ORG .venv/bin/python -m pytest -m live tests/live

Creates private repos `l2t-live-...` and deletes them afterwards. HF_ENDPOINT selects another Hub.
"""

import json
import os
import secrets
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from release_hub import CLIENTS
from release_toys import TOYS

pytestmark = pytest.mark.live
DELETE = "import sys; from huggingface_hub import HfApi; HfApi().delete_repo(sys.argv[1], repo_type=sys.argv[2], missing_ok=True)"


def _client(tmp_path: Path, *words: str) -> "subprocess.CompletedProcess[str]":
    env = {
        name: value
        for name, value in os.environ.items()
        if name not in ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE")
    }
    env |= {"HF_HOME": str(tmp_path / "home")}
    return subprocess.run(
        [sys.executable, *words], env=env, capture_output=True, text=True, timeout=280, check=False
    )


def _printed(done: "subprocess.CompletedProcess[str]") -> dict[str, Any]:
    assert done.returncode == 0, done.stderr[-4000:]
    result: dict[str, Any] = json.loads(done.stdout)
    return result


@pytest.fixture(params=list(TOYS))
def published(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[str, str, Path]]:
    """A kind, the name of a repo that is deleted afterwards, and a toy to release there."""
    namespace = os.environ.get("L2T_LIVE_NAMESPACE")
    if not namespace or not os.environ.get("HF_TOKEN"):
        pytest.skip("set HF_TOKEN and L2T_LIVE_NAMESPACE to try the real Hub")
    repo = f"{namespace}/l2t-live-{secrets.token_hex(4)}"
    yield request.param, repo, TOYS[request.param](tmp_path / request.param)
    _client(tmp_path, "-c", DELETE, repo, request.param)


def test_release_again_changed_and_downloaded(published: tuple[str, str, Path], tmp_path: Path) -> None:
    kind, repo, directory = published
    release = [
        str(CLIENTS / "release_one.py"),
        str(directory),
        repo,
        "--private",
        "--batch-bytes",
        "0",
    ]
    foreseen = _client(tmp_path, *release, "--dry-run")
    assert _printed(foreseen)["dry_run"]
    first = _printed(_client(tmp_path, *release))
    assert (first["unchanged"], first["tags"][0]) == (False, "v1")
    again = _printed(_client(tmp_path, *release))
    assert (again["unchanged"], again["revision"], again["tags"]) == (True, first["revision"], first["tags"])
    card = directory / "README.md"
    card.write_text(card.read_text() + "\nA second release.\n")
    second = _printed(_client(tmp_path, *release))
    assert (second["sent_files"], second["tags"][0]) == (2, "v2")
    if kind != "space":
        fetched = _printed(_client(tmp_path, str(CLIENTS / "download_one.py"), f"{repo}@v1", kind))
        assert fetched["revision"] == first["revision"]
        assert fetched["verified"] == first["files"] - 1
