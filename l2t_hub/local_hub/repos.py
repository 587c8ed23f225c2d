"""Repos: making, finding, moving, deleting and describing them."""

import sqlite3
from collections.abc import Iterable

from starlette.responses import JSONResponse, Response

from l2t_hub.local_hub import identifiers as names
from l2t_hub.local_hub.auth import OWNER, TokenIdentity
from l2t_hub.local_hub.card_metadata import card_tags, read_card
from l2t_hub.local_hub.file_content import attributes_file
from l2t_hub.local_hub.git_objects import pointer, regular_entry
from l2t_hub.local_hub.history import MAIN, now
from l2t_hub.local_hub.http_errors import HubError, repo_missing
from l2t_hub.local_hub.hub_request import Hub, HubRequest, Repo, text_field
from l2t_hub.local_hub.storage import Store

SDKS = ("gradio", "streamlit", "docker", "static")
# A rehearsal keeps a Space's files but builds and runs nothing.
SPACE_RUNTIME = {
    "stage": "STOPPED",
    "hardware": {"current": None, "requested": "cpu-basic"},
    "gcTimeout": None,
}


def _repo(row: sqlite3.Row) -> Repo:
    return Repo(
        row["id"],
        row["kind"],
        row["namespace"],
        row["name"],
        bool(row["private"]),
        row["gated"],
        row["sdk"],
        row["created"],
    )


def find_repo(store: Store, kind: str, namespace: str, name: str) -> Repo | None:
    """The repo of that name, whoever asks."""
    row = store.row("SELECT * FROM repos WHERE kind=? AND namespace=? AND name=?", kind, namespace, name)
    return _repo(row) if row else None


def visible_repo(store: Store, kind: str, namespace: str, name: str, who: TokenIdentity | None) -> Repo:
    """The repo of that name if `who` may read it; otherwise the same 404 as for one that does not exist."""
    repo = find_repo(store, kind, namespace, name)
    if repo is None or (repo.private and not (who and who.may_read_private)):
        raise repo_missing(f"{namespace}/{name}")
    return repo


def visible_repos(store: Store, kind: str, who: TokenIdentity | None) -> Iterable[Repo]:
    """All repos of a kind that `who` may read, newest first."""
    private = 1 if who and who.may_read_private else 0
    rows = store.rows("SELECT * FROM repos WHERE kind=? AND private<=? ORDER BY id DESC", kind, private)
    return [_repo(row) for row in rows]


def whoami(call: HubRequest) -> Response:
    """GET /api/whoami-v2."""
    if call.who is None:
        raise HubError(401, "A token is needed")
    rows = call.hub.store.rows("SELECT DISTINCT namespace FROM repos ORDER BY namespace")
    orgs = [row["namespace"] for row in rows if row["namespace"] != OWNER] if call.user == OWNER else []
    token = {"displayName": "rehearsal", "role": call.who.role, "createdAt": "2026-01-01T00:00:00.000Z"}
    return JSONResponse(
        {
            "type": "user",
            "id": "rehearsal",
            "name": call.user,
            "fullname": f"{call.user} (rehearsal)",
            "isPro": False,
            "orgs": [{"type": "org", "name": org, "fullname": org, "roleInOrg": "admin"} for org in orgs],
            "auth": {"type": "access_token", "accessToken": token},
            "rehearsal": True,
        }
    )


