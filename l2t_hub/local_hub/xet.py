"""The Xet store over HTTP: what hf_xet 1.8.0 asks of a content-addressed server, with everything it sends verified.

A xorb is taken only if its chunks hash to its name; a shard's file only if its terms exist, its Xet hash and range
hashes follow from their chunks, and the content they make has the sha256 it claims.
"""

import hashlib
import re

from starlette.concurrency import run_in_threadpool
from starlette.responses import JSONResponse, Response

from l2t_hub.local_hub.auth import XetGrant
from l2t_hub.local_hub.file_content import PIECE_BYTES, BlobReader
from l2t_hub.local_hub.http_errors import HubError
from l2t_hub.local_hub.hub_request import HubRequest, byte_range, content_response
from l2t_hub.local_hub.storage import Incoming, Store
from l2t_hub.local_hub.xet_files import Span, XetFile, XetReader, keep_file, spans, xet_file, xorb_chunks
from l2t_hub.local_hub.xet_format import (
    Chunk,
    FormatError,
    ShardFile,
    file_hash,
    hash_bytes,
    hash_text,
    pack_chunks,
    range_hash,
    read_shard,
    read_xorb,
    tree_hash,
)

_HASH = re.compile(r"[0-9a-f]{64}")


def _hash(text: str) -> str:
    if not _HASH.fullmatch(text):
        raise HubError(400, "Invalid hash: 64 lower-case hexadecimal digits are needed")
    return text


def grant_token(call: HubRequest, role: str) -> Response:
    """GET /api/T/R/xet-read-token/{rev} and xet-write-token/{rev}: a token for the store, in JSON and in headers."""
    token, expires = call.hub.keys.xet_token(role, call.repo.id)
    url = f"{call.base}/xet"
    headers = {"X-Xet-Cas-Url": url, "X-Xet-Access-Token": token, "X-Xet-Token-Expiration": str(expires)}
    return JSONResponse({"casUrl": url, "accessToken": token, "exp": expires}, headers=headers)


def read_token(call: HubRequest) -> Response:
    """The token to download with."""
    return grant_token(call, "read")


def write_token(call: HubRequest) -> Response:
    """The token to upload with."""
    return grant_token(call, "write")


def require(call: HubRequest, role: str) -> XetGrant:
    """401 without a Xet token, 403 if it only reads and `role` is 'write'."""
    grant = call.hub.keys.xet_grant(call.request.headers.get("authorization"))
    if role == "write" and grant.role != "write":
        raise HubError(403, "This Xet token only reads")
    return grant


def absent(call: HubRequest) -> Response:
    """What the real store has and a rehearsal has not: the client is told so and does without."""
    raise HubError(404, "The rehearsal's Xet store has no such endpoint")


# -- uploads ---------------------------------------------------------------------------------------------


async def _body_to(call: HubRequest, file: Incoming, most: int) -> None:
    pending = bytearray()
    async for piece in call.request.stream():
        pending += piece
        if file.size + len(pending) > most:
            raise HubError(413, f"Larger than the {most} bytes the store takes at once")
        if len(pending) >= PIECE_BYTES:
            await run_in_threadpool(file.write, bytes(pending))
            pending.clear()
    await run_in_threadpool(file.write, bytes(pending))


async def post_xorb(call: HubRequest) -> Response:
    """POST /xet/v1/xorbs/default/{hash}: a serialised xorb."""
    digest = _hash(call.params["hash"])
    with call.hub.store.incoming() as file:
        await _body_to(call, file, call.hub.limits.xorb_bytes)
        inserted = await run_in_threadpool(_keep_xorb, call.hub.store, digest, file)
    return JSONResponse({"was_inserted": inserted})


def _keep_xorb(store: Store, digest: str, file: Incoming) -> bool:
    if xorb_chunks(store, hash_bytes(digest)) is not None:
        return False
    file.stream.seek(0)
    try:
        chunks = read_xorb(file.stream)
    except FormatError as error:
        raise HubError(400, f"Not a xorb: {error}") from error
    if hash_text(tree_hash(chunks)) != digest:
        raise HubError(400, "The chunks of this xorb do not hash to its name")
    file.stream.truncate(chunks[-1].end)  # a footer repeats what the database keeps
    file.keep_at(store.xorb_path(digest))
    with store.transaction() as db:
        db.execute("INSERT OR IGNORE INTO xorbs VALUES(?, ?)", (digest, pack_chunks(chunks)))
    return True


