"""Discussions and pull requests: open, list, comment on and merge them."""

import json
import secrets
import sqlite3
from typing import Any

from starlette.responses import JSONResponse, Response

from l2t_hub.local_hub import identifiers
from l2t_hub.local_hub.history import MAIN, now
from l2t_hub.local_hub.http_errors import HubError
from l2t_hub.local_hub.hub_request import HubRequest, text_field
from l2t_hub.local_hub.storage import from_json

PAGE = 10
MAX_COMMENT_CHARS = 65_536


def _number(request: HubRequest) -> int:
    text = request.params["number"]
    if not text.isdecimal() or len(text) > 9:
        raise HubError(404, f"There is no discussion {text[:20]}.")
    return int(text)


def _row(request: HubRequest, number: int) -> sqlite3.Row:
    row = request.store.row("SELECT * FROM discussions WHERE repo=? AND number=?", request.repo.id, number)
    if row is None:
        raise HubError(404, f"There is no discussion or pull request {number}.")
    return row


def pull_request(request: HubRequest, number: int, *, still_open: bool) -> sqlite3.Row:
    """Return the row of a pull request. 404 for a discussion; with `still_open`, 409 if it is closed or merged."""
    row = _row(request, number)
    if not row["pull"]:
        raise HubError(404, f"{number} is a discussion, not a pull request.")
    if still_open and row["status"] not in ("open", "draft"):
        raise HubError(409, f"Pull request {number} is {row['status']}.")
    return row


def _event(request: HubRequest, kind: str, data: dict[str, object]) -> dict[str, object]:
    author = {"name": request.user, "fullname": request.user, "type": "user"}
    return {"id": secrets.token_hex(12), "type": kind, "createdAt": now(), "author": author, "data": data}


def _comment(request: HubRequest, text: str) -> dict[str, object]:
    latest = {"raw": text, "html": "", "updatedAt": now(), "author": {"name": request.user}}
    return _event(
        request, "comment", {"edited": False, "hidden": False, "latest": latest, "history": [latest]}
    )


def _append(request: HubRequest, row: sqlite3.Row, event: dict[str, object]) -> None:
    events = json.dumps([*events_of(row), event])
    with request.store.transaction() as db:
        db.execute(
            "UPDATE discussions SET events=? WHERE repo=? AND number=?",
            (events, request.repo.id, row["number"]),
        )


def open_pull_request(
    request: HubRequest, title: str, description: str, *, base: str = MAIN, draft: bool
) -> int:
    """Open a pull request from the head of the branch `base` and return its number."""
    history, repo = request.history, request.repo.id
    with request.store.transaction():
        number = _insert(
            request, title, description, pull=True, status="draft" if draft else "open", base=base
        )
        history.set_ref(repo, f"refs/pr/{number}", history.resolve(repo, base))
    return number


def _insert(
    request: HubRequest, title: str, description: str, *, pull: bool, status: str, base: str | None
) -> int:
    events = json.dumps([_comment(request, description)] if description else [])
    with request.store.transaction() as db:
        row = db.execute(
            "SELECT MAX(number) AS last FROM discussions WHERE repo=?", (request.repo.id,)
        ).fetchone()
        number = int(row["last"] or 0) + 1
        db.execute(
            "INSERT INTO discussions VALUES(?, ?, ?, ?, ?, ?, ?, ?, NULL, ?)",
            (request.repo.id, number, title, status, int(pull), request.user, now(), base, events),
        )
    return number


def note_commit(request: HubRequest, number: int, oid: str, summary: str) -> None:
    """Add a commit to the events of its pull request."""
    _append(request, _row(request, number), _event(request, "commit", {"oid": oid, "subject": summary}))


def summarise(request: HubRequest, row: sqlite3.Row) -> dict[str, object]:
    """Return a discussion as lists show it."""
    return {
        "num": row["number"],
        "title": row["title"],
        "status": row["status"],
        "isPullRequest": bool(row["pull"]),
        "createdAt": row["created"],
        "author": {"name": row["author"]},
        "repo": {"name": request.repo.full_name, "type": request.repo.kind},
        "url": f"{request.base}/{request.repo.path}/discussions/{row['number']}",
    }


def rows_of(request: HubRequest) -> list[sqlite3.Row]:
    """Return all discussions and pull requests of the repo, newest first."""
    return request.store.rows("SELECT * FROM discussions WHERE repo=? ORDER BY number DESC", request.repo.id)


def numbered(request: HubRequest) -> sqlite3.Row:
    """Return the row of the discussion in the route. Raises HubError 404."""
    return _row(request, _number(request))


def events_of(row: sqlite3.Row) -> list[dict[str, Any]]:
    """Return the events of a discussion, oldest first."""
    events: list[dict[str, Any]] = from_json(row["events"])
    return events


def listing(request: HubRequest) -> Response:
    """GET /api/T/R/discussions ?type, status, author, p."""
    rows = rows_of(request)
    kind, status, author = request.query("type"), request.query("status"), request.query("author")
    chosen = [
        row
        for row in rows
        if kind in (None, "all", "pull_request" if row["pull"] else "discussion")
        and (status in (None, "all") or (status == "open") == (row["status"] in ("open", "draft")))
        and author in (None, row["author"])
    ]
    start = request.number("p", 0, 10**6) * PAGE
    page = [summarise(request, row) for row in chosen[start : start + PAGE]]
    return JSONResponse({"discussions": page, "count": len(chosen), "start": start})


