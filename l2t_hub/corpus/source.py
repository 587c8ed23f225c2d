"""The source of a recipe: the digest of its content, its partitions and their records.

Partitions are contiguous parts of the source, of about equal size, cut between files, Parquet rows or lines. Their
number is part of the recipe (`build.partitions`); the number of workers that read them changes nothing.
"""

import hashlib
import json
import os
from bisect import bisect_left
from codecs import BOM_UTF8
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice, pairwise
from pathlib import Path, PurePosixPath
from typing import Any, Protocol

from l2t_hub.corpus import readers
from l2t_hub.corpus.columns import Columns
from l2t_hub.corpus.document import Document, Dropped, Record, for_training
from l2t_hub.corpus.encodings import AUTO, UTF8, codec_name
from l2t_hub.corpus.files import Segment, SourceFile, find_files, kind_of
from l2t_hub.corpus.inspection import TextFormat, damaged_file, first_records, inspect_file
from l2t_hub.corpus.source_languages import accepted_codes, languages_of
from l2t_hub.errors import UsageError, UserError, nearest
from l2t_hub.recipe import Recipe
from l2t_hub.text import counted

LONG_BYTES = 2_000_000
LISTED_FILES = 3

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

    @property
    def encodings(self) -> dict[str, str]:
        """The encoding of each file that is not UTF-8."""

    @property
    def notes(self) -> list[str]:
        """What a user should know of how the source is read, in lines for the terminal."""

    def read(self, partition: int) -> Iterator[Record]:
        """Yield the records of a partition in source order."""


@dataclass(frozen=True)
class LocalSource:
    """Local files in order, up to the recipe's limit. No document is held out from the files `training_only`."""

    files: tuple[SourceFile, ...]
    partitions: tuple[tuple[Segment, ...], ...]
    columns: Columns
    is_encoding_given: bool = False
    training_only: frozenset[str] = frozenset()

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
        """Return the segments of the partition, with the digests of their files and how these are read."""
        return [
            {
                "file": part.file.name,
                "sha256": part.file.sha256,
                "start": part.start,
                "stop": part.stop,
                **_unusual(part.file),
            }
            for part in self.partitions[partition]
        ]

    @property
    def encodings(self) -> dict[str, str]:
        """The encoding of each file that is not UTF-8."""
        return {file.name: file.encoding for file in self.files if file.encoding != UTF8}

    @property
    def notes(self) -> list[str]:
        """Encodings other than UTF-8, and text files that are one very long document."""
        return [*_encoding_notes(self.encodings, self.is_encoding_given), *_length_notes(self.files)]

    def read(self, partition: int) -> Iterator[Record]:
        """Yield the records of the partition's segments, one segment after another."""
        for segment in self.partitions[partition]:
            records = readers.read_segment(segment, self.columns)
            yield from map(for_training, records) if segment.file.name in self.training_only else records


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
            key: recipe.where(f"source.{key}")
            for key in ("text_column", "id_column", "token_count_column", "language_column")
        },
        language=recipe.source.language_column,
        languages=accepted_codes(languages_of(recipe)),
    )
    if recipe.source.path is None:
        from l2t_hub.corpus.hub_source import open_dataset

        return open_dataset(recipe, columns)
    root, paths = find_files(recipe.source.path, recipe.where("source.path"))
    form = _text_format(recipe, paths)
    files: list[SourceFile] = []
    remaining = recipe.source.limit
    for path in paths:
        file = _inspect(path, root, form, columns)
        if remaining is not None:
            file = first_records(file, remaining, columns)
            remaining -= file.records or 0
        files.append(file)
        if remaining == 0:
            break
    partitions = divide(files, recipe.build.partitions)
    training_only = _training_only(recipe, [file.name for file in files])
    return LocalSource(tuple(files), partitions, columns, form.encoding != AUTO, training_only)


def _text_format(recipe: Recipe, paths: list[Path]) -> TextFormat:
    """Return the recipe's keys on files of text. Raises UsageError for a key that does not apply to the files."""
    section = recipe.source
    kind, _ = kind_of(paths[0]) or ("damaged", None)
    for key, kinds, what in (
        ("encoding", ("text", "csv", "jsonl"), "text, CSV and JSON files"),
        ("delimiter", ("csv",), "CSV files"),
        ("split_on", ("text",), "text files"),
        ("language_column", ("parquet", "csv", "jsonl"), "Parquet, CSV and JSON files"),
    ):
        if getattr(section, key) != type(section).model_fields[key].default and kind not in kinds:
            raise UsageError(
                f"{recipe.where(f'source.{key}')} applies to {what}, not to {paths[0].name}",
                "Leave the key out, or name other files.",
            )
    encoding = section.encoding if section.encoding == AUTO else str(codec_name(section.encoding))
    return TextFormat(encoding, section.delimiter, section.split_on)


