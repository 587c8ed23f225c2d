"""One Hub as clients reach it: its URL, token and cache folder, and the environment that leads a client there."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

PUBLIC = "https://huggingface.co"
SERVING = "serving.json"
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
class Endpoint:
    """One Hub as clients reach it. `option` is what `--hub` says to come back here, '' for the environment's own.

    `home` is the private HF_HOME; None leaves the user's own. The token is never part of what this prints.
    """

    url: str
    option: str = ""
    home: Path | None = None
    token: str | None = field(default=None, repr=False)

    @property
    def is_local_hub(self) -> bool:
        """Whether this is the embedded Hub: every URL of it says so."""
        return urlsplit(self.url).path.startswith("/rehearsal")

    @property
    def name(self) -> str:
        """What to call it in a line of output."""
        return f"rehearsal Hub {self.url}" if self.is_local_hub else self.url

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
