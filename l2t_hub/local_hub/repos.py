"""Repos: create, find, move, delete, describe and list them."""

import sqlite3
from collections.abc import Iterable

from starlette.responses import JSONResponse, Response

from l2t_hub.local_hub import identifiers
from l2t_hub.local_hub.auth import OWNER, TokenIdentity
from l2t_hub.local_hub.card_metadata import card_tags, read_card
from l2t_hub.local_hub.file_content import attributes_file
from l2t_hub.local_hub.git_objects import pointer, regular_entry
from l2t_hub.local_hub.history import MAIN, now
from l2t_hub.local_hub.http_errors import HubError, repo_not_found
from l2t_hub.local_hub.hub_request import Hub, HubRequest, Repo, text_field
from l2t_hub.local_hub.storage import Store

SDKS = ("gradio", "streamlit", "docker", "static")
# The local Hub stores the files of a Space; it does not build or run it.
SPACE_RUNTIME = {
    "stage": "STOPPED",
    "hardware": {"current": None, "requested": "cpu-basic"},
    "gcTimeout": None,
}


def _repo(row: sqlite3.Row) -> Repo:
    return Repo(**{**row, "private": bool(row["private"])})


def find_repo(store: Store, kind: str, namespace: str, name: str) -> Repo | None:
    """Return the repo of that name without checking access; None if it does not exist."""
    row = store.row("SELECT * FROM repos WHERE kind=? AND namespace=? AND name=?", kind, namespace, name)
    return _repo(row) if row else None


def _moved_repo(store: Store, kind: str, namespace: str, name: str) -> Repo | None:
    former = "SELECT repo FROM former_names WHERE kind=? AND namespace=? AND name=?"
    row = store.row(f"SELECT * FROM repos WHERE id=({former})", kind, namespace, name)
    return _repo(row) if row else None


def visible_repo(
    store: Store, kind: str, namespace: str, name: str, identity: TokenIdentity | None, *, moved: bool = False
) -> Repo:
    """Return the repo of that name if `identity` may read it. With `moved`, a former name counts too.

    Raises the same HubError 404 for a repo that does not exist and for one that may not be read.
    """
    repo = find_repo(store, kind, namespace, name)
    if repo is None and moved:
        repo = _moved_repo(store, kind, namespace, name)
    if repo is None or (repo.private and not (identity and identity.may_read_private)):
        raise repo_not_found(f"{namespace}/{name}")
    return repo


def visible_repos(store: Store, kind: str, identity: TokenIdentity | None) -> Iterable[Repo]:
    """Return all repos of a kind that `identity` may read, newest first."""
    private = 1 if identity and identity.may_read_private else 0
    rows = store.rows("SELECT * FROM repos WHERE kind=? AND private<=? ORDER BY id DESC", kind, private)
    return [_repo(row) for row in rows]


def whoami(request: HubRequest) -> Response:
    """GET /api/whoami-v2."""
    if request.identity is None:
        raise HubError(401, "This request needs a token.")
    rows = request.store.rows("SELECT DISTINCT namespace FROM repos ORDER BY namespace")
    orgs = [row["namespace"] for row in rows if row["namespace"] != OWNER] if request.user == OWNER else []
    token = {
        "displayName": "rehearsal",
        "role": request.identity.role,
        "createdAt": "2026-01-01T00:00:00.000Z",
    }
    return JSONResponse(
        {
            "type": "user",
            "id": "rehearsal",
            "name": request.user,
            "fullname": f"{request.user} (rehearsal)",
            "isPro": False,
            "orgs": [{"type": "org", "name": org, "fullname": org, "roleInOrg": "admin"} for org in orgs],
            "auth": {"type": "access_token", "accessToken": token},
            "rehearsal": True,
        }
    )


def create(request: HubRequest) -> Response:
    """POST /api/repos/create {name, organization, type, visibility, sdk}. 409 with its URL if it exists."""
    body = request.json()
    kind, namespace, name = _named_repo(request, body)
    private = _privacy(body, default=False)
    sdk = text_field(body, "sdk") or None
    if kind == "space" and sdk not in SDKS:
        raise HubError(400, f"A Space needs an sdk: one of {', '.join(SDKS)}.")
    path = f"{identifiers.URL_PREFIX[kind]}{namespace}/{name}"
    answer: dict[str, object] = {
        "url": f"{request.base}/{path}",
        "name": f"{namespace}/{name}",
        "rehearsal": True,
    }
    history = request.history
    with request.store.transaction() as db:
        if find_repo(request.store, kind, namespace, name):
            raise HubError(409, f"You already created this {kind} repo: {namespace}/{name}", fields=answer)
        repo = db.execute(
            "INSERT INTO repos(kind, namespace, name, private, sdk, created) VALUES(?, ?, ?, ?, ?, ?)",
            (kind, namespace, name, int(private), sdk if kind == "space" else None, now()),
        ).lastrowid
        if repo is None:
            raise RuntimeError("SQLite returned no row number for the new repo")
        _forget_former_name(db, kind, namespace, name)
        first_file = attributes_file()
        request.store.write_blob(first_file)
        tree = {".gitattributes": regular_entry(first_file)}
        commit = history.add_commit(repo, tree, {}, (), "initial commit", "", request.user)
        history.set_ref(repo, MAIN, commit)
    return JSONResponse({**answer, "id": path})


def _named_repo(request: HubRequest, body: dict[str, object]) -> tuple[str, str, str]:
    """The kind, namespace and name in the body of a request."""
    return (
        identifiers.repo_kind(body.get("type")),
        identifiers.namespace(body.get("organization") or request.user),
        identifiers.repo_name(body.get("name")),
    )


