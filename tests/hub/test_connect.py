"""Where a Hub is and which token goes there; the embedded Hub as a child that lives as long as its command."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from l2t_hub.errors import UsageError
from l2t_hub.hub.connect import connected, find_endpoint
from l2t_hub.hub.endpoint import PUBLIC, Endpoint

Toy = Callable[..., Path]
SETTINGS = ("HF_ENDPOINT", "HF_HOME", "HF_TOKEN", "HF_TOKEN_PATH", "XDG_CACHE_HOME", "HF_HUB_OFFLINE")


@pytest.fixture
def plain(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A user who has logged in to huggingface.co and set nothing else; the home folder."""
    for name in SETTINGS:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".cache" / "huggingface").mkdir(parents=True)
    (tmp_path / ".cache" / "huggingface" / "token").write_text("hf_of_the_user\n")
    return tmp_path


def test_without_an_option_it_is_huggingface_co_with_the_users_token(
    plain: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert find_endpoint() == Endpoint(PUBLIC, "", None, "hf_of_the_user")
    monkeypatch.setenv("HF_TOKEN", "hf_given")
    assert find_endpoint().token == "hf_given"
    assert not find_endpoint().is_local_hub
    assert find_endpoint().repo_url("dataset", "org/toy") == f"{PUBLIC}/datasets/org/toy"


def test_another_hub_has_its_own_home_and_never_sees_the_users_token(
    plain: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = find_endpoint("http://127.0.0.1:8899/rehearsal/")
    assert (there.url, there.token, there.is_local_hub) == ("http://127.0.0.1:8899/rehearsal", None, True)
    assert there.home
    assert there.home.is_relative_to(plain / ".cache" / "l2t_hub")
    monkeypatch.setenv("HF_TOKEN", "hf_rehearsal_one")
    one = find_endpoint("http://127.0.0.1:8899/rehearsal")
    monkeypatch.setenv("HF_TOKEN", "hf_rehearsal_two")
    two = find_endpoint("http://127.0.0.1:8899/rehearsal")
    assert one.token == "hf_rehearsal_one"
    assert len({there.home, one.home, two.home}) == 3
    assert "hf_rehearsal_one" not in f"{one!r} {one} {one.home}"


@pytest.mark.parametrize(("url", "said"), [
    ("nonsense", "not the URL of a Hub"), ("ftp://host/x", "not the URL of a Hub"), ("https://", "not the URL of a Hub"),
    ("https://user:hf_secret@host", "would appear in output"), ("http://hub.example.org", "unencrypted"),
])  # fmt: skip
def test_urls_that_are_refused(plain: Path, url: str, said: str) -> None:
    with pytest.raises(UsageError, match=said) as caught:
        find_endpoint(url)
    assert "hf_secret" not in str(caught.value)


def test_the_environment_is_set_for_the_block_and_given_back(
    plain: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("TRANSFORMERS_CACHE", "/somewhere")
    monkeypatch.setitem(sys.modules, "huggingface_hub.constants", None)  # type: ignore[arg-type]
    before = dict(os.environ)
    endpoint = Endpoint("http://127.0.0.1:1/rehearsal", "x", plain / "home", "hf_token")
    with connected(endpoint) as same:
        assert same is endpoint
        assert os.environ["HF_ENDPOINT"] == endpoint.url
        assert os.environ["HF_HOME"] == str(plain / "home")
        assert os.environ["HF_TOKEN"] == "hf_token"
        assert os.environ["HF_UPDATE_DOWNLOAD_COUNTS"] == "0"
        assert "127.0.0.1" in os.environ["NO_PROXY"]
        assert not {"HF_HUB_OFFLINE", "TRANSFORMERS_CACHE"} & set(os.environ)
    assert dict(os.environ) == before


def _python(code: str, home: Path, cwd: Path, **more: str) -> "subprocess.CompletedProcess[str]":
    env = {n: v for n, v in os.environ.items() if not n.startswith("HF_")} | {"HOME": str(home)} | more
    return subprocess.run(
        [sys.executable, "-c", code],
        env=env,
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_clients_imported_too_early_are_a_clear_error(tmp_path: Path) -> None:
    code = """
from huggingface_hub import HfApi
from l2t_hub.hub.connect import connected
from l2t_hub.errors import UserError
try:
    with connected("http://127.0.0.1:9/rehearsal"):
        print("went on")
except UserError as error:
    print(error)
"""
    done = _python(code, tmp_path, tmp_path)
    assert (
        "huggingface_hub was imported for https://huggingface.co, so this process cannot use http://127.0.0.1:9"
        in done.stdout
    )
    late = _python(code, tmp_path, tmp_path, HF_ENDPOINT="http://127.0.0.1:9/rehearsal")
    assert "huggingface_hub was imported with HF_HOME=" in late.stdout


RELEASE_LOCALLY = """
import json, os, sys
from l2t_hub.publish.release import release
from l2t_hub.hub.retry import RetryPolicy
made = release(os.environ["DIRECTORY"], "org/toy", hub="local:the hub", say=lambda line: None, policy=RetryPolicy(2, 0.05))
print(json.dumps([made.unchanged, made.url, made.rehearsal]))
"""


def test_the_local_hub_lives_as_long_as_the_command_and_touches_nothing_of_the_users(
    plain: Path, toy: Toy, tmp_path: Path
) -> None:
    directory = toy("model")
    token = plain / ".cache" / "huggingface" / "token"
    for unchanged in (False, True):
        done = _python(RELEASE_LOCALLY, plain, tmp_path, DIRECTORY=str(directory))
        assert done.returncode == 0, done.stderr[-3000:]
        told = json.loads(done.stdout)
        assert (told[0], told[2]) == (unchanged, True)
        assert told[1].startswith("http://127.0.0.1:")
    assert [path.name for path in (plain / ".cache" / "huggingface").iterdir()] == ["token"]
    assert token.read_text() == "hf_of_the_user\n"
    assert not (tmp_path / "the hub" / "serving.json").exists()
    assert (tmp_path / "the hub" / "client" / "xet").is_dir()
    assert (
        "POST /rehearsal/api/models/org/toy/discussions/1/merge -> 200"
        in (tmp_path / "the hub" / "hub.log").read_text()
    )


WAIT_THERE = """
import sys, time
from pathlib import Path
from l2t_hub.hub.connect import connected
with connected("local:hub") as endpoint:
    print(endpoint.url, flush=True)
    time.sleep(60)
"""


def _answers(url: str) -> bool:
    import http.client
    from urllib.parse import urlsplit

    connection = http.client.HTTPConnection("127.0.0.1", urlsplit(url).port, timeout=2)
    try:
        connection.request("GET", "/rehearsal/api/whoami-v2")
        return connection.getresponse().status == 401
    except OSError:
        return False
    finally:
        connection.close()


def test_the_local_hub_ends_when_its_command_is_killed_and_is_shared_meanwhile(
    plain: Path, tmp_path: Path, toy: Toy
) -> None:
    env = {n: v for n, v in os.environ.items() if not n.startswith("HF_")}
    first = subprocess.Popen(
        [sys.executable, "-c", WAIT_THERE], env=env, cwd=tmp_path, stdout=subprocess.PIPE, text=True
    )
    assert first.stdout
    url = first.stdout.readline().strip()
    assert _answers(url)
    second = _python(RELEASE_LOCALLY.replace("the hub", "hub"), plain, tmp_path, DIRECTORY=str(toy("space")))
    assert json.loads(second.stdout)[1] == f"{url}/spaces/org/toy"
    assert _answers(url)
    first.send_signal(signal.SIGKILL)
    first.wait()
    first.stdout.close()
    deadline = time.monotonic() + 15
    while _answers(url):
        assert time.monotonic() < deadline, "the local Hub outlived its command"
        time.sleep(0.05)


def test_a_folder_that_cannot_hold_a_hub(plain: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = _python(
        'from l2t_hub.hub.connect import connected\nwith connected("local:file"):\n    pass', plain, tmp_path
    )
    assert "the local Hub cannot store its data here" in done.stderr


def test_no_token_in_anything_a_failing_run_wrote(plain: Path, toy: Toy, tmp_path: Path) -> None:
    """A local release that goes well, one that is refused, one with a wrong token: every file and line is searched."""
    directory = toy("model")
    outputs = []
    done = _python(RELEASE_LOCALLY, plain, tmp_path, DIRECTORY=str(directory))
    outputs.append(done.stdout + done.stderr)
    (directory / "model.safetensors").write_bytes(b"broken")
    done = _python(RELEASE_LOCALLY, plain, tmp_path, DIRECTORY=str(directory))
    assert "cannot be released" in done.stderr
    outputs.append(done.stdout + done.stderr)
    wrong = RELEASE_LOCALLY.replace('"local:the hub"', '"http://127.0.0.1:9/rehearsal"')
    done = _python(wrong, plain, tmp_path, DIRECTORY=str(toy("space")), HF_TOKEN="hf_wrong_wrong_wrong")
    assert "no connection to rehearsal Hub http://127.0.0.1:9/rehearsal" in done.stderr
    outputs.append(done.stdout + done.stderr)
    tokens = json.loads((tmp_path / "the hub" / "tokens.json").read_text()).values()
    secrets = [token.encode() for token in (*tokens, "hf_wrong_wrong_wrong", "hf_of_the_user")]
    written = [
        path for path in tmp_path.rglob("*") if path.is_file() and path.name not in ("tokens.json", "token")
    ]
    assert len(written) > 20
    for path in written:
        content = path.read_bytes()
        assert not [secret for secret in secrets if secret in content], path
    for output in outputs:
        assert not [secret for secret in secrets if secret.decode() in output]
        assert "signature=" not in output
