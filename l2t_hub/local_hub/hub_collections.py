"""Collections: a titled list of repos with a note on each."""

import json
import re
import secrets
import sqlite3
from collections.abc import Callable

from starlette.responses import JSONResponse, Response

from l2t_hub.local_hub import identifiers as names
from l2t_hub.local_hub.auth import TokenIdentity
from l2t_hub.local_hub.history import now
from l2t_hub.local_hub.http_errors import HubError
from l2t_hub.local_hub.hub_request import HubRequest, text_field
from l2t_hub.local_hub.repos import visible_repo
from l2t_hub.local_hub.storage import Store

MAX_TITLE = 60
MAX_DESCRIPTION = 150
MAX_NOTE = 500
_IN_LISTS = 4
_SLUG = re.compile(r"[a-z0-9-]{1,80}-[0-9a-f]{24}")

Items = list[dict[str, object]]


def visible_collection(store: Store, slug: str, who: TokenIdentity | None) -> sqlite3.Row:
    """The collection with this slug if `who` may see it, else 404."""
    row = store.row("SELECT * FROM collections WHERE slug=?", slug)
    if row is None or (row["private"] and not (who and who.may_read_private)):
        raise HubError(404, f"Collection {slug[:120]} not found")
    return row


def _mine(call: HubRequest) -> sqlite3.Row:
    slug = f"{call.params['ns']}/{call.params['slug']}"
    if not _SLUG.fullmatch(call.params["slug"]):
        raise HubError(404, f"Collection {slug[:120]} not found")
    return visible_collection(call.hub.store, slug, call.who)


def visible_items(store: Store, row: sqlite3.Row, who: TokenIdentity | None) -> Items:
    """The items of a collection that `who` may see, in their order."""
    shown: Items = []
    for item in json.loads(row["items"]):
        namespace, _, name = str(item["id"]).partition("/")
        try:
            repo = visible_repo(store, str(item["type"]), namespace, name, who)
        except HubError:
            continue
        shown.append({**item, "position": len(shown), "author": repo.namespace, "private": repo.private})
    return shown


def _told(call: HubRequest, row: sqlite3.Row, most: int | None = None) -> dict[str, object]:
    return {
        "slug": row["slug"],
        "title": row["title"],
        "description": row["description"],
        "owner": {"name": row["owner"], "type": "org"},
        "items": visible_items(call.hub.store, row, call.who)[:most],
        "lastUpdated": row["updated"],
        "private": bool(row["private"]),
        "theme": row["theme"],
        "upvotes": 0,
        "gating": False,
        "rehearsal": True,
        "url": f"{call.base}/collections/{row['slug']}",
    }


def _details(call: HubRequest, slug: str) -> dict[str, object]:
    return {**_told(call, visible_collection(call.hub.store, slug, call.who)), "position": 0}


def listing(call: HubRequest) -> Response:
    """GET /api/collections ?owner, item: with at most four items each, as on the real Hub."""
    owners, items = call.request.query_params.getlist("owner"), call.request.query_params.getlist("item")
    rows = call.hub.store.rows("SELECT * FROM collections ORDER BY updated DESC")
    told = []
    for row in rows:
        if (owners and row["owner"] not in owners) or (
            row["private"] and not (call.who and call.who.may_read_private)
        ):
            continue
        held = {f"{item['type']}s/{item['id']}" for item in visible_items(call.hub.store, row, call.who)}
        if not items or held & set(items):
            told.append(_told(call, row, _IN_LISTS))
    start, size = call.number("cursor", 0, 10**9), max(1, call.number("limit", 100, 100))
    more = start + size < len(told)
    return call.page(list(told[start : start + size]), {"cursor": str(start + size)} if more else None)


def create(call: HubRequest) -> Response:
    """POST /api/collections {title, namespace, description, private}; 409 with the slug if the title is taken."""
    body = call.json()
    title = names.line_of_text(body.get("title"), "A title", MAX_TITLE)
    owner = names.repo_word(body.get("namespace") or call.user, "namespace")
    words = re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-") or "collection"
    slug = f"{owner}/{words}-{secrets.token_hex(12)}"
    with call.hub.store.transaction() as db:
        there = call.hub.store.row("SELECT slug FROM collections WHERE owner=? AND title=?", owner, title)
        if there:
            raise HubError(409, f"The collection '{title}' exists already", fields={"slug": there["slug"]})
        values = (
            slug,
            owner,
            title,
            _description(body),
            int(body.get("private") is True),
            "blue",
            now(),
            "[]",
        )
        db.execute("INSERT INTO collections VALUES(?, ?, ?, ?, ?, ?, ?, ?)", values)
    return JSONResponse(_details(call, slug))