def create(request: HubRequest) -> Response:
    """POST /api/T/R/discussions {title, description, pullRequest}. Such a pull request is a draft."""
    body = request.json()
    title = identifiers.required_text(body.get("title"), "The title", identifiers.MAX_TITLE_CHARS)
    description = text_field(body, "description")[:MAX_COMMENT_CHARS]
    if body.get("pullRequest") is True:
        number = open_pull_request(request, title, description, draft=True)
    else:
        number = _insert(request, title, description, pull=False, status="open", base=None)
    return JSONResponse({"num": number, **summarise(request, _row(request, number))})


def details(request: HubRequest) -> Response:
    """GET /api/T/R/discussions/{n}."""
    row = numbered(request)
    answer: dict[str, object] = {**summarise(request, row), "events": events_of(row), "diff": None}
    if row["pull"]:
        conflicts: list[str] = []
        if row["status"] in ("open", "draft"):
            history, repo = request.history, request.repo.id
            head = history.resolve(repo, f"refs/pr/{row['number']}")
            conflicts = history.merged_tree(repo, history.resolve(repo, row["base"]), head)[1]
        changes = {"base": row["base"]} | ({"mergeCommitId": row["merged"]} if row["merged"] else {})
        answer |= {"changes": changes, "filesWithConflicts": conflicts}
    return JSONResponse(answer)


def comment(request: HubRequest) -> Response:
    """POST /api/T/R/discussions/{n}/comment {comment}."""
    event = _comment(
        request, identifiers.required_text(request.json().get("comment"), "The comment", MAX_COMMENT_CHARS)
    )
    with request.store.transaction():
        _append(request, numbered(request), event)
    return JSONResponse({"newMessage": event})


def rename(request: HubRequest) -> Response:
    """POST /api/T/R/discussions/{n}/title {title}."""
    title = identifiers.required_text(request.json().get("title"), "The title", identifiers.MAX_TITLE_CHARS)
    with request.store.transaction() as db:
        row = numbered(request)
        event = _event(request, "title-change", {"from": row["title"], "to": title})
        _append(request, row, event)
        db.execute(
            "UPDATE discussions SET title=? WHERE repo=? AND number=?",
            (title, request.repo.id, row["number"]),
        )
    return JSONResponse({"newTitle": event})


def change_status(request: HubRequest) -> Response:
    """POST /api/T/R/discussions/{n}/status {status: open or closed, comment}. 409 for a merged pull request."""
    body = request.json()
    status = body.get("status")
    if status not in ("open", "closed"):
        raise HubError(400, "status must be open or closed.")
    with request.store.transaction():
        row = numbered(request)
        if row["status"] == "merged":
            raise HubError(409, "A merged pull request cannot be opened or closed.")
        event = _set_status(request, row, str(status))
        text = text_field(body, "comment")[:MAX_COMMENT_CHARS]
        if text:
            _append(request, _row(request, row["number"]), _comment(request, text))
    return JSONResponse({"newStatus": event})


def _set_status(request: HubRequest, row: sqlite3.Row, status: str) -> dict[str, object]:
    event = _event(request, "status-change", {"status": status})
    _append(request, row, event)
    with request.store.transaction() as db:
        db.execute(
            "UPDATE discussions SET status=? WHERE repo=? AND number=?",
            (status, request.repo.id, row["number"]),
        )
    return event


def merge(request: HubRequest) -> Response:
    """POST /api/T/R/discussions/{n}/merge {comment}: put the pull request on its base branch with one commit.

    409 if files conflict, or if the pull request is a draft, closed or merged.
    """
    text = text_field(request.json(), "comment")[:MAX_COMMENT_CHARS]
    history, repo = request.history, request.repo.id
    with request.store.transaction() as db:
        row = pull_request(request, _number(request), still_open=True)
        if row["status"] == "draft":
            raise HubError(
                409,
                f"Pull request {row['number']} is a draft. Open it (change_discussion_status) before you merge it.",
            )
        base, head = history.resolve(repo, row["base"]), history.resolve(repo, f"refs/pr/{row['number']}")
        tree, conflicts = history.merged_tree(repo, base, head)
        if conflicts:
            raise HubError(
                409,
                "The pull request conflicts with its base branch.",
                fields={"filesWithConflicts": conflicts},
            )
        title = f"{row['title']} (#{row['number']})"
        merged = history.add_commit(
            repo, tree, history.tree(repo, base), (base, head), title, "", request.user
        )
        history.set_ref(repo, row["base"], merged)
        db.execute("UPDATE discussions SET merged=? WHERE repo=? AND number=?", (merged, repo, row["number"]))
        if text:
            _append(request, _row(request, row["number"]), _comment(request, text))
        event = _set_status(request, _row(request, row["number"]), "merged")
    return JSONResponse({"newStatus": event, "mergeCommitId": merged, "rehearsal": True})
