"""Retries: which failures are retried, after how long, and what the progress lines say."""

import pytest
from hub_errors import http_error

from l2t_hub.errors import UserError
from l2t_hub.hub.retry import RetryPolicy, is_transient, retrying, status_of, wait_after, without_secrets

POLICY = RetryPolicy(attempts=3, first_wait=0.001, longest_wait=0.004)


def test_a_transient_failure_is_retried_and_reported() -> None:
    errors, lines = [http_error(503, "restarting"), ConnectionError("reset")], []

    def step() -> str:
        if errors:
            raise errors.pop(0)
        return "done"

    assert retrying(step, "listing files", POLICY, lines.append) == "done"
    assert lines == [
        "listing files: the Hub returned status 503 (restarting); retrying in 0.001 s (attempt 1 of 3 failed)",
        "listing files: the connection failed (ConnectionError: reset); retrying in 0.002 s (attempt 2 of 3 failed)",
    ]


def test_the_last_error_is_raised_and_a_permanent_one_at_once() -> None:
    for error, expected in (
        (http_error(500), 3),
        (http_error(404), 1),
        (UserError("stop"), 1),
        (ValueError("x"), 1),
    ):
        calls: list[int] = []

        def step(error: Exception = error, calls: list[int] = calls) -> None:
            calls.append(1)
            raise error

        with pytest.raises(type(error)) as caught:
            retrying(step, "a step", POLICY, lambda line: None)
        assert caught.value is error
        assert len(calls) == expected


def test_which_failures_are_transient() -> None:
    xet_busy = RuntimeError(
        "CAS service error: HTTP status server error (503 Service Unavailable), domain: x"
    )
    xet_denied = ConnectionError("HTTP status client error (401 Unauthorized)")
    for error in (
        http_error(429),
        http_error(500),
        TimeoutError(),
        xet_busy,
        RuntimeError("Xet: request failed"),
    ):
        assert is_transient(error), error
    for error in (http_error(401), http_error(507), xet_denied, RuntimeError("other"), KeyError("x")):
        assert not is_transient(error), error
    assert (status_of(xet_busy), status_of(xet_denied), status_of(KeyError())) == (503, 401, None)


def test_waits_double_and_a_longer_retry_after_is_honoured() -> None:
    policy = RetryPolicy(first_wait=1, longest_wait=5, longest_asked=60)
    assert [wait_after(http_error(503), n, policy) for n in (1, 2, 3, 4)] == [1, 2, 4, 5]
    asked = [
        wait_after(http_error(429, retry_after=seconds), 1, policy) for seconds in ("0", "7", "900", "soon")
    ]
    assert asked == [1, 7, 60, 1]


def test_a_commit_holds_a_twentieth_of_a_release_within_limits() -> None:
    assert [RetryPolicy().batch_limit(size) for size in (1, 10**9, 10**12)] == [8 << 20, 50_000_000, 2 << 30]
    assert RetryPolicy(batch_bytes=7).batch_limit(10**9) == 7


def test_secrets_are_replaced() -> None:
    text = "PUT http://x/lfs/object/1?expires=5&signature=abcdef Authorization: Bearer secret-token hf_ABCDEFGHIJ mine"
    clean = without_secrets(text, "mine")
    assert not [secret for secret in ("abcdef", "secret-token", "hf_ABC", "mine") if secret in clean]
    assert "PUT http://x/lfs/object/1?expires=5" in clean
