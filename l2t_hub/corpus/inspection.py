"""Find out what a build must know of a local file before it divides and compares its source."""

import hashlib
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import IO

from l2t_hub.corpus import csv_reader, json_reader, text_reader
from l2t_hub.corpus.columns import Columns
from l2t_hub.corpus.encodings import AUTO, UTF8, Detector
from l2t_hub.corpus.files import (
    CHUNK,
    Segment,
    SourceFile,
    kind_of,
    known_suffixes,
    numbered_lines,
    open_parquet,
    opened,
)
from l2t_hub.corpus.parquet_reader import check_parquet
from l2t_hub.corpus.readers import read_segment
from l2t_hub.errors import UsageError, UserError

# Two places at which a file of records on several lines can be cut are at least this many bytes apart.
CUT_BYTES = 1 << 16
# The encoding of a compressed file is detected from this many chunks of its text.
DETECTION_CHUNKS = 4


@dataclass(frozen=True)
class TextFormat:
    """The recipe's keys on files of text. `encoding` is "auto" or Python's name of one."""

    encoding: str = AUTO
    delimiter: str | None = None
    split_on: str | int = "none"


def inspect_file(path: Path, root: Path, form: TextFormat, columns: Columns) -> SourceFile:
    """Find out what a file is and check its columns; the file is read once or twice.

    Raises UserError if the file cannot be read or is not what its suffix says, UsageError for a missing column.
    """
    kind_and_compression = kind_of(path)
    if kind_and_compression is None:
        raise UsageError(f"{path}: unknown kind of file", known_suffixes())
    kind, compression = kind_and_compression
    detector = Detector() if kind != "parquet" else None
    try:
        sha256, lines = _digest(path, None if compression else detector)
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror or error}") from None
    size, name = path.stat().st_size, path.relative_to(root).as_posix()
    file = SourceFile(name, path, kind, compression, size, 1, None, sha256)
    if detector is None:
        with open_parquet(path) as parquet:
            check_parquet(parquet.schema_arrow, path, columns)
            rows = parquet.metadata.num_rows
        return replace(file, extent=rows, records=rows)
    file = replace(file, encoding=_encoding(file, detector, form))
    if kind == "jsonl":
        file = replace(file, kind="json" if json_reader.is_array(file) else "jsonl")
        json_reader.check_json(file, columns)
    elif kind == "csv":
        file = replace(file, delimiter=csv_reader.find_delimiter(file, columns, form.delimiter))
    else:
        file = replace(file, split_on=form.split_on, records=1 if form.split_on == "none" else None)
    if file.is_whole or file.kind == "json" or file.records is not None:
        return file
    return replace(file, extent=size, records=lines) if file.kind == "jsonl" else _with_cuts(file)


def damaged_file(path: Path, root: Path) -> SourceFile:
    """Return a file that is not what its suffix says as a file with one record, which is dropped."""
    sha256, _ = _digest(path)
    name = path.relative_to(root).as_posix()
    return SourceFile(name, path, "damaged", None, path.stat().st_size, 1, 1, sha256)


def first_records(file: SourceFile, count: int, columns: Columns) -> SourceFile:
    """Return the file up to its first `count` records, with their number, which is lower in a short file.

    The damaged rest of a file, if it is dropped, counts as one record.
    """
    if file.extent == 1 and file.records is None:
        records = sum(1 for _ in islice(read_segment(Segment(file, 0, 1), columns), count))
        return replace(file, records=records)
    if file.extent == 1 or file.kind == "parquet":
        extent = min(file.extent, count)
        return replace(file, extent=extent, records=extent)
    with opened(file) as stream:
        starts = list(islice(_record_starts(stream, file), count + 1))
    extent = starts[count] if len(starts) > count else file.extent
    size = file.size * extent // max(file.extent, 1)
    return replace(file, extent=extent, size=size, records=min(len(starts), count))


def _with_cuts(file: SourceFile) -> SourceFile:
    """Return a file with its number of records and the places at which it can be cut."""
    starts: list[int] = []
    records = 0
    with opened(file) as stream:
        for start in _record_starts(stream, file):
            records += 1
            if start >= (starts[-1] if starts else 0) + CUT_BYTES:
                starts.append(start)
    return replace(file, extent=file.size, records=records, starts=tuple(starts))


def _record_starts(stream: IO[bytes], file: SourceFile) -> Iterator[int]:
    """Yield the byte at which each record of a CSV, JSON Lines or split text file starts."""
    if file.kind == "csv":
        return (start for start, _ in csv_reader.rows(stream, file))
    split_on = "lines" if file.kind == "jsonl" else file.split_on
    lines = numbered_lines(stream)
    return (start for start, _ in text_reader.parts(lines, split_on, file.line_encoding))


def _encoding(file: SourceFile, detector: Detector, form: TextFormat) -> str:
    """Return the encoding: the recipe's, or the file's own. JSON is UTF-8 by its standard, unless it has a mark."""
    if form.encoding != AUTO:
        return form.encoding
    if file.compression is not None:
        with suppress(UserError), opened(file) as stream:  # damage is reported when the file is read
            for _ in range(DETECTION_CHUNKS):
                detector.feed(stream.read(CHUNK))
    return detector.marked() or UTF8 if file.kind == "jsonl" else detector.encoding()


def _digest(path: Path, detector: Detector | None = None) -> tuple[str, int]:
    """Return the SHA-256 and the number of lines, counting a last line without a newline."""
    digest, lines, last = hashlib.sha256(), 0, b"\n"
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
            if detector is not None:
                detector.feed(chunk)
            lines += chunk.count(b"\n")
            last = chunk[-1:]
    return digest.hexdigest(), lines + (last != b"\n")
