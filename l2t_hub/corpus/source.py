"""The source of a recipe: the digest of its content, its partitions and their records.

Partitions are contiguous parts of the source, of about equal size, cut between files, Parquet rows or lines. Their
number is part of the recipe (`build.partitions`); the number of workers that read them changes nothing.
"""

import hashlib
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any, Protocol

from l2t_hub.corpus import readers
from l2t_hub.corpus.columns import Columns
from l2t_hub.corpus.document import Document, Dropped, Record
from l2t_hub.corpus.files import SourceFile, damaged_file, find_files, inspect_file
from l2t_hub.corpus.readers import Segment
from l2t_hub.errors import UsageError, UserError
from l2t_hub.recipe import Recipe

__all__ = ["Document", "Dropped", "LocalSource", "Record", "Source", "digest", "open_source"]


class Source(Protocol):
    """The interface of a source. Partitions are numbered from 0 to `build.partitions` - 1."""

    @property
    def contents(self) -> dict[str, str]:
        """Name of each file and digest of its bytes, or name and revision of the dataset."""

    @property
    def records(self) -> int | None:
        """Number of records, including dropped ones; None if it is not known before reading."""

    def inputs(self, partition: int) -> list[dict[str, Any]]:
        """Return what a partition reads: everything about the source that decides the partition's bytes."""

    def read(self, partition: int) -> Iterator[Record]:
        """Yield the records of a partition in source order."""


@dataclass(frozen=True)
class LocalSource:
    """Local files in order, up to the recipe's limit."""

    files: tuple[SourceFile, ...]
    partitions: tuple[tuple[Segment, ...], ...]
    columns: Columns

    @property
    def contents(self) -> dict[str, str]:
        """Name and SHA-256 of each file."""
        return {file.name: file.sha256 for file in self.files}

    @property
    def records(self) -> int | None:
        """Number of records up to the limit; None if a file cannot be counted without parsing it."""
        counts = [file.records for file in self.files]
        return None if None in counts else sum(n for n in counts if n is not None)

    def inputs(self, partition: int) -> list[dict[str, Any]]:
        """Return the segments of the partition, with the digests of their files."""
        return [
            {"file": part.file.name, "sha256": part.file.sha256, "start": part.start, "stop": part.stop}
            for part in self.partitions[partition]
        ]

    def read(self, partition: int) -> Iterator[Record]:
        """Yield the records of the partition's segments, one segment after another."""
        for segment in self.partitions[partition]:
            yield from readers.read_segment(segment, self.columns)


def open_source(recipe: Recipe) -> Source:
    """Find the source of a recipe and divide it into partitions. Local files are read once, for their digests.

    Raises UsageError for a wrong recipe key (no such file, no such column), UserError for a damaged file.
    """
    columns = Columns(
        text=recipe.source.text_column,
        id=recipe.source.id_column,
        token_count=recipe.source.token_count_column,
        stop=recipe.build.on_error == "stop",
        where={
            key: recipe.where(f"source.{key}") for key in ("text_column", "id_column", "token_count_column")
        },
    )
    if recipe.source.path is None:
        from l2t_hub.corpus.hub_source import open_dataset

        return open_dataset(recipe, columns)
    root, paths = find_files(recipe.source.path, recipe.where("source.path"))
    files: list[SourceFile] = []
    remaining = recipe.source.limit
    for path in paths:
        file = _inspect(path, root, columns)
        if remaining is not None:
            extent, records = readers.first_records(file, remaining, columns)
            size = file.size * extent // max(file.extent, 1)
            file = replace(file, extent=extent, records=records, size=size)
            remaining -= records
        files.append(file)
        if remaining == 0:
            break
    return LocalSource(tuple(files), divide(files, recipe.build.partitions), columns)


def _inspect(path: Path, root: Path, columns: Columns) -> SourceFile:
    """Inspect a file and check its columns. A file that cannot be read stops the build or counts as one record."""
    try:
        file = inspect_file(path, root)
        readers.check_columns(file, columns)
    except UserError as error:
        if columns.stop or isinstance(error, UsageError) or not os.access(path, os.R_OK):
            raise
        return damaged_file(path, root)
    return file


def divide(files: list[SourceFile], count: int) -> tuple[tuple[Segment, ...], ...]:
    """Cut files into `count` contiguous partitions of about equal size in bytes; some may be empty.

    A file that cannot be cut goes to the partition in which its first byte falls.
    """
    sizes = [max(file.size, 1) for file in files]
    total = sum(sizes)
    bounds = [total * n // count for n in range(count + 1)]
    partitions: list[tuple[Segment, ...]] = []
    for low, high in pairwise(bounds):
        segments, first = [], 0
        for file, size in zip(files, sizes, strict=True):
            start, stop = max(low - first, 0), min(high - first, size)
            if file.extent == 1:
                start, stop = (0, size) if low <= first < high else (0, 0)
            segment = Segment(file, file.extent * start // size, file.extent * stop // size)
            if segment.start < segment.stop and start < stop:
                segments.append(segment)
            first += size
        partitions.append(tuple(segments))
    return tuple(partitions)


def digest(value: Any) -> str:
    """Return the SHA-256 (64 hex digits) of a JSON value, independent of the order of its keys."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
