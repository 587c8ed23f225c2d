"""Discussions and pull requests: opening, listing, commenting, and merging all at once."""

import json
import secrets
import sqlite3
from typing import Any

from starlette.responses import JSONResponse, Response

from l2t_hub.local_hub import identifiers as names
from l2t_hub.local_hub.history import MAIN, now
from l2t_hub.local_hub.http_errors import HubError
from l2t_hub.local_hub.hub_request import HubRequest, text_field

PAGE = 10
MAX_COMMENT_CHARS = 65_536


def _number(call: HubRequest) -> int:
    text = call.params["number"]
    if not text.isdecimal() or len(text) > 9:
        raise HubError(404, f"There is no discussion {text[:20]}")
    return int(text)


def _row(call: HubRequest, number: int) -> sqlite3.Row:
    row = call.hub.store.row("SELECT * FROM discussions WHERE repo=? AND number=?", call.repo.id, number)
    if row is None:
        raise HubError(404, f"There is no discussion or pull request {number}")
    return row


def pull_request(call: HubRequest, number: int, *, still_open: bool) -> sqlite3.Row:
    """The row of a pull request; 404 if it is none, 409 if `still_open` and it has been closed or merged."""
    row = _row(call, number)
    if not row["pull"]:
        raise HubError(404, f"{number} is a discussion, not a pull request")
    if still_open and row["status"] not in ("open", "draft"):
        raise HubError(409, f"Pull request {number} is {row['status']}")
    return row


def _event(call: HubRequest, kind: str, data: dict[str, object]) -> dict[str, object]:
    who = {"name": call.user, "fullname": call.user, "type": "user"}
    return {"id": secrets.token_hex(12), "type": kind, "createdAt": now(), "author": who, "data": data}


def _comment(call: HubRequest, text: str) -> dict[str, object]:
    latest = {"raw": text, "html": "", "updatedAt": now(), "author": {"name": call.user}}
    return _event(call, "comment", {"edited": False, "hidden": False, "latest": latest, "history": [latest]})


def _append(call: HubRequest, row: sqlite3.Row, event: dict[str, object]) -> None:
    events = json.dumps([*events_of(row), event])
    with call.hub.store.transaction() as db:
        db.execute(
            "UPDATE discussions SET events=? WHERE repo=? AND number=?", (events, call.repo.id, row["number"])
        )


def open_pull_request(
    call: HubRequest, title: str, description: str, *, base: str = MAIN, draft: bool
) -> int:
    """Open a pull request against the branch `base`, its ref at the branch's head; its number."""
    history, repo = call.hub.history, call.repo.id
    with call.hub.store.transaction():
        number = _insert(call, title, description, pull=True, status="draft" if draft else "open", base=base)
        history.set_ref(repo, f"refs/pr/{number}", history.resolve(repo, base))
    return number


def _insert(
    call: HubRequest, title: str, description: str, *, pull: bool, status: str, base: str | None
) -> int:
    events = json.dumps([_comment(call, description)] if description else [])
    with call.hub.store.transaction() as db:
        row = db.execute(
            "SELECT MAX(number) AS last FROM discussions WHERE repo=?", (call.repo.id,)
        ).fetchone()
        number = int(row["last"] or 0) + 1
        db.execute(
            "INSERT INTO discussions VALUES(?, ?, ?, ?, ?, ?, ?, ?, NULL, ?)",
            (call.repo.id, number, title, status, int(pull), call.user, now(), base, events),
        )
    return number


def note_commit(call: HubRequest, number: int, oid: str, summary: str) -> None:
    """Show a commit in its pull request."""
    _append(call, _row(call, number), _event(call, "commit", {"oid": oid, "subject": summary}))


def told(call: HubRequest, row: sqlite3.Row) -> dict[str, object]:
    """A discussion as lists show it."""
    return {
        "num": row["number"],
        "title": row["title"],
        "status": row["status"],
        "isPullRequest": bool(row["pull"]),
        "createdAt": row["created"],
        "author": {"name": row["author"]},
        "repo": {"name": call.repo.full_name, "type": call.repo.kind},
        "url": f"{call.base}/{call.repo.path}/discussions/{row['number']}",
    }


def rows_of(call: HubRequest) -> list[sqlite3.Row]:
    """All discussions and pull requests of the repo, newest first."""
    return call.hub.store.rows("SELECT * FROM discussions WHERE repo=? ORDER BY number DESC", call.repo.id)


def numbered(call: HubRequest) -> sqlite3.Row:
    """The discussion whose number is in the route."""
    return _row(call, _number(call))


def events_of(row: sqlite3.Row) -> list[dict[str, Any]]:
    """What happened in a discussion, oldest first."""
    events: list[dict[str, Any]] = json.loads(row["events"])
    return events


def listing(call: HubRequest) -> Response:
    """GET /api/T/R/discussions ?type, status, author, p."""
    rows = rows_of(call)
    kind, status, author = call.query("type"), call.query("status"), call.query("author")
    chosen = [
        row
        for row in rows
        if kind in (None, "all", "pull_request" if row["pull"] else "discussion")
        and (status in (None, "all") or (status == "open") == (row["status"] in ("open", "draft")))
        and author in (None, row["author"])
    ]
    start = call.number("p", 0, 10**6) * PAGE
    page = [told(call, row) for row in chosen[start : start + PAGE]]
    return JSONResponse({"discussions": page, "count": len(chosen), "start": start})


