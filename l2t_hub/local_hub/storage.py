"""What the local Hub keeps on disk: content in plain files named by hash, everything else in one SQLite database.

A release changes several things together: the tree, the branch, the state of the pull request. A transaction does
that, even if the process is killed half-way. Content goes to a temporary file, is hashed on the way, and gets its
name only if it is what the client announced. Nothing is flushed to the disk explicitly, so a power failure may lose
the last seconds.
"""

import hashlib
import json
import os
import shutil
import sqlite3
import tempfile
import threading
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from l2t_hub.errors import UserError
from l2t_hub.local_hub.auth import SIGNATURE_SECONDS
from l2t_hub.local_hub.http_errors import HubError
from l2t_hub.local_hub.hub_directory import DATABASE, claim, clear_leftovers

SCHEMA = """
CREATE TABLE IF NOT EXISTS repos(
  id INTEGER PRIMARY KEY AUTOINCREMENT, kind TEXT NOT NULL, namespace TEXT NOT NULL, name TEXT NOT NULL,
  private INTEGER NOT NULL, gated TEXT, sdk TEXT, created TEXT NOT NULL, UNIQUE(kind, namespace, name));
CREATE TABLE IF NOT EXISTS former_names(
  kind TEXT NOT NULL, namespace TEXT NOT NULL, name TEXT NOT NULL, repo INTEGER NOT NULL,
  PRIMARY KEY(kind, namespace, name)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS commits(
  seq INTEGER PRIMARY KEY AUTOINCREMENT, repo INTEGER NOT NULL, id TEXT NOT NULL, parents TEXT NOT NULL,
  title TEXT NOT NULL, message TEXT NOT NULL, author TEXT NOT NULL, date TEXT NOT NULL, tree BLOB NOT NULL,
  UNIQUE(repo, id));
CREATE TABLE IF NOT EXISTS refs(
  repo INTEGER NOT NULL, name TEXT NOT NULL, target TEXT NOT NULL, message TEXT, PRIMARY KEY(repo, name));
CREATE TABLE IF NOT EXISTS objects(
  repo INTEGER NOT NULL, sha256 TEXT NOT NULL, PRIMARY KEY(repo, sha256)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS discussions(
  repo INTEGER NOT NULL, number INTEGER NOT NULL, title TEXT NOT NULL, status TEXT NOT NULL, pull INTEGER NOT NULL,
  author TEXT NOT NULL, created TEXT NOT NULL, base TEXT, merged TEXT, events TEXT NOT NULL,
  PRIMARY KEY(repo, number));
CREATE TABLE IF NOT EXISTS collections(
  slug TEXT PRIMARY KEY, owner TEXT NOT NULL, title TEXT NOT NULL, description TEXT, private INTEGER NOT NULL,
  theme TEXT NOT NULL, updated TEXT NOT NULL, items TEXT NOT NULL, UNIQUE(owner, title));
CREATE TABLE IF NOT EXISTS xorbs(hash TEXT PRIMARY KEY, chunks BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS xet_files(
  hash TEXT PRIMARY KEY, sha256 TEXT NOT NULL, size INTEGER NOT NULL, terms TEXT NOT NULL) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS xet_files_by_sha256 ON xet_files(sha256);
"""
_COLUMNS = """SELECT m.type, m.name, c.name, c.type FROM sqlite_master AS m LEFT JOIN pragma_table_info(m.name) AS c
  WHERE m.name NOT LIKE 'sqlite_%' ORDER BY m.name, c.cid"""
_MAX_TREE_BYTES = 1 << 28


