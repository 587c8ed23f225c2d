"""Which Hub a command uses, and which token goes there."""

import os
import sys
from pathlib import Path

import pytest
from children import python

from l2t_hub.errors import UsageError
from l2t_hub.hub.connect import connected, connected_for, find_endpoint
from l2t_hub.hub.endpoint import PUBLIC, Endpoint


def test_the_default_is_huggingface_co_with_the_users_token(
    plain: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert find_endpoint() == Endpoint(PUBLIC, "", None, "hf_of_the_user")
    monkeypatch.setenv("HF_TOKEN", "hf_given")
    assert find_endpoint().token == "hf_given"
    assert find_endpoint(PUBLIC).token == "hf_given"


def test_another_hub_has_its_own_home_and_never_sees_the_users_token(
    plain: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = "http://127.0.0.1:8899/rehearsal"
    endpoint = find_endpoint(f"{url}/")
    assert (endpoint.url, endpoint.token, endpoint.is_local_hub) == (url, None, True)
    assert endpoint.home
    assert endpoint.home.is_relative_to(plain / ".cache" / "l2t_hub")
    monkeypatch.setenv("HF_TOKEN", "hf_rehearsal_one")
    first = find_endpoint(url)
    monkeypatch.setenv("HF_TOKEN", "hf_rehearsal_two")
    second = find_endpoint(url)
    assert first.token == "hf_rehearsal_one"
    assert len({endpoint.home, first.home, second.home}) == 3
    assert "hf_rehearsal_one" not in f"{first!r} {first} {first.home}"


@pytest.mark.parametrize(("url", "problem"), [
    ("nonsense", "not the URL of a Hub"), ("ftp://host/x", "not the URL of a Hub"), ("https://", "not the URL of a Hub"),
    ("https://user:hf_secret@host", "would appear in output"), ("http://hub.example.org", "unencrypted"),
])  # fmt: skip
def test_urls_that_are_refused(plain: Path, url: str, problem: str) -> None:
    with pytest.raises(UsageError, match=problem) as caught:
        find_endpoint(url)
    assert "hf_secret" not in str(caught.value)


def test_the_environment_is_set_for_the_block_and_restored(
    plain: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setitem(sys.modules, "huggingface_hub.constants", None)  # type: ignore[arg-type]
    before = dict(os.environ)
    endpoint = Endpoint("http://127.0.0.1:1/rehearsal", "x", plain / "home", "hf_token")
    with connected(endpoint) as same:
        assert same is endpoint
        settings = {name: os.environ[name] for name in ("HF_ENDPOINT", "HF_HOME", "HF_TOKEN")}
        assert settings == {
            "HF_ENDPOINT": endpoint.url,
            "HF_HOME": str(plain / "home"),
            "HF_TOKEN": "hf_token",
        }
        assert "HF_HUB_OFFLINE" not in os.environ
    assert dict(os.environ) == before


def test_no_hub_is_needed_for_local_paths(plain: Path) -> None:
    before = dict(os.environ)
    with connected_for(None, str(plain)):
        assert dict(os.environ) == before


def test_clients_imported_too_early_are_a_clear_error(tmp_path: Path) -> None:
    code = """
from huggingface_hub import HfApi
from l2t_hub.hub.connect import connected
from l2t_hub.errors import UserError
try:
    with connected("http://127.0.0.1:9/rehearsal"):
        print("entered")
except UserError as error:
    print(error)
"""
    url = "http://127.0.0.1:9/rehearsal"
    done = python(code, tmp_path, tmp_path)
    expected = f"huggingface_hub was imported for {PUBLIC}, so this process cannot use {url}"
    assert expected in done.stdout
    done = python(code, tmp_path, tmp_path, HF_ENDPOINT=url)
    assert "huggingface_hub was imported with HF_HOME=" in done.stdout
