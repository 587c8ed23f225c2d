"""Rows of a published dataset, by number: reads the footers of the files they are in, and their row groups.

The files may be a stranger's, so everything is bounded before it is read: the bytes of a footer and of a row group,
compressed and not, and the numbers of values in it. Text is kept as a dictionary, so that a value that repeats is in
memory once, and it is cut before it becomes a Python string.
"""

import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from l2t_hub.demo.dataset_place import DatasetPlace, failure_of_hub
from l2t_hub.demo.page_headers import page_totals
from l2t_hub.errors import UserError
from l2t_hub.records.dataset_manifest import ShardEntry
from l2t_hub.text import counted

MAX_FOOTER_BYTES = 8 << 20
MAX_GROUP_BYTES = 24 << 20
MAX_GROUP_MEMORY = 64 << 20
MAX_GROUP_VALUES = 1 << 23
MAX_CHARACTERS = 4000
"""Of a text. Examples of the paper's recipes have about 2,500."""
MAX_LIST = 1 << 17
OWN_CODE = "Load it with the code below instead."
_BATCH = 64
_KEPT_FOOTERS = 64
_GAP = 1 << 16
_STRING, _WHOLE = (pa.string(), pa.large_string()), (pa.int32(), pa.int64())
# View -> column -> its types, the usual one first.
WANTED: dict[str, dict[str, tuple[pa.DataType, ...]]] = {
    "examples": {
        **dict.fromkeys(("document_id", "task", "prompt", "anchor", "completion"), _STRING),
        **dict.fromkeys(("block", "tokens"), _WHOLE),
    },
    "raw": {"document_id": _STRING, "text": _STRING, "tokens": _WHOLE},
    "packed": {
        "input_ids": (pa.list_(pa.uint16()), pa.list_(pa.uint32())),
        "lengths": (pa.list_(pa.int32()),),
        "kind": _STRING,
    },
}


@dataclass(frozen=True)
class CutText:
    """A text, cut if it is long. `whole` is the size of all of it in words, "" if it is not cut."""

    text: str
    whole: str = ""


Value = CutText | int | list[int] | None
Row = Mapping[str, Value]


class BoundedFile:
    """A file for Arrow that gives at most `limit` bytes, and then raises UserError."""

    closed = False

    def __init__(self, file: BinaryIO, name: str, limit: int) -> None:
        self._file, self._name, self._left = file, name, limit
        self.seek, self.tell = file.seek, file.tell

    def read(self, size: int = -1) -> bytes:
        """Read as a file does."""
        if not 0 <= size <= self._left:
            raise UserError(f"{self._name}: its footer is too large for this page", OWN_CODE)
        self._left -= size
        return self._file.read(size)

    def close(self) -> None:
        """Leave the file open: who opened it closes it."""


