"""Large-file storage in git-lfs's batch protocol: one PUT, or parts and a completion, always to signed URLs.

Clients send no token to these URLs. The whole path is signed, so nobody can change hash, size or part number. Content
is accepted only if it has the hash in the URL.
"""

import hashlib
import re
from math import ceil

from starlette.concurrency import run_in_threadpool
from starlette.responses import JSONResponse, Response

from l2t_hub.local_hub import identifiers
from l2t_hub.local_hub.file_content import PIECE_BYTES, stored_size
from l2t_hub.local_hub.http_errors import HubError
from l2t_hub.local_hub.hub_request import ROOT, HubRequest
from l2t_hub.local_hub.storage import IncomingFile

MAX_OBJECTS = 1000
_JSON = "application/vnd.git-lfs+json"
_ETAG = re.compile(r'"?([0-9a-f]{32})"?')


def batch(request: HubRequest) -> Response:
    """POST /P R.git/info/lfs/objects/batch: where to upload each object, or nothing if the Hub has it."""
    body = request.json()
    objects = body.get("objects")
    if body.get("operation") != "upload":
        raise HubError(422, "The LFS batch of this Hub accepts uploads only. Download from resolve/.")
    if not isinstance(objects, list) or len(objects) > MAX_OBJECTS:
        raise HubError(422, f"objects must be a list of at most {MAX_OBJECTS}.")
    transfers = body.get("transfers")
    multipart = isinstance(transfers, list) and "multipart" in transfers
    answers = [_upload_plan(request, item, multipart) for item in objects]
    any_parts = any("chunk_size" in _upload_header(answer) for answer in answers)
    answer = {"transfer": "multipart" if any_parts else "basic", "objects": answers, "rehearsal": True}
    return JSONResponse(answer, media_type=_JSON)


def _upload_header(answer: dict[str, object]) -> dict[str, str]:
    actions = answer.get("actions")
    return actions["upload"].get("header", {}) if isinstance(actions, dict) else {}


def _announced(item: object) -> tuple[str, int]:
    if not isinstance(item, dict):
        raise HubError(422, "Each object needs an oid and a size.")
    sha256, size = identifiers.sha256_hex(item.get("oid")), item.get("size")
    if not isinstance(size, int) or isinstance(size, bool) or size < 0:
        raise HubError(422, "The size of an object must be a number of bytes.")
    return sha256, size


def _upload_plan(request: HubRequest, item: object, multipart: bool) -> dict[str, object]:
    sha256, size = _announced(item)
    answer: dict[str, object] = {"oid": sha256, "size": size, "authenticated": True}
    stored, limits = stored_size(request.store, sha256), request.limits
    if size > limits.object_bytes or stored not in (None, size):
        reason = "is too large" if stored is None else f"has {stored} bytes, not {size}"
        return {**answer, "error": {"code": 422, "message": f"The object {sha256} {reason}."}}
    if stored is not None:
        return answer
    verify_url = f"{request.base}/{request.repo.path}.git/info/lfs/objects/verify"

    def href(path: str) -> str:
        return f"{request.base}{request.hub.keys.signed(path)}"

    if multipart and size > limits.part_bytes:
        count = ceil(size / limits.part_bytes)
        header = {f"{n:05d}": href(f"/lfs/part/{sha256}/{size}/{n}") for n in range(1, count + 1)}
        header["chunk_size"] = str(limits.part_bytes)
        upload = {"href": href(f"/lfs/complete/{sha256}/{size}"), "header": header}
    else:
        upload = {"href": href(f"/lfs/object/{sha256}/{size}"), "header": {}}
    return {**answer, "actions": {"upload": upload, "verify": {"href": verify_url, "header": {}}}}


def verify(request: HubRequest) -> Response:
    """POST /P R.git/info/lfs/objects/verify {oid, size}. 404 if the Hub lacks the content, 422 for another size."""
    sha256, size = _announced(request.json())
    stored = stored_size(request.store, sha256)
    if stored is None:
        raise HubError(404, f"The Hub does not have the object {sha256}.")
    if stored != size:
        raise HubError(422, f"The object {sha256} has {stored} bytes, not {size}.")
    return JSONResponse({"message": "verified"}, media_type=_JSON)