async def post_shard(call: HubRequest) -> Response:
    """POST /xet/v1/shards: what files are made of; 0 if all were known, 1 if some are new."""
    data = bytearray()
    async for piece in call.request.stream():
        data += piece
        if len(data) > call.hub.limits.shard_bytes:
            raise HubError(413, f"Larger than the {call.hub.limits.shard_bytes} bytes a shard may have")
    fresh = await run_in_threadpool(_keep_shard, call.hub.store, bytes(data))
    return JSONResponse({"result": 1 if fresh else 0})


def _keep_shard(store: Store, data: bytes) -> bool:
    try:
        files = [file for file in read_shard(data) if xet_file(store, hash_text(file.digest)) is None]
        checked = [_checked(store, file) for file in files]
    except FormatError as error:
        raise HubError(400, f"Not a shard: {error}") from error
    with store.transaction():
        for file in checked:
            keep_file(store, file)
    return bool(checked)


def _checked(store: Store, file: ShardFile) -> XetFile:
    name = hash_text(file.digest)
    chunks: list[Chunk] = []
    for number, term in enumerate(file.terms):
        held = xorb_chunks(store, term.xorb)
        if held is None:
            raise FormatError(f"file {name} needs the xorb {hash_text(term.xorb)}, which was not uploaded")
        run = held[term.first : term.last]
        if not run or term.last > len(held) or sum(chunk.length for chunk in run) != term.length:
            raise FormatError(f"term {number} of file {name} does not fit its xorb")
        if number < len(file.range_hashes) and file.range_hashes[number] != range_hash(run):
            raise FormatError(f"the range hash of term {number} of file {name} is wrong")
        chunks += run
    if len(file.range_hashes) not in (0, len(file.terms)):
        raise FormatError(f"file {name} has not as many range hashes as terms")
    if file_hash(chunks) != file.digest:
        raise FormatError(f"file {name} does not hash to its name")
    found = XetFile(name, file.sha256 or "", sum(chunk.length for chunk in chunks), file.terms)
    content = hashlib.sha256()
    for piece in XetReader(store, found).chunks(0, found.size):
        content.update(piece)
    if file.sha256 != content.hexdigest():
        raise FormatError(f"file {name} has not the sha256 the shard says")
    return found


# -- downloads -------------------------------------------------------------------------------------------


def reconstruction(call: HubRequest) -> Response:
    """GET /xet/v1/reconstructions/{hash} with an optional Range: which parts of which xorbs make the file."""
    grant = require(call, "read")
    store = call.hub.store
    file = xet_file(store, _hash(call.params["hash"]))
    reachable = file and store.row("SELECT 1 FROM objects WHERE repo=? AND sha256=?", grant.repo, file.sha256)
    if file is None or not reachable:
        raise HubError(404, "This repo has no file with that Xet hash")
    start, end = byte_range(call.request.headers.get("range"), file.size) or (0, file.size)
    found = list(spans(store, file.terms, start, end))
    by_xorb: dict[str, list[Span]] = {}
    for span in found:
        by_xorb.setdefault(hash_text(span.term.xorb), []).append(span)
    return JSONResponse(
        {
            "offset_into_first_range": start - found[0].content_start if found else 0,
            "terms": [
                {
                    "hash": hash_text(span.term.xorb),
                    "unpacked_length": span.term.length,
                    "range": {"start": span.term.first, "end": span.term.last},
                }
                for span in found
            ],
            "fetch_info": {xorb: _fetches(call, xorb, needed) for xorb, needed in by_xorb.items()},
        }
    )


def _fetches(call: HubRequest, xorb: str, needed: list[Span]) -> list[dict[str, object]]:
    """Where to get the chunks of one xorb: disjoint runs, as hf_xet takes the first one that a term starts in."""
    runs: list[list[int]] = []
    for span in sorted(needed, key=lambda span: span.term.first):
        if runs and span.term.first <= runs[-1][1]:
            if span.term.last > runs[-1][1]:
                runs[-1][1], runs[-1][3] = span.term.last, span.stored_end
        else:
            runs.append([span.term.first, span.term.last, span.stored_start, span.stored_end])
    url = f"{call.base}{call.hub.keys.signed(f'/xet/xorb/{xorb}')}"
    return [
        {"range": {"start": first, "end": last}, "url": url, "url_range": {"start": start, "end": end - 1}}
        for first, last, start, end in runs
    ]


def get_xorb(call: HubRequest) -> Response:
    """GET /xet/xorb/{hash}, signed: a range of a xorb's stored bytes."""
    path = call.hub.store.xorb_path(_hash(call.params["hash"]))
    if not path.is_file():
        raise HubError(404, "There is no such xorb")
    return content_response(
        call, path.stat().st_size, BlobReader(path), {"Content-Type": "application/octet-stream"}
    )
