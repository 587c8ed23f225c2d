"""Retries with backoff for the calls whose client has none, and plain words for what finally failed.

Every step that is retried looks first and acts then: a request that was applied but answered with an error is found
done on the next look, and not made twice.
"""

import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from l2t_hub.errors import UserError

T = TypeVar("T")
Say = Callable[[str], None]
TRANSIENT = frozenset({408, 429, 500, 502, 503, 504})
DISK_FULL = 507
# The Xet client tells of an answer in the text of a ConnectionError only.
_XET_STATUS = re.compile(r"HTTP status (?:client|server) error \((\d{3})")
_SECRETS = re.compile(r"hf_[A-Za-z0-9_]{8,}|(?<=signature=)[^&\s'\"]+|(?<=[Bb]earer )\S+")


@dataclass(frozen=True)
class RetryPolicy:
    """How patient a release is, and how much goes into one commit.

    Waits double from `first_wait` to `longest_wait` seconds; a Retry-After up to `longest_asked` is honoured instead.
    """

    attempts: int = 6
    first_wait: float = 1.0
    longest_wait: float = 30.0
    longest_asked: float = 900.0
    batch_files: int = 256
    batch_bytes: int | None = None

    def batch_limit(self, total: int) -> int:
        """Bytes per commit: a twentieth of the release, so that a kill costs at most that; between 8 MB and 2 GB."""
        return self.batch_bytes or min(max(total // 20, 8 << 20), 2 << 30)


def retrying(step: Callable[[], T], what: str, policy: RetryPolicy, say: Say) -> T:
    """Do `step` until it succeeds, fails for good, or `policy.attempts` are used up; the last error is raised."""
    for attempt in range(1, policy.attempts + 1):
        try:
            return step()
        except Exception as error:
            if attempt == policy.attempts or not is_transient(error):
                raise
            wait = wait_after(error, attempt, policy)
            say(
                f"{what}: {describe_error(error)}; again in {wait:.3g} s ({attempt} of {policy.attempts} attempts)"
            )
            time.sleep(wait)
    raise AssertionError("unreachable: the last attempt returns or raises")


def wait_after(error: BaseException, attempt: int, policy: RetryPolicy) -> float:
    """Seconds to wait after the failure of an attempt, counted from 1."""
    usual = min(policy.first_wait * 2.0 ** (attempt - 1), policy.longest_wait)
    asked = retry_after(error)
    return usual if asked is None else min(max(asked, usual), policy.longest_asked)


def retry_after(error: BaseException) -> int | None:
    """The seconds a server asked to wait, None if it did not."""
    for one in _chain(error):
        text = str(getattr(getattr(one, "response", None), "headers", {}).get("Retry-After", ""))
        if text.isdecimal():
            return int(text)
    return None


def status_of(error: BaseException) -> int | None:
    """The HTTP status behind an error, also where the client wrapped it in another; None if there was no answer."""
    for one in _chain(error):
        code = getattr(getattr(one, "response", None), "status_code", None)
        if isinstance(code, int):
            return code
        if match := _XET_STATUS.search(str(one)):
            return int(match[1])
    return None


def _chain(error: BaseException | None) -> list[BaseException]:
    found: list[BaseException] = []
    while error is not None and error not in found:
        found.append(error)
        error = error.__cause__ or error.__context__
    return found


def is_transient(error: BaseException) -> bool:
    """Whether trying again may help: a busy or broken server, a lost connection, a Xet upload that failed."""
    if isinstance(error, UserError):
        return False
    status = status_of(error)
    if status is not None:
        return status in TRANSIENT
    return any(_is_connection(one) or _is_xet(one) for one in _chain(error))


def _is_connection(error: BaseException) -> bool:
    # The transport library of huggingface_hub is its own affair (httpx before 2.4, httpx2 now): go by its name.
    from huggingface_hub.errors import OfflineModeIsEnabled

    if isinstance(error, OfflineModeIsEnabled):
        return False
    return isinstance(error, ConnectionError | TimeoutError) or type(error).__module__.startswith("httpx")


def _is_xet(error: BaseException) -> bool:
    """hf_xet raises RuntimeErrors of its own words for whatever happened between it and its store."""
    return type(error) is RuntimeError and any(
        word in str(error).lower()
        for word in ("xet", "cas", "xorb", "shard", "reqwest", "network", "request")
    )


def without_secrets(text: str, token: str | None = None) -> str:
    """`text` with tokens and signatures of URLs blotted out."""
    return _SECRETS.sub("***", text.replace(token, "***") if token else text)


def describe_error(error: BaseException) -> str:
    """What happened, in a few words for a person: no traceback, no URL, no token."""
    status = status_of(error)
    if status is not None:
        told = next(
            (str(m) for one in _chain(error) if (m := getattr(one, "server_message", None))),
            "",
        )
        return without_secrets(f"the Hub answered {status}{f' ({told.strip()})' if told else ''}")
    if any(_is_connection(one) for one in _chain(error)):
        return without_secrets(f"the connection failed ({_first_line(error)})")
    return without_secrets(_first_line(error))


def _first_line(error: BaseException) -> str:
    text = next((line.strip() for line in str(error).splitlines() if line.strip()), "").partition(
        ", domain: "
    )[0]
    return f"{type(error).__name__}: {text}"[:300] if text else type(error).__name__
