"""Writing to a repo: deciding how each file is uploaded, taking a commit, and the list of commits."""

import binascii
import json
from base64 import b64decode
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from starlette.concurrency import run_in_threadpool
from starlette.responses import JSONResponse, Response

from l2t_hub.local_hub import identifiers as names
from l2t_hub.local_hub.discussions import note_commit, open_pull_request, pull_request
from l2t_hub.local_hub.file_content import belongs_in_lfs, ignore_rules, read_text, stored_size
from l2t_hub.local_hub.git_objects import lfs_entry, regular_entry
from l2t_hub.local_hub.history import Change, Put, Remove
from l2t_hub.local_hub.http_errors import HubError, revision_missing
from l2t_hub.local_hub.hub_request import HubRequest

MAX_PREUPLOAD_FILES = 1000
LOG_PAGE = 50


def preupload(call: HubRequest) -> Response:
    """POST /api/T/R/preupload/{rev} {files: [{path, sample, size}], gitIgnore}: how to send each file."""
    body = call.json()
    files = body.get("files")
    if not isinstance(files, list) or len(files) > MAX_PREUPLOAD_FILES:
        raise HubError(400, f"files must be a list of at most {MAX_PREUPLOAD_FILES}")
    commit = call.hub.history.resolve(call.repo.id, call.params["rev"])
    tree = call.hub.history.tree(call.repo.id, commit)
    attributes = read_text(call.hub, tree.get(".gitattributes"), call.hub.limits.card_bytes) or ""
    given = body.get("gitIgnore")
    ignore = (
        given
        if isinstance(given, str)
        else read_text(call.hub, tree.get(".gitignore"), call.hub.limits.card_bytes)
    )
    rules = ignore_rules(ignore or "")
    answers = []
    for file in files:
        path, size, sample = _announced(file)
        there = tree.get(path)
        answers.append(
            {
                "path": path,
                "uploadMode": "lfs"
                if belongs_in_lfs(call.hub, attributes, path, size, sample)
                else "regular",
                "shouldIgnore": rules.match_file(path),
                "oid": (there.sha256 if there.lfs else there.oid) if there else None,
            }
        )
    return JSONResponse({"files": answers, "commitOid": commit})


def _announced(file: object) -> tuple[str, int, bytes]:
    if not isinstance(file, dict):
        raise HubError(400, "Each file must be an object with path, sample and size")
    size, sample = file.get("size", 0), file.get("sample", "")
    if not isinstance(size, int) or size < 0 or not isinstance(sample, str):
        raise HubError(400, "Each file needs a size and a sample")
    return names.repo_path(file.get("path")), size, _base64(sample[:4096])


def _base64(text: str) -> bytes:
    try:
        return b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise HubError(400, "Content is not base64") from None


@dataclass
class _Draft:
    """What the lines of a commit request have said so far."""

    summary: str = ""
    description: str = ""
    parent: str | None = None
    changes: list[Change] = field(default_factory=list)


async def commit(call: HubRequest) -> Response:
    """POST /api/T/R/commit/{rev} ?create_pr with one JSON object per line: header, then operations.

    Lines are handled as they arrive, so that a commit of many files needs the memory of one.
    """
    draft = _Draft()
    number = 0
    async for line in _lines(call):
        number += 1
        if number > call.hub.limits.commit_lines:
            raise HubError(413, f"More than {call.hub.limits.commit_lines} operations in one commit")
        if line.strip():
            await run_in_threadpool(_take_line, call, draft, line)
    return await run_in_threadpool(_finish, call, draft)


async def _lines(call: HubRequest) -> AsyncIterator[bytes]:
    limit = call.hub.limits.commit_line_bytes
    pending = bytearray()
    async for piece in call.request.stream():
        searched = len(pending)
        pending += piece
        while (end := pending.find(b"\n", searched)) >= 0:
            yield bytes(pending[:end])
            del pending[: end + 1]
            searched = 0
        if len(pending) > limit:
            raise HubError(
                413, "A file in this commit is too large to be sent within it: use large-file storage"
            )
    if pending:
        yield bytes(pending)