class Store:
    """The directory of one local Hub. One process at a time may open it; its threads share the object.

    `before_write` is called before anything is written and may raise OSError: tests fill the disk that way.

    Raises UserError if `hub_directory.claim` refuses the directory or its database is damaged.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.before_write: Callable[[], None] = lambda: None
        self._process_lock = claim(directory)
        self._lock = threading.RLock()
        try:
            clear_leftovers(directory, SIGNATURE_SECONDS)
            self._db = _open_database(directory / DATABASE)
        except BaseException:
            self._process_lock.release()
            raise

    def close(self) -> None:
        """Close the database and let other processes open the directory."""
        with self._lock:
            self._db.close()
        self._process_lock.release()

    # -- the database ------------------------------------------------------------------------------------------

    def rows(self, sql: str, *values: object) -> list[sqlite3.Row]:
        """Return the rows of a SELECT."""
        with self._lock:
            return self._db.execute(sql, values).fetchall()

    def row(self, sql: str, *values: object) -> sqlite3.Row | None:
        """Return the first row of a SELECT, None if there is none."""
        with self._lock:
            row: sqlite3.Row | None = self._db.execute(sql, values).fetchone()
            return row

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Run all statements of the block or none, even if the process dies in between. Blocks may nest."""
        with self._lock:
            if self._db.in_transaction:
                yield self._db
                return
            self.before_write()
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield self._db
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")

    # -- content -----------------------------------------------------------------------------------------------

    def blob_path(self, sha256: str) -> Path:
        """The path of the blob with this hash, whether it exists or not."""
        return self.directory / "blobs" / sha256[:2] / sha256

    def xorb_path(self, digest: str) -> Path:
        """The path of the xorb (a Xet block of chunks) with this hash, whether it exists or not."""
        return self.directory / "xorbs" / digest[:2] / digest

    def part_path(self, sha256: str, number: int) -> Path:
        """The path of one part of a multipart upload, whether it exists or not."""
        return self.directory / "parts" / sha256 / f"{number:05d}"

    def write_blob(self, content: bytes) -> str:
        """Store `content` and return its SHA-256."""
        with self.incoming() as file:
            file.write(content)
            return file.keep_as_blob()

    def drop_parts(self, sha256: str) -> None:
        """Delete the parts of a multipart upload that has been joined."""
        shutil.rmtree(self.directory / "parts" / sha256, ignore_errors=True)

    @contextmanager
    def incoming(self) -> Iterator["IncomingFile"]:
        """Open a temporary file. It is deleted after the block unless one of its `keep` methods was called."""
        self.before_write()
        handle, name = tempfile.mkstemp(dir=self.directory / "tmp")
        file = IncomingFile(self, Path(name), os.fdopen(handle, "w+b"))
        try:
            yield file
        finally:
            file.stream.close()
            with suppress(FileNotFoundError):
                file.path.unlink()


def _open_database(path: Path) -> sqlite3.Connection:
    """Open the database and check its integrity and its tables; the file may come from somewhere else."""
    expected = sqlite3.connect(":memory:")
    expected.executescript(SCHEMA)
    database = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
    try:
        database.execute("PRAGMA trusted_schema=OFF")
        database.execute("PRAGMA journal_mode=WAL")
        database.execute("PRAGMA synchronous=NORMAL")
        database.executescript(SCHEMA)
        problem = str(database.execute("PRAGMA quick_check(1)").fetchone()[0])
        if database.execute(_COLUMNS).fetchall() != expected.execute(_COLUMNS).fetchall():
            problem = "its tables are not those of a local Hub"
    except (sqlite3.DatabaseError, ValueError) as error:
        problem = str(error)
    if problem != "ok":
        database.close()
        first_line = problem.splitlines()[0] if problem else "no reason given"
        raise UserError(
            f"{path}: the local Hub cannot use this database: {first_line}",
            "Choose another directory with --dir, or move the file away to start with an empty Hub.",
        )
    database.row_factory = sqlite3.Row
    return database


def from_json(text: object) -> Any:
    """Decode a JSON column. Raises HubError 500 if the database was changed by hand."""
    try:
        return json.loads(text)  # type: ignore[arg-type]
    except (ValueError, TypeError, RecursionError):
        raise damaged() from None


def unpacked(data: object) -> bytes:
    """Decompress a BLOB column of at most 256 MiB. Raises HubError 500 if the database was changed by hand."""
    try:
        decompressor = zlib.decompressobj()
        content = decompressor.decompress(data, _MAX_TREE_BYTES)  # type: ignore[arg-type]
    except (zlib.error, TypeError):
        raise damaged() from None
    if not decompressor.eof:
        raise damaged()
    return content


def damaged() -> HubError:
    """Return the error for rows that this Hub cannot have written."""
    return HubError(500, f"The database of this Hub ({DATABASE}) is damaged. Serve another directory.")


class IncomingFile:
    """Content on its way in. It is counted and hashed while it is written, and has no name before a `keep` method."""

    def __init__(self, store: Store, path: Path, stream: IO[bytes]) -> None:
        self.store = store
        self.path = path
        self.stream = stream
        self.size = 0
        self._sha256 = hashlib.sha256()
        self._md5 = hashlib.md5(usedforsecurity=False)

    def write(self, data: bytes) -> None:
        """Append `data`. Raises OSError if the disk is full."""
        self.store.before_write()
        self.stream.write(data)
        self._sha256.update(data)
        self._md5.update(data)
        self.size += len(data)

    @property
    def md5(self) -> str:
        """MD5 in hex, which storage services return as the ETag of a part."""
        return self._md5.hexdigest()

    def keep_as_blob(self, sha256: str | None = None, size: int | None = None) -> str:
        """Make it a blob and return its SHA-256. Raises HubError 400 if hash or size are not the announced ones."""
        actual = self._sha256.hexdigest()
        if (size is not None and size != self.size) or (sha256 is not None and sha256 != actual):
            raise HubError(
                400,
                f"The content differs from what was announced: received {self.size} bytes with SHA-256 {actual}.",
            )
        self.keep_at(self.store.blob_path(actual))
        return actual

    def keep_at(self, path: Path) -> None:
        """Give the file its final name in one step."""
        self.stream.flush()
        path.parent.mkdir(mode=0o700, exist_ok=True)
        self.path.replace(path)
