"""A Hub dataset, or a local directory laid out as one, as a source. `datasets` finds its files.

A partition is a range of rows if their number is known, else some of the dataset's files. Parquet files are read by
row groups (`hub_parquet.py`). Other formats are streamed by `datasets`: a range then downloads what comes before it.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from itertools import compress
from pathlib import Path
from typing import Any

import datasets
from huggingface_hub import HfApi, constants

from l2t_hub.corpus.columns import Columns, missing_column, named_columns
from l2t_hub.corpus.document import Record, document_of_mapping
from l2t_hub.corpus.hub_parquet import (
    HubParquetFile,
    chosen_files,
    inspect_files,
    names_of,
    parquet_urls,
    read_range,
)
from l2t_hub.errors import UsageError, UserError
from l2t_hub.hub.failures import hub_error
from l2t_hub.hub.names import check_hub_name
from l2t_hub.hub.reachability import check_reachable
from l2t_hub.hub.retry import is_connection_error, status_of
from l2t_hub.recipe import Recipe
from l2t_hub.text import counted


@dataclass(frozen=True)
class HubSource:
    """A split of a dataset at one revision. `rows` is None if the dataset does not state its number of rows.

    `parquet` are its files, up to the recipe's limit, if they are Parquet; `data_files` are the recipe's globs.
    """

    name: str
    config: str | None
    split: str
    revision: str
    rows: int | None
    files: int
    count: int
    columns: Columns
    parquet: tuple[HubParquetFile, ...] = ()
    data_files: tuple[str, ...] | None = None

    @property
    def contents(self) -> dict[str, str]:
        """Name, configuration and split of the dataset, and its revision."""
        return {f"{self.name}/{self.config or 'default'}/{self.split}": self.revision}

    @property
    def records(self) -> int | None:
        """Number of rows up to the limit, if known."""
        return self.rows

    @property
    def encodings(self) -> dict[str, str]:
        """Nothing: `datasets` decodes."""
        return {}

    @property
    def notes(self) -> list[str]:
        """Nothing."""
        return []

    def inputs(self, partition: int) -> list[dict[str, Any]]:
        """Return the revision and the rows or files of a partition."""
        base: dict[str, Any] = {"dataset": next(iter(self.contents)), "revision": self.revision}
        if self.data_files is not None:
            base["data_files"] = list(self.data_files)
        if self.rows is None:
            return [{**base, "files": f"{partition + 1} of {self.count}"}]
        start, stop = self._rows(partition)
        return [{**base, "start": start, "stop": stop}]

    def read(self, partition: int) -> Iterator[Record]:
        """Yield a partition's records. Without an id column, the id of a row is its split and number."""
        if self.parquet:
            start, stop = self._rows(partition)
            yield from _rows_of(
                read_range(self.parquet, start, stop, self.name, self.split, self.columns), self.name
            )
            return
        stream = _stream(self.name, self.config, self.split, _hub_revision(self.name, self.revision))
        start = 0
        if self.rows is not None:
            start, stop = self._rows(partition)
            stream = stream.skip(start).take(stop - start)
        elif self.count > 1:
            stream = stream.shard(self.count, partition)
        for number, row in enumerate(_rows_of(stream, self.name), start):
            where = partial("{}, split {}, row {:,}".format, self.name, self.split, number)
            yield document_of_mapping(row, f"{self.split}:{number}", where, self.columns)

    def _rows(self, partition: int) -> tuple[int, int]:
        rows = self.rows or 0
        return rows * partition // self.count, rows * (partition + 1) // self.count


def open_dataset(recipe: Recipe, columns: Columns) -> HubSource:
    """Resolve a dataset's revision, size and columns.

    Raises UsageError for an unknown name, configuration, split or column, UserError if the Hub cannot be reached.
    """
    section = recipe.source
    name = str(section.dataset)
    where = recipe.where("source.dataset")
    revision = _revision(name, section.revision, where)
    source = _open_parquet_dataset(recipe, columns, revision)
    if source is not None:
        return source
    for key, globs in (
        ("source.data_files", section.data_files),
        ("validation.files", recipe.validation.files),
    ):
        if globs is not None:
            raise UsageError(
                f"{recipe.where(key)} applies to Parquet datasets, and this split of {name} is none",
                "Leave the key out, or check source.config and source.split.",
            )
    stream = _open(name, section.config, section.split, _hub_revision(name, revision), where)
    known = list(stream.column_names or next(iter(stream.take(1)), {}))
    for key, column in named_columns(columns):
        if column not in known and column.split(".")[0] not in known:
            raise missing_column(f"{columns.where[key]}: {name}", key, column, known)
    split = (stream.info.splits or {}).get(section.split)
    rows = split.num_examples if split is not None and split.num_examples else None
    if section.limit is not None:
        rows = min(section.limit, rows or section.limit)
    count = recipe.build.partitions
    if rows is None and count > 1 and (count > stream.num_shards or columns.id is None):
        raise UsageError(
            f"{recipe.where('build.partitions')}: {name} does not state its number of rows; it can only be divided "
            f"by its {counted(stream.num_shards, 'file')}, and only with an id column",
            f"Set at most {counted(stream.num_shards, 'partition')} and source.id_column, or set source.limit.",
        )
    return HubSource(name, section.config, section.split, revision, rows, stream.num_shards, count, columns)