def _training_only(recipe: Recipe, names: list[str]) -> frozenset[str]:
    """Return the names of the files from which no document is held out. UsageError for a glob without a file."""
    globs = recipe.validation.files
    if globs is None:
        return frozenset()
    for pattern in globs:
        if not any(PurePosixPath(name).match(pattern) for name in names):
            raise UsageError(
                f"{recipe.where('validation.files')}: no file of the source matches '{pattern}'. "
                f"{nearest(pattern, names)}",
                f"A glob matches the end of a file's name, such as {names[0]}. With null, all files are meant.",
            )
    return frozenset(name for name in names if not any(PurePosixPath(name).match(glob) for glob in globs))


def _inspect(path: Path, root: Path, form: TextFormat, columns: Columns) -> SourceFile:
    """Inspect a file. One that cannot be read stops the build, or counts as one record."""
    try:
        return inspect_file(path, root, form, columns)
    except UserError as error:
        if columns.stop or isinstance(error, UsageError) or not os.access(path, os.R_OK):
            raise
        return damaged_file(path, root)


def divide(files: list[SourceFile], count: int) -> tuple[tuple[Segment, ...], ...]:
    """Cut files into `count` contiguous partitions of about equal size in bytes; some may be empty.

    A file that cannot be cut goes to the partition in which its first byte falls.
    """
    sizes = [max(file.size, 1) for file in files]
    parts = [replace(file, starts=()) for file in files]  # the workers that read them need none
    total = sum(sizes)
    bounds = [total * n // count for n in range(count + 1)]
    partitions: list[tuple[Segment, ...]] = []
    for low, high in pairwise(bounds):
        segments, first = [], 0
        for file, part, size in zip(files, parts, sizes, strict=True):
            start, stop = max(low - first, 0), min(high - first, size)
            if file.extent == 1:
                start, stop = (0, size) if low <= first < high else (0, 0)
            if start < stop:
                segment = Segment(part, _cut(file, start, size), _cut(file, stop, size))
                segments += [segment] if segment.start < segment.stop else []
            first += size
        partitions.append(tuple(segments))
    return tuple(partitions)


def _cut(file: SourceFile, position: int, size: int) -> int:
    """Return the place in a file's extent for a position in its bytes: the next at which a record starts."""
    place = file.extent * position // size
    if place in (0, file.extent) or file.kind == "parquet":
        return place
    if file.kind == "jsonl":
        return 0 if place <= len(BOM_UTF8) else place  # the first line starts after the mark
    later = bisect_left(file.starts, place)
    return min(file.starts[later], file.extent) if later < len(file.starts) else file.extent


def _unusual(file: SourceFile) -> dict[str, Any]:
    """Return what decides the records of a file besides its bytes and columns, where it is not the default."""
    facts = {
        "kind": file.kind,
        "encoding": file.encoding,
        "split_on": file.split_on,
        "delimiter": file.delimiter,
    }
    usual = {"kind": file.kind, "encoding": UTF8, "split_on": "none", "delimiter": ","}
    return {name: value for name, value in facts.items() if value != usual[name]}


def _encoding_notes(encodings: dict[str, str], given: bool) -> list[str]:
    """Return a warning for files whose encoding was detected."""
    if not encodings or given:
        return []
    listed = ", ".join(f"{name} as {encoding}" for name, encoding in islice(encodings.items(), LISTED_FILES))
    rest = (
        f" and {counted(len(encodings) - LISTED_FILES, 'more file')}" if len(encodings) > LISTED_FILES else ""
    )
    return [f"warning: not UTF-8, read {listed}{rest}. If that is wrong, set source.encoding."]


def _length_notes(files: Sequence[SourceFile]) -> list[str]:
    """Return a warning for text files that are one very long document each."""
    long = [
        file for file in files if file.kind == "text" and file.split_on == "none" and file.size >= LONG_BYTES
    ]
    if not long:
        return []
    longest = max(long, key=lambda file: file.size)
    others = f" (and {counted(len(long) - 1, 'more file')})" if len(long) > 1 else ""
    return [
        f"warning: {longest.name}{others} is one document of {longest.size / 1e6:,.1f} MB. It becomes raw text or "
        "examples of a single task, and takes about 60 times its size in memory. Set source.split_on: blank_lines, "
        "lines, or a number of words such as 500."
    ]


def digest(value: Any) -> str:
    """Return the SHA-256 (64 hex digits) of a JSON value, independent of the order of its keys."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
