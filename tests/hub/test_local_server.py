"""The local Hub as a child process: it lives as long as its command, and keeps its tokens to itself."""

import http.client
import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

from children import RELEASE_LOCALLY, environment, python

Toy = Callable[..., Path]
CONNECT = "from l2t_hub.hub.connect import connected\nwith connected('local:{}') as endpoint:\n    "


def test_it_lives_as_long_as_the_command_and_touches_nothing_of_the_users(
    plain: Path, toy: Toy, tmp_path: Path
) -> None:
    directory = toy("model")
    for unchanged in (False, True):
        done = python(RELEASE_LOCALLY, plain, tmp_path, DIRECTORY=str(directory))
        assert done.returncode == 0, done.stderr[-3000:]
        was_unchanged, url, rehearsal = json.loads(done.stdout)
        assert (was_unchanged, rehearsal) == (unchanged, True)
        assert url.startswith("http://127.0.0.1:")
    users = plain / ".cache" / "huggingface"
    assert [path.name for path in users.iterdir()] == ["token"]
    assert (users / "token").read_text() == "hf_of_the_user\n"
    folder = tmp_path / "the hub"
    assert not (folder / "serving.json").exists()
    assert (folder / "client" / "xet").is_dir()
    merged = "POST /rehearsal/api/models/org/toy/discussions/1/merge -> 200"
    assert merged in (folder / "hub.log").read_text()


def _responds(url: str) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", urlsplit(url).port, timeout=2)
    try:
        connection.request("GET", "/rehearsal/api/whoami-v2")
        return connection.getresponse().status == 401
    except OSError:
        return False
    finally:
        connection.close()


def test_it_ends_when_its_command_is_killed_and_is_shared_until_then(
    plain: Path, tmp_path: Path, toy: Toy
) -> None:
    wait = CONNECT.format("hub") + "print(endpoint.url, flush=True)\n    import time; time.sleep(60)"
    command = [sys.executable, "-c", wait]
    first = subprocess.Popen(command, env=environment(plain), cwd=tmp_path, stdout=subprocess.PIPE, text=True)
    assert first.stdout
    url = first.stdout.readline().strip()
    assert _responds(url)
    second = python(RELEASE_LOCALLY.replace("the hub", "hub"), plain, tmp_path, DIRECTORY=str(toy("space")))
    assert json.loads(second.stdout)[1] == f"{url}/spaces/org/toy"
    assert _responds(url)
    first.send_signal(signal.SIGKILL)
    first.wait()
    first.stdout.close()
    deadline = time.monotonic() + 15
    while _responds(url):
        assert time.monotonic() < deadline, "the local Hub outlived its command"
        time.sleep(0.05)


def test_a_folder_it_cannot_write_to(plain: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = python(CONNECT.format("file") + "pass", plain, tmp_path)
    assert "file: the local Hub cannot use this directory" in done.stderr


def test_missing_server_packages_are_named_before_anything_is_started(plain: Path, tmp_path: Path) -> None:
    code = "import sys; sys.modules['starlette'] = sys.modules['blake3'] = None\n"
    done = python(code + CONNECT.format("hub") + "pass", plain, tmp_path)
    assert "the local Hub needs blake3, starlette, which are not installed" in done.stderr
    assert "pip install 'l2t_hub[local-hub]'" in done.stderr
    assert not (tmp_path / "hub").exists()


def test_a_hub_that_does_not_start_says_why(plain: Path, tmp_path: Path) -> None:
    assert python(CONNECT.format("hub") + "pass", plain, tmp_path).returncode == 0
    (tmp_path / "hub" / "hub.sqlite").write_bytes(b"not a database " * 100)
    done = python(CONNECT.format("hub") + "pass", plain, tmp_path)
    assert "hub/hub.sqlite: the local Hub cannot use this database: file is not a database" in done.stderr
    assert "Choose another directory with --dir, or move the file away" in done.stderr


def test_a_directory_of_something_else_is_left_alone(plain: Path, tmp_path: Path) -> None:
    for name in ("tmp/precious", "parts/old/precious", "lock", "notes.txt"):
        (tmp_path / "home" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "home" / name).write_text("precious")
    before = {path: path.lstat() for path in (tmp_path / "home").rglob("*")}
    done = python(CONNECT.format("home") + "pass", plain, tmp_path)
    assert "home: this directory has files that do not belong to a local Hub" in done.stderr
    after = {path: path.lstat() for path in (tmp_path / "home").rglob("*")}
    assert {path: (s.st_mode, s.st_size, s.st_mtime_ns) for path, s in after.items()} == {
        path: (s.st_mode, s.st_size, s.st_mtime_ns) for path, s in before.items()
    }


def test_no_token_in_anything_a_failing_run_writes(plain: Path, toy: Toy, tmp_path: Path) -> None:
    """A release that succeeds, one that is refused, one with a wrong token: every file and line is searched."""
    directory = toy("model")
    runs = [python(RELEASE_LOCALLY, plain, tmp_path, DIRECTORY=str(directory))]
    (directory / "model.safetensors").write_bytes(b"broken")
    runs.append(python(RELEASE_LOCALLY, plain, tmp_path, DIRECTORY=str(directory)))
    assert "cannot be released" in runs[-1].stderr
    elsewhere = RELEASE_LOCALLY.replace('"local:the hub"', '"http://127.0.0.1:9/rehearsal"')
    token = "hf_wrong_wrong_wrong"
    runs.append(python(elsewhere, plain, tmp_path, DIRECTORY=str(toy("space")), HF_TOKEN=token))
    assert "the connection to rehearsal Hub http://127.0.0.1:9/rehearsal failed" in runs[-1].stderr
    tokens = json.loads((tmp_path / "the hub" / "tokens.json").read_text()).values()
    secrets = [secret.encode() for secret in (*tokens, token, "hf_of_the_user")]
    written = [
        path for path in tmp_path.rglob("*") if path.is_file() and path.name not in ("tokens.json", "token")
    ]
    assert len(written) > 20
    for path in written:
        content = path.read_bytes()
        assert not [secret for secret in secrets if secret in content], path
    for output in (run.stdout + run.stderr for run in runs):
        assert not [secret for secret in secrets if secret.decode() in output]
        assert "signature=" not in output
