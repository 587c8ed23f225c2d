"""Which Hub a command uses: huggingface.co, another URL, or the local Hub on this machine.

The Hugging Face libraries read endpoint, token and cache folder once, at import. So nothing here imports them:
`connected` sets the environment first, and the code inside its block imports what talks to the Hub.
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
from l2t_hub.hub.names import check_hub_name
from l2t_hub.hub.reachability import check_reachable

LOCAL = "local"
LOCAL_DIRECTORY = Path("runs/hub")


@contextmanager
def connected(hub: "str | Endpoint | None" = None) -> Iterator[Endpoint]:
    """Make this process and its children use the given Hub for the length of a block.

    `hub` is the value of `--hub`: a URL, `local` for the local Hub in `runs/hub`, `local:DIR` for one in DIR, or None
    for huggingface.co (or HF_ENDPOINT). A local Hub runs as a child process that ends with the block; if one already
    serves the folder, that one is used.

    Raises UsageError for an invalid URL, and UserError if the Hugging Face libraries were already imported with other
    settings or the local Hub cannot start.
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
        endpoint = find_endpoint(hub)
        with _in_environment(endpoint):
            yield endpoint


@contextmanager
def connected_for(hub: str | None, *targets: str) -> Iterator[None]:
    """Like `connected`, but do nothing if no Hub is needed: none is given and every target is a local path.

    Raises UsageError for a target that is neither a path nor clearly the name of a repo (`check_hub_name`), UserError
    within seconds if a Hub that is needed cannot be reached.
    """
    named = [target for target in targets if not os.path.lexists(target)]
    for target in named:
        check_hub_name(target, nearby=hub is None)
    if hub is None and not named:
        yield
        return
    with connected(hub) as endpoint:
        if named:
            check_reachable(endpoint.url)
        yield


def _is_local(hub: str) -> bool:
    return hub == LOCAL or hub.startswith(f"{LOCAL}:")


def find_endpoint(hub: str | None = None) -> Endpoint:
    """Return the Hub at a URL, or the one the environment selects, with the user's token for it.

    For huggingface.co the token is HF_TOKEN or the one that `hf auth login` stored. Any other Hub gets its own folder
    for cache and token, so the stored token is never sent there. Raises UsageError for an invalid URL.
    """
    if hub is None:
        url = _checked(os.environ.get("HF_ENDPOINT") or PUBLIC)
        return Endpoint(url, "", None, os.environ.get("HF_TOKEN") or _token_file(_user_home()))
    url = _checked(hub)
    if url == PUBLIC:
        home = None if "HF_ENDPOINT" not in os.environ else _user_home()
        return Endpoint(url, hub, home, os.environ.get("HF_TOKEN") or _token_file(_user_home()))
    token = os.environ.get("HF_TOKEN")
    # A local Hub that was deleted and made again has new tokens, and must not meet the cache of the old one.
    key = sha256(f"{url}\n{token or ''}".encode()).hexdigest()[:16]
    home = cache_folder() / "l2t_hub" / "hubs" / key
    return Endpoint(url, hub, home, token or _token_file(home))


def _checked(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise UsageError(
            f"{url}: not the URL of a Hub",
            f"Use `{LOCAL}` for a rehearsal on this machine, or a URL. The default is {PUBLIC}.",
        )
    if parts.username or parts.password:
        raise UsageError(
            "--hub: the URL contains a user name or password, which would appear in output and logs",
            "Remove it and put the token into HF_TOKEN.",
        )
    if parts.scheme == "http" and parts.hostname not in LOOPBACK:
        raise UsageError(
            f"--hub {url}: the token would cross the network unencrypted", "Use the https:// address."
        )
    return url.rstrip("/")


def cache_folder() -> Path:
    """Return the folder for caches of this user."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")


def _user_home() -> Path:
    return Path(os.environ.get("HF_HOME") or cache_folder() / "huggingface").expanduser()


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
    """Raise UserError if huggingface_hub was imported with other settings: it would talk to the wrong Hub."""
    constants = sys.modules.get("huggingface_hub.constants")
    if constants is None:
        return
    hint = "Enter `connected(hub)` before anything imports the Hugging Face libraries."
    if str(constants.ENDPOINT).rstrip("/") != endpoint.url:
        raise UserError(
            f"huggingface_hub was imported for {constants.ENDPOINT}, so this process cannot use {endpoint.url}",
            hint,
        )
    if endpoint.home is not None and Path(constants.HF_HOME).resolve() != endpoint.home.resolve():
        raise UserError(
            f"huggingface_hub was imported with HF_HOME={constants.HF_HOME}, "
            f"but {endpoint.name} needs {endpoint.home}",
            hint,
        )
    if constants.HF_HUB_OFFLINE:
        raise UserError(
            f"huggingface_hub was imported with HF_HUB_OFFLINE=1, so it cannot use {endpoint.url}", hint
        )
