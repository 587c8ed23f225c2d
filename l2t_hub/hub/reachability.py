"""Whether a Hub can be reached at all, found out in seconds: a command that needs it says so before it waits."""

import os
import socket
import threading
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from l2t_hub.errors import UserError

SECONDS = 2.5
CHECK_NETWORK = "Check your network connection."


def check_reachable(url: str, seconds: float = SECONDS) -> None:
    """Raise UserError if nothing listens at the host of a URL, or at the proxy that leads there.

    Takes at most `seconds`. Does nothing where HF_HUB_OFFLINE says that only the cache counts.
    """
    if os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "ON", "YES", "TRUE"):
        return
    host, port = _first_hop(url)
    problem = _connection_problem(host, port, seconds)
    if problem:
        raise UserError(f"{url} cannot be reached from this machine ({problem})", CHECK_NETWORK)


def _first_hop(url: str) -> tuple[str, int]:
    """Return host and port that a client connects to: those of the URL, or of the proxy for it."""
    parts = urlsplit(url)
    proxies = getproxies()
    proxy = proxies.get(parts.scheme) or proxies.get("all")
    if proxy and not proxy_bypass(parts.netloc):
        parts = urlsplit(proxy if "://" in proxy else f"http://{proxy}")
    return parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)


def _connection_problem(host: str, port: int, seconds: float) -> str | None:
    """Return why a connection fails, None if it succeeds. In a thread, since looking up a name has no time limit."""
    problems: list[str | None] = []

    def connect() -> None:
        try:
            socket.create_connection((host, port), timeout=seconds).close()
            problems.append(None)
        except OSError as error:
            problems.append(error.strerror or str(error) or type(error).__name__)

    thread = threading.Thread(target=connect, daemon=True)
    thread.start()
    thread.join(seconds)
    return problems[0] if problems else f"no response in {seconds:g} s"
