"""Collections: titled lists of repos with a note on each."""

import json
import re
import secrets
import sqlite3
from collections.abc import Callable

from starlette.responses import JSONResponse, Response

from l2t_hub.local_hub import identifiers
from l2t_hub.local_hub.auth import TokenIdentity
from l2t_hub.local_hub.history import now
from l2t_hub.local_hub.http_errors import HubError
from l2t_hub.local_hub.hub_request import HubRequest, text_field
from l2t_hub.local_hub.repos import visible_repo
from l2t_hub.local_hub.storage import Store, from_json

MAX_TITLE = 60
MAX_DESCRIPTION = 150
MAX_NOTE = 500
_IN_LISTS = 4
_SLUG = re.compile(r"[a-z0-9-]{1,80}-[0-9a-f]{24}")

Items = list[dict[str, object]]


def visible_collection(store: Store, slug: str, identity: TokenIdentity | None) -> sqlite3.Row:
    """Return the collection with this slug if `identity` may see it. Raises HubError 404."""
    row = store.row("SELECT * FROM collections WHERE slug=?", slug)
    if row is None or (row["private"] and not (identity and identity.may_read_private)):
        raise HubError(404, f"Collection {slug[:120]} not found.")
    return row


def _collection(request: HubRequest) -> sqlite3.Row:
    slug = f"{request.params['ns']}/{request.params['slug']}"
    if not _SLUG.fullmatch(request.params["slug"]):
        raise HubError(404, f"Collection {slug[:120]} not found.")
    return visible_collection(request.store, slug, request.identity)


def visible_items(store: Store, row: sqlite3.Row, identity: TokenIdentity | None) -> Items:
    """Return the items of a collection that `identity` may see, in order. A moved repo has its new name."""
    shown: Items = []
    for item in from_json(row["items"]):
        namespace, _, name = str(item["id"]).partition("/")
        try:
            repo = visible_repo(store, str(item["type"]), namespace, name, identity, moved=True)
        except HubError:
            continue
        facts = {"id": repo.full_name, "author": repo.namespace, "private": repo.private}
        shown.append({**item, **facts, "position": len(shown)})
    return shown


def _summary(request: HubRequest, row: sqlite3.Row, maximum: int | None = None) -> dict[str, object]:
    return {
        "slug": row["slug"],
        "title": row["title"],
        "description": row["description"],
        "owner": {"name": row["owner"], "type": "org"},
        "items": visible_items(request.store, row, request.identity)[:maximum],
        "lastUpdated": row["updated"],
        "private": bool(row["private"]),
        "theme": row["theme"],
        "upvotes": 0,
        "gating": False,
        "rehearsal": True,
        "url": f"{request.base}/collections/{row['slug']}",
    }


def _details(request: HubRequest, slug: str) -> dict[str, object]:
    return {**_summary(request, visible_collection(request.store, slug, request.identity)), "position": 0}


def listing(request: HubRequest) -> Response:
    """GET /api/collections ?owner, item: with at most four items each, as on huggingface.co."""
    owners, items = (
        request.http.query_params.getlist("owner"),
        request.http.query_params.getlist("item"),
    )
    rows = request.store.rows("SELECT * FROM collections ORDER BY updated DESC")
    listed = []
    for row in rows:
        if (owners and row["owner"] not in owners) or (
            row["private"] and not (request.identity and request.identity.may_read_private)
        ):
            continue
        held = {
            f"{item['type']}s/{item['id']}" for item in visible_items(request.store, row, request.identity)
        }
        if not items or held & set(items):
            listed.append(_summary(request, row, _IN_LISTS))
    start, size = request.number("cursor", 0, 10**9), request.number("limit", 100, 100, minimum=1)
    more = start + size < len(listed)
    return request.page(list(listed[start : start + size]), {"cursor": str(start + size)} if more else None)


def create(request: HubRequest) -> Response:
    """POST /api/collections {title, namespace, description, private}. 409 with the slug if the title is taken."""
    body = request.json()
    title = identifiers.required_text(body.get("title"), "The title", MAX_TITLE)
    owner = identifiers.namespace(body.get("namespace") or request.user)
    words = re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-") or "collection"
    slug = f"{owner}/{words}-{secrets.token_hex(12)}"
    with request.store.transaction() as db:
        same = request.store.row("SELECT slug FROM collections WHERE owner=? AND title=?", owner, title)
        if same:
            raise HubError(409, f"The collection '{title}' exists already.", fields={"slug": same["slug"]})
        private = int(body.get("private") is True)
        values = (slug, owner, title, _description(body), private, "blue", now(), "[]")
        db.execute("INSERT INTO collections VALUES(?, ?, ?, ?, ?, ?, ?, ?)", values)
    return JSONResponse(_details(request, slug))


