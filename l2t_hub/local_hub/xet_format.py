"""The Xet formats, read and checked in Python: chunks, xorbs (blocks of chunks), shards (what files are made of).

Formats and hash definitions: the public sources of huggingface/xet-core (`xorb_object`, `metadata_shard`,
`merklehash`), for the client hf_xet 1.8.0. All numbers are little-endian; all hashes are BLAKE3 with a fixed key per
purpose. A hash is shown as four 64-bit numbers in hexadecimal, so its text is not the hex of its bytes in order.
"""

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import IO, Any

import pyarrow
from blake3 import blake3

CHUNK_KEY = bytes.fromhex("6697f5775b9550de3135cbaca597181c9de421109beb2b58b4d0b04b93adf229")
NODE_KEY = bytes.fromhex("017ec5c7a5472996fd946666b48a02e65ddd536f37c76dd2f86352e64a53713f")
RANGE_KEY = bytes.fromhex("7f1857d6ce56ed66127ff913e7a5c3f3a4cd26d5b5db49e64124987f28fb94c3")
FILE_SALT = bytes(32)

SHARD_MAGIC = b"HFRepoMetaData\0" + bytes(
    [85, 105, 103, 69, 106, 123, 129, 87, 131, 165, 189, 217, 92, 205, 209, 74, 169]
)
XORB_FOOTER_MAGIC = b"XETBLOB"
MAX_CHUNK_BYTES = 128 << 10
MAX_XORB_CHUNKS = 8 << 10
_BRANCHES = 4
_LAST = b"\xff" * 32
_HAS_RANGE_HASHES = 1 << 31
_HAS_SHA256 = 1 << 30
_lz4 = pyarrow.Codec("lz4")


class FormatError(ValueError):
    """Bytes that are not what the format asks for, or not what their hash says."""


@dataclass(frozen=True)
class Chunk:
    """One chunk of a xorb: hash of its content, where its stored bytes end in the xorb, length of its content."""

    digest: bytes
    end: int
    length: int


@dataclass(frozen=True)
class Term:
    """A run of chunks of one xorb, `first` to before `last`, and the bytes of a file it stands for."""

    xorb: bytes
    length: int
    first: int
    last: int


@dataclass(frozen=True)
class ShardFile:
    """One file of a shard: its Xet hash, the runs of chunks it is made of, their range hashes, its sha256 in hex."""

    digest: bytes
    terms: tuple[Term, ...]
    range_hashes: tuple[bytes, ...]
    sha256: str | None


# -- hashes ----------------------------------------------------------------------------------------------


def hash_text(digest: bytes) -> str:
    """A hash as the protocol writes it."""
    return "".join(f"{number:016x}" for number in struct.unpack("<4Q", digest))


def hash_bytes(text: str) -> bytes:
    """The bytes of a hash written by the protocol."""
    return struct.pack("<4Q", *(int(text[i : i + 16], 16) for i in range(0, 64, 16)))


def chunk_hash(content: bytes) -> bytes:
    """The hash of one chunk's content."""
    return blake3(content, key=CHUNK_KEY).digest()


def range_hash(chunks: Sequence[Chunk]) -> bytes:
    """The hash that proves a client had the chunks of a term, not only their xorb's name."""
    return blake3(b"".join(chunk.digest for chunk in chunks), key=RANGE_KEY).digest()


def tree_hash(chunks: Sequence[Chunk]) -> bytes:
    """The root of the Merkle tree over chunks: a xorb's hash."""
    nodes = [(chunk.digest, chunk.length) for chunk in chunks]
    while len(nodes) > 1:
        merged = []
        start = 0
        while start < len(nodes):
            end = _next_cut(nodes, start)
            group = nodes[start:end]
            text = "".join(f"{hash_text(digest)} : {length}\n" for digest, length in group)
            merged.append((blake3(text.encode(), key=NODE_KEY).digest(), sum(length for _, length in group)))
            start = end
        nodes = merged
    return nodes[0][0] if nodes else bytes(32)


def _next_cut(nodes: Sequence[tuple[bytes, int]], start: int) -> int:
    """Where the group that begins at `start` ends: at a hash divisible by 4, with 3 to 9 members (2 at the end)."""
    if len(nodes) - start <= 2:
        return len(nodes)
    limit = min(start + 2 * _BRANCHES + 1, len(nodes))
    for i in range(start + 2, limit):
        if int.from_bytes(nodes[i][0][24:], "little") % _BRANCHES == 0:
            return i + 1
    return limit


def file_hash(chunks: Sequence[Chunk]) -> bytes:
    """A file's Xet hash: the root over all its chunks, keyed once more."""
    return blake3(tree_hash(chunks), key=FILE_SALT).digest() if chunks else bytes(32)


