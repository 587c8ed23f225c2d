"""The read-only pages: what a release will look like to a person who opens it in a browser.

Every value reaches a page through Jinja's escaping; only a card's Markdown, rendered without any HTML of its own, is
inserted as it is. The Content-Security-Policy allows one style sheet and pictures from this Hub, and nothing else.
"""

from importlib.resources import files as package_files
from typing import Any

from jinja2 import Environment, PackageLoader
from markupsafe import Markup
from starlette.responses import Response

from l2t_hub.local_hub import identifiers as names
from l2t_hub.local_hub.auth import TokenIdentity
from l2t_hub.local_hub.card_metadata import CardError, card_tags, parse_metadata, split_card
from l2t_hub.local_hub.discussions import events_of, numbered, rows_of
from l2t_hub.local_hub.file_content import read_text
from l2t_hub.local_hub.http_errors import HubError, entry_missing
from l2t_hub.local_hub.hub_collections import visible_collection, visible_items
from l2t_hub.local_hub.hub_request import ROOT, Hub, HubRequest, Repo, quoted
from l2t_hub.local_hub.markdown_html import render_markdown, size_text
from l2t_hub.local_hub.repo_files import Lister, content_type
from l2t_hub.local_hub.repos import visible_repos

MAX_PREVIEW_BYTES = 200_000
MAX_ROWS = 1000
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
_templates = Environment(
    loader=PackageLoader("l2t_hub.local_hub"), autoescape=True, trim_blocks=True, lstrip_blocks=True
)
_templates.globals |= {"root": ROOT, "kinds": names.KINDS}
_templates.filters |= {
    "size": size_text,
    "url": quoted,
    "when": lambda date: str(date)[:16].replace("T", " "),
}


def _page(template: str, **values: Any) -> Response:
    return Response(_templates.get_template(template).render(**values), headers=SAFE, media_type="text/html")


def problem_page(problem: HubError, who: TokenIdentity | None) -> Response:
    """An error as a page. Without a token a missing repo may be a private one: the browser is asked for a token."""
    status, headers = problem.status, dict(problem.headers)
    if who is None and (problem.code == "RepoNotFound" or status == 401):
        status, headers["WWW-Authenticate"] = (
            401,
            'Basic realm="rehearsal Hub: any user name, a token as password"',
        )
    page = _page("problem.html", title=str(status), status=status, message=problem.message)
    page.status_code = status
    page.headers.update(headers)
    return page


def style(call: HubRequest) -> Response:
    """GET /static/style.css."""
    sheet = package_files("l2t_hub.local_hub").joinpath("static", "style.css").read_bytes()
    return Response(sheet, headers={"X-Content-Type-Options": "nosniff"}, media_type="text/css")


def index(call: HubRequest) -> Response:
    """GET / and /{ns}: the repos and collections one may see, all or of one namespace."""
    owner = call.params.get("ns")
    store = call.hub.store
    shelves = {}
    for kind in names.KINDS:
        repos = [repo for repo in visible_repos(store, kind, call.who) if owner in (None, repo.namespace)]
        shelves[kind] = [(repo, _head(call.hub, repo)) for repo in repos[:MAX_ROWS]]
    rows = store.rows("SELECT * FROM collections ORDER BY updated DESC")
    seen = [row for row in rows if not row["private"] or (call.who and call.who.may_read_private)]
    collections = [row for row in seen if owner in (None, row["owner"])]
    if owner and not collections and not any(shelves.values()):
        raise HubError(404, f"Nothing is published under {owner[:96]}", "RepoNotFound")
    return _page(
        "index.html", title=owner or "Rehearsal Hub", owner=owner, shelves=shelves, collections=collections
    )


def _head(hub: Hub, repo: Repo) -> Any:
    return hub.history.commit(repo.id, hub.history.resolve(repo.id, "main"))


def _frame(call: HubRequest, tab: str, rev: str) -> dict[str, Any]:
    """What every page of a repo shows above its content."""
    return {
        "repo": call.repo,
        "tab": tab,
        "rev": rev,
        "title": f"{call.repo.full_name}: {tab}",
        "base": call.base,
    }


def card(call: HubRequest) -> Response:
    """GET /P R: the card, and the facts beside it."""
    hub, repo = call.hub, call.repo
    commit = hub.history.resolve(repo.id, "main")
    tree = hub.history.tree(repo.id, commit)
    text = read_text(hub, tree.get("README.md"), hub.limits.card_bytes) or ""
    front, body = split_card(text)
    try:
        metadata, complaint = parse_metadata(front), None
    except CardError as error:
        metadata, complaint = {}, f"The metadata of this card do not parse: {error}"
    home = f"{ROOT}/{quoted(repo.path)}"
    rendered = render_markdown(body, f"{home}/blob/main", f"{home}/resolve/{commit}")
    facts = {
        "head": hub.history.commit(repo.id, commit),
        "tags": card_tags(metadata),
        "files": len(tree),
        "size": sum(entry.size for entry in tree.values()),
        "version_tags": hub.history.refs(repo.id, "refs/tags/"),
        "configs": _configs(metadata),
        "scores": _scores(metadata),
    }
    frame = _frame(call, "card", "main")
    return _page("card.html", **frame, card=Markup(rendered), complaint=complaint, **facts)


