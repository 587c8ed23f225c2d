"""Where a dataset on the page is, and what its manifest says. Files are read in place: nothing is downloaded whole.

A dataset that the owner of the page offers is a directory or a repository, which is read with the owner's token. A
visitor may type the name of a repository; that is read without a token, so the owner's private ones stay private.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import BinaryIO, cast

from l2t_hub.artifacts import MANIFEST
from l2t_hub.errors import UserError, nearest
from l2t_hub.hub.failures import explain
from l2t_hub.hub.names import without_scheme
from l2t_hub.hub.retry import status_of
from l2t_hub.records.bounds import is_repo, is_revision
from l2t_hub.records.dataset_manifest import Manifest, ShardEntry
from l2t_hub.records.reading import quoted
from l2t_hub.records.repo_path import inside

VIEWS = ("examples", "raw", "packed")
MAX_MANIFEST_BYTES = 32 << 20
"""A manifest of 370 partitions, as the paper's recipes have, takes about 10 MB."""
MAX_FILES = 50_000
_KEPT_MANIFESTS = 4
_COMMIT = re.compile(r"[0-9a-f]{40}")
_FORM = "A dataset on the Hub is ORG/NAME or ORG/NAME@REVISION."
_LOOK_UP_SECONDS = 15


@dataclass(frozen=True)
class DatasetPlace:
    """A dataset directory, or a dataset repository at a commit. `name` is what the page calls it.

    `anonymous` says that the repository is read without the owner's token.
    """

    name: str
    directory: Path | None = None
    repo: str = ""
    commit: str = ""
    anonymous: bool = True

    def open(self, path: str) -> BinaryIO:
        """Open a file for reads of byte ranges. Raises FileNotFoundError, UserError if the Hub fails."""
        if self.directory is not None:
            return _inside(self.directory, path, self.name).open("rb")
        from huggingface_hub import HfFileSystem

        files = HfFileSystem(token=False if self.anonymous else None)
        try:
            location = f"datasets/{self.repo}@{self.commit}/{path}"
            return cast(BinaryIO, files.open(location, "rb", cache_type="none"))
        except FileNotFoundError:
            raise
        except Exception as error:  # the clients of the Hub raise errors of many types
            raise failure_of_hub(error, self.name) from None

    def read(self, path: str, limit: int) -> bytes:
        """Read a file of at most `limit` bytes. Raises UserError for a larger one, else as `open` does."""
        with self.open(path) as file:
            content = file.read(limit + 1)
        if len(content) > limit:
            raise UserError(f"{self.name}: {path} is larger than the {limit >> 20} MB that this page reads")
        return content


@dataclass(frozen=True)
class ShownDataset:
    """A dataset and its manifest, without the entries of partitions, which the page does not show."""

    place: DatasetPlace
    manifest: Manifest = field(repr=False)
    _shards: dict[tuple[str, str], tuple[ShardEntry, ...]] = field(
        default_factory=dict, compare=False, repr=False
    )

    def __post_init__(self) -> None:
        groups: dict[tuple[str, str], list[ShardEntry]] = {}
        for shard in sorted(self.manifest.shards, key=lambda shard: shard.path):
            for config in {shard.config, shard.view}:
                groups.setdefault((config, shard.split), []).append(shard)
        self._shards.update({key: tuple(shards) for key, shards in groups.items()})

    @property
    def views(self) -> list[str]:
        """The views that have rows: examples, raw, packed."""
        present = {shard.view for shard in self.manifest.shards}
        return [view for view in VIEWS if view in present]

    @property
    def tasks(self) -> list[str]:
        """The tasks that have examples, in the order of the manifest."""
        present = {shard.config for shard in self.manifest.shards if shard.view == "examples"}
        return [task for task in self.manifest.tasks if task in present] + sorted(
            present - self.manifest.tasks.keys()
        )

    def splits(self, config: str) -> list[str]:
        """The splits of a view or a task."""
        return [split for split in ("train", "validation") if (config, split) in self._shards]

    def shards(self, config: str, split: str) -> tuple[ShardEntry, ...]:
        """The files of a view or a task, in the order in which `load_dataset` reads them."""
        return self._shards.get((config, split), ())