class Excerpts(io.RawIOBase):
    """A file of which only some ranges of bytes are here."""

    def __init__(self, ranges: Sequence[tuple[int, bytes]], size: int) -> None:
        self._ranges, self._size, self._at = ranges, size, 0

    def readable(self) -> bool:
        """Yes."""
        return True

    def seekable(self) -> bool:
        """Yes."""
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Seek as a file does."""
        self._at = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        return self._at

    def tell(self) -> int:
        """Tell as a file does."""
        return self._at

    def read(self, size: int = -1) -> bytes:
        """Read what is here of the next `size` bytes."""
        for start, content in self._ranges:
            if start <= self._at < start + len(content):
                part = content[self._at - start :][: size if size >= 0 else None]
                self._at += len(part)
                return part
        return b""


def read_rows(
    place: DatasetPlace, shards: Sequence[ShardEntry], start: int, stop: int
) -> Iterator[tuple[int, Row]]:
    """Yield the rows `start` to `stop` of some files in order, each with its number.

    Raises UserError if a file is missing, damaged, other than the manifest says, or too large to be shown.
    """
    first = 0
    for shard in shards:
        low, high = max(start - first, 0), min(stop - first, shard.rows)
        if low < high:
            for row, values in _read_file(place, shard, low, high):
                yield first + row, values
        first += shard.rows


def _read_file(place: DatasetPlace, shard: ShardEntry, start: int, stop: int) -> Iterator[tuple[int, Row]]:
    name = f"{place.name}: {shard.path}"
    try:
        footer = _footer(place, shard.path)
        if footer.num_rows != shard.rows:
            raise UserError(
                f"{name} has {counted(footer.num_rows, 'row')}, and the manifest says {shard.rows:,}"
            )
        columns = _columns(footer.schema.to_arrow_schema(), shard, name)
        first = 0
        for group in range(footer.num_row_groups):
            rows = footer.row_group(group).num_rows
            low, high = max(start - first, 0), min(stop - first, rows)
            if low < high:
                with place.open(shard.path) as file:
                    excerpts = _fetch(file, footer.row_group(group), columns, name)
                for row, values in _read_group(excerpts, footer, group, range(low, high), columns):
                    yield first + row, values
            first += rows
    except UserError:
        raise
    except FileNotFoundError:
        raise UserError(f"{name} is missing", "The dataset is not complete.") from None
    except pa.ArrowException as error:
        raise UserError(f"{name} is damaged: {' '.join(str(error).split())[:200]}") from None
    except Exception as error:  # the clients of the Hub raise errors of many types
        if place.directory is None:
            raise failure_of_hub(error, place.name) from None
        reason = (
            getattr(error, "strerror", None) or type(error).__name__
        )  # its text may name a path of this machine
        raise UserError(f"{name} cannot be read: {reason}") from None


@lru_cache(maxsize=_KEPT_FOOTERS)
def _footer(place: DatasetPlace, path: str) -> pq.FileMetaData:
    with place.open(path) as file:
        bounded = BoundedFile(file, f"{place.name}: {path}", MAX_FOOTER_BYTES)
        return pq.ParquetFile(bounded, pre_buffer=False, thrift_container_size_limit=1 << 17).metadata


def _columns(schema: pa.Schema, shard: ShardEntry, name: str) -> list[str]:
    """Return the columns to read. Raises UserError if one is missing or not of its type."""
    wanted = WANTED[shard.view]
    if shard.view == "raw" and "text" not in schema.names:
        wanted = {column: kinds for column, kinds in wanted.items() if column != "text"}
    for column, kinds in wanted.items():
        if schema.names.count(column) != 1:
            raise UserError(f"{name} has no column `{column}`, which {shard.view} rows have")
        kind = schema.field(column).type
        if kind not in kinds and not (column == "input_ids" and _is_sequence(kind)):
            raise UserError(f"{name}: column `{column}` is {str(kind)[:60]}, not {kinds[0]}")
    return list(wanted)


def _is_sequence(kind: pa.DataType) -> bool:
    """Whether a type is that of token IDs: a list of a fixed size."""
    return pa.types.is_fixed_size_list(kind) and kind.value_type in (pa.uint16(), pa.uint32())


def _fetch(file: BinaryIO, group: pq.RowGroupMetaData, columns: Sequence[str], name: str) -> Excerpts:
    """Read the columns of a row group in few requests. Raises UserError if they are too large, here or in memory."""
    chunks = [
        chunk
        for chunk in (group.column(number) for number in range(group.num_columns))
        if chunk.path_in_schema.partition(".")[0] in columns
    ]
    places = sorted(_place_of(chunk) for chunk in chunks)
    claimed = sum(chunk.total_uncompressed_size for chunk in chunks)
    size = sum(end - start for start, end in places)
    if min(start for start, _ in places) < 0 or size > MAX_GROUP_BYTES or claimed > MAX_GROUP_MEMORY:
        raise _too_large(name, max(size, claimed))
    ranges: list[tuple[int, bytes]] = []
    for start, end in _joined(places):
        file.seek(start)
        ranges.append((start, file.read(end - start)))
    excerpts = Excerpts(ranges, file.seek(0, io.SEEK_END))
    memory = 0
    for start, end in places:
        excerpts.seek(start)
        totals = page_totals(excerpts.read(end - start), name)
        memory += totals.memory
        if memory > MAX_GROUP_MEMORY or totals.values > MAX_GROUP_VALUES:
            raise _too_large(name, max(memory, totals.values))
    return excerpts


def _place_of(chunk: pq.ColumnChunkMetaData) -> tuple[int, int]:
    """Return the first byte of a column chunk and the first one after it."""
    starts = [chunk.data_page_offset]
    if chunk.has_dictionary_page and chunk.dictionary_page_offset is not None:
        starts.append(chunk.dictionary_page_offset)
    return min(starts), min(starts) + chunk.total_compressed_size


def _joined(places: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Join ranges that lie close together: a request takes longer than the bytes between them."""
    joined: list[tuple[int, int]] = []
    for start, end in places:
        if joined and start - joined[-1][1] <= _GAP:
            joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
        else:
            joined.append((start, end))
    return joined


def _too_large(name: str, size: int) -> UserError:
    return UserError(
        f"{name}: these rows are in a row group of {size >> 20:,} MB, and this page reads at most "
        f"{MAX_GROUP_BYTES >> 20} MB, or {MAX_GROUP_MEMORY >> 20} MB uncompressed",
        OWN_CODE,
    )


def _read_group(
    excerpts: Excerpts, footer: pq.FileMetaData, group: int, wanted: range, columns: Sequence[str]
) -> Iterator[tuple[int, Row]]:
    """Yield the `wanted` rows of a row group, each with its number in the group."""
    texts = [column for column in columns if column not in ("input_ids", "lengths", "block", "tokens")]
    excerpts.seek(0)
    parquet = pq.ParquetFile(
        excerpts,
        metadata=footer,
        read_dictionary=texts,
        pre_buffer=False,
        page_checksum_verification=True,
        arrow_extensions_enabled=False,
    )
    row = 0
    for batch in parquet.iter_batches(_BATCH, row_groups=[group], columns=list(columns), use_threads=False):
        for number in range(max(wanted.start - row, 0), min(wanted.stop - row, batch.num_rows)):
            yield row + number, {name: _value(batch.column(name)[number]) for name in columns}
        row += batch.num_rows
        if row >= wanted.stop:
            return


def _value(scalar: Any) -> Value:
    """Return a value of Arrow as Python's: a number, a list of at most MAX_LIST of them, or a text, cut."""
    if not scalar.is_valid:
        return None
    if isinstance(scalar, pa.ListScalar):
        return [number or 0 for number in scalar.values.slice(0, MAX_LIST).to_pylist()]
    if isinstance(scalar, pa.DictionaryScalar):
        return _cut(memoryview(scalar.value.as_buffer()))
    return int(scalar.as_py())


def _cut(content: memoryview) -> CutText:
    # A character has at most four bytes.
    text = str(content[: 4 * MAX_CHARACTERS], "utf-8", "replace")
    is_cut = len(text) > MAX_CHARACTERS or len(content) > 4 * MAX_CHARACTERS
    return CutText(text[:MAX_CHARACTERS], counted(len(content), "byte") if is_cut else "")
