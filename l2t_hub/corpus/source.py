"""The source of a recipe: its content digest, its partitions and the records in them.

The division belongs to the recipe (`build.partitions`): contiguous stretches of the source in its order, of about
equal size, cut between files, Parquet rows or lines. How many workers read them changes nothing.
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
from l2t_hub.corpus.files import SourceFile, damaged, find, look_at
from l2t_hub.corpus.readers import Segment
from l2t_hub.errors import UsageError, UserError
from l2t_hub.recipe import Recipe

__all__ = ["Document", "Dropped", "LocalSource", "Record", "Source", "digest", "open_source"]


class Source(Protocol):
    """What the build asks of any source. A partition is a number from 0 to `build.partitions` - 1."""

    @property
    def contents(self) -> dict[str, str]:
        """What the source is made of: name of each file (or of the dataset) and digest of its bytes (or revision)."""

    @property
    def records(self) -> int | None:
        """How many records there are, dropped ones included; None where only reading would tell."""

    def inputs(self, partition: int) -> list[dict[str, Any]]:
        """Describe exactly what a partition reads: everything in it that decides the partition's bytes."""

    def read(self, partition: int) -> Iterator[Record]:
        """Read a partition in source order."""


@dataclass(frozen=True)
class LocalSource:
    """Files of this machine, in order, cut to the recipe's limit."""

    files: tuple[SourceFile, ...]
    partitions: tuple[tuple[Segment, ...], ...]
    columns: Columns

    @property
    def contents(self) -> dict[str, str]:
        """File name -> SHA-256 of its bytes."""
        return {file.name: file.sha256 for file in self.files}

    @property
    def records(self) -> int | None:
        """Records up to the limit; None if a file cannot be counted cheaply."""
        counts = [file.records for file in self.files]
        return None if None in counts else sum(n for n in counts if n is not None)

    def inputs(self, partition: int) -> list[dict[str, Any]]:
        """The stretches of files, with the files' digests."""
        return [
            {"file": s.file.name, "sha256": s.file.sha256, "start": s.start, "stop": s.stop}
            for s in self.partitions[partition]
        ]

    def read(self, partition: int) -> Iterator[Record]:
        """Read the stretches one after the other."""
        for segment in self.partitions[partition]:
            yield from readers.read(segment, self.columns)


def open_source(recipe: Recipe) -> Source:
    """Find a recipe's source and divide it.

    Local files are read once for their digests. Raises UsageError for what the recipe says wrongly (no such file, no
    such column), UserError for files that are not what they seem.
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
    root, paths = find(recipe.source.path, recipe.where("source.path"))
    files: list[SourceFile] = []
    left = recipe.source.limit
    for path in paths:
        file = _look_at(path, root, columns)
        if left is not None:
            extent, taken = readers.take(file, left, columns)
            file = replace(file, extent=extent, records=taken, size=file.size * extent // max(file.extent, 1))
            left -= taken
        files.append(file)
        if left == 0:
            break
    return LocalSource(tuple(files), divide(files, recipe.build.partitions), columns)


def _look_at(path: Path, root: Path, columns: Columns) -> SourceFile:
    """Look at a file and check its columns; one that cannot be read stops the build, or counts as one record."""
    try:
        file = look_at(path, root)
        readers.check_columns(file, columns)
    except UserError as error:
        if columns.stop or isinstance(error, UsageError) or not os.access(path, os.R_OK):
            raise
        return damaged(path, root)
    return file


def divide(files: list[SourceFile], count: int) -> tuple[tuple[Segment, ...], ...]:
    """Cut files into `count` contiguous partitions of about equal bytes; some are empty if there is too little.

    A file that can be cut anywhere is cut in proportion; one that cannot goes where its first byte falls.
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
    """SHA-256 (64 hex digits) of any JSON value, independent of the order of its keys."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
