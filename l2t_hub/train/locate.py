"""Find the dataset of a run: a directory on this machine, or a dataset on the Hub, which is downloaded."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from l2t_hub.artifacts import CARD, MANIFEST, PACKED, TOKENIZER
from l2t_hub.errors import UserError
from l2t_hub.records.dataset_manifest import Manifest, ShardEntry, read_manifest
from l2t_hub.records.repo_path import inside
from l2t_hub.records.training_record import DatasetUsed

WANTED = (MANIFEST, CARD, f"{PACKED}/*", f"{TOKENIZER}/*")


class TrainingText(Protocol):
    """What a model is trained on: a dataset, or text without one (`stream_location.py`)."""

    @property
    def name(self) -> str:
        """What messages call it."""

    @property
    def fingerprint(self) -> str:
        """The fingerprint of the dataset, 64 hex digits."""

    def tokenizer_files(self) -> list[Path]:
        """Return the files of the tokenizer."""

    def used(self) -> DatasetUsed:
        """Return what the training record says of it."""


@dataclass(frozen=True)
class DatasetLocation:
    """A dataset directory, its manifest, and the Hub repository and commit it was downloaded from, if any."""

    directory: Path
    manifest: Manifest
    repository: str | None = None
    revision: str | None = None

    @property
    def name(self) -> str:
        """What the user called it."""
        return self.repository or str(self.directory)

    @property
    def fingerprint(self) -> str:
        """The fingerprint of the dataset, 64 hex digits."""
        return self.manifest.fingerprint

    def used(self) -> DatasetUsed:
        """Return what the training record says of the dataset."""
        return DatasetUsed(name=self.name, repository=self.repository, revision=self.revision)

    def packed_shards(self, split: str) -> list[Path]:
        """Return the packed shards of a split, by partition. Raises UserError if a link leads out."""
        return [inside(self.directory, shard.path) for shard in self._packed(split)]

    def rows_by_partition(self, counts: Sequence[int]) -> tuple[int, ...]:
        """Return the number of training rows of each partition; `counts` are those of the packed shards."""
        rows = [0] * len(self.manifest.partitions)
        for shard, count in zip(self._packed("train"), counts, strict=True):
            rows[shard.partition] += count
        return tuple(rows)

    def _packed(self, split: str) -> list[ShardEntry]:
        shards = (s for s in self.manifest.shards if (s.view, s.split) == ("packed", split))
        return sorted(shards, key=lambda shard: shard.partition)

    def tokenizer_files(self) -> list[Path]:
        """Return the files of the tokenizer that the manifest lists. Raises UserError if a link leads out."""
        paths = (path for path in self.manifest.files if path.startswith(f"{TOKENIZER}/"))
        return [inside(self.directory, path) for path in paths]


def locate(data: Path | str) -> DatasetLocation:
    """Find a dataset by its directory, or download what training reads of the Hub dataset ORG/NAME[@REVISION].

    Downloaded files are compared with the manifest. Raises UserError if there is no such dataset, or if its manifest
    is malformed.
    """
    directory = Path(data)
    if directory.is_dir():
        return DatasetLocation(directory, read_manifest(directory))
    if directory.exists():
        raise UserError(
            f"{data}: this is a file, not a dataset directory", f"Give the directory of {MANIFEST}."
        )
    from l2t_hub.hub.download import download, parse_name

    repository, revision = parse_name(str(data))
    found = download(repository, "dataset", revision, only=WANTED, say=lambda line: None)
    return DatasetLocation(found.directory, read_manifest(found.directory), repository, found.revision)