def check_signature(request: HubRequest) -> None:
    """Raise HubError 403 unless this Hub signed the URL."""
    request.hub.keys.check_signature(
        request.path.removeprefix(ROOT), request.query("expires"), request.query("signature")
    )


async def put_object(request: HubRequest) -> Response:
    """PUT /lfs/object/{oid}/{size}: the whole content."""
    size = int(request.params["size"])
    with request.store.incoming() as file:
        await receive(request, file, size)
        await run_in_threadpool(file.keep_as_blob, identifiers.sha256_hex(request.params["oid"]), size)
    return Response(status_code=200)


async def put_part(request: HubRequest) -> Response:
    """PUT /lfs/part/{oid}/{size}/{n}: one part. The client returns its ETag at completion."""
    sha256, number = identifiers.sha256_hex(request.params["oid"]), int(request.params["number"])
    with request.store.incoming() as file:
        await receive(request, file, _part_length(request, number))
        await run_in_threadpool(file.keep_at, request.store.part_path(sha256, number))
    return Response(status_code=200, headers={"ETag": f'"{file.md5}"'})


def _part_length(request: HubRequest, number: int) -> int:
    size, part_bytes = int(request.params["size"]), request.limits.part_bytes
    return min(part_bytes, size - (number - 1) * part_bytes)


async def receive(request: HubRequest, file: IncomingFile, exactly: int) -> None:
    """Write the body to `file`. Raises HubError 400 if it is not exactly that many bytes long."""
    await copy_body(
        request, file, exactly, HubError(400, f"The body is longer than the announced {exactly} bytes.")
    )
    if file.size != exactly:
        raise HubError(400, f"{exactly} bytes were announced, {file.size} received.")


async def copy_body(request: HubRequest, file: IncomingFile, limit: int, too_long: HubError) -> None:
    """Write the body to `file`. Raises `too_long` as soon as it exceeds `limit` bytes."""
    pending = bytearray()
    async for piece in request.http.stream():
        pending += piece
        if file.size + len(pending) > limit:
            raise too_long
        if len(pending) >= PIECE_BYTES:
            await run_in_threadpool(file.write, bytes(pending))
            pending.clear()
    await run_in_threadpool(file.write, bytes(pending))


def complete(request: HubRequest) -> Response:
    """POST /lfs/complete/{oid}/{size} {oid, parts: [{partNumber, etag}]}: join the parts and check the result."""
    sha256, size = identifiers.sha256_hex(request.params["oid"]), int(request.params["size"])
    store, body = request.store, request.json()
    if stored_size(store, sha256) is not None:  # the answer to an earlier completion was lost
        return JSONResponse({"message": "complete"}, media_type=_JSON)
    etags = _etags(body.get("parts"), ceil(size / request.limits.part_bytes))
    if body.get("oid") != sha256:
        raise HubError(400, "The oid differs from that of the upload.")
    with store.incoming() as whole:
        for number, etag in enumerate(etags, start=1):
            path = store.part_path(sha256, number)
            if not path.is_file():
                raise HubError(400, f"Part {number} was not uploaded.")
            md5 = hashlib.md5(usedforsecurity=False)
            with path.open("rb") as stream:
                while piece := stream.read(PIECE_BYTES):
                    whole.write(piece)
                    md5.update(piece)
            if md5.hexdigest() != etag:
                raise HubError(400, f"Part {number} has another ETag.")
        whole.keep_as_blob(sha256, size)
    store.drop_parts(sha256)
    return JSONResponse({"message": "complete"}, media_type=_JSON)


def _etags(parts: object, count: int) -> list[str]:
    try:
        by_number = {int(part["partNumber"]): part["etag"] for part in parts}  # type: ignore[attr-defined]
        matches = [_ETAG.fullmatch(by_number[number]) for number in range(1, count + 1)]
    except (KeyError, TypeError, ValueError, OverflowError):
        matches = [None]
    if not all(matches):
        raise HubError(400, f"The completion needs {count} parts with their ETags.")
    return [match[1] for match in matches if match]
