"""The Xet store over HTTP: what hf_xet 1.8.0 requests of a content-addressed server. Every upload is verified.

A xorb is accepted only if its chunks hash to its name. A file of a shard is accepted only if its terms exist, its Xet
hash and range hashes follow from their chunks, and the content has the SHA-256 that the shard gives.
"""

import hashlib
import re

from starlette.concurrency import run_in_threadpool
from starlette.responses import JSONResponse, Response

from l2t_hub.local_hub.auth import XetGrant
from l2t_hub.local_hub.file_content import BlobReader
from l2t_hub.local_hub.http_errors import HubError
from l2t_hub.local_hub.hub_request import Hub, HubRequest, byte_range, content_response
from l2t_hub.local_hub.lfs import copy_body
from l2t_hub.local_hub.storage import IncomingFile, Store
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
        raise HubError(400, "Invalid hash: it must have 64 lower-case hexadecimal digits.")
    return text


def _grant_token(request: HubRequest, role: str) -> Response:
    token, expires = request.hub.keys.xet_token(role, request.repo.id)
    url = f"{request.base}/xet"
    headers = {"X-Xet-Cas-Url": url, "X-Xet-Access-Token": token, "X-Xet-Token-Expiration": str(expires)}
    return JSONResponse({"casUrl": url, "accessToken": token, "exp": expires}, headers=headers)


def read_token(request: HubRequest) -> Response:
    """GET /api/T/R/xet-read-token/{rev}: a token to download with, in JSON and in headers."""
    return _grant_token(request, "read")


def write_token(request: HubRequest) -> Response:
    """GET /api/T/R/xet-write-token/{rev}: a token to upload with, in JSON and in headers."""
    return _grant_token(request, "write")


def require(request: HubRequest, role: str) -> XetGrant:
    """Return the grant of the Xet token. 401 without a valid token, 403 if it only reads and `role` is 'write'."""
    grant = request.hub.keys.xet_grant(request.http.headers.get("authorization"))
    if role == "write" and grant.role != "write":
        raise HubError(403, "This Xet token can only read.")
    return grant


def absent(request: HubRequest) -> Response:
    """404 for an optional endpoint of the real store; clients work without it."""
    raise HubError(404, "The Xet store of the local Hub does not have this endpoint.")


# -- uploads ---------------------------------------------------------------------------------------------


async def post_xorb(request: HubRequest) -> Response:
    """POST /xet/v1/xorbs/default/{hash}: a serialised xorb."""
    digest = _hash(request.params["hash"])
    limit = request.limits.xorb_bytes
    with request.store.incoming() as file:
        await copy_body(request, file, limit, HubError(413, f"A xorb has at most {limit} bytes."))
        inserted = await run_in_threadpool(_keep_xorb, request.store, digest, file)
    return JSONResponse({"was_inserted": inserted})


def _keep_xorb(store: Store, digest: str, file: IncomingFile) -> bool:
    if xorb_chunks(store, hash_bytes(digest)) is not None:
        return False
    file.stream.seek(0)
    try:
        chunks = read_xorb(file.stream)
    except FormatError as error:
        raise HubError(400, f"This is not a xorb: {error}.") from error
    if hash_text(tree_hash(chunks)) != digest:
        raise HubError(400, "The chunks of this xorb do not hash to its name.")
    file.stream.truncate(chunks[-1].end)  # a footer repeats what the database has
    file.keep_at(store.xorb_path(digest))
    with store.transaction() as db:
        db.execute("INSERT OR IGNORE INTO xorbs VALUES(?, ?)", (digest, pack_chunks(chunks)))
    return True


async def post_shard(request: HubRequest) -> Response:
    """POST /xet/v1/shards: the chunks that files consist of. The result is 0 if all files were known, else 1."""
    data = bytearray()
    async for piece in request.http.stream():
        data += piece
        if len(data) > request.limits.shard_bytes:
            raise HubError(413, f"A shard has at most {request.limits.shard_bytes} bytes.")
    inserted = await run_in_threadpool(_keep_shard, request.hub, bytes(data))
    return JSONResponse({"result": 1 if inserted else 0})


def _keep_shard(hub: Hub, data: bytes) -> bool:
    store = hub.store
    try:
        files = [file for file in read_shard(data) if xet_file(store, hash_text(file.digest)) is None]
        checked = [_checked(store, file, hub.limits.object_bytes) for file in files]
    except FormatError as error:
        raise HubError(400, f"This is not a shard: {error}.") from error
    with store.transaction():
        for file in checked:
            keep_file(store, file)
    return bool(checked)