def _configs(metadata: dict[str, Any]) -> list[tuple[str, bool]]:
    found = metadata.get("configs")
    rows = [row for row in found if isinstance(row, dict)] if isinstance(found, list) else []
    return [(str(row.get("config_name")), row.get("default") is True) for row in rows]


def _scores(metadata: dict[str, Any]) -> list[tuple[str, str, str]]:
    """(what was measured, metric, value) of every result in a card's `model-index`; odd shapes are left out."""
    found: list[tuple[str, str, str]] = []
    for model in _mappings(metadata.get("model-index")):
        for result in _mappings(model.get("results")):
            data = result.get("dataset")
            what = str(data.get("name", data.get("type", ""))) if isinstance(data, dict) else ""
            for metric in _mappings(result.get("metrics")):
                found.append(
                    (what, str(metric.get("name", metric.get("type", ""))), str(metric.get("value", "")))
                )
    return found[:100]


def _mappings(value: object) -> list[dict[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def tree(call: HubRequest) -> Response:
    """GET /P R/tree/{rev}[/path]: a folder's files with size, storage and last commit."""
    rev = call.params["rev"]
    commit = call.hub.history.resolve(call.repo.id, rev)
    folder = names.folder_path(call.params["path"])
    lister = Lister(call, commit, expand=True)
    paths = lister.below(folder, recursive=False)
    if folder and not paths:
        raise entry_missing(folder, commit)
    nodes = sorted(
        (node for p in paths if (node := lister.node(p))), key=lambda n: (n["type"] == "file", n["path"])
    )
    return _page(
        "tree.html", **_frame(call, "files", rev), folder=folder, nodes=nodes[:MAX_ROWS], count=len(nodes)
    )


def blob(call: HubRequest) -> Response:
    """GET /P R/blob/{rev}/{path}: a text or picture to look at, anything else to download."""
    rev, path = call.params["rev"], names.repo_path(call.params["path"])
    commit = call.hub.history.resolve(call.repo.id, rev)
    entry = call.hub.history.tree(call.repo.id, commit).get(path)
    if entry is None:
        raise entry_missing(path, commit)
    kind = content_type(path)
    text = read_text(call.hub, entry, MAX_PREVIEW_BYTES) if not kind.startswith("image/") else None
    if text is not None and "\0" in text:
        text = None
    picture = kind.startswith("image/")
    frame = _frame(call, "files", rev)
    return _page("blob.html", **frame, path=path, entry=entry, text=text, picture=picture, commit=commit)


def commits(call: HubRequest) -> Response:
    """GET /P R/commits/{rev}."""
    rev = call.params["rev"]
    log = list(call.hub.history.log(call.repo.id, call.hub.history.resolve(call.repo.id, rev)))
    return _page("commits.html", **_frame(call, "commits", rev), log=log[:MAX_ROWS], count=len(log))


def commit(call: HubRequest) -> Response:
    """GET /P R/commit/{id}: which files it changed."""
    history, repo = call.hub.history, call.repo.id
    found = history.commit(repo, history.resolve(repo, call.params["rev"]))
    changed = history.changes(repo, found.id)
    rows = list(changed.items())[:MAX_ROWS]
    return _page(
        "commit.html", **_frame(call, "commits", found.id), commit=found, rows=rows, count=len(changed)
    )


def discussions(call: HubRequest) -> Response:
    """GET /P R/discussions."""
    rows = rows_of(call)[:MAX_ROWS]
    return _page("discussions.html", **_frame(call, "discussions", "main"), rows=rows)


def discussion(call: HubRequest) -> Response:
    """GET /P R/discussions/{n}."""
    row = numbered(call)
    frame = _frame(call, "discussions", f"refs/pr/{row['number']}" if row["pull"] else "main")
    return _page("discussion.html", **frame, row=row, events=events_of(row))


def collection(call: HubRequest) -> Response:
    """GET /collections/{ns}/{slug}."""
    row = visible_collection(call.hub.store, f"{call.params['ns']}/{call.params['slug']}", call.who)
    items = [
        {**item, "path": names.URL_PREFIX[str(item["type"])] + str(item["id"])}
        for item in visible_items(call.hub.store, row, call.who)
    ]
    return _page("collection.html", title=row["title"], collection=row, items=items)
