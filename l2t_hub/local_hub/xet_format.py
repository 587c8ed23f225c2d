"""The Xet formats, read and checked: chunks, xorbs (blocks of chunks), shards (which chunks files consist of).

Source of the formats and hashes: the public code of huggingface/xet-core (`xorb_object`, `metadata_shard`,
`merklehash`), as hf_xet 1.8.0 uses them. Numbers are little-endian; hashes are BLAKE3 with one fixed key per purpose.
A hash is written as four 64-bit numbers in hexadecimal, so its text is not the hex of its bytes in order.
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
    """Bytes that do not have the format, or not the hash they should have."""


@dataclass(frozen=True)
class Chunk:
    """One chunk of a xorb: hash of its content, end of its stored bytes in the xorb, bytes of its content."""

    digest: bytes
    end: int
    length: int


@dataclass(frozen=True)
class Term:
    """Chunks `first` to before `last` of one xorb, whose content is `length` bytes of a file."""

    xorb: bytes
    length: int
    first: int
    last: int


@dataclass(frozen=True)
class ShardFile:
    """One file of a shard: its Xet hash, the runs of chunks in it, their range hashes, its SHA-256 in hex."""

    digest: bytes
    terms: tuple[Term, ...]
    range_hashes: tuple[bytes, ...]
    sha256: str | None


# -- hashes ----------------------------------------------------------------------------------------------


def hash_text(digest: bytes) -> str:
    """Return a hash as the protocol writes it."""
    return "".join(f"{number:016x}" for number in struct.unpack("<4Q", digest))


def hash_bytes(text: str) -> bytes:
    """Return the bytes of a hash that the protocol wrote."""
    return struct.pack("<4Q", *(int(text[i : i + 16], 16) for i in range(0, 64, 16)))


def chunk_hash(content: bytes) -> bytes:
    """Return the hash of the content of one chunk."""
    return blake3(content, key=CHUNK_KEY).digest()


def range_hash(chunks: Sequence[Chunk]) -> bytes:
    """Return the hash that proves a client had the chunks of a term, not only the name of their xorb."""
    return blake3(b"".join(chunk.digest for chunk in chunks), key=RANGE_KEY).digest()


def tree_hash(chunks: Sequence[Chunk]) -> bytes:
    """Return the root of the Merkle tree over chunks, which is the hash of a xorb."""
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
    """Return the end of the group that begins at `start`: a hash divisible by 4, or after 9 nodes."""
    if len(nodes) - start <= 2:
        return len(nodes)
    limit = min(start + 2 * _BRANCHES + 1, len(nodes))
    for i in range(start + 2, limit):
        if int.from_bytes(nodes[i][0][24:], "little") % _BRANCHES == 0:
            return i + 1
    return limit


def file_hash(chunks: Sequence[Chunk]) -> bytes:
    """Return the Xet hash of a file: the root over all its chunks, hashed once more."""
    return blake3(tree_hash(chunks), key=FILE_SALT).digest() if chunks else bytes(32)


# -- xorbs -----------------------------------------------------------------------------------------------


def read_chunk(stream: IO[bytes]) -> tuple[bytes, int] | None:
    """Return the content and the stored length of the next chunk of a stream, None at the end or at a footer."""
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
        raise FormatError(f"the compression {scheme} is unknown")
    if len(content) != length:
        raise FormatError("a chunk is not as long as its header says")
    return content


def _ungrouped(grouped: bytes) -> bytes:
    """Undo byte grouping, which stores the first byte of every four, then every second byte, and so on."""
    content = bytearray(len(grouped))
    start = 0
    for offset in range(4):
        count = (len(grouped) - offset + 3) // 4
        content[offset::4] = grouped[start : start + count]
        start += count
    return bytes(content)


def read_xorb(stream: IO[bytes]) -> list[Chunk]:
    """Return all chunks of a serialised xorb. Decompresses and hashes each."""
    chunks: list[Chunk] = []
    end = 0
    while (chunk := read_chunk(stream)) is not None:
        content, stored = chunk
        end += stored
        chunks.append(Chunk(chunk_hash(content), end, len(content)))
        if len(chunks) > MAX_XORB_CHUNKS:
            raise FormatError(f"it has more than {MAX_XORB_CHUNKS} chunks")
    if not chunks:
        raise FormatError("it has no chunks")
    return chunks


def pack_chunks(chunks: Sequence[Chunk]) -> bytes:
    """Return the chunks of a xorb as the database stores them, 40 bytes each."""
    return b"".join(chunk.digest + struct.pack("<II", chunk.end, chunk.length) for chunk in chunks)


@lru_cache(maxsize=32)
def unpack_chunks(packed: bytes) -> tuple[Chunk, ...]:
    """Reverse `pack_chunks`. Cached, because clients request the files of one xorb one after the other."""
    rows = (packed[i : i + 40] for i in range(0, len(packed), 40))
    return tuple(Chunk(row[:32], *struct.unpack("<II", row[32:])) for row in rows)


# -- shards ----------------------------------------------------------------------------------------------


def read_shard(data: bytes) -> Iterator[ShardFile]:
    """Yield the files of a shard. Its part about xorbs is skipped: the store has read the xorbs themselves."""
    if data[:32] != SHARD_MAGIC:
        raise FormatError("the magic number is missing")
    if _record(data, 0, "<32sQ8x")[1] != 2:
        raise FormatError("its version is unknown")
    position = 48
    while True:
        digest, flags, count, _ = _record(data, position, "<32sIIQ")
        position += 48
        if digest == _LAST:
            return
        if count > len(data) // 48:
            raise FormatError("it is cut off")
        terms = [_record(data, position + 48 * i, "<32sIIII") for i in range(count)]
        position += 48 * count
        hashes: list[bytes] = []
        if flags & _HAS_RANGE_HASHES:
            hashes = [_record(data, position + 48 * i, "<32s16s")[0] for i in range(count)]
            position += 48 * count
        sha256 = None
        if flags & _HAS_SHA256:
            sha256 = hash_text(_record(data, position, "<32s16s")[0])
            position += 48
        runs = tuple(Term(xorb, length, first, last) for xorb, _, length, first, last in terms)
        yield ShardFile(digest, runs, tuple(hashes), sha256)


def _record(data: bytes, position: int, layout: str) -> tuple[Any, ...]:
    if position + 48 > len(data):
        raise FormatError("it is cut off")
    return struct.unpack_from(layout, data, position)
