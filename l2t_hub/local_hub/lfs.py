"""Large-file storage over git-lfs's batch protocol: one PUT, or parts and a completion, always to signed URLs.

The URLs carry no token (the clients send none there); their whole path is signed, so hash, size and part number
cannot be changed. Content is taken only if it hashes to what the URL says.
"""

import hashlib
import json
import re
from math import ceil

from starlette.concurrency import run_in_threadpool
from starlette.responses import JSONResponse, Response

from l2t_hub.local_hub import identifiers as names
from l2t_hub.local_hub.file_content import PIECE_BYTES, stored_size
from l2t_hub.local_hub.http_errors import HubError
from l2t_hub.local_hub.hub_request import ROOT, HubRequest
from l2t_hub.local_hub.storage import Incoming

MAX_OBJECTS = 1000
_JSON = "application/vnd.git-lfs+json"
_ETAG = re.compile(r'"?([0-9a-f]{32})"?')


def batch(call: HubRequest) -> Response:
    """POST /P R.git/info/lfs/objects/batch: for each object where to send it, or nothing if it is here."""
    body = call.json()
    objects = body.get("objects")
    if body.get("operation") != "upload":
        raise HubError(422, "Only uploads go through this Hub's LFS batch; download from resolve/")
    if not isinstance(objects, list) or len(objects) > MAX_OBJECTS:
        raise HubError(422, f"objects must be a list of at most {MAX_OBJECTS}")
    transfers = body.get("transfers")
    parts_wanted = isinstance(transfers, list) and "multipart" in transfers
    answers = [_answer(call, item, parts_wanted) for item in objects]
    in_parts = any("chunk_size" in _upload_header(answer) for answer in answers)
    told = {"transfer": "multipart" if in_parts else "basic", "objects": answers, "rehearsal": True}
    return JSONResponse(told, media_type=_JSON)


def _upload_header(answer: dict[str, object]) -> dict[str, str]:
    actions = answer.get("actions")
    return actions["upload"].get("header", {}) if isinstance(actions, dict) else {}


def _announced(item: object) -> tuple[str, int]:
    if not isinstance(item, dict):
        raise HubError(422, "Each object must have an oid and a size")
    sha256, size = names.sha256_hex(item.get("oid")), item.get("size")
    if not isinstance(size, int) or isinstance(size, bool) or size < 0:
        raise HubError(422, "The size of an object must be a number of bytes")
    return sha256, size


def _answer(call: HubRequest, item: object, parts_wanted: bool) -> dict[str, object]:
    sha256, size = _announced(item)
    answer: dict[str, object] = {"oid": sha256, "size": size, "authenticated": True}
    there, limits = stored_size(call.hub.store, sha256), call.hub.limits
    if size > limits.object_bytes or there not in (None, size):
        reason = "too large" if there is None else f"of {there} bytes, not {size}"
        return {**answer, "error": {"code": 422, "message": f"The object {sha256} is {reason}"}}
    if there is not None:
        return answer
    verify = {"href": f"{call.base}/{call.repo.path}.git/info/lfs/objects/verify", "header": {}}

    def href(path: str) -> str:
        return f"{call.base}{call.hub.keys.signed(path)}"

    if parts_wanted and size > limits.part_bytes:
        count = ceil(size / limits.part_bytes)
        header = {f"{n:05d}": href(f"/lfs/part/{sha256}/{size}/{n}") for n in range(1, count + 1)}
        header["chunk_size"] = str(limits.part_bytes)
        upload = {"href": href(f"/lfs/complete/{sha256}/{size}"), "header": header}
    else:
        upload = {"href": href(f"/lfs/object/{sha256}/{size}"), "header": {}}
    return {**answer, "actions": {"upload": upload, "verify": verify}}


def verify(call: HubRequest) -> Response:
    """POST /P R.git/info/lfs/objects/verify {oid, size}: 404 if the content is not here, 422 if of another size."""
    sha256, size = _announced(call.json())
    there = stored_size(call.hub.store, sha256)
    if there is None:
        raise HubError(404, f"The object {sha256} is not here")
    if there != size:
        raise HubError(422, f"The object {sha256} has {there} bytes, not {size}")
    return JSONResponse({"message": "verified"}, media_type=_JSON)


