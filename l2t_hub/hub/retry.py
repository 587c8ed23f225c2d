"""Retries with exponential backoff, for the Hub calls that huggingface_hub does not retry itself.

Every retried step first looks at what the Hub has, then acts. A request that was applied although its response was
lost is therefore found done on the next attempt, and not made twice.
"""

import errno
import re
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from l2t_hub.errors import UserError

T = TypeVar("T")
Say = Callable[[str], None]
_NO_NETWORK = frozenset({errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN})
TRANSIENT = frozenset({408, 429, 500, 502, 503, 504})
# The Xet client reports the HTTP status only in the text of a ConnectionError.
_XET_STATUS = re.compile(r"HTTP status (?:client|server) error \((\d{3})")
_SECRETS = re.compile(r"hf_[A-Za-z0-9_]{8,}|(?<=signature=)[^&\s'\"]+|(?<=[Bb]earer )\S+")


@dataclass(frozen=True)
class RetryPolicy:
    """How often and how long to retry, and how much a release puts into one commit.

    Waits double from `first_wait` to `longest_wait` seconds. A longer Retry-After is honoured, up to `longest_asked`
    seconds. A commit holds at most `batch_files` files and `batch_limit` bytes.
    """

    attempts: int = 6
    first_wait: float = 1.0
    longest_wait: float = 30.0
    longest_asked: float = 900.0
    batch_files: int = 256
    batch_bytes: int | None = None

    def batch_limit(self, total: int) -> int:
        """Return the bytes per commit for a release of `total` bytes: a twentieth, between 8 MB and 2 GB.

        A release killed in the middle of a commit has to send at most that much again.
        """
        return self.batch_bytes or min(max(total // 20, 8 << 20), 2 << 30)


def retrying(step: Callable[[], T], what: str, policy: RetryPolicy, say: Say) -> T:
    """Return the result of `step`, retried after transient failures. Raises its last error.

    `what` describes the step in progress lines, such as 'listing files'.
    """
    for attempt in range(1, policy.attempts + 1):
        try:
            return step()
        except Exception as error:
            if attempt == policy.attempts or not is_transient(error):
                raise
            wait = wait_after(error, attempt, policy)
            reason = describe_error(error)
            say(f"{what}: {reason}; retrying in {wait:.3g} s (attempt {attempt} of {policy.attempts} failed)")
            time.sleep(wait)
    raise AssertionError("unreachable: the last attempt returns or raises")


def wait_after(error: BaseException, attempt: int, policy: RetryPolicy) -> float:
    """Return the seconds to wait after the given failed attempt, counted from 1."""
    usual = min(policy.first_wait * 2.0 ** (attempt - 1), policy.longest_wait)
    asked = retry_after(error)
    return usual if asked is None else min(max(asked, usual), policy.longest_asked)


def retry_after(error: BaseException) -> int | None:
    """Return the Retry-After of the server's response in seconds, or None."""
    for cause in causes(error):
        text = str(getattr(getattr(cause, "response", None), "headers", {}).get("Retry-After", ""))
        if text.isdecimal():
            return int(text)
    return None


def status_of(error: BaseException) -> int | None:
    """Return the HTTP status behind an error, even one the client has wrapped; None if there was no response."""
    for cause in causes(error):
        code = getattr(getattr(cause, "response", None), "status_code", None)
        if isinstance(code, int):
            return code
        if match := _XET_STATUS.search(str(cause)):
            return int(match[1])
    return None


def causes(error: BaseException | None) -> list[BaseException]:
    """Return an error followed by the errors that caused it."""
    chain: list[BaseException] = []
    while error is not None and error not in chain:
        chain.append(error)
        error = error.__cause__ or error.__context__
    return chain


def is_offline(error: BaseException) -> bool:
    """Whether an error says that this machine has no network: names are not resolved, or no route leads out."""
    return any(
        isinstance(cause, socket.gaierror) or getattr(cause, "errno", None) in _NO_NETWORK
        for cause in causes(error)
    )


def is_transient(error: BaseException) -> bool:
    """Whether a retry may help: the server is busy or failing, the connection was lost, or a Xet upload failed."""
    if isinstance(error, UserError) or is_offline(error):
        return False
    status = status_of(error)
    if status is not None:
        return status in TRANSIENT
    return any(is_connection_error(cause) or _is_xet_error(cause) for cause in causes(error))


def is_connection_error(error: BaseException) -> bool:
    """Whether an error means that no response came from the server."""
    from huggingface_hub.errors import OfflineModeIsEnabled

    if isinstance(error, OfflineModeIsEnabled):
        return False
    # Which HTTP library huggingface_hub uses depends on its version: httpx before 2.4, then httpx2.
    return isinstance(error, ConnectionError | TimeoutError) or type(error).__module__.startswith("httpx")


def _is_xet_error(error: BaseException) -> bool:
    """hf_xet raises plain RuntimeErrors for any failure of a transfer."""
    return type(error) is RuntimeError and any(
        word in str(error).lower()
        for word in ("xet", "cas", "xorb", "shard", "reqwest", "network", "request")
    )


def without_secrets(text: str, token: str | None = None) -> str:
    """Return `text` with tokens and URL signatures replaced by `***`."""
    return _SECRETS.sub("***", text.replace(token, "***") if token else text)


def describe_error(error: BaseException) -> str:
    """Return what went wrong in a few words, without traceback, URL or token."""
    status = status_of(error)
    if status is not None:
        return f"the Hub returned status {status}{server_message(error)}"
    if any(is_connection_error(cause) for cause in causes(error)):
        return without_secrets(f"the connection failed ({first_line(error)})")
    return without_secrets(first_line(error))


def server_message(error: BaseException) -> str:
    """Return the message in the server's response as ' (MESSAGE)', or ''."""
    messages = (str(getattr(cause, "server_message", None) or "") for cause in causes(error))
    message = " ".join(next((m for m in messages if m), "").split())
    return without_secrets(f" ({message[:300]})") if message else ""


def first_line(error: BaseException) -> str:
    """Return an error's type and the first line of its message."""
    lines = (line.strip() for line in str(error).splitlines())
    text = next((line for line in lines if line), "").partition(", domain: ")[0]
    return f"{type(error).__name__}: {text}"[:300] if text else type(error).__name__
