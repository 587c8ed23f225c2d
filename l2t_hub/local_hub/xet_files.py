"""Xet files in the store: which xorbs they consist of, and how to read them back by byte range."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from l2t_hub.local_hub.http_errors import HubError
from l2t_hub.local_hub.storage import Store, damaged, from_json
from l2t_hub.local_hub.xet_format import Chunk, Term, hash_bytes, hash_text, read_chunk, unpack_chunks


@dataclass(frozen=True)
class XetFile:
    """A file of the Xet store. `digest` is its Xet hash as text, `terms` the runs of chunks it consists of."""

    digest: str
    sha256: str
    size: int
    terms: tuple[Term, ...]


def xet_file_of(store: Store, sha256: str) -> XetFile | None:
    """Return the Xet file with this SHA-256, None if the content was not uploaded through Xet."""
    return _file(store, "sha256", sha256)


def xet_file(store: Store, digest: str) -> XetFile | None:
    """Return the file with this Xet hash, None if there is none."""
    return _file(store, "hash", digest)


def _file(store: Store, column: str, value: str) -> XetFile | None:
    row = store.row(f"SELECT * FROM xet_files WHERE {column}=? LIMIT 1", value)
    if row is None:
        return None
    try:
        terms = tuple(Term(hash_bytes(xorb), *numbers) for xorb, *numbers in from_json(row["terms"]))
    except (TypeError, ValueError):
        raise damaged() from None
    return XetFile(row["hash"], row["sha256"], row["size"], terms)


def keep_file(store: Store, file: XetFile) -> None:
    """Record which chunks a file consists of."""
    terms = json.dumps([[hash_text(t.xorb), t.length, t.first, t.last] for t in file.terms])
    with store.transaction() as db:
        db.execute(
            "INSERT OR IGNORE INTO xet_files VALUES(?, ?, ?, ?)", (file.digest, file.sha256, file.size, terms)
        )


def xorb_chunks(store: Store, xorb: bytes) -> Sequence[Chunk] | None:
    """Return the chunks of a stored xorb, None if it is not stored."""
    row = store.row("SELECT chunks FROM xorbs WHERE hash=?", hash_text(xorb))
    return unpack_chunks(row["chunks"]) if row else None


@dataclass(frozen=True)
class Span:
    """The chunks of one term that a byte range needs: a shorter term, its stored bytes, the start of its content."""

    term: Term
    stored_start: int
    stored_end: int
    content_start: int


def spans(store: Store, terms: Sequence[Term], start: int, end: int) -> Iterator[Span]:
    """Yield the runs of whole chunks that hold the bytes `start` to before `end` of a file, in order."""
    position = 0
    for term in terms:
        if position < end and position + term.length > start:
            chunks = xorb_chunks(store, term.xorb)
            if chunks is None:
                xorb = hash_text(term.xorb)
                raise HubError(500, f"The xorb {xorb} is missing from the directory of this Hub.")
            yield _cut(term, chunks, position, start, end)
        position += term.length


def _cut(term: Term, chunks: Sequence[Chunk], position: int, start: int, end: int) -> Span:
    first = term.first
    while position + chunks[first].length <= start:
        position += chunks[first].length
        first += 1
    length, last = 0, first
    while last < term.last and position + length < end:
        length += chunks[last].length
        last += 1
    stored_start = chunks[first - 1].end if first else 0
    return Span(Term(term.xorb, length, first, last), stored_start, chunks[last - 1].end, position)


class XetReader:
    """The content of a Xet file, read from its xorbs chunk by chunk."""

    def __init__(self, store: Store, file: XetFile) -> None:
        self._store = store
        self._file = file

    def chunks(self, start: int, end: int) -> Iterator[bytes]:
        """Yield the bytes from `start` to before `end`, one chunk (at most 128 KiB) at a time."""
        for span in spans(self._store, self._file.terms, start, end):
            position = span.content_start
            with self._store.xorb_path(hash_text(span.term.xorb)).open("rb") as stream:
                stream.seek(span.stored_start)
                for _ in range(span.term.first, span.term.last):
                    chunk = read_chunk(stream)
                    if chunk is None:
                        raise OSError("a xorb has become shorter")
                    content = chunk[0]
                    piece = content[max(0, start - position) : end - position]
                    position += len(content)
                    yield piece
