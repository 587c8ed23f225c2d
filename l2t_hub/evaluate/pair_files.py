"""Rows of a user's data: Parquet, JSON Lines, CSV, text with good and bad on alternating lines, Hub datasets.

A row is a dict with its place (a file and line or row) under the key `PLACE`. The file's name without its ending is
the column `file`, unless the data have a column of that name.
"""

import csv
import glob
import io
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from l2t_hub.errors import UsageError, UserError, nearest
from l2t_hub.records.reading import parse_json, read_bounded

Row = dict[str, Any]
PLACE = "\0place"
FILE = "file"
GOOD, BAD = "good", "bad"
MAX_FILE_BYTES = 1 << 30
_DATASET = re.compile(
    r"(?P<repo>[\w.-]+/[\w.-]+)(:(?P<config>[\w.-]+))?(#(?P<split>[\w.-]+))?(@(?P<revision>[\w./-]+))?"
)


def read_rows(pairs: str, base: Path, first: str | None, what: str = "pairs") -> Iterator[Row]:
    """Yield the rows of files (a path or a pattern such as `zorro/*.txt`) or of a dataset on the Hub.

    A dataset is `namespace/name`, with `:config`, `#split` and `@revision` as needed. Relative paths start at `base`.
    `first` says which sentence comes first in text files: `good` or `bad`. Errors call the rows `what`; only pairs
    may be text.

    Raises UsageError if nothing has that name, UserError if a file cannot be read.
    """
    files = [Path(path) for path in sorted(glob.glob(str(base / pairs), recursive=True))]  # noqa: PTH207
    files = [path for path in files if path.is_file()]
    if files:
        for path in files:
            yield from _rows_of(path, first, what)
        return
    dataset = _DATASET.fullmatch(pairs)
    if dataset is None or Path(pairs).suffix in READERS:
        near = [path.name for path in (base / pairs).parent.glob("*")]
        hint = nearest(Path(pairs).name, near) if near else "Give a file, a pattern or a dataset on the Hub."
        raise UsageError(f"{pairs}: no such file of {what}", hint)
    yield from _dataset_rows(**dataset.groupdict())


def column_of(row: Row, column: str) -> Any:
    """Return a value of a row. Raises UsageError if the row has no such column."""
    if column in row:
        return row[column]
    known = [name for name in row if name != PLACE]
    raise UsageError(
        f"{row[PLACE]}: no column '{column}'. {nearest(column, known)}", f"Columns: {', '.join(known)}."
    )


def _rows_of(path: Path, first: str | None, what: str) -> Iterator[Row]:
    readers = READERS if what == "pairs" else {k: v for k, v in READERS.items() if v is not _text_rows}
    reader = readers.get(path.suffix.lower())
    if reader is None:
        raise UsageError(
            f"{path}: {what} cannot be read from {path.suffix or 'a file without an ending'}",
            f"Known endings: {', '.join(readers)}.",
        )
    if reader is _text_rows and first is None:
        raise UsageError(
            f"{path}: which sentence of each two lines comes first, the good or the bad one?",
            "Say it: --first good or --first bad.",
        )
    for row in reader(path, first):
        yield {FILE: path.stem} | row


def _text(path: Path) -> str:
    try:
        return read_bounded(path, MAX_FILE_BYTES).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: byte {error.start}: not UTF-8") from None


def _parquet_rows(path: Path, first: str | None) -> Iterator[Row]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    number = 0
    try:
        for batch in pq.ParquetFile(path).iter_batches(batch_size=1024):
            for row in batch.to_pylist():
                number += 1
                yield row | {PLACE: f"{path}, row {number}"}
    except (pa.ArrowException, OSError) as error:
        reason = str(error).split("\n")[0]
        raise UserError(f"{path}: cannot be read as Parquet: {reason}") from None


def _json_rows(path: Path, first: str | None) -> Iterator[Row]:
    for number, line in enumerate(_text(path).split("\n"), start=1):
        if not line.strip():
            continue
        row = parse_json(line.encode(), f"{path}:{number}", "a row")
        if not isinstance(row, dict):
            raise UserError(f"{path}:{number}: not a JSON object with a key for each column")
        yield row | {PLACE: f"{path}:{number}"}


def _csv_rows(path: Path, first: str | None) -> Iterator[Row]:
    separator = "\t" if path.suffix.lower() == ".tsv" else ","
    reader = csv.DictReader(io.StringIO(_text(path), newline=""), delimiter=separator, strict=True)
    try:
        for row in reader:
            if None in row or None in row.values():
                count = len(reader.fieldnames or ())
                raise UserError(f"{path}:{reader.line_num}: not {count} fields, as in the first line")
            yield row | {PLACE: f"{path}:{reader.line_num}"}
    except csv.Error as error:
        raise UserError(f"{path}:{reader.line_num}: not CSV: {error}") from None


def _text_rows(path: Path, first: str | None) -> Iterator[Row]:
    lines = [(n, line.strip()) for n, line in enumerate(_text(path).split("\n"), start=1) if line.strip()]
    if len(lines) % 2:
        raise UserError(
            f"{path}: an odd number of sentences ({len(lines)}): the one on line {lines[-1][0]} has no partner"
        )
    order = (GOOD, BAD) if first == GOOD else (BAD, GOOD)
    for (number, one), (_, other) in zip(lines[::2], lines[1::2], strict=True):
        yield dict(zip(order, (one, other), strict=True)) | {PLACE: f"{path}:{number}"}


READERS: dict[str, Callable[[Path, str | None], Iterator[Row]]] = {
    ".parquet": _parquet_rows,
    ".jsonl": _json_rows,
    ".ndjson": _json_rows,
    ".csv": _csv_rows,
    ".tsv": _csv_rows,
    ".txt": _text_rows,
}


def _dataset_rows(repo: str, config: str | None, split: str | None, revision: str | None) -> Iterator[Row]:
    """Yield the rows of a dataset on the Hub, without running code of its repository."""
    from datasets import disable_progress_bars, load_dataset

    if not sys.stderr.isatty():
        disable_progress_bars()
    try:
        splits = load_dataset(repo, config, revision=revision)
    except (
        Exception
    ) as error:  # datasets raises errors of many types for a missing repo, config or connection
        reason = str(error).strip().split("\n")[0]
        raise UserError(
            f"{repo}: the data cannot be loaded: {reason}",
            "Check name, config (`name:config`) and connection. A file on disk works too.",
        ) from error
    if split is None and len(splits) > 1:
        raise UsageError(
            f"{repo}: several splits: {', '.join(splits)}", f"Name one: {repo}#{next(iter(splits))}"
        )
    if split is not None and split not in splits:
        raise UsageError(f"{repo}: no split '{split}'. {nearest(split, splits)}")
    name = split or next(iter(splits))
    for number, row in enumerate(splits[name], start=1):
        yield dict(row) | {PLACE: f"{repo}, {name} row {number}"}
