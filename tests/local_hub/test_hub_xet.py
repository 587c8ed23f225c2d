"""The Xet formats against published values, and a store that verifies every upload."""

import hashlib
import io
import struct
from contextlib import suppress

import pyarrow
import pytest
from hub_clients import Reply, ask, commit_lfs, make_repo
from hypothesis import given, settings
from hypothesis import strategies as st

from l2t_hub.local_hub.server import LocalHub
from l2t_hub.local_hub.xet_format import (
    SHARD_MAGIC,
    Chunk,
    FormatError,
    chunk_hash,
    file_hash,
    hash_bytes,
    hash_text,
    pack_chunks,
    range_hash,
    read_shard,
    read_xorb,
    tree_hash,
    unpack_chunks,
)

# Reference values of xet-core's own tests (merklehash: aggregated_hashes, data_hash).
ONE = "cfc5d07f6f03c29bbf424132963fe08d19a37d5757aaf520bf08119f05cd56d6"
TWO = "c3e67584b5c4fc2a89837ec39e40f2c8a6bb0b2987ac94cd4b31e5fbdd210a72"
THREE = "0d2beb91b9196929a5ddec9f6e306924ddf4a24268e3e59fd8464738d525af37"
FOUR = "adf8773496a9b7319b2e50dc98093f344053b17d8ad37100b9c07d9805988784"
TREES = [
    ([(ONE, 100)], ONE, "8e16257caa3fe079d484d872a8975264b2ff683b0d6db9028cc7c0f968a45661"),
    (
        [(ONE, 100), (TWO, 200), (THREE, 300)],
        "71ec1275fca074724e2dd666921b3277c7cee603e4d025bcab2d4050015be2bc",
        "54e55dccc6653c612bdb5576c5d3cb34bb31bc4e100248abccf4c908b3ef7715",
    ),
    (
        [(ONE, 100)] * 4,
        "89f2ada89ff8c96763c6b25010e6dd76a4c05b1466207633ea559acf2093211b",
        "2cdba690d0e09563596e0cda626d43eb4c96ef1e994fe72d9b2f5a83cfcd36dd",
    ),
    (
        [(ONE, 100), (TWO, 200), (ONE, 100), (TWO, 200), (THREE, 300), (FOUR, 400)],
        "52c826f99507aa05d0b45e9837fa1709e0485425cfbcb1e80db3905cf98b3ee9",
        "91d21684db364c8883ab8209fa5eb2e781cf07f37e1fa43e731c30839afe422f",
    ),
]


@pytest.mark.parametrize(("chunks", "root", "file"), TREES)
def test_merkle_hashes_are_the_published_ones(chunks: list[tuple[str, int]], root: str, file: str) -> None:
    hashed = [Chunk(hash_bytes(text), 0, length) for text, length in chunks]
    assert hash_text(tree_hash(hashed)) == root
    assert hash_text(file_hash(hashed)) == file


def test_a_hash_is_written_as_four_numbers() -> None:
    raw = bytes([22, 175, 58, 132, 4, 75, 131, 214, 190, 153, 138, 66, 226, 3, 153, 242, 204, 86, 80, 234, 249, 153, 80, 99,
                 159, 80, 65, 138, 236, 231, 149, 78])  # fmt: skip
    assert hash_text(raw) == "d6834b04843aaf16f29903e2428a99be635099f9ea5056cc4e95e7ec8a41509f"
    assert hash_bytes(hash_text(raw)) == raw


def grouped(content: bytes) -> bytes:
    return b"".join(content[offset::4] for offset in range(4))


def stored_chunk(content: bytes, scheme: int) -> bytes:
    body = content
    if scheme:
        body = pyarrow.Codec("lz4").compress(grouped(content) if scheme == 2 else content, asbytes=True)
    return (
        b"\0" + len(body).to_bytes(3, "little") + bytes([scheme]) + len(content).to_bytes(3, "little") + body
    )


def make_xorb(contents: list[bytes], scheme: int = 0) -> tuple[bytes, list[Chunk]]:
    stored = [stored_chunk(content, scheme) for content in contents]
    ends = [sum(map(len, stored[: n + 1])) for n in range(len(stored))]
    return b"".join(stored), [
        Chunk(chunk_hash(c), end, len(c)) for c, end in zip(contents, ends, strict=True)
    ]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.binary(min_size=1, max_size=3000), min_size=1, max_size=6), st.sampled_from([0, 1, 2]))
def test_xorbs_of_every_compression_are_read(contents: list[bytes], scheme: int) -> None:
    data, chunks = make_xorb(contents, scheme)
    assert read_xorb(io.BytesIO(data)) == chunks
    assert read_xorb(io.BytesIO(data + b"XETBLOB\1 and a footer")) == chunks
    assert list(unpack_chunks(pack_chunks(chunks))) == chunks


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=300), st.integers(0, 40))
def test_malformed_xorbs_and_shards_are_refused(noise: bytes, cut: int) -> None:
    data, _ = make_xorb([b"some content", b"and more"], 1)
    for broken in (noise, data[:cut] + noise, data[: len(data) - 1 - cut % 20]):
        with suppress(FormatError):  # nothing else may be raised; bytes that pass are chunks
            assert read_xorb(io.BytesIO(broken))
    for broken in (noise, SHARD_MAGIC + struct.pack("<QQ", 2, 0) + noise):
        with pytest.raises(FormatError):
            list(read_shard(broken))


