"""One Hub as clients see it: URL, token, cache folder, and the environment variables that select them."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

PUBLIC = "https://huggingface.co"
SERVING = "serving.json"
# Who owns what is published on a local Hub, unless another namespace is asked for.
LOCAL_OWNER = "rehearsal"
URL_PREFIX = {"model": "", "dataset": "datasets/", "space": "spaces/"}
LOOPBACK = ("127.0.0.1", "localhost", "::1")
# Settings of the Hugging Face libraries. They configure the user's own Hub and must not leak into another one,
# except for tuning of the Xet client.
_HUB_SETTINGS = ("HF_", "HUGGING", "TRANSFORMERS_")
_KEPT_SETTINGS = ("HF_XET_", "HF_HUB_DISABLE_XET")
_QUIET = {
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_DISABLE_UPDATE_CHECK": "1",
    "HF_UPDATE_DOWNLOAD_COUNTS": "0",  # otherwise `load_dataset` contacts huggingface.co
    "GRADIO_ANALYTICS_ENABLED": "False",
}
# A Hub on this machine needs no proxy, and no wait of three seconds before the Xet client's first retry.
_NEARBY = {
    "NO_PROXY": "127.0.0.1,localhost",
    "no_proxy": "127.0.0.1,localhost",
    "HF_XET_CLIENT_RETRY_BASE_DELAY": "200ms",
}


@dataclass(frozen=True)
class Endpoint:
    """A Hub, the token to use there, and the cache folder for it.

    `option` is the `--hub` value that leads here; '' means the environment chose it. `home` is a private HF_HOME;
    None keeps the user's own. `repr` leaves out the token.
    """

    url: str
    option: str = ""
    home: Path | None = None
    token: str | None = field(default=None, repr=False)

    @property
    def is_local_hub(self) -> bool:
        """Whether this is the local Hub, whose URLs all begin with `/rehearsal`."""
        return urlsplit(self.url).path.startswith("/rehearsal")

    @property
    def name(self) -> str:
        """The Hub's name in messages: its URL, marked as a rehearsal if it is the local Hub."""
        return f"rehearsal Hub {self.url}" if self.is_local_hub else self.url

    def repo_url(self, kind: str, repo: str) -> str:
        """Return the page of a repo; `kind` is model, dataset or space."""
        return f"{self.url}/{URL_PREFIX[kind]}{repo}"

    def environment(self, base: Mapping[str, str] | None = None) -> dict[str, str]:
        """Return `base` (default: `os.environ`) changed so that a child process uses this Hub and no other.

        One setting has no variable: a child that loads datasets sets `datasets.config.USE_PARQUET_EXPORT = False`.
        """
        given = dict(os.environ if base is None else base)
        if self.home is None:
            return given
        kept = {
            n: v for n, v in given.items() if n.startswith(_KEPT_SETTINGS) or not n.startswith(_HUB_SETTINGS)
        }
        kept |= _QUIET | {"HF_ENDPOINT": self.url, "HF_HOME": str(self.home)}
        if self.token:
            kept["HF_TOKEN"] = self.token
        if urlsplit(self.url).hostname in LOOPBACK:
            kept |= _NEARBY
        return kept
