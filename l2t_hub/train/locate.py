"""Where the dataset of a run lies: a directory, or a Hub repository brought to this machine; and which one it is."""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from l2t_hub.errors import UserError

MANIFEST = "l2t_manifest.json"
TOKENIZER = "tokenizer"
PACKED = "data/packed"
_REPOSITORY = re.compile(r"^[\w.-]+/[\w.-]+(@[\w./-]+)?$")


@dataclass(frozen=True)
class Dataset:
    """A dataset directory: its manifest's fingerprint, and the Hub repository and commit it came from, if any."""

    directory: Path
    fingerprint: str
    repository: str | None = None
    revision: str | None = None

    @property
    def name(self) -> str:
        """What the user called it."""
        return self.repository or str(self.directory)


def locate(data: Path | str) -> Dataset:
    """Find a dataset directory by path, or fetch what training reads of a Hub dataset `namespace/name[@revision]`.

    Raises UserError if there is no such place, or if it is not a dataset directory.
    """
    directory = Path(data)
    if directory.is_dir():
        return Dataset(directory, _fingerprint(directory))
    if directory.exists():
        raise UserError(
            f"{data}: this is a file, not a dataset directory", f"Give the directory that holds {MANIFEST}."
        )
    if not _REPOSITORY.match(str(data)) or str(data).startswith((".", "/")):
        raise UserError(f"{data}: no such dataset directory", "Build it with `l2t build RECIPE --out DIR`.")
    repository, _, revision = str(data).partition("@")
    fetched = _fetch(repository, revision or None)
    return Dataset(fetched, _fingerprint(fetched), repository, fetched.name)


def _fetch(repository: str, revision: str | None) -> Path:
    """Bring the packed view, the tokenizer and the manifest of a Hub dataset into the Hub cache.

    The folder is named by the commit, as huggingface_hub names its snapshots.
    """
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError, OfflineModeIsEnabled

    wanted = [MANIFEST, "README.md", f"{PACKED}/*", f"{TOKENIZER}/*"]
    try:
        return Path(
            snapshot_download(repository, repo_type="dataset", revision=revision, allow_patterns=wanted)
        )
    except (LocalEntryNotFoundError, OfflineModeIsEnabled, OSError) as error:
        if isinstance(error, HfHubHTTPError):
            what = "dataset or revision" if revision else "dataset"
            reason = f"the Hub has no such {what}, or not for you ({error.response.status_code})"
        else:
            reason = "neither a directory here nor to be had from the Hub (no connection?)"
        raise UserError(
            f"{repository}: {reason}",
            "Give a dataset directory made by `l2t build`, or a Hub dataset's name.",
        ) from None


def _fingerprint(directory: Path) -> str:
    path = directory / MANIFEST
    try:
        manifest: Any = json.loads(path.read_text(encoding="utf-8"))
        return str(manifest["fingerprint"])
    except FileNotFoundError:
        raise UserError(
            f"{directory}: not a dataset directory: it has no {MANIFEST}",
            "Build one with `l2t build RECIPE --out DIR`; an interrupted build has to be finished first.",
        ) from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(
            f"{path}: cannot be read as a manifest: {error!r}", "Check the directory with `l2t verify DIR`."
        ) from None
