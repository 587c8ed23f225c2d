"""The read-only pages, which show in a browser what a release will look like.

Jinja escapes every value, and control characters are replaced. Only the Markdown of a card is inserted as it is,
rendered with its HTML tags escaped. The Content-Security-Policy allows one style sheet and images from this Hub.
"""

import re
from importlib.resources import files as package_files
from typing import Any

from jinja2 import Environment, PackageLoader
from markupsafe import Markup
from starlette.responses import Response

from l2t_hub.local_hub import identifiers
from l2t_hub.local_hub.auth import TokenIdentity
from l2t_hub.local_hub.card_metadata import CardError, card_tags, parse_metadata, split_card
from l2t_hub.local_hub.discussions import events_of, numbered, rows_of
from l2t_hub.local_hub.file_content import read_text
from l2t_hub.local_hub.http_errors import HubError, entry_not_found
from l2t_hub.local_hub.hub_collections import visible_collection, visible_items
from l2t_hub.local_hub.hub_request import ROOT, Hub, HubRequest, Repo, quoted
from l2t_hub.local_hub.markdown_html import render_markdown, size_text
from l2t_hub.local_hub.repo_files import TreeLister, content_type
from l2t_hub.local_hub.repos import visible_repos
from l2t_hub.text import visible

MAX_PREVIEW_BYTES = 200_000
MAX_ROWS = 1000
MAX_SCORES = 100
MAX_CARD_CHARS = 100_000  # a hostile card takes seconds to render
POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self';"
    " base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
SAFE = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
_CONFIG_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,100}")


