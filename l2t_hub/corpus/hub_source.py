"""A Hub dataset (or a local dataset directory) as a source, read by streaming through `datasets`.

A partition is a range of rows where their number is known, else some of the dataset's own files.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import datasets
from huggingface_hub import HfApi
from huggingface_hub.errors import HfHubHTTPError, HFValidationError, OfflineModeIsEnabled

from l2t_hub.corpus.columns import Columns, named, no_id
from l2t_hub.corpus.document import Record
from l2t_hub.corpus.readers import from_mapping
from l2t_hub.errors import UsageError, UserError, nearest
from l2t_hub.recipe import Recipe

OFFLINE = (
    "Give source.path for local files, or go online (HF_HUB_OFFLINE is read by the Hugging Face libraries)."
)


@dataclass(frozen=True)
class HubSource:
    """A split of a dataset at one revision. `rows` is None where the dataset does not say how many it has."""

    name: str
    config: str | None
    split: str
    revision: str
    rows: int | None
    files: int
    count: int
    columns: Columns

    @property
    def contents(self) -> dict[str, str]:
        """The dataset's address and its revision."""
        return {f"{self.name}/{self.config or 'default'}/{self.split}": self.revision}

    @property
    def records(self) -> int | None:
        """Rows up to the limit, as far as the dataset says."""
        return self.rows

    def inputs(self, partition: int) -> list[dict[str, Any]]:
        """Revision and rows (or files) of a partition."""
        base = {"dataset": next(iter(self.contents)), "revision": self.revision}
        if self.rows is None:
            return [{**base, "files": f"{partition + 1} of {self.count}"}]
        start, stop = self._rows(partition)
        return [{**base, "start": start, "stop": stop}]

    def read(self, partition: int) -> Iterator[Record]:
        """Stream a partition's rows; without an id column a row's id is its split and number."""
        stream = _stream(self.name, self.config, self.split, _pinned(self.name, self.revision))
        start = 0
        if self.rows is not None:
            start, stop = self._rows(partition)
            stream = stream.skip(start).take(stop - start)
        elif self.count > 1:
            stream = stream.shard(self.count, partition)
        for number, row in enumerate(stream, start):
            where = partial("{}, split {}, row {:,}".format, self.name, self.split, number)
            yield from_mapping(row, f"{self.split}:{number}", where, self.columns)

    def _rows(self, partition: int) -> tuple[int, int]:
        rows = self.rows or 0
        return rows * partition // self.count, rows * (partition + 1) // self.count


def open_dataset(recipe: Recipe, columns: Columns) -> HubSource:
    """Resolve a dataset's revision, size and columns.

    Raises UsageError for a name, configuration, split or column that is not there, UserError where the Hub is not to
    be reached.
    """
    said = recipe.source
    name = str(said.dataset)
    where = recipe.where("source.dataset")
    revision = _revision(name, said.revision, where)
    stream = _open(name, said.config, said.split, _pinned(name, revision), where)
    known = list(stream.column_names or next(iter(stream.take(1)), {}))
    for key, column in named(columns):
        if column not in known and column.split(".")[0] not in known:
            raise UsageError(
                f"{columns.where[key]}: {name} has no column '{column}'. {nearest(column, known)}", no_id(key)
            )
    split = (stream.info.splits or {}).get(said.split)
    rows = split.num_examples if split is not None and split.num_examples else None
    if said.limit is not None:
        rows = min(said.limit, rows or said.limit)
    count = recipe.build.partitions
    if rows is None and count > 1 and (count > stream.num_shards or columns.id is None):
        raise UsageError(
            f"{recipe.where('build.partitions')}: {name} does not say how many rows it has, so it is cut by its "
            f"{stream.num_shards} files, and rows cannot be numbered across them",
            f"Use at most {stream.num_shards} partitions with an id column, or set source.limit.",
        )
    return HubSource(name, said.config, said.split, revision, rows, stream.num_shards, count, columns)


def _revision(name: str, revision: str | None, where: str) -> str:
    """The commit a Hub dataset stands at, or for a local directory the digest of its files."""
    if Path(name).is_dir():
        digest = hashlib.sha256()
        for path in sorted(p for p in Path(name).rglob("*") if p.is_file()):
            digest.update(path.relative_to(name).as_posix().encode() + b"\0")
            with path.open("rb") as file:
                digest.update(hashlib.file_digest(file, "sha256").digest())
        return digest.hexdigest()
    try:
        sha = HfApi().dataset_info(name, revision=revision).sha
    except HFValidationError:
        raise UsageError(f"{where}: '{name}' is no dataset name", "Write it as namespace/name.") from None
    except (OfflineModeIsEnabled, HfHubHTTPError, OSError) as error:
        reason = str(error).strip().splitlines()[0]
        raise UserError(f"{where}: {name} at revision {revision or 'main'}: {reason}", OFFLINE) from None
    if sha is None:
        raise UserError(f"{where}: {name}: the Hub names no revision", "Pin source.revision.")
    return sha


def _open(name: str, config: str | None, split: str, revision: str | None, where: str) -> Any:
    """Open the stream; what `datasets` says of a wrong configuration or split becomes a UsageError."""
    try:
        return _stream(name, config, split, revision)
    except (ValueError, OSError, datasets.exceptions.DatasetsError) as error:
        reason = " ".join(str(error).split())
        raise UsageError(
            f"{where}: {name}: {reason}", "See source.config, source.split and source.revision."
        ) from None


def _stream(name: str, config: str | None, split: str, revision: str | None) -> Any:
    return datasets.load_dataset(name, config, split=split, revision=revision, streaming=True)


def _pinned(name: str, revision: str) -> str | None:
    """What to ask the Hub for: the resolved commit; a local directory has none."""
    return None if Path(name).is_dir() else revision
