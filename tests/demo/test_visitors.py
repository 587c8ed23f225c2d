"""Limits per visitor: counted by session and by address, and what an address is behind a proxy."""

from types import SimpleNamespace

import pytest

from l2t_hub.demo import visitors
from l2t_hub.demo.visitors import Visitors, visitor_of
from l2t_hub.errors import UserError


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_a_visitor_over_the_limit_is_told_when_to_come_back() -> None:
    clock = Clock()
    limit = Visitors(per_minute=3, clock=clock)
    for _ in range(3):
        limit.admit("a", "1.1.1.1")
        clock.now += 5
    with pytest.raises(UserError, match="3 requests in a minute") as refused:
        limit.admit("a", "1.1.1.1")
    assert "Try again in 45 seconds." in str(refused.value)
    limit.admit("b", "1.1.1.1")
    clock.now += 45.5
    limit.admit("a", "1.1.1.1")


def test_new_sessions_do_not_get_round_the_limit_of_an_address() -> None:
    limit = Visitors(per_minute=2, sharing=3)
    for session in range(6):
        limit.admit(str(session), "1.1.1.1")
    with pytest.raises(UserError, match="6 requests"):
        limit.admit("another", "1.1.1.1")
    limit.admit("another", "8.8.8.8")


def test_a_refused_request_does_not_count() -> None:
    clock = Clock()
    limit = Visitors(per_minute=1, clock=clock)
    limit.admit("a", "x")
    for _ in range(20):
        clock.now += 2.9
        with pytest.raises(UserError):
            limit.admit("a", "x")
    clock.now += 2.9
    limit.admit("a", "x")


def test_visitors_that_do_not_come_back_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(visitors, "MAX_KNOWN", 50)
    limit = Visitors()
    for number in range(500):
        limit.admit(str(number), f"10.0.{number // 250}.{number % 250}")
    assert len(limit._seen) <= 50


@pytest.mark.parametrize(
    ("forwarded", "address"),
    [
        (None, "10.0.0.7"),
        ("8.8.4.4", "8.8.4.4"),
        ("1.1.1.1, 8.8.4.4, 10.1.2.3", "8.8.4.4"),  # the visitor wrote the first one
        ("<script>, not-an-address", "10.0.0.7"),
        ("1.1.1.1, " * 10_000 + "2001:4860:4860::8888", "2001:4860:4860::8888"),
    ],
)
def test_the_address_is_the_one_that_the_last_proxy_saw(forwarded: str | None, address: str) -> None:
    headers = {"x-forwarded-for": forwarded} if forwarded else {}
    request = SimpleNamespace(
        headers=headers, client=SimpleNamespace(host="10.0.0.7"), session_hash="s" * 1000
    )
    assert visitor_of(request) == ("s" * 64, address)
