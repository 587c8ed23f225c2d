"""A Hub that cannot be reached is said so in seconds, whatever the reason, and a proxy on the way is respected."""

import socket
import time

import pytest

from l2t_hub.errors import UserError
from l2t_hub.hub.reachability import check_reachable


@pytest.fixture(autouse=True)
def online(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HF_HUB_OFFLINE", "http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


def test_a_server_that_listens_is_reachable() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        check_reachable(f"http://127.0.0.1:{server.getsockname()[1]}/api")


@pytest.mark.parametrize("url", ["https://no-such-host.invalid", "http://127.0.0.1:9/rehearsal"])
def test_a_server_that_does_not_listen_is_named_with_the_reason(url: str) -> None:
    with pytest.raises(UserError) as caught:
        check_reachable(url)
    assert caught.value.message.startswith(f"{url} cannot be reached from this machine (")
    assert caught.value.hint == "Check your network connection."


def test_a_server_that_never_responds_takes_no_longer_than_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    server = socket.create_server(("127.0.0.1", 0))

    def slow(*address: object, **options: object) -> socket.socket:
        time.sleep(1)
        return server

    monkeypatch.setattr(socket, "create_connection", slow)
    start = time.monotonic()
    with pytest.raises(UserError, match=r"cannot be reached from this machine \(no response in 0\.2 s\)"):
        check_reachable("https://hub.example", seconds=0.2)
    assert time.monotonic() - start < 0.9


def test_the_proxy_is_what_must_be_reachable(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as proxy:
        monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{proxy.getsockname()[1]}")
        check_reachable("https://no-such-host.invalid")
        monkeypatch.setenv("no_proxy", "no-such-host.invalid")
        with pytest.raises(UserError):
            check_reachable("https://no-such-host.invalid")


def test_offline_mode_is_left_to_the_clients(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    check_reachable("https://no-such-host.invalid")