def create(call: HubRequest) -> Response:
    """POST /api/T/R/discussions {title, description, pullRequest}. A pull request opened this way is a draft."""
    body = call.json()
    title = names.line_of_text(body.get("title"), "A title", names.MAX_TITLE_CHARS)
    description = text_field(body, "description")[:MAX_COMMENT_CHARS]
    if body.get("pullRequest") is True:
        number = open_pull_request(call, title, description, draft=True)
    else:
        number = _insert(call, title, description, pull=False, status="open", base=None)
    return JSONResponse({"num": number, **told(call, _row(call, number))})


def details(call: HubRequest) -> Response:
    """GET /api/T/R/discussions/{n}."""
    row = numbered(call)
    answer: dict[str, object] = {**told(call, row), "events": events_of(row), "diff": None}
    if row["pull"]:
        conflicts: list[str] = []
        if row["status"] in ("open", "draft"):
            history, repo = call.hub.history, call.repo.id
            head = history.resolve(repo, f"refs/pr/{row['number']}")
            conflicts = history.merged_tree(repo, history.resolve(repo, row["base"]), head)[1]
        changes = {"base": row["base"]} | ({"mergeCommitId": row["merged"]} if row["merged"] else {})
        answer |= {"changes": changes, "filesWithConflicts": conflicts}
    return JSONResponse(answer)


def comment(call: HubRequest) -> Response:
    """POST /api/T/R/discussions/{n}/comment {comment}."""
    event = _comment(call, names.line_of_text(call.json().get("comment"), "A comment", MAX_COMMENT_CHARS))
    with call.hub.store.transaction():
        _append(call, numbered(call), event)
    return JSONResponse({"newMessage": event})


def rename(call: HubRequest) -> Response:
    """POST /api/T/R/discussions/{n}/title {title}."""
    title = names.line_of_text(call.json().get("title"), "A title", names.MAX_TITLE_CHARS)
    with call.hub.store.transaction() as db:
        row = numbered(call)
        event = _event(call, "title-change", {"from": row["title"], "to": title})
        _append(call, row, event)
        db.execute(
            "UPDATE discussions SET title=? WHERE repo=? AND number=?", (title, call.repo.id, row["number"])
        )
    return JSONResponse({"newTitle": event})


def change_status(call: HubRequest) -> Response:
    """POST /api/T/R/discussions/{n}/status {status: open or closed, comment}; a merged pull request stays merged."""
    body = call.json()
    status = body.get("status")
    if status not in ("open", "closed"):
        raise HubError(400, "status must be open or closed")
    with call.hub.store.transaction():
        row = numbered(call)
        if row["status"] == "merged":
            raise HubError(409, "A merged pull request cannot be opened or closed")
        event = _set_status(call, row, str(status))
        remark = text_field(body, "comment")
        if remark:
            _append(call, _row(call, row["number"]), _comment(call, remark))
    return JSONResponse({"newStatus": event})


def _set_status(call: HubRequest, row: sqlite3.Row, status: str) -> dict[str, object]:
    event = _event(call, "status-change", {"status": status})
    _append(call, row, event)
    with call.hub.store.transaction() as db:
        db.execute(
            "UPDATE discussions SET status=? WHERE repo=? AND number=?", (status, call.repo.id, row["number"])
        )
    return event


def merge(call: HubRequest) -> Response:
    """POST /api/T/R/discussions/{n}/merge {comment}: one commit puts the whole pull request on its base branch.

    409 if files conflict, or the pull request is a draft, closed or merged already.
    """
    remark = text_field(call.json(), "comment")
    history, repo = call.hub.history, call.repo.id
    with call.hub.store.transaction() as db:
        row = pull_request(call, _number(call), still_open=True)
        if row["status"] == "draft":
            raise HubError(
                409,
                f"Pull request {row['number']} is a draft: open it (change_discussion_status) before merging",
            )
        base, head = history.resolve(repo, row["base"]), history.resolve(repo, f"refs/pr/{row['number']}")
        tree, conflicts = history.merged_tree(repo, base, head)
        if conflicts:
            raise HubError(
                409,
                "The pull request conflicts with its base branch",
                fields={"filesWithConflicts": conflicts},
            )
        title = f"{row['title']} (#{row['number']})"
        merged = history.add_commit(repo, tree, history.tree(repo, base), (base, head), title, "", call.user)
        history.set_ref(repo, row["base"], merged)
        db.execute("UPDATE discussions SET merged=? WHERE repo=? AND number=?", (merged, repo, row["number"]))
        if remark:
            _append(call, _row(call, row["number"]), _comment(call, remark))
        event = _set_status(call, _row(call, row["number"]), "merged")
    return JSONResponse({"newStatus": event, "mergeCommitId": merged, "rehearsal": True})