def make_shard(chunks: list[Chunk], content: bytes, **wrong: object) -> bytes:
    """Return a shard of one file that consists of one whole xorb. `wrong` replaces fields."""
    fields: dict[str, object] = {
        "file": file_hash(chunks),
        "xorb": tree_hash(chunks),
        "length": len(content),
        "last": len(chunks),
        "range": range_hash(chunks),
        "sha256": hash_bytes(hashlib.sha256(content).hexdigest()),
    } | wrong
    return b"".join(
        [
            SHARD_MAGIC + struct.pack("<QQ", 2, 0),
            struct.pack("<32sIIQ", fields["file"], 1 << 31 | 1 << 30, 1, 0),
            struct.pack("<32sIIII", fields["xorb"], 0, fields["length"], 0, fields["last"]),
            struct.pack("<32s16x", fields["range"]),
            struct.pack("<32s16x", fields["sha256"]),
            struct.pack("<32s16x", b"\xff" * 32),
        ]
    )


CONTENTS = [bytes([n]) * 1000 for n in range(5)]
WHOLE = b"".join(CONTENTS)


def xet_token(hub: LocalHub, role: str, repo: str = "a") -> str:
    return str(ask(hub, "GET", f"/api/models/org/{repo}/xet-{role}-token/main").json()["accessToken"])


def post(hub: LocalHub, path: str, body: bytes) -> Reply:
    return ask(hub, "POST", f"/xet/v1/{path}", body, token=xet_token(hub, "write"))


def test_a_file_is_uploaded_and_downloaded_by_hand(hub: LocalHub) -> None:
    make_repo(hub, "a")
    make_repo(hub, "b")
    data, chunks = make_xorb(CONTENTS, 2)
    xorb = hash_text(tree_hash(chunks))
    assert post(hub, f"xorbs/default/{xorb}", data).json() == {"was_inserted": True}
    assert post(hub, f"xorbs/default/{xorb}", data).json() == {"was_inserted": False}
    assert post(hub, "shards", make_shard(chunks, WHOLE)).json() == {"result": 1}
    assert post(hub, "shards", make_shard(chunks, WHOLE)).json() == {"result": 0}
    sha256 = hashlib.sha256(WHOLE).hexdigest()
    assert commit_lfs(hub, "models/org/a", "w.bin", sha256, len(WHOLE)).status == 200
    # Read by plain HTTP, whole and in a range across two chunks ...
    assert ask(hub, "GET", "/org/a/resolve/main/w.bin").body == WHOLE
    part = ask(hub, "GET", "/org/a/resolve/main/w.bin", headers={"Range": "bytes=1999-2000"})
    assert (part.status, part.body) == (206, WHOLE[1999:2001])
    # ... and by reconstruction: only the chunks that are needed, from a signed URL.
    name = hash_text(file_hash(chunks))
    path = f"/xet/v1/reconstructions/{name}"
    reply = ask(hub, "GET", path, token=xet_token(hub, "read"), headers={"Range": "bytes=1999-2000"}).json()
    assert reply["offset_into_first_range"] == 999
    assert reply["terms"] == [{"hash": xorb, "unpacked_length": 2000, "range": {"start": 1, "end": 3}}]
    fetch = reply["fetch_info"][xorb][0]
    headers = {"Range": f"bytes={fetch['url_range']['start']}-{fetch['url_range']['end']}"}
    piece = ask(hub, "GET", fetch["url"].removeprefix(hub.url), token=None, headers=headers)
    assert [c.digest for c in read_xorb(io.BytesIO(piece.body))] == [c.digest for c in chunks[1:3]]
    # A token for another repo does not reach the file, nor is the xorb there without a signature.
    assert ask(hub, "GET", path, token=xet_token(hub, "read", "b")).status == 404
    assert ask(hub, "GET", f"/xet/xorb/{xorb}/0/5", token=None).status == 403
    assert ask(hub, "GET", path, token=xet_token(hub, "read"), headers={"Range": "bytes=5000-"}).status == 416


def test_uploads_that_fail_verification_are_refused(hub: LocalHub) -> None:
    make_repo(hub, "a")
    data, chunks = make_xorb(CONTENTS)
    xorb = hash_text(tree_hash(chunks))
    assert post(hub, "shards", make_shard(chunks, WHOLE)).status == 400  # its xorb is not here yet
    assert post(hub, f"xorbs/default/{'0' * 64}", data).status == 400
    assert post(hub, f"xorbs/default/{xorb}", data[:-1]).status == 400
    assert post(hub, f"xorbs/default/{xorb}", data.replace(b"\3\3\3", b"\3\3\4", 1)).status == 400
    assert post(hub, "xorbs/default/..%2F..%2Fetc", data).status == 400
    assert post(hub, f"xorbs/default/{xorb}", data).status == 200
    for wrong in (
        {"file": bytes(32)},
        {"xorb": bytes(32)},
        {"length": len(WHOLE) - 1},
        {"last": 4},
        {"last": 6},
        {"range": bytes(32)},
        {"sha256": bytes(32)},
    ):
        assert post(hub, "shards", make_shard(chunks, WHOLE, **wrong)).status == 400, wrong
    assert post(hub, "shards", b"noise").status == 400
    read_only = xet_token(hub, "read")
    assert ask(hub, "POST", f"/xet/v1/xorbs/default/{xorb}", data, token=read_only).status == 403
    assert ask(hub, "POST", "/xet/v1/shards", b"", token=read_only).status == 403
    assert ask(hub, "POST", "/xet/v1/shards", b"", token=None).status == 401
    assert ask(hub, "POST", "/xet/v1/shards", b"", token=read_only.replace(".read.", ".write.")).status == 401
    missing = hashlib.sha256(WHOLE).hexdigest()
    assert commit_lfs(hub, "models/org/a", "w.bin", missing, len(WHOLE)).status == 400