def _description(body: dict[str, object]) -> str | None:
    text = text_field(body, "description")
    if len(text) > MAX_DESCRIPTION:
        raise HubError(400, f"The description is longer than {MAX_DESCRIPTION} characters.")
    return text or None


def get(request: HubRequest) -> Response:
    """GET /api/collections/{ns}/{slug}."""
    return JSONResponse(_details(request, _collection(request)["slug"]))


def update(request: HubRequest) -> Response:
    """PATCH /api/collections/{ns}/{slug} {title, description, private, theme, position}."""
    body = request.json()
    with request.store.transaction() as db:
        row = _collection(request)
        title = identifiers.required_text(body.get("title", row["title"]), "The title", MAX_TITLE)
        description = _description(body) if "description" in body else row["description"]
        private = body.get("private", bool(row["private"])) is True
        theme = text_field(body, "theme") or row["theme"]
        try:
            db.execute(
                "UPDATE collections SET title=?, description=?, private=?, theme=?, updated=? WHERE slug=?",
                (title, description, int(private), theme[:20], now(), row["slug"]),
            )
        except sqlite3.IntegrityError:
            raise HubError(409, f"The collection '{title}' exists already.") from None
    return JSONResponse({"success": True, "data": _details(request, row["slug"])})


def delete(request: HubRequest) -> Response:
    """DELETE /api/collections/{ns}/{slug}."""
    with request.store.transaction() as db:
        db.execute("DELETE FROM collections WHERE slug=?", (_collection(request)["slug"],))
    return JSONResponse({})


def _note(body: dict[str, object]) -> dict[str, str]:
    text = text_field(body, "note")
    if len(text) > MAX_NOTE:
        raise HubError(400, f"The note is longer than {MAX_NOTE} characters.")
    return {"text": text, "html": ""}


def add_item(request: HubRequest) -> Response:
    """POST .../items {item: {id, type}, note}. 404 if there is no such repo, 409 if it is in the collection."""
    body = request.json()
    item = body.get("item")
    if not isinstance(item, dict):
        raise HubError(400, "item must be an object with an id and a type.")
    kind = identifiers.repo_kind(item.get("type"))
    namespace, _, name = text_field(item, "id").partition("/")
    full_name = visible_repo(request.store, kind, namespace, name, request.identity, moved=True).full_name
    row = _collection(request)
    new_item: dict[str, object] = {"_id": secrets.token_hex(12), "id": full_name, "type": kind}
    if body.get("note"):
        new_item["note"] = _note(body)

    def add(items: Items) -> None:
        if any(old["id"] == full_name and old["type"] == kind for old in items):
            raise HubError(409, f"{full_name} is in the collection already.", fields={"slug": row["slug"]})
        items.append(new_item)

    _change(request, add)
    return JSONResponse(_details(request, row["slug"]))


def _change(request: HubRequest, change: Callable[[Items], None]) -> None:
    with request.store.transaction() as db:
        row = _collection(request)
        items: Items = from_json(row["items"])
        change(items)
        changed = json.dumps(items)
        db.execute("UPDATE collections SET items=?, updated=? WHERE slug=?", (changed, now(), row["slug"]))


def _index(items: Items, item_id: str) -> int:
    for index, item in enumerate(items):
        if item["_id"] == item_id:
            return index
    raise HubError(404, "The collection has no such item.")


def update_item(request: HubRequest) -> Response:
    """PATCH .../items/{id} {note, position}."""
    body, item_id = request.json(), identifiers.object_id(request.params["id"])
    position = body.get("position")

    def change(items: Items) -> None:
        index = _index(items, item_id)
        item = items.pop(index)
        if "note" in body or position is None:
            item["note"] = _note(body)
        if position is not None:
            index = position if isinstance(position, int) and position >= 0 else len(items)
        items.insert(min(index, len(items)), item)

    _change(request, change)
    return JSONResponse({"success": True})


def delete_item(request: HubRequest) -> Response:
    """DELETE .../items/{id}."""
    item_id = identifiers.object_id(request.params["id"])

    def remove(items: Items) -> None:
        del items[_index(items, item_id)]

    _change(request, remove)
    return JSONResponse({"success": True})
