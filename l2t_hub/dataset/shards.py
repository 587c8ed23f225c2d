"""The only writer of shards: Parquet with zstd, a page index, and row groups that the Hub's viewer can fetch singly.

The same rows give the same bytes: row groups are cut by rows and bytes alone, and no time or machine property goes
into a file. A shard appears under its final name only when it is complete (`workspace.py`).
"""

from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from l2t_hub.artifacts import disk_errors, sha256_of

ROW_GROUP_ROWS = 1000
ROW_GROUP_BYTES = 4 << 20
SHARD_BYTES = 500_000_000
COMPRESSION_LEVEL = 3
IDS_COLUMN, IDS_LEVEL = "input_ids", 1


@dataclass(frozen=True)
class Shard:
    """A finished file. `file` is its name in the folder it was written to; `tokens` does not count padding."""

    file: str
    view: str
    split: str
    task: str
    rows: int
    tokens: int
    bytes: int
    sha256: str


class ShardWriter:
    """Writes rows of one view, split and task. Starts a new file when one has reached SHARD_BYTES."""

    def __init__(self, folder: Path, view: str, split: str, task: str = "") -> None:
        self._folder = folder
        self._view, self._split, self._task = view, split, task
        self._stem = "-".join(part for part in (view, task, split) if part)
        self._pending: list[pa.Table] = []
        self._writer: pq.ParquetWriter | None = None
        self._rows = self._tokens = self._pending_tokens = 0
        self.shards: list[Shard] = []

    def write(self, table: pa.Table, tokens: int) -> None:
        """Add rows that hold `tokens` tokens. Rows reach the disk one row group at a time."""
        self._pending.append(table)
        self._pending_tokens += tokens
        rows = sum(t.num_rows for t in self._pending)
        if rows >= ROW_GROUP_ROWS or sum(t.nbytes for t in self._pending) >= ROW_GROUP_BYTES:
            self._flush()

    def close(self) -> list[Shard]:
        """Write what is pending and return the finished shards, in order."""
        self._flush()
        self._finish()
        return self.shards

    def _flush(self) -> None:
        if not self._pending:
            return
        table = pa.concat_tables(self._pending).combine_chunks()
        with disk_errors(self._path()):
            if self._writer is None:
                self._writer = _open(self._path(), table.schema)
            self._writer.write_table(table, row_group_size=ROW_GROUP_ROWS)
        self._rows += table.num_rows
        self._tokens += self._pending_tokens
        self._pending, self._pending_tokens = [], 0
        if self._path().stat().st_size >= SHARD_BYTES:
            self._finish()

    def _finish(self) -> None:
        if self._writer is None:
            return
        path = self._path()
        with disk_errors(path):
            self._writer.close()
        self._writer = None
        shard = Shard(
            file=path.name,
            view=self._view,
            split=self._split,
            task=self._task,
            rows=self._rows,
            tokens=self._tokens,
            bytes=path.stat().st_size,
            sha256=sha256_of(path),
        )
        self.shards.append(shard)
        self._rows = self._tokens = 0

    def _path(self) -> Path:
        return self._folder / f"{self._stem}-{len(self.shards):05d}.parquet"


def _open(path: Path, schema: pa.Schema) -> pq.ParquetWriter:
    """Open a writer with the options of all shards. Only columns whose values repeat in a row group get a dictionary.

    Token IDs are split into byte streams. On 4M tokens of books that makes files a tenth smaller and writes them in
    half the time; a compression level above the lowest then gains nothing.
    """
    has_ids = IDS_COLUMN in schema.names
    return pq.ParquetWriter(
        path,
        schema,
        compression="zstd",
        compression_level=IDS_LEVEL if has_ids else COMPRESSION_LEVEL,
        use_byte_stream_split=[f"{IDS_COLUMN}.list.element"] if has_ids else False,
        use_dictionary=[
            name for name in ("document_id", "task", "level", "anchor", "kind") if name in schema.names
        ],
        write_statistics=[name for name in ("document_id", "block", "tokens") if name in schema.names],
        write_page_index=True,
    )