def _open_parquet_dataset(recipe: Recipe, columns: Columns, revision: str) -> HubSource | None:
    """Return the source of a split that is Parquet files, whose footers tell rows and columns; None for others."""
    section = recipe.source
    name, where = str(section.dataset), recipe.where("source.dataset")
    hub_revision = _hub_revision(name, revision)
    try:
        builder = datasets.load_dataset_builder(name, section.config, revision=hub_revision)
        urls = parquet_urls(builder, section.split)
        if urls is None:
            return None
        names = names_of(urls, f"hf://datasets/{name}@{revision}" if hub_revision else str(Path(name)))
        if section.data_files is not None:
            chosen = chosen_files(names, section.data_files, recipe.where("source.data_files"))
            urls, names = list(compress(urls, chosen)), list(compress(names, chosen))
        files = inspect_files(urls, names, section.limit, columns)
        if (globs := recipe.validation.files) is not None:
            held_out = chosen_files(names, globs, recipe.where("validation.files"))
            files = tuple(
                replace(file, training_only=not held) for file, held in zip(files, held_out, strict=False)
            )
    except UserError:
        raise
    except Exception as error:  # the clients of the Hub and the readers of formats raise errors of many types
        raise _opening_error(error, where, name) from None
    rows = sum(file.rows for file in files)
    rows = rows if section.limit is None else min(rows, section.limit)
    count = recipe.build.partitions
    return HubSource(
        name,
        section.config,
        section.split,
        revision,
        rows,
        len(files),
        count,
        columns,
        files,
        section.data_files,
    )


def _revision(name: str, revision: str | None, where: str) -> str:
    """Return the commit of a Hub dataset, or the digest of the files of a local directory."""
    if Path(name).is_dir():
        digest = hashlib.sha256()
        for path in sorted(p for p in Path(name).rglob("*") if p.is_file()):
            digest.update(path.relative_to(name).as_posix().encode() + b"\0")
            with path.open("rb") as file:
                digest.update(hashlib.file_digest(file, "sha256").digest())
        return digest.hexdigest()
    try:
        check_hub_name(name, nearby=revision is None)
        check_reachable(constants.ENDPOINT)
        sha = HfApi().dataset_info(name, revision=revision).sha
    except UserError as error:
        raise type(error)(f"{where}: {error.message}", error.hint) from None
    except Exception as error:  # the clients of the Hub raise errors of many types
        what = f"{where}: {name} at revision {revision or 'main'}"
        raise hub_error(error, what, constants.ENDPOINT) from None
    if sha is None:
        raise UserError(f"{where}: {name}: the Hub returns no revision", "Set source.revision.")
    return sha


def _open(name: str, config: str | None, split: str, revision: str | None, where: str) -> Any:
    """Open the stream. Raises UsageError with the reason of `datasets`, such as an unknown configuration or split."""
    try:
        return _stream(name, config, split, revision)
    except Exception as error:  # the clients of the Hub and the readers of formats raise errors of many types
        raise _opening_error(error, where, name) from None


def _opening_error(error: Exception, where: str, name: str) -> UserError:
    if _is_of_the_hub(error):
        return hub_error(error, f"{where}: {name}", constants.ENDPOINT)
    reason = " ".join(str(error).split())
    return UsageError(f"{where}: {name}: {reason}", "Check source.config, source.split and source.revision.")


def _stream(name: str, config: str | None, split: str, revision: str | None) -> Any:
    return datasets.load_dataset(name, config, split=split, revision=revision, streaming=True)


def _rows_of(stream: Any, name: str) -> Iterator[Any]:
    """Yield the rows of a stream. Raises UserError if the Hub fails on the way."""
    try:
        yield from stream
    except UserError:
        raise
    except Exception as error:
        if _is_of_the_hub(error):
            raise hub_error(error, f"{name}: reading stopped", constants.ENDPOINT) from error
        if isinstance(error, OSError):
            raise UserError(f"{name}: reading stopped: {error}", "Rerun the command to continue.") from error
        raise


def _is_of_the_hub(error: Exception) -> bool:
    return status_of(error) is not None or is_connection_error(error)


def _hub_revision(name: str, revision: str) -> str | None:
    """Return the revision to request from the Hub; None for a local directory, which has only a digest."""
    return None if Path(name).is_dir() else revision
