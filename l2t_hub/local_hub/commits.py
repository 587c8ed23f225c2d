"""Writing to a repo: choose how each file is uploaded, accept a commit, list commits."""

import binascii
from base64 import b64decode
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from starlette.concurrency import run_in_threadpool
from starlette.responses import JSONResponse, Response

from l2t_hub.local_hub import identifiers
from l2t_hub.local_hub.card_metadata import check_unicode
from l2t_hub.local_hub.discussions import note_commit, open_pull_request, pull_request
from l2t_hub.local_hub.file_content import belongs_in_lfs, ignore_rules, read_text, stored_size
from l2t_hub.local_hub.git_objects import lfs_entry, regular_entry
from l2t_hub.local_hub.history import Change, Put, Remove
from l2t_hub.local_hub.http_errors import HubError, revision_not_found
from l2t_hub.local_hub.hub_request import HubRequest, parse_json, text_field

MAX_PREUPLOAD_FILES = 1000
MAX_DESCRIPTION_CHARS = 100_000
LOG_PAGE = 50


def preupload(request: HubRequest) -> Response:
    """POST /api/T/R/preupload/{rev} {files: [{path, sample, size}], gitIgnore}: how to upload each file."""
    body = request.json()
    files = body.get("files")
    if not isinstance(files, list) or len(files) > MAX_PREUPLOAD_FILES:
        raise HubError(400, f"files must be a list of at most {MAX_PREUPLOAD_FILES}.")
    hub, limit = request.hub, request.limits.card_bytes
    commit = request.commit_id()
    tree = hub.history.tree(request.repo.id, commit)
    attributes = read_text(hub, tree.get(".gitattributes"), limit) or ""
    sent = body.get("gitIgnore")
    gitignore = sent if isinstance(sent, str) else read_text(hub, tree.get(".gitignore"), limit)
    rules = ignore_rules(gitignore or "")
    answers = []
    for file in files:
        path, size, sample = _announced(file)
        current = tree.get(path)
        answers.append(
            {
                "path": path,
                "uploadMode": "lfs" if belongs_in_lfs(hub, attributes, path, size, sample) else "regular",
                "shouldIgnore": rules.match_file(path),
                "oid": (current.sha256 if current.lfs else current.oid) if current else None,
            }
        )
    return JSONResponse({"files": answers, "commitOid": commit})


def _announced(file: object) -> tuple[str, int, bytes]:
    if not isinstance(file, dict):
        raise HubError(400, "Each file must be an object with path, sample and size.")
    size, sample = file.get("size", 0), file.get("sample", "")
    if not isinstance(size, int) or size < 0 or not isinstance(sample, str):
        raise HubError(400, "Each file needs a size and a sample.")
    return identifiers.file_path(file.get("path")), size, _base64(sample[:4096])


def _base64(text: str) -> bytes:
    try:
        return b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise HubError(400, "The content is not base64.") from None


@dataclass
class _Draft:
    """The commit as far as its lines have been read."""

    summary: str = ""
    description: str = ""
    parent: str | None = None
    changes: list[Change] = field(default_factory=list)


async def commit(request: HubRequest) -> Response:
    """POST /api/T/R/commit/{rev} ?create_pr: one JSON object per line, a header and then operations.

    Lines are processed as they arrive, so a commit of many files needs the memory of one.
    """
    draft = _Draft()
    number = 0
    async for line in _lines(request):
        number += 1
        if number > request.limits.commit_lines:
            raise HubError(413, f"The commit has more than {request.limits.commit_lines} operations.")
        if line.strip():
            await run_in_threadpool(_take_line, request, draft, line)
    return await run_in_threadpool(_finish, request, draft)


async def _lines(request: HubRequest) -> AsyncIterator[bytes]:
    limit = request.limits.commit_line_bytes
    pending = bytearray()
    async for piece in request.http.stream():
        searched = len(pending)
        pending += piece
        while (end := pending.find(b"\n", searched)) >= 0:
            yield bytes(pending[:end])
            del pending[: end + 1]
            searched = 0
        if len(pending) > limit:
            raise HubError(413, "A file is too large to be part of a commit. Use large-file storage.")
    if pending:
        yield bytes(pending)


