"""What the embedded Hub keeps on disk: content by its hash as plain files, everything else in one SQLite database.

SQLite, not JSON files, because a release is several changes that must happen together (the tree, the branch, the
pull request's state) and a transaction gives that for nothing, also when the process is killed half-way. Content is
written to a temporary name, hashed on its way, and renamed only if it is what the client said it would be. A process
may be killed at any time; nothing is forced to the disk's platter, so a power cut may lose the last seconds.
"""

import fcntl
import hashlib
import os
import shutil
import sqlite3
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from l2t_hub.errors import UserError
from l2t_hub.local_hub.auth import SIGNATURE_SECONDS
from l2t_hub.local_hub.http_errors import HubError

SCHEMA = """
CREATE TABLE IF NOT EXISTS repos(
  id INTEGER PRIMARY KEY AUTOINCREMENT, kind TEXT NOT NULL, namespace TEXT NOT NULL, name TEXT NOT NULL,
  private INTEGER NOT NULL, gated TEXT, sdk TEXT, created TEXT NOT NULL, UNIQUE(kind, namespace, name));
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


class Store:
    """The folder of one embedded Hub. One process at a time may have it open; its threads share this object.

    `before_write` is called before anything is written and may raise `OSError`: that is how a test fills the disk.

    Raises `UserError` if another process serves the same folder, or if it cannot be written.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.before_write: Callable[[], None] = lambda: None
        try:
            for name in ("blobs", "xorbs", "parts", "tmp"):
                (directory / name).mkdir(parents=True, exist_ok=True)
            self._claim = (directory / "lock").open("w")
        except OSError as error:
            raise UserError(f"{directory}: cannot keep the embedded Hub here: {error.strerror}") from error
        try:
            fcntl.flock(self._claim, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self._claim.close()
            raise UserError(
                f"{directory}: another embedded Hub serves this folder",
                "stop it first, or choose another --dir",
            ) from None
        for leftover in (directory / "tmp").iterdir():  # of a server that was killed
            leftover.unlink()
        for upload in (directory / "parts").iterdir():
            if upload.stat().st_mtime < time.time() - SIGNATURE_SECONDS:  # nobody can complete it any more
                shutil.rmtree(upload)
        self._lock = threading.RLock()
        self._db = sqlite3.connect(directory / "hub.sqlite", check_same_thread=False, isolation_level=None)
        self._db.row_factory = sqlite3.Row
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=NORMAL")
        self._db.executescript(SCHEMA)

    def close(self) -> None:
        """Give the folder back."""
        with self._lock:
            self._db.close()
        self._claim.close()

    # -- the database ------------------------------------------------------------------------------------------

    def rows(self, sql: str, *values: object) -> list[sqlite3.Row]:
        """The rows of one SELECT."""
        with self._lock:
            return self._db.execute(sql, values).fetchall()

    def row(self, sql: str, *values: object) -> sqlite3.Row | None:
        """The first row of one SELECT, or None."""
        with self._lock:
            found: sqlite3.Row | None = self._db.execute(sql, values).fetchone()
            return found

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """All statements of the block happen, or none: also if the process dies in between. Nests."""
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
        """Where a blob with this hash is, or would be."""
        return self.directory / "blobs" / sha256[:2] / sha256

    def xorb_path(self, digest: str) -> Path:
        """Where a xorb (a Xet block of chunks) with this hash is, or would be."""
        return self.directory / "xorbs" / digest[:2] / digest

    def part_path(self, sha256: str, number: int) -> Path:
        """Where one part of a multipart upload waits for the others."""
        return self.directory / "parts" / sha256 / f"{number:05d}"

    def write_blob(self, content: bytes) -> str:
        """Store `content`; its sha256."""
        with self.incoming() as file:
            file.write(content)
            return file.keep_as_blob()

    def drop_parts(self, sha256: str) -> None:
        """Forget the parts of a multipart upload that has been put together."""
        shutil.rmtree(self.directory / "parts" / sha256, ignore_errors=True)

    @contextmanager
    def incoming(self) -> Iterator["Incoming"]:
        """A temporary file to write to; gone at the end of the block unless one of its `keep` methods was called."""
        self.before_write()
        handle, name = tempfile.mkstemp(dir=self.directory / "tmp")
        file = Incoming(self, Path(name), os.fdopen(handle, "w+b"))
        try:
            yield file
        finally:
            file.stream.close()
            with suppress(FileNotFoundError):
                file.path.unlink()


class Incoming:
    """Content on its way in: counted and hashed as it is written, not visible to anyone until kept."""

    def __init__(self, store: Store, path: Path, stream: IO[bytes]) -> None:
        self.store = store
        self.path = path
        self.stream = stream
        self.size = 0
        self._sha256 = hashlib.sha256()
        self._md5 = hashlib.md5(usedforsecurity=False)

    def write(self, data: bytes) -> None:
        """Append `data`; raises `OSError` when the disk is full."""
        self.store.before_write()
        self.stream.write(data)
        self._sha256.update(data)
        self._md5.update(data)
        self.size += len(data)

    @property
    def md5(self) -> str:
        """md5 in hex: the ETag storage services give a part."""
        return self._md5.hexdigest()

    def keep_as_blob(self, sha256: str | None = None, size: int | None = None) -> str:
        """Make it a blob; its sha256. 400 if it is not the content that `sha256` and `size` announced."""
        actual = self._sha256.hexdigest()
        if (size is not None and size != self.size) or (sha256 is not None and sha256 != actual):
            raise HubError(
                400, f"The content is not what was announced: {self.size} bytes with sha256 {actual} arrived"
            )
        self.keep_at(self.store.blob_path(actual))
        return actual

    def keep_at(self, path: Path) -> None:
        """Give the file its final name in one step."""
        self.stream.flush()
        path.parent.mkdir(parents=True, exist_ok=True)
        os.replace(self.path, path)  # noqa: PTH105 - atomic, and the name the reader knows it by