def _forget_former_name(db: sqlite3.Connection, kind: str, namespace: str, name: str) -> None:
    """Stop redirecting a name that a repo has again."""
    db.execute("DELETE FROM former_names WHERE kind=? AND namespace=? AND name=?", (kind, namespace, name))


def _privacy(body: dict[str, object], default: bool) -> bool:
    visibility = body.get("visibility")
    if visibility is None:
        return bool(body.get("private", default))
    if visibility not in ("public", "private", "protected"):
        raise HubError(400, "visibility must be public, private or protected.")
    return visibility != "public"


def delete(request: HubRequest) -> Response:
    """DELETE /api/repos/delete {name, organization, type}. Content stays on disk, as other repos may use it."""
    kind, namespace, name = _named_repo(request, request.json())
    repo = visible_repo(request.store, kind, namespace, name, request.identity)
    with request.store.transaction() as db:
        for table in ("refs", "commits", "objects", "discussions", "former_names"):
            db.execute(f"DELETE FROM {table} WHERE repo=?", (repo.id,))
        db.execute("DELETE FROM repos WHERE id=?", (repo.id,))
    request.history.forget(repo.id)
    return JSONResponse({})


def move(request: HubRequest) -> Response:
    """POST /api/repos/move {fromRepo, toRepo, type}. Requests for the old name are redirected from then on."""
    body = request.json()
    kind = identifiers.repo_kind(body.get("type"))
    old, new = text_field(body, "fromRepo").split("/"), text_field(body, "toRepo").split("/")
    if len(old) != 2 or len(new) != 2:
        raise HubError(400, "fromRepo and toRepo must both have the form namespace/name.")
    namespace, name = identifiers.namespace(new[0]), identifiers.repo_name(new[1])
    with request.store.transaction() as db:
        repo = visible_repo(request.store, kind, old[0], old[1], request.identity)
        if find_repo(request.store, kind, namespace, name):
            raise HubError(409, f"{namespace}/{name} exists already.")
        db.execute("UPDATE repos SET namespace=?, name=? WHERE id=?", (namespace, name, repo.id))
        _forget_former_name(db, kind, namespace, name)
        former = (kind, repo.namespace, repo.name, repo.id)
        db.execute("INSERT OR REPLACE INTO former_names VALUES(?, ?, ?, ?)", former)
    return JSONResponse({})


def settings(request: HubRequest) -> Response:
    """PUT /api/T/R/settings {visibility, private, gated}."""
    body = request.json()
    gated = body.get("gated", request.repo.gated)
    if gated not in ("auto", "manual", False, None):
        raise HubError(400, "gated must be 'auto', 'manual' or false.")
    private = _privacy(body, default=request.repo.private)
    with request.store.transaction() as db:
        db.execute(
            "UPDATE repos SET private=?, gated=? WHERE id=?", (int(private), gated or None, request.repo.id)
        )
    return JSONResponse({"private": private, "gated": gated or False})


def agent_harnesses(request: HubRequest) -> Response:
    """GET /api/agent-harnesses, which `hf` requests at every start: a table of coding agents, empty here."""
    return JSONResponse({"standardEnvVars": [], "harnesses": {}})


def auth_check(request: HubRequest) -> Response:
    """GET /api/T/R/auth-check and auth-check/write: an empty answer means yes. The route has checked already."""
    return JSONResponse({})


def runtime(request: HubRequest) -> Response:
    """GET /api/spaces/R/runtime."""
    if request.repo.kind != "space":
        raise HubError(404, "Only a Space has a runtime.")
    return JSONResponse(SPACE_RUNTIME)


def info(request: HubRequest) -> Response:
    """GET /api/T/R[/revision/{rev}] ?blobs, ?expand."""
    facts = describe(request.hub, request.repo, request.commit_id(), blobs=request.flag("blobs"))
    query = request.http.query_params
    expanded = query.getlist("expand") + query.getlist("expand[]")
    if expanded:
        facts = {key: facts[key] for key in ("_id", "id", *expanded) if key in facts}
    return JSONResponse(facts)


def describe(hub: Hub, repo: Repo, commit: str, *, blobs: bool = False) -> dict[str, object]:
    """Return the fields of a repo at a commit that ModelInfo, DatasetInfo and SpaceInfo of the clients read."""
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


def listing(request: HubRequest) -> Response:
    """GET /api/models, /api/datasets, /api/spaces ?author, search, filter, limit, cursor."""
    kind = request.params["kind"].removesuffix("s")
    author, search = request.query("author"), (request.query("search") or "").lower()
    repos = [
        repo
        for repo in visible_repos(request.store, kind, request.identity)
        if (author is None or repo.namespace == author) and search in repo.full_name.lower()
    ]
    start, size = request.number("cursor", 0, 10**9), request.number("limit", 100, 100, minimum=1)
    wanted_tags = set(request.http.query_params.getlist("filter"))
    left_out = set() if request.flag("cardData") else {"cardData"}
    left_out |= set() if request.flag("full") else {"siblings", "usedStorage", "sha"}
    rows: list[object] = []
    for repo in repos[start : start + size]:
        facts = describe(request.hub, repo, request.history.resolve(repo.id, "main"))
        tags = facts["tags"]
        if isinstance(tags, list) and wanted_tags <= set(tags):
            rows.append({key: value for key, value in facts.items() if key not in left_out})
    more = start + size < len(repos)
    return request.page(rows, {"cursor": str(start + size)} if more else None)