def create(call: HubRequest) -> Response:
    """POST /api/repos/create: {name, organization, type, visibility, sdk}; 409 with its URL if it exists."""
    body = call.json()
    kind = names.kind_of(body.get("type"))
    namespace = names.repo_word(body.get("organization") or call.user, "namespace")
    name = names.repo_word(body.get("name"), "repo name")
    private = _privacy(body, default=False)
    sdk = text_field(body, "sdk") or None
    if kind == "space" and sdk not in SDKS:
        raise HubError(400, f"A Space needs an sdk: one of {', '.join(SDKS)}")
    path = f"{names.URL_PREFIX[kind]}{namespace}/{name}"
    answer: dict[str, object] = {
        "url": f"{call.base}/{path}",
        "name": f"{namespace}/{name}",
        "rehearsal": True,
    }
    history = call.hub.history
    with call.hub.store.transaction() as db:
        if find_repo(call.hub.store, kind, namespace, name):
            raise HubError(409, f"You already created this {kind} repo: {namespace}/{name}", fields=answer)
        repo = db.execute(
            "INSERT INTO repos(kind, namespace, name, private, sdk, created) VALUES(?, ?, ?, ?, ?, ?)",
            (kind, namespace, name, int(private), sdk if kind == "space" else None, now()),
        ).lastrowid
        if repo is None:
            raise RuntimeError("SQLite gave the new repo no number")
        first = attributes_file()
        call.hub.store.write_blob(first)
        tree = {".gitattributes": regular_entry(first)}
        history.set_ref(repo, MAIN, history.add_commit(repo, tree, {}, (), "initial commit", "", call.user))
    return JSONResponse({**answer, "id": path})


def _privacy(body: dict[str, object], default: bool) -> bool:
    visibility = body.get("visibility")
    if visibility is None:
        value = body.get("private", default)
        return bool(value)
    if visibility not in ("public", "private", "protected"):
        raise HubError(400, "visibility must be public, private or protected")
    return visibility != "public"


def delete(call: HubRequest) -> Response:
    """DELETE /api/repos/delete: {name, organization, type}. Content stays on disk: other repos may hold it too."""
    body = call.json()
    kind = names.kind_of(body.get("type"))
    namespace = names.repo_word(body.get("organization") or call.user, "namespace")
    repo = visible_repo(
        call.hub.store, kind, namespace, names.repo_word(body.get("name"), "repo name"), call.who
    )
    with call.hub.store.transaction() as db:
        for table in ("refs", "commits", "objects", "discussions"):
            db.execute(f"DELETE FROM {table} WHERE repo=?", (repo.id,))
        db.execute("DELETE FROM repos WHERE id=?", (repo.id,))
    call.hub.history.forget(repo.id)
    return JSONResponse({})


def move(call: HubRequest) -> Response:
    """POST /api/repos/move: {fromRepo, toRepo, type}."""
    body = call.json()
    kind = names.kind_of(body.get("type"))
    old, new = text_field(body, "fromRepo").split("/"), text_field(body, "toRepo").split("/")
    if len(old) != 2 or len(new) != 2:
        raise HubError(400, "fromRepo and toRepo must both be namespace/name")
    namespace, name = names.repo_word(new[0], "namespace"), names.repo_word(new[1], "repo name")
    with call.hub.store.transaction() as db:
        repo = visible_repo(call.hub.store, kind, old[0], old[1], call.who)
        if find_repo(call.hub.store, kind, namespace, name):
            raise HubError(409, f"{namespace}/{name} exists already")
        db.execute("UPDATE repos SET namespace=?, name=? WHERE id=?", (namespace, name, repo.id))
    return JSONResponse({})


def settings(call: HubRequest) -> Response:
    """PUT /api/T/R/settings: {visibility, private, gated}."""
    body = call.json()
    gated = body.get("gated", call.repo.gated)
    if gated not in ("auto", "manual", False, None):
        raise HubError(400, "gated must be 'auto', 'manual' or false")
    private = _privacy(body, default=call.repo.private)
    with call.hub.store.transaction() as db:
        db.execute(
            "UPDATE repos SET private=?, gated=? WHERE id=?", (int(private), gated or None, call.repo.id)
        )
    return JSONResponse({"private": private, "gated": gated or False})


def agent_harnesses(call: HubRequest) -> Response:
    """GET /api/agent-harnesses: a table of coding agents that `hf` asks for at every start; this Hub knows none."""
    return JSONResponse({"standardEnvVars": [], "harnesses": {}})