def check_signature(call: HubRequest) -> None:
    """403 unless the URL was signed by this Hub."""
    call.hub.keys.check_signature(
        call.path.removeprefix(ROOT), call.query("expires"), call.query("signature")
    )


async def put_object(call: HubRequest) -> Response:
    """PUT /lfs/object/{oid}/{size}: the whole content."""
    size = int(call.params["size"])
    with call.hub.store.incoming() as file:
        await receive(call, file, size)
        await run_in_threadpool(file.keep_as_blob, names.sha256_hex(call.params["oid"]), size)
    return Response(status_code=200)


async def put_part(call: HubRequest) -> Response:
    """PUT /lfs/part/{oid}/{size}/{n}: one part; its ETag is wanted back at completion."""
    sha256, number = names.sha256_hex(call.params["oid"]), int(call.params["number"])
    with call.hub.store.incoming() as file:
        await receive(call, file, _part_length(call, number))
        await run_in_threadpool(file.keep_at, call.hub.store.part_path(sha256, number))
    return Response(status_code=200, headers={"ETag": f'"{file.md5}"'})


def _part_length(call: HubRequest, number: int) -> int:
    size, part = int(call.params["size"]), call.hub.limits.part_bytes
    return min(part, size - (number - 1) * part)


async def receive(call: HubRequest, file: Incoming, exactly: int) -> None:
    """Write the request's body to `file`; 400 as soon as it is longer than `exactly`, or if it ends before."""
    pending = bytearray()
    async for piece in call.request.stream():
        pending += piece
        if file.size + len(pending) > exactly:
            raise HubError(400, f"More than the {exactly} bytes that were announced")
        if len(pending) >= PIECE_BYTES:
            await run_in_threadpool(file.write, bytes(pending))
            pending.clear()
    await run_in_threadpool(file.write, bytes(pending))
    if file.size != exactly:
        raise HubError(400, f"{exactly} bytes were announced, {file.size} came")


def complete(call: HubRequest) -> Response:
    """POST /lfs/complete/{oid}/{size} {oid, parts: [{partNumber, etag}]}: join the parts, check the whole."""
    sha256, size = names.sha256_hex(call.params["oid"]), int(call.params["size"])
    store, body = call.hub.store, call.json()
    if stored_size(store, sha256) is not None:  # completed before, and the answer was lost
        return JSONResponse({"message": "complete"}, media_type=_JSON)
    wanted = _etags(body, ceil(size / call.hub.limits.part_bytes))
    if body.get("oid") != sha256:
        raise HubError(400, "The oid is not the one this upload was for")
    with store.incoming() as whole:
        for number, etag in enumerate(wanted, start=1):
            path = store.part_path(sha256, number)
            if not path.is_file():
                raise HubError(400, f"Part {number} has not been uploaded")
            md5 = hashlib.md5(usedforsecurity=False)
            with path.open("rb") as stream:
                while piece := stream.read(PIECE_BYTES):
                    whole.write(piece)
                    md5.update(piece)
            if md5.hexdigest() != etag:
                raise HubError(400, f"Part {number} is not the one with that ETag")
        whole.keep_as_blob(sha256, size)
    store.drop_parts(sha256)
    return JSONResponse({"message": "complete"}, media_type=_JSON)


def _etags(body: dict[str, object], count: int) -> list[str]:
    parts = body.get("parts")
    try:
        by_number = (
            {int(part["partNumber"]): part["etag"] for part in parts} if isinstance(parts, list) else {}
        )
        etags = [_ETAG.fullmatch(by_number[number]) for number in range(1, count + 1)]
    except (KeyError, TypeError, ValueError):
        etags = [None]
    if not all(etags):
        raise HubError(400, f"{count} parts with their ETags are needed: {json.dumps(parts)[:200]}")
    return [match[1] for match in etags if match]