# -- xorbs -----------------------------------------------------------------------------------------------


def read_chunk(stream: IO[bytes]) -> tuple[bytes, int] | None:
    """The content of the chunk at the stream's position and its stored length; None at the end or at a footer."""
    header = stream.read(8)
    if not header or header[:7] == XORB_FOOTER_MAGIC:
        return None
    if len(header) < 8:
        raise FormatError("a chunk header is cut off")
    version, scheme = header[0], header[4]
    stored, length = int.from_bytes(header[1:4], "little"), int.from_bytes(header[5:8], "little")
    if version != 0 or length > MAX_CHUNK_BYTES or stored > 2 * MAX_CHUNK_BYTES or length == 0:
        raise FormatError("a chunk header is out of bounds")
    body = stream.read(stored)
    if len(body) < stored:
        raise FormatError("a chunk is cut off")
    return _decompressed(body, scheme, length), stored + 8


def _decompressed(body: bytes, scheme: int, length: int) -> bytes:
    if scheme == 0:
        content = body
    elif scheme in (1, 2):
        try:
            content = _lz4.decompress(body, decompressed_size=length, asbytes=True)
        except (OSError, ValueError) as error:
            raise FormatError("a chunk does not decompress") from error
        if scheme == 2:
            content = _ungrouped(content)
    else:
        raise FormatError(f"unknown compression {scheme}")
    if len(content) != length:
        raise FormatError("a chunk is not as long as its header says")
    return content


def _ungrouped(grouped: bytes) -> bytes:
    """Undo byte grouping: all first bytes of each four came first, then all second bytes, and so on."""
    content = bytearray(len(grouped))
    start = 0
    for place in range(4):
        count = (len(grouped) - place + 3) // 4
        content[place::4] = grouped[start : start + count]
        start += count
    return bytes(content)


def read_xorb(stream: IO[bytes]) -> list[Chunk]:
    """All chunks of a serialised xorb, each decompressed and hashed."""
    chunks: list[Chunk] = []
    end = 0
    while (found := read_chunk(stream)) is not None:
        content, stored = found
        end += stored
        chunks.append(Chunk(chunk_hash(content), end, len(content)))
        if len(chunks) > MAX_XORB_CHUNKS:
            raise FormatError(f"more than {MAX_XORB_CHUNKS} chunks")
    if not chunks:
        raise FormatError("a xorb without chunks")
    return chunks


def pack_chunks(chunks: Sequence[Chunk]) -> bytes:
    """A xorb's table of chunks as the store keeps it, 40 bytes each."""
    return b"".join(chunk.digest + struct.pack("<II", chunk.end, chunk.length) for chunk in chunks)


@lru_cache(maxsize=32)
def unpack_chunks(packed: bytes) -> tuple[Chunk, ...]:
    """What `pack_chunks` packed. Remembered, because the files of one xorb are asked for one after the other."""
    rows = (packed[i : i + 40] for i in range(0, len(packed), 40))
    return tuple(Chunk(row[:32], *struct.unpack("<II", row[32:])) for row in rows)


# -- shards ----------------------------------------------------------------------------------------------


def read_shard(data: bytes) -> Iterator[ShardFile]:
    """The files a shard describes. What it says of xorbs is not read: the store has read the xorbs themselves."""
    if data[:32] != SHARD_MAGIC:
        raise FormatError("not a shard")
    if struct.unpack_from("<Q", data, 32)[0] != 2:
        raise FormatError("a shard of an unknown version")
    at = 48
    while True:
        digest, flags, count, _ = _record(data, at, "<32sIIQ")
        at += 48
        if digest == _LAST:
            return
        if count > len(data) // 48:
            raise FormatError("a shard is cut off")
        terms = [_record(data, at + 48 * i, "<32sIIII") for i in range(count)]
        at += 48 * count
        hashes: list[bytes] = []
        if flags & _HAS_RANGE_HASHES:
            hashes = [_record(data, at + 48 * i, "<32s16s")[0] for i in range(count)]
            at += 48 * count
        sha256 = None
        if flags & _HAS_SHA256:
            sha256 = hash_text(_record(data, at, "<32s16s")[0])
            at += 48
        runs = tuple(Term(xorb, length, first, last) for xorb, _, length, first, last in terms)
        yield ShardFile(digest, runs, tuple(hashes), sha256)


def _record(data: bytes, at: int, layout: str) -> tuple[Any, ...]:
    if at + 48 > len(data):
        raise FormatError("a shard is cut off")
    return struct.unpack_from(layout, data, at)