def _checked(store: Store, file: ShardFile, limit: int) -> XetFile:
    name = hash_text(file.digest)
    if sum(term.length for term in file.terms) > limit:
        raise FormatError(f"file {name} is longer than {limit} bytes")
    chunks: list[Chunk] = []
    for number, term in enumerate(file.terms):
        stored = xorb_chunks(store, term.xorb)
        if stored is None:
            raise FormatError(f"file {name} needs the xorb {hash_text(term.xorb)}, which was not uploaded")
        run = stored[term.first : term.last]
        if not run or term.last > len(stored) or sum(chunk.length for chunk in run) != term.length:
            raise FormatError(f"term {number} of file {name} does not fit its xorb")
        if number < len(file.range_hashes) and file.range_hashes[number] != range_hash(run):
            raise FormatError(f"the range hash of term {number} of file {name} is wrong")
        chunks += run
    if len(file.range_hashes) not in (0, len(file.terms)):
        raise FormatError(f"file {name} needs one range hash for each term")
    if file_hash(chunks) != file.digest:
        raise FormatError(f"the chunks of file {name} do not hash to its name")
    checked = XetFile(name, file.sha256 or "", sum(chunk.length for chunk in chunks), file.terms)
    content = hashlib.sha256()
    for piece in XetReader(store, checked).chunks(0, checked.size):
        content.update(piece)
    if file.sha256 != content.hexdigest():
        raise FormatError(f"file {name} does not have the SHA-256 that the shard gives")
    return checked


# -- downloads -------------------------------------------------------------------------------------------


def reconstruction(request: HubRequest) -> Response:
    """GET /xet/v1/reconstructions/{hash} with an optional Range: which parts of which xorbs make up the file."""
    grant = require(request, "read")
    store = request.store
    file = xet_file(store, _hash(request.params["hash"]))
    readable = file and store.row("SELECT 1 FROM objects WHERE repo=? AND sha256=?", grant.repo, file.sha256)
    if file is None or not readable:
        raise HubError(404, "This repo has no file with that Xet hash.")
    start, end = byte_range(request.http.headers.get("range"), file.size) or (0, file.size)
    needed = list(spans(store, file.terms, start, end))
    by_xorb: dict[str, list[Span]] = {}
    for span in needed:
        by_xorb.setdefault(hash_text(span.term.xorb), []).append(span)
    return JSONResponse(
        {
            "offset_into_first_range": start - needed[0].content_start if needed else 0,
            "terms": [
                {
                    "hash": hash_text(span.term.xorb),
                    "unpacked_length": span.term.length,
                    "range": {"start": span.term.first, "end": span.term.last},
                }
                for span in needed
            ],
            "fetch_info": {xorb: _fetch_info(request, xorb, part) for xorb, part in by_xorb.items()},
        }
    )


def _fetch_info(request: HubRequest, xorb: str, needed: list[Span]) -> list[dict[str, object]]:
    """Where to get the chunks of one xorb. Runs are disjoint, as hf_xet uses the first one that has the term's start.

    Each URL is signed for its range only: the rest of the xorb may belong to files that the caller may not read.
    """
    runs: list[list[int]] = []
    for span in sorted(needed, key=lambda span: span.term.first):
        if runs and span.term.first <= runs[-1][1]:
            if span.term.last > runs[-1][1]:
                runs[-1][1], runs[-1][3] = span.term.last, span.stored_end
        else:
            runs.append([span.term.first, span.term.last, span.stored_start, span.stored_end])
    return [
        {
            "range": {"start": first, "end": last},
            "url": f"{request.base}{request.hub.keys.signed(f'/xet/xorb/{xorb}/{start}/{end}')}",
            "url_range": {"start": start, "end": end - 1},
        }
        for first, last, start, end in runs
    ]


def get_xorb(request: HubRequest) -> Response:
    """GET /xet/xorb/{hash}/{start}/{end}, signed: stored bytes of a xorb, from `start` to before `end`.

    A Range header counts from the start of the xorb, as in the reconstruction, and must stay inside that range.
    """
    path = request.store.xorb_path(_hash(request.params["hash"]))
    granted = int(request.params["start"]), int(request.params["end"])
    if not path.is_file():
        raise HubError(404, "There is no such xorb.")
    size = path.stat().st_size
    start, end = byte_range(request.http.headers.get("range"), size) or granted
    if not granted[0] <= start < end <= min(granted[1], size):
        raise HubError(403, f"This URL allows only the bytes {granted[0]} to {granted[1] - 1} of the xorb.")
    headers = {"Content-Type": "application/octet-stream"}
    return content_response(request, size, BlobReader(path), headers, (start, end))
