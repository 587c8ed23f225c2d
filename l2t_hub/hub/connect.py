"""Where a Hub is (huggingface.co, a URL, or the embedded one on this machine) and how clients are led there.

The Hugging Face libraries read endpoint, token and cache folder once, when they are imported. So nothing here imports
them: the environment is set first, and what talks to a Hub is imported inside `connected`.
"""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from urllib.parse import urlsplit

from l2t_hub.errors import UsageError, UserError
from l2t_hub.hub.endpoint import LOOPBACK, PUBLIC, Endpoint

LOCAL = "local"
LOCAL_DIRECTORY = Path("runs/hub")


@contextmanager
def connected(hub: "str | Endpoint | None" = None) -> Iterator[Endpoint]:
    """For the length of a block, this process and its children talk to `hub`.

    `hub` is what `--hub` was given: None for huggingface.co (or where HF_ENDPOINT points), a URL, `local` for the
    embedded Hub over `runs/hub`, `local:DIR` for one over DIR. An embedded Hub runs as a child process and ends with
    the block, unless one serves that folder already.

    Raises UsageError for a URL that is none, UserError if the clients were imported with another endpoint.
    """
    if isinstance(hub, Endpoint):
        with _in_environment(hub):
            yield hub
    elif hub is not None and _is_local(hub):
        from l2t_hub.hub.local_server import running_local_hub

        directory = Path(hub.partition(":")[2] or LOCAL_DIRECTORY)
        with running_local_hub(directory) as (url, token):
            endpoint = Endpoint(url, hub, (directory / "client").resolve(), token)
            with _in_environment(endpoint):
                yield endpoint
    else:
        endpoint = find(hub)
        with _in_environment(endpoint):
            yield endpoint


@contextmanager
def connected_for(hub: str | None, *targets: str) -> Iterator[None]:
    """`connected`, but only if something has to be looked up there: a target that is no file or folder here."""
    if hub is None and all(Path(target).exists() for target in targets):
        yield
        return
    with connected(hub):
        yield


def _is_local(hub: str) -> bool:
    return hub == LOCAL or hub.startswith(f"{LOCAL}:")


def find(hub: str | None = None) -> Endpoint:
    """The Hub at a URL, or without one where the environment points; the token is the user's for that Hub.

    For huggingface.co that is HF_TOKEN or the file `hf auth login` wrote. Any other Hub has its own folder for cache
    and token: the file of huggingface.co is never sent there.
    """
    if hub is None:
        url = _checked(os.environ.get("HF_ENDPOINT") or PUBLIC)
        return Endpoint(url, "", None, os.environ.get("HF_TOKEN") or _token_file(_user_home()))
    url = _checked(hub)
    if url == PUBLIC:
        home = None if "HF_ENDPOINT" not in os.environ else _user_home()
        return Endpoint(url, hub, home, os.environ.get("HF_TOKEN") or _token_file(_user_home()))
    token = os.environ.get("HF_TOKEN")
    # An embedded Hub that was wiped has new tokens: it must not meet the cache of the old one.
    key = sha256(f"{url}\n{token or ''}".encode()).hexdigest()[:16]
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    home = cache / "l2t_hub" / "hubs" / key
    return Endpoint(url, hub, home, token or _token_file(home))


def _checked(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise UsageError(
            f"--hub {url}: not the URL of a Hub",
            f"Give `{LOCAL}` for a rehearsal on this machine, or a URL; without --hub it is {PUBLIC}.",
        )
    if parts.username or parts.password:
        raise UsageError(
            "--hub: a URL with a name or password in it would show up in output and logs",
            "Leave them out and put the token into HF_TOKEN.",
        )
    if parts.scheme == "http" and parts.hostname not in LOOPBACK:
        raise UsageError(
            f"--hub {url}: the token would cross the network unencrypted", "Use the https:// address."
        )
    return url.rstrip("/")


def _user_home() -> Path:
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return Path(os.environ.get("HF_HOME") or cache / "huggingface").expanduser()


def _token_file(home: Path) -> str | None:
    path = Path(os.environ.get("HF_TOKEN_PATH") or home / "token")
    try:
        return path.read_text(encoding="utf-8").strip() or None
    except OSError:
        return None


@contextmanager
def _in_environment(endpoint: Endpoint) -> Iterator[None]:
    _refuse_other_endpoint(endpoint)
    before = dict(os.environ)
    os.environ.clear()
    os.environ.update(endpoint.environment(before))
    if not sys.stderr.isatty():
        os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def _refuse_other_endpoint(endpoint: Endpoint) -> None:
    """The clients froze their endpoint and cache at import: using them for another Hub would go to the wrong one."""
    constants = sys.modules.get("huggingface_hub.constants")
    if constants is None:
        return
    hint = "Choose the Hub before anything imports the Hugging Face libraries: `connected(hub)` comes first."
    if str(constants.ENDPOINT).rstrip("/") != endpoint.url:
        raise UserError(
            f"huggingface_hub was imported for {constants.ENDPOINT}: this process cannot use {endpoint.url} any more",
            hint,
        )
    if endpoint.home is not None and Path(constants.HF_HOME).resolve() != endpoint.home.resolve():
        raise UserError(
            f"huggingface_hub was imported with HF_HOME={constants.HF_HOME}; {endpoint.name} needs {endpoint.home}",
            hint,
        )
    if constants.HF_HUB_OFFLINE:
        raise UserError(
            f"huggingface_hub was imported with HF_HUB_OFFLINE=1: it will not talk to {endpoint.url}", hint
        )
