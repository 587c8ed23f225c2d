"""Where a Hub is (huggingface.co, a URL, or the embedded one on this machine) and how clients are led there.

The Hugging Face libraries read endpoint, token and cache folder once, when they are imported. So nothing here imports
them: the environment is set first, and what talks to a Hub is imported inside `connected`.
"""

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from urllib.parse import urlsplit

from l2t_hub.errors import UsageError, UserError

PUBLIC = "https://huggingface.co"
LOCAL = "local"
LOCAL_DIRECTORY = Path("runs/hub")
URL_PREFIX = {"model": "", "dataset": "datasets/", "space": "spaces/"}
LOOPBACK = ("127.0.0.1", "localhost", "::1")
_OURS = ("HF_", "HUGGING", "TRANSFORMERS_")
_KEPT = ("HF_XET_", "HF_HUB_DISABLE_XET")
_QUIET = {
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_DISABLE_UPDATE_CHECK": "1",
    "HF_UPDATE_DOWNLOAD_COUNTS": "0",
    "GRADIO_ANALYTICS_ENABLED": "False",
}
# On this machine no proxy is wanted, and nothing is gained by the Xet client's usual three seconds before a retry.
_NEARBY = {
    "NO_PROXY": "127.0.0.1,localhost",
    "no_proxy": "127.0.0.1,localhost",
    "HF_XET_CLIENT_RETRY_BASE_DELAY": "200ms",
}


@dataclass(frozen=True)
class Place:
    """One Hub as clients reach it. `option` is what `--hub` says to come back here, '' for the environment's own.

    `home` is the private HF_HOME; None leaves the user's own. The token is never part of what this prints.
    """

    url: str
    option: str = ""
    home: Path | None = None
    token: str | None = field(default=None, repr=False)

    @property
    def rehearsal(self) -> bool:
        """Whether this is the embedded Hub: every URL of it says so."""
        return urlsplit(self.url).path.startswith("/rehearsal")

    @property
    def name(self) -> str:
        """What to call it in a line of output."""
        return f"rehearsal Hub {self.url}" if self.rehearsal else self.url

    def repo_url(self, kind: str, repo: str) -> str:
        """The page of a repo of this kind (model, dataset or space)."""
        return f"{self.url}/{URL_PREFIX[kind]}{repo}"

    def environment(self, base: Mapping[str, str] | None = None) -> dict[str, str]:
        """`base` (this process's environment) changed so that a child process's clients talk to this Hub only.

        One thing has no variable: a child that loads datasets sets `datasets.config.USE_PARQUET_EXPORT = False`.
        """
        given = dict(os.environ if base is None else base)
        if self.home is None:
            return given
        kept = {n: v for n, v in given.items() if n.startswith(_KEPT) or not n.startswith(_OURS)}
        kept |= _QUIET | {"HF_ENDPOINT": self.url, "HF_HOME": str(self.home)}
        if self.token:
            kept["HF_TOKEN"] = self.token
        if urlsplit(self.url).hostname in LOOPBACK:
            kept |= _NEARBY
        return kept


@contextmanager
def connected(hub: "str | Place | None" = None) -> Iterator[Place]:
    """For the length of a block, this process and its children talk to `hub`.

    `hub` is what `--hub` was given: None for huggingface.co (or where HF_ENDPOINT points), a URL, `local` for the
    embedded Hub over `runs/hub`, `local:DIR` for one over DIR. An embedded Hub runs as a child process and ends with
    the block, unless one serves that folder already.

    Raises UsageError for a URL that is none, UserError if the clients were imported with another endpoint.
    """
    if isinstance(hub, Place):
        with _in_environment(hub):
            yield hub
    elif hub is not None and _is_local(hub):
        from l2t_hub.hub.local import embedded

        directory = Path(hub.partition(":")[2] or LOCAL_DIRECTORY)
        with embedded(directory) as (url, token):
            place = Place(url, hub, (directory / "client").resolve(), token)
            with _in_environment(place):
                yield place
    else:
        place = find(hub)
        with _in_environment(place):
            yield place


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


def find(hub: str | None = None) -> Place:
    """The Hub at a URL, or without one where the environment points; the token is the user's for that Hub.

    For huggingface.co that is HF_TOKEN or the file `hf auth login` wrote. Any other Hub has its own folder for cache
    and token: the file of huggingface.co is never sent there.
    """
    if hub is None:
        url = _checked(os.environ.get("HF_ENDPOINT") or PUBLIC)
        return Place(url, "", None, os.environ.get("HF_TOKEN") or _token_file(_user_home()))
    url = _checked(hub)
    if url == PUBLIC:
        home = None if "HF_ENDPOINT" not in os.environ else _user_home()
        return Place(url, hub, home, os.environ.get("HF_TOKEN") or _token_file(_user_home()))
    token = os.environ.get("HF_TOKEN")
    # An embedded Hub that was wiped has new tokens: it must not meet the cache of the old one.
    key = sha256(f"{url}\n{token or ''}".encode()).hexdigest()[:16]
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    home = cache / "l2t_hub" / "hubs" / key
    return Place(url, hub, home, token or _token_file(home))


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
def _in_environment(place: Place) -> Iterator[None]:
    _refuse_other_endpoint(place)
    before = dict(os.environ)
    os.environ.clear()
    os.environ.update(place.environment(before))
    if not sys.stderr.isatty():
        os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def _refuse_other_endpoint(place: Place) -> None:
    """The clients froze their endpoint and cache at import: using them for another Hub would go to the wrong one."""
    constants = sys.modules.get("huggingface_hub.constants")
    if constants is None:
        return
    hint = "Choose the Hub before anything imports the Hugging Face libraries: `connected(hub)` comes first."
    if str(constants.ENDPOINT).rstrip("/") != place.url:
        raise UserError(
            f"huggingface_hub was imported for {constants.ENDPOINT}: this process cannot use {place.url} any more",
            hint,
        )
    if place.home is not None and Path(constants.HF_HOME).resolve() != place.home.resolve():
        raise UserError(
            f"huggingface_hub was imported with HF_HOME={constants.HF_HOME}; {place.name} needs {place.home}",
            hint,
        )
    if constants.HF_HUB_OFFLINE:
        raise UserError(
            f"huggingface_hub was imported with HF_HUB_OFFLINE=1: it will not talk to {place.url}", hint
        )