def _take_line(call: HubRequest, draft: _Draft, line: bytes) -> None:
    try:
        row = json.loads(line)
        key, value = row["key"], row["value"]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise HubError(400, "Each line must be a JSON object with key and value") from None
    if not isinstance(value, dict):
        raise HubError(400, f"The value of {key} must be an object")
    if key == "header":
        draft.summary = names.line_of_text(value.get("summary"), "A commit summary", 500)
        draft.description = str(value.get("description") or "")[:100_000]
        draft.parent = value.get("parentCommit")
        if draft.parent is not None and not (
            isinstance(draft.parent, str) and names.looks_like_commit(draft.parent)
        ):
            raise HubError(400, "parentCommit must be a commit id")
    elif key == "file":
        draft.changes.append(_regular_file(call, value))
    elif key == "lfsFile":
        draft.changes.append(_large_file(call, value))
    elif key == "deletedFile":
        draft.changes.append(Remove(names.repo_path(value.get("path"))))
    elif key == "deletedFolder":
        path = value.get("path")
        draft.changes.append(
            Remove(names.repo_path(path.removesuffix("/") if isinstance(path, str) else path), folder=True)
        )
    else:
        raise HubError(400, f"Unknown operation: {str(key)[:40]}")


def _regular_file(call: HubRequest, value: dict[str, object]) -> Put:
    path, content = names.repo_path(value.get("path")), value.get("content")
    if not isinstance(content, str):
        raise HubError(400, f"{path}: content is needed")
    data = _base64(content) if value.get("encoding") == "base64" else content.encode()
    if len(data) > call.hub.limits.regular_bytes:
        raise HubError(
            400, f"{path}: files above {call.hub.limits.regular_bytes} bytes go to large-file storage"
        )
    call.hub.store.write_blob(data)
    return Put(path, regular_entry(data))


def _large_file(call: HubRequest, value: dict[str, object]) -> Put:
    path, sha256 = names.repo_path(value.get("path")), names.sha256_hex(value.get("oid"))
    if value.get("algo") != "sha256":
        raise HubError(400, f"{path}: algo must be sha256")
    size = stored_size(call.hub.store, sha256)
    if size is None:
        raise HubError(400, f"{path}: the content {sha256} was not uploaded before this commit")
    if value.get("size") not in (None, size):
        raise HubError(
            400, f"{path}: the uploaded content has {size} bytes, the commit says {value.get('size')}"
        )
    return Put(path, lfs_entry(sha256, size))


def _finish(call: HubRequest, draft: _Draft) -> Response:
    if not draft.summary:
        raise HubError(400, "The commit has no header")
    history, repo, revision = call.hub.history, call.repo, call.params["rev"]
    with call.hub.store.transaction():
        ref = history.ref_of(repo.id, revision)
        if ref is None or ref.startswith("refs/tags/"):
            raise revision_missing(revision)
        number = names.pull_number(ref)
        if call.flag("create_pr"):
            if number is not None:
                raise HubError(400, "A pull request cannot be opened against another pull request")
            number = open_pull_request(call, draft.summary, draft.description, base=ref, draft=False)
            ref = f"refs/pr/{number}"
        elif number is not None:
            pull_request(call, number, still_open=True)
        oid = history.write(
            repo.id, ref, draft.changes, draft.summary, draft.description, call.user, draft.parent
        )
        if number is not None:
            note_commit(call, number, oid, draft.summary)
    answer: dict[str, object] = {
        "success": True,
        "commitOid": oid,
        "commitUrl": f"{call.base}/{repo.path}/commit/{oid}",
        "hookOutput": "rehearsal",
        "rehearsal": True,
    }
    if number is not None:
        answer["pullRequestUrl"] = f"{call.base}/{repo.path}/discussions/{number}"
    return JSONResponse(answer)


def log(call: HubRequest) -> Response:
    """GET /api/T/R/commits/{rev} ?p, limit: one page, newest first."""
    head = call.hub.history.resolve(call.repo.id, call.params["rev"])
    every = list(call.hub.history.log(call.repo.id, head))
    page, size = call.number("p", 0, 10**6), max(1, call.number("limit", LOG_PAGE, 1000))
    start = page * size
    rows: list[object] = []
    for found in every[start : start + size]:
        row: dict[str, object] = {
            "id": found.id,
            "title": found.title,
            "message": found.message,
            "authors": [{"user": found.author}],
            "date": found.date,
        }
        if "formatted" in call.request.query_params.getlist("expand[]"):
            row["formatted"] = {"title": found.title, "message": found.message}
        rows.append(row)
    return call.page(rows, {"p": str(page + 1)} if start + size < len(every) else None)