def _description(body: dict[str, object]) -> str | None:
    text = text_field(body, "description")
    if len(text) > MAX_DESCRIPTION:
        raise HubError(400, f"A description is at most {MAX_DESCRIPTION} characters")
    return text or None


def get(call: HubRequest) -> Response:
    """GET /api/collections/{ns}/{slug}."""
    return JSONResponse(_details(call, _mine(call)["slug"]))


def update(call: HubRequest) -> Response:
    """PATCH /api/collections/{ns}/{slug} {title, description, private, theme, position}."""
    body = call.json()
    with call.hub.store.transaction() as db:
        row = _mine(call)
        title = names.line_of_text(body.get("title", row["title"]), "A title", MAX_TITLE)
        description = _description(body) if "description" in body else row["description"]
        private = body.get("private", bool(row["private"])) is True
        theme = text_field(body, "theme") or row["theme"]
        db.execute(
            "UPDATE collections SET title=?, description=?, private=?, theme=?, updated=? WHERE slug=?",
            (title, description, int(private), theme[:20], now(), row["slug"]),
        )
    return JSONResponse({"success": True, "data": _details(call, row["slug"])})


def delete(call: HubRequest) -> Response:
    """DELETE /api/collections/{ns}/{slug}."""
    with call.hub.store.transaction() as db:
        db.execute("DELETE FROM collections WHERE slug=?", (_mine(call)["slug"],))
    return JSONResponse({})


def _note(body: dict[str, object]) -> dict[str, str]:
    text = text_field(body, "note")
    if len(text) > MAX_NOTE:
        raise HubError(400, f"A note is at most {MAX_NOTE} characters")
    return {"text": text, "html": ""}


def add_item(call: HubRequest) -> Response:
    """POST .../items {item: {id, type}, note}; 404 if there is no such repo, 409 if it is in the collection."""
    body = call.json()
    item = body.get("item")
    if not isinstance(item, dict):
        raise HubError(400, "item must be an object with id and type")
    kind, full_name = names.kind_of(item.get("type")), str(item.get("id"))
    namespace, _, name = full_name.partition("/")
    visible_repo(call.hub.store, kind, namespace, name, call.who)
    row = _mine(call)
    fresh: dict[str, object] = {"_id": secrets.token_hex(12), "id": full_name, "type": kind}
    if body.get("note"):
        fresh["note"] = _note(body)

    def add(items: Items) -> None:
        if any(old["id"] == full_name and old["type"] == kind for old in items):
            raise HubError(409, f"{full_name} is in the collection already", fields={"slug": row["slug"]})
        items.append(fresh)

    _change(call, add)
    return JSONResponse(_details(call, row["slug"]))


def _change(call: HubRequest, change: Callable[[Items], None]) -> None:
    with call.hub.store.transaction() as db:
        row = _mine(call)
        items: Items = json.loads(row["items"])
        change(items)
        kept = json.dumps([{k: v for k, v in item.items() if k != "position"} for item in items])
        db.execute("UPDATE collections SET items=?, updated=? WHERE slug=?", (kept, now(), row["slug"]))


def _place(items: Items, wanted: str) -> int:
    for place, item in enumerate(items):
        if item["_id"] == wanted:
            return place
    raise HubError(404, "No such item")


def update_item(call: HubRequest) -> Response:
    """PATCH .../items/{id} {note, position}."""
    body, wanted = call.json(), names.object_id(call.params["id"])
    position = body.get("position")

    def change(items: Items) -> None:
        item = items.pop(_place(items, wanted))
        if "note" in body:
            item["note"] = _note(body)
        items.insert(position if isinstance(position, int) and position >= 0 else len(items), item)

    def change_in_place(items: Items) -> None:
        items[_place(items, wanted)]["note"] = _note(body)

    _change(call, change if position is not None else change_in_place)
    return JSONResponse({"success": True})


def delete_item(call: HubRequest) -> Response:
    """DELETE .../items/{id}."""
    wanted = names.object_id(call.params["id"])

    def remove(items: Items) -> None:
        del items[_place(items, wanted)]

    _change(call, remove)
    return JSONResponse({"success": True})