def _visible(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    return Markup(visible(value)) if isinstance(value, Markup) else visible(value)


_templates = Environment(
    loader=PackageLoader("l2t_hub.local_hub"),
    autoescape=True,
    finalize=_visible,
    trim_blocks=True,
    lstrip_blocks=True,
)
_templates.globals |= {"root": ROOT, "kinds": identifiers.KINDS}
_templates.filters |= {
    "size": size_text,
    "url": quoted,
    "when": lambda date: str(date)[:16].replace("T", " "),
}


def _page(template: str, **values: Any) -> Response:
    return Response(_templates.get_template(template).render(**values), headers=SAFE, media_type="text/html")


def error_page(error: HubError, identity: TokenIdentity | None) -> Response:
    """Return an error as a page. Without a token a missing repo may be private, so the browser is asked for one."""
    status, headers = error.status, dict(error.headers)
    if identity is None and (error.code == "RepoNotFound" or status == 401):
        status, headers["WWW-Authenticate"] = (
            401,
            'Basic realm="rehearsal Hub: any user name, a token as password"',
        )
    page = _page("error.html", title=str(status), status=status, message=error.message)
    page.status_code = status
    page.headers.update(headers)
    return page


def style(request: HubRequest) -> Response:
    """GET /static/style.css."""
    sheet = package_files("l2t_hub.local_hub").joinpath("static", "style.css").read_bytes()
    return Response(sheet, headers={"X-Content-Type-Options": "nosniff"}, media_type="text/css")


def index(request: HubRequest) -> Response:
    """GET / and /{ns}: the repos and collections the caller may read, all or of one namespace."""
    owner = request.params.get("ns")
    store = request.store
    shelves = {}
    for kind in identifiers.KINDS:
        repos = [
            repo for repo in visible_repos(store, kind, request.identity) if owner in (None, repo.namespace)
        ]
        shelves[kind] = [(repo, _head(request.hub, repo)) for repo in repos[:MAX_ROWS]]
    rows = store.rows("SELECT * FROM collections ORDER BY updated DESC")
    visible = [
        row for row in rows if not row["private"] or (request.identity and request.identity.may_read_private)
    ]
    collections = [row for row in visible if owner in (None, row["owner"])]
    if owner and not collections and not any(shelves.values()):
        raise HubError(404, f"There is nothing under {owner[:96]}.", "RepoNotFound")
    return _page(
        "index.html", title=owner or "Rehearsal Hub", owner=owner, shelves=shelves, collections=collections
    )


def _head(hub: Hub, repo: Repo) -> Any:
    return hub.history.commit(repo.id, hub.history.resolve(repo.id, "main"))


def _frame(request: HubRequest, tab: str, rev: str) -> dict[str, Any]:
    """The values that the header of every page of a repo needs."""
    return {
        "repo": request.repo,
        "tab": tab,
        "rev": rev,
        "title": f"{request.repo.full_name}: {tab}",
        "base": request.base,
    }


def card(request: HubRequest) -> Response:
    """GET /P R: the card and facts about the repo."""
    hub, repo = request.hub, request.repo
    commit = hub.history.resolve(repo.id, "main")
    tree = hub.history.tree(repo.id, commit)
    text = read_text(hub, tree.get("README.md"), hub.limits.card_bytes) or ""
    front, body = split_card(text)
    try:
        metadata, problem = parse_metadata(front), None
    except CardError as error:
        metadata, problem = {}, str(error)
    home = f"{ROOT}/{quoted(repo.path)}"
    if len(body) > MAX_CARD_CHARS:
        problem = problem or f"Only the first {MAX_CARD_CHARS} characters of this card are shown."
    rendered = render_markdown(body[:MAX_CARD_CHARS], f"{home}/blob/main", f"{home}/resolve/{commit}")
    configs = _configs(metadata)
    facts = {
        "head": hub.history.commit(repo.id, commit),
        "tags": card_tags(metadata),
        "files": len(tree),
        "size": sum(entry.size for entry in tree.values()),
        "version_tags": hub.history.refs(repo.id, "refs/tags/"),
        "configs": configs,
        "example_config": next((name for name, _ in configs if _CONFIG_NAME.fullmatch(name)), None),
        "scores": _scores(metadata),
    }
    frame = _frame(request, "card", "main")
    return _page("card.html", **frame, card=Markup(rendered), problem=problem, **facts)


def _configs(metadata: dict[str, Any]) -> list[tuple[str, bool]]:
    rows = _mappings(metadata.get("configs"))
    return [(str(row.get("config_name")), row.get("default") is True) for row in rows]


def _scores(metadata: dict[str, Any]) -> list[tuple[str, str, str]]:
    """(benchmark, metric, value) of every result in the `model-index` of a card. Malformed results are left out."""
    scores: list[tuple[str, str, str]] = []
    for model in _mappings(metadata.get("model-index")):
        for result in _mappings(model.get("results")):
            data = result.get("dataset")
            benchmark = _name(data) if isinstance(data, dict) else ""
            for metric in _mappings(result.get("metrics")):
                scores.append((benchmark, _name(metric), str(metric.get("value", ""))))
    return scores[:MAX_SCORES]


def _name(entry: dict[str, Any]) -> str:
    return str(entry.get("name", entry.get("type", "")))


def _mappings(value: object) -> list[dict[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def tree(request: HubRequest) -> Response:
    """GET /P R/tree/{rev}[/path]: the files of a folder with size, storage and last commit."""
    rev = request.params["rev"]
    commit = request.commit_id()
    folder = identifiers.folder_path(request.params["path"])
    lister = TreeLister(request, commit, expand=True)
    paths = lister.below(folder, recursive=False)
    if folder and not paths:
        raise entry_not_found(folder, commit)
    nodes = sorted(
        (node for p in paths if (node := lister.node(p))), key=lambda n: (n["type"] == "file", n["path"])
    )
    return _page(
        "tree.html", **_frame(request, "files", rev), folder=folder, nodes=nodes[:MAX_ROWS], count=len(nodes)
    )


def blob(request: HubRequest) -> Response:
    """GET /P R/blob/{rev}/{path}: shows text and images, and offers other files for download."""
    rev, path = request.params["rev"], identifiers.file_path(request.params["path"])
    commit = request.commit_id()
    entry = request.history.tree(request.repo.id, commit).get(path)
    if entry is None:
        raise entry_not_found(path, commit)
    kind = content_type(path)
    text = read_text(request.hub, entry, MAX_PREVIEW_BYTES) if not kind.startswith("image/") else None
    if text is not None and "\0" in text:
        text = None
    frame = _frame(request, "files", rev)
    return _page(
        "blob.html",
        **frame,
        path=path,
        entry=entry,
        text=text,
        image=kind.startswith("image/"),
        commit=commit,
    )


def commits(request: HubRequest) -> Response:
    """GET /P R/commits/{rev}."""
    rev = request.params["rev"]
    log = list(request.history.log(request.repo.id, request.commit_id()))
    return _page("commits.html", **_frame(request, "commits", rev), log=log[:MAX_ROWS], count=len(log))


def commit(request: HubRequest) -> Response:
    """GET /P R/commit/{id}: which files it changed."""
    history, repo = request.history, request.repo.id
    shown = history.commit(repo, request.commit_id())
    changed = history.changes(repo, shown.id)
    rows = list(changed.items())[:MAX_ROWS]
    return _page(
        "commit.html", **_frame(request, "commits", shown.id), commit=shown, rows=rows, count=len(changed)
    )


def discussions(request: HubRequest) -> Response:
    """GET /P R/discussions."""
    rows = rows_of(request)[:MAX_ROWS]
    return _page("discussions.html", **_frame(request, "discussions", "main"), rows=rows)


def discussion(request: HubRequest) -> Response:
    """GET /P R/discussions/{n}."""
    row = numbered(request)
    frame = _frame(request, "discussions", f"refs/pr/{row['number']}" if row["pull"] else "main")
    return _page("discussion.html", **frame, row=row, events=events_of(row))


def collection(request: HubRequest) -> Response:
    """GET /collections/{ns}/{slug}."""
    row = visible_collection(
        request.store, f"{request.params['ns']}/{request.params['slug']}", request.identity
    )
    items = [
        {**item, "path": identifiers.URL_PREFIX[str(item["type"])] + str(item["id"])}
        for item in visible_items(request.store, row, request.identity)
    ]
    return _page("collection.html", title=row["title"], collection=row, items=items)
