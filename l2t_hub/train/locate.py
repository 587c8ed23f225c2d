"""Where the dataset of a run lies: a directory, or a Hub repository brought to this machine; and which one it is."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from l2t_hub.artifacts import CARD, MANIFEST, PACKED, TOKENIZER
from l2t_hub.errors import UserError

WANTED = (MANIFEST, CARD, f"{PACKED}/*", f"{TOKENIZER}/*")


@dataclass(frozen=True)
class DatasetLocation:
    """A dataset directory: its manifest's fingerprint, and the Hub repository and commit it came from, if any."""

    directory: Path
    fingerprint: str
    repository: str | None = None
    revision: str | None = None

    @property
    def name(self) -> str:
        """What the user called it."""
        return self.repository or str(self.directory)


def locate(data: Path | str) -> DatasetLocation:
    """Find a dataset directory by path, or fetch what training reads of a Hub dataset `namespace/name[@revision]`.

    Every file fetched is checked. Raises UserError if there is no such place, or if it is not a dataset directory.
    """
    directory = Path(data)
    if directory.is_dir():
        return DatasetLocation(directory, _fingerprint(directory))
    if directory.exists():
        raise UserError(
            f"{data}: this is a file, not a dataset directory", f"Give the directory that holds {MANIFEST}."
        )
    if str(data).startswith((".", "/", "~")) or str(data).count("/") != 1:
        raise UserError(f"{data}: no such dataset directory", "Build it with `l2t build RECIPE --out DIR`.")
    from l2t_hub.hub.download import download, parse_name

    repository, revision = parse_name(str(data))
    found = download(repository, "dataset", revision, only=WANTED, say=lambda line: None)
    return DatasetLocation(found.directory, _fingerprint(found.directory), repository, found.revision)


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