def _take_line(request: HubRequest, draft: _Draft, line: bytes) -> None:
    row = parse_json(line)
    if not isinstance(row, dict) or not isinstance(row.get("value"), dict):
        raise HubError(400, "Each line must be a JSON object with a key and a value, which is an object.")
    key, value = row.get("key"), row["value"]
    if key == "header":
        draft.summary = identifiers.required_text(value.get("summary"), "The commit summary", 500)
        draft.description = text_field(value, "description")[:MAX_DESCRIPTION_CHARS]
        draft.parent = text_field(value, "parentCommit") or None
        if draft.parent and not identifiers.looks_like_commit(draft.parent):
            raise HubError(400, "parentCommit must be a commit ID.")
    elif key == "file":
        draft.changes.append(_regular_file(request, value))
    elif key == "lfsFile":
        draft.changes.append(_large_file(request, value))
    elif key == "deletedFile":
        draft.changes.append(Remove(identifiers.file_path(value.get("path"))))
    elif key == "deletedFolder":
        path = identifiers.file_path(text_field(value, "path").removesuffix("/"))
        draft.changes.append(Remove(path, folder=True))
    else:
        raise HubError(400, f"Unknown operation: {str(key)[:40]}")


def _regular_file(request: HubRequest, value: dict[str, object]) -> Put:
    path, content = identifiers.file_path(value.get("path")), value.get("content")
    if not isinstance(content, str):
        raise HubError(400, f"{path}: the content is missing.")
    data = _base64(content) if value.get("encoding") == "base64" else content.encode()
    limit = request.limits.regular_bytes
    if len(data) > limit:
        raise HubError(400, f"{path}: files above {limit} bytes must go to large-file storage.")
    if path == "README.md":
        check_unicode(data)
    request.store.write_blob(data)
    return Put(path, regular_entry(data))


def _large_file(request: HubRequest, value: dict[str, object]) -> Put:
    path, sha256 = identifiers.file_path(value.get("path")), identifiers.sha256_hex(value.get("oid"))
    if value.get("algo") != "sha256":
        raise HubError(400, f"{path}: algo must be sha256.")
    size = stored_size(request.store, sha256)
    if size is None:
        raise HubError(400, f"{path}: the content {sha256} was not uploaded before the commit.")
    if value.get("size") not in (None, size):
        raise HubError(
            400, f"{path}: the uploaded content has {size} bytes, the commit announces another size."
        )
    return Put(path, lfs_entry(sha256, size))


def _finish(request: HubRequest, draft: _Draft) -> Response:
    if not draft.summary:
        raise HubError(400, "The commit has no header.")
    history, repo, revision = request.history, request.repo, request.params["rev"]
    with request.store.transaction():
        ref = history.ref_of(repo.id, revision)
        if ref is None or ref.startswith("refs/tags/"):
            raise revision_not_found(revision)
        number = identifiers.pull_request_number(ref)
        if request.flag("create_pr"):
            if number is not None:
                raise HubError(400, "A pull request cannot be opened against another pull request.")
            number = open_pull_request(request, draft.summary, draft.description, base=ref, draft=False)
            ref = f"refs/pr/{number}"
        elif number is not None:
            pull_request(request, number, still_open=True)
        oid = history.write(
            repo.id, ref, draft.changes, draft.summary, draft.description, request.user, draft.parent
        )
        if number is not None:
            note_commit(request, number, oid, draft.summary)
    answer: dict[str, object] = {
        "success": True,
        "commitOid": oid,
        "commitUrl": f"{request.base}/{repo.path}/commit/{oid}",
        "hookOutput": "rehearsal",
        "rehearsal": True,
    }
    if number is not None:
        answer["pullRequestUrl"] = f"{request.base}/{repo.path}/discussions/{number}"
    return JSONResponse(answer)


def log(request: HubRequest) -> Response:
    """GET /api/T/R/commits/{rev} ?p, limit: one page of commits, newest first."""
    commits = list(request.history.log(request.repo.id, request.commit_id()))
    page, size = request.number("p", 0, 10**6), request.number("limit", LOG_PAGE, 1000, minimum=1)
    start = page * size
    rows: list[object] = []
    for listed in commits[start : start + size]:
        row: dict[str, object] = {
            "id": listed.id,
            "title": listed.title,
            "message": listed.message,
            "authors": [{"user": listed.author}],
            "date": listed.date,
        }
        if "formatted" in request.http.query_params.getlist("expand[]"):
            row["formatted"] = {"title": listed.title, "message": listed.message}
        rows.append(row)
    return request.page(rows, {"p": str(page + 1)} if start + size < len(commits) else None)
