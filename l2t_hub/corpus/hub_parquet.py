"""The Parquet files of a Hub dataset (or of a local dataset directory), read by row groups and by columns.

A partition is a range of rows. Of the files before it only the footers are read, and of its own files only the row
groups and columns that it needs.
"""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from fsspec.core import url_to_fs

from l2t_hub.corpus.columns import Columns
from l2t_hub.corpus.document import Record, for_training
from l2t_hub.corpus.parquet_reader import RowNames, check_parquet, read_rows
from l2t_hub.errors import UsageError, UserError, nearest

READERS = 8


@dataclass(frozen=True)
class HubParquetFile:
    """A Parquet file: where it is, its name in the dataset and its number of rows.

    `training_only` is true if the recipe holds no documents out from it.
    """

    url: str
    name: str
    rows: int
    training_only: bool = False


def parquet_urls(builder: Any, split: str) -> list[str] | None:
    """Return the data files of a split in order; None if the split is unknown or not all of them are Parquet."""
    files = (builder.config.data_files or {}).get(split)
    urls = [str(url) for url in files or ()]
    return urls if urls and all(url.endswith(".parquet") for url in urls) else None


def names_of(urls: Sequence[str], base: str) -> list[str]:
    """Return the names of data files, relative to the dataset."""
    return [url.removeprefix(base).lstrip("/") for url in urls]


def chosen_files(names: Sequence[str], globs: Sequence[str], where: str) -> list[bool]:
    """Return which files match one of the globs. Raises UsageError for a glob without a file."""
    for pattern in globs:
        if not any(PurePosixPath(name).match(pattern) for name in names):
            raise UsageError(
                f"{where}: no data file of the split matches '{pattern}'. {nearest(pattern, names[:1000])}",
                f"A glob matches the end of a file's path, such as {names[0]}.",
            )
    return [any(PurePosixPath(name).match(pattern) for pattern in globs) for name in names]


def inspect_files(
    urls: Sequence[str], names: Sequence[str], limit: int | None, columns: Columns
) -> tuple[HubParquetFile, ...]:
    """Read the footers of files up to `limit` rows, and check their columns.

    Raises UsageError for a missing column, UserError for a file that is not Parquet, and what the Hub's client does.
    """

    def inspected(file: tuple[str, str]) -> HubParquetFile:
        url, name = file
        with _opened(url, name) as parquet:
            check_parquet(parquet.schema_arrow, name, columns)
            return HubParquetFile(url, name, parquet.metadata.num_rows)

    found: list[HubParquetFile] = []
    with ThreadPoolExecutor(READERS) as pool:
        for n in range(0, len(urls), READERS):
            found += pool.map(inspected, zip(urls[n : n + READERS], names[n : n + READERS], strict=True))
            if limit is not None and sum(file.rows for file in found) >= limit:
                break
    return tuple(found)


def read_range(
    files: Sequence[HubParquetFile], start: int, stop: int, name: str, split: str, columns: Columns
) -> Iterator[Record]:
    """Yield the records of rows `start` to `stop` of all files in order. A row's default ID is split and number."""
    first = 0
    for file in files:
        low, high = max(start - first, 0), min(stop - first, file.rows)
        if low < high:
            with _opened(file.url, file.name) as parquet:
                rows = RowNames(f"{name}/{file.name}", split, first)
                # What a failing network raises is an OSError too; that is no damage, and no row is dropped for it.
                records = read_rows(parquet, low, high, rows, columns, damage=(pa.ArrowException,))
                yield from map(for_training, records) if file.training_only else records
        first += file.rows


@contextmanager
def _opened(url: str, name: str) -> Iterator[pq.ParquetFile]:
    """Open a file so that each read asks for the bytes it needs and no more.

    `pre_buffer` would join the reads of neighbouring columns, but in threads that outlive the generator: in 2 of 17
    runs, Python aborted at its end, and without it in none of 42.
    """
    filesystem, path = url_to_fs(url)
    with filesystem.open(path, "rb", cache_type="none") as stream:
        try:
            parquet = pq.ParquetFile(stream, pre_buffer=False, page_checksum_verification=True)
        except pa.ArrowInvalid as error:
            reason = " ".join(str(error).split())
            raise UserError(f"{name}: not a Parquet file: {reason}", "The dataset is damaged.") from None
        with parquet:
            yield parquet