def auth_check(call: HubRequest) -> Response:
    """GET /api/T/R/auth-check and auth-check/write: an empty answer says yes; the route has checked already."""
    return JSONResponse({})


def runtime(call: HubRequest) -> Response:
    """GET /api/spaces/R/runtime."""
    if call.repo.kind != "space":
        raise HubError(404, "Only a Space has a runtime")
    return JSONResponse(SPACE_RUNTIME)


def info(call: HubRequest) -> Response:
    """GET /api/T/R[/revision/{rev}] ?blobs, ?expand."""
    commit = call.hub.history.resolve(call.repo.id, call.params.get("rev", "main"))
    facts = describe(call.hub, call.repo, commit, blobs=call.flag("blobs"))
    wanted = call.request.query_params.getlist("expand") + call.request.query_params.getlist("expand[]")
    if wanted:
        facts = {key: facts[key] for key in ("_id", "id", *wanted) if key in facts}
    return JSONResponse(facts)


def describe(hub: Hub, repo: Repo, commit: str, *, blobs: bool = False) -> dict[str, object]:
    """What the Hub tells about a repo at a commit: the fields the clients' ModelInfo, DatasetInfo, SpaceInfo read."""
    tree = hub.history.tree(repo.id, commit)
    card = read_card(hub, tree.get("README.md"))
    siblings: list[dict[str, object]] = []
    for path, entry in tree.items():
        sibling: dict[str, object] = {"rfilename": path}
        if blobs:
            sibling |= {"size": entry.size, "blobId": entry.oid}
            if entry.lfs:
                pointer_size = len(pointer(entry.sha256, entry.size))
                sibling["lfs"] = {"sha256": entry.sha256, "size": entry.size, "pointerSize": pointer_size}
        siblings.append(sibling)
    facts: dict[str, object] = {
        "_id": f"{repo.id:024x}",
        "id": repo.full_name,
        "author": repo.namespace,
        "sha": commit,
        "lastModified": hub.history.commit(repo.id, commit).date,
        "createdAt": repo.created,
        "private": repo.private,
        "gated": repo.gated or False,
        "disabled": False,
        "downloads": 0,
        "likes": 0,
        "tags": card_tags(card),
        "cardData": card,
        "siblings": siblings,
        "usedStorage": sum(entry.size for entry in tree.values()),
        "rehearsal": True,
    }
    if repo.kind == "model":
        facts |= {"modelId": repo.full_name, "library_name": card.get("library_name")}
        facts |= {"pipeline_tag": card.get("pipeline_tag")} if card.get("pipeline_tag") else {}
    if repo.kind == "space":
        facts |= {"sdk": repo.sdk, "runtime": SPACE_RUNTIME}
    return facts


def listing(call: HubRequest) -> Response:
    """GET /api/models, /api/datasets, /api/spaces ?author, search, filter, limit, cursor."""
    kind = call.params["kind"].removesuffix("s")
    author, search = call.query("author"), (call.query("search") or "").lower()
    repos = [
        repo
        for repo in visible_repos(call.hub.store, kind, call.who)
        if (author is None or repo.namespace == author) and search in repo.full_name.lower()
    ]
    start, size = call.number("cursor", 0, 10**9), call.number("limit", 100, 100)
    wanted_tags = set(call.request.query_params.getlist("filter"))
    facts = []
    for repo in repos[start : start + size]:
        told = describe(call.hub, repo, call.hub.history.resolve(repo.id, "main"))
        if not call.flag("cardData"):
            told.pop("cardData")
        if not call.flag("full"):
            told = {
                key: value for key, value in told.items() if key not in ("siblings", "usedStorage", "sha")
            }
        tags = told["tags"]
        if isinstance(tags, list) and wanted_tags <= set(tags):
            facts.append(told)
    more = start + size < len(repos)
    return call.page(list(facts), {"cursor": str(start + size)} if more else None)