def find_dataset(text: str, offered: Mapping[str, str], *, guests: bool) -> ShownDataset:
    """Return the dataset that a visitor chose: a name that is `offered`, or for `guests` a name on the Hub.

    `offered` maps names to directories or Hub names. Raises UserError if there is no such dataset, if the Hub cannot
    be asked, or if it is no L2T dataset.
    """
    place = _find_place(text.strip(), offered, guests=guests)
    if place.directory is None:
        return _read_dataset(place, (0, 0))
    try:
        facts = _inside(place.directory, MANIFEST, place.name).stat()
    except OSError:
        raise _no_dataset(place) from None
    return _read_dataset(place, (facts.st_mtime_ns, facts.st_size))


def _find_place(name: str, offered: Mapping[str, str], *, guests: bool) -> DatasetPlace:
    if name in offered:
        target = offered[name]
        if Path(target).is_dir():
            return DatasetPlace(name, Path(target))
        repo, _, revision = without_scheme(target).partition("@")
    elif not guests:
        raise UserError(f"{quoted(name)} is not a dataset of this page", nearest(name[:100], offered))
    else:
        repo, at, revision = name.partition("@")
        if not is_repo(repo):
            raise UserError(f"{quoted(name)} is not the name of a dataset", _FORM)
        if at and not is_revision(revision):
            raise UserError(f"{quoted(revision)} is not a revision", "Name a branch, a tag or a commit.")
    anonymous = name not in offered
    return DatasetPlace(name, repo=repo, commit=_commit(name, repo, revision, anonymous), anonymous=anonymous)


def _commit(name: str, repo: str, revision: str, anonymous: bool) -> str:
    """Return the commit that a revision names. Raises UserError if the Hub does not say."""
    if _COMMIT.fullmatch(revision):
        return revision
    from huggingface_hub import HfApi

    api = HfApi(token=False if anonymous else None)
    try:
        found = api.dataset_info(repo, revision=revision or None, timeout=_LOOK_UP_SECONDS)
    except Exception as error:  # the clients of the Hub raise errors of many types
        raise failure_of_hub(error, name) from None
    return str(found.sha)


def failure_of_hub(error: Exception, name: str) -> UserError:
    """Return what to tell a visitor when the Hub did not give a file or a fact of a dataset."""
    from huggingface_hub import constants

    if status_of(error) in (401, 403, 404):
        return UserError(
            f"{constants.ENDPOINT} has no public dataset {name}, or no such revision of it", "Check the name."
        )
    return UserError(f"{name}: {explain(error, constants.ENDPOINT)[0]}", "Try again in a minute.")


@lru_cache(maxsize=_KEPT_MANIFESTS)
def _read_dataset(place: DatasetPlace, stamp: tuple[int, int]) -> ShownDataset:
    """Read the manifest of a dataset. `stamp` tells the contents of a local one from earlier contents."""
    try:
        content = place.read(MANIFEST, MAX_MANIFEST_BYTES)
    except FileNotFoundError:
        raise _no_dataset(place) from None
    except OSError as error:
        raise UserError(f"{place.name}: {MANIFEST} cannot be read: {error.strerror}") from None
    manifest = Manifest.parse(content, f"{place.name}: {MANIFEST}")
    if len(manifest.shards) > MAX_FILES:
        raise UserError(f"{place.name} has more than {MAX_FILES:,} files, which this page does not show")
    return ShownDataset(place, manifest.model_copy(update={"partitions": []}))


def _inside(directory: Path, path: str, name: str) -> Path:
    """Return a path in a directory. Raises UserError, which does not say where on this machine the directory is."""
    try:
        return inside(directory, path)
    except UserError:
        raise UserError(f"{name}: {path} leads out of the directory of the dataset") from None


def _no_dataset(place: DatasetPlace) -> UserError:
    return UserError(
        f"{place.name} is not a dataset made by l2t: it has no {MANIFEST}",
        "This tab shows the datasets that `l2t build` makes. The Hub's own viewer shows others.",
    )
