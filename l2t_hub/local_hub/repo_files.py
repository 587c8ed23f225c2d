"""Listing a revision's files and folders, and downloading them."""

import mimetypes
from collections.abc import Iterable, Mapping
from urllib.parse import quote

from starlette.responses import JSONResponse, Response

from l2t_hub.local_hub import identifiers as names
from l2t_hub.local_hub.file_content import reader_of
from l2t_hub.local_hub.git_objects import TreeEntry, pointer
from l2t_hub.local_hub.history import Commit, Tree
from l2t_hub.local_hub.http_errors import HubError, entry_missing
from l2t_hub.local_hub.hub_request import HubRequest, content_response
from l2t_hub.local_hub.xet_files import xet_file_of

PAGE = 1000
EXPANDED_PAGE = 50
MAX_PATHS = 1000
_PICTURES = ("image/png", "image/jpeg", "image/gif", "image/webp", "image/svg+xml")
# What a repo holds is somebody's upload: a browser must never run it as a page of this origin.
HARMLESS = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; sandbox",
}


class Lister:
    """Makes the nodes that tree and paths-info answer with, for one commit."""

    def __init__(self, call: HubRequest, commit: str, *, expand: bool) -> None:
        self._call = call
        self._repo = call.repo.id
        self._expand = expand
        self.tree: Tree = call.hub.history.tree(self._repo, commit)
        self._folders: Mapping[str, str] = call.hub.history.folders(self._repo, commit)
        self._commits: dict[str, Commit] = {}

    def node(self, path: str) -> dict[str, object] | None:
        """The file or folder at `path`, None if there is none."""
        entry = self.tree.get(path)
        if entry is not None:
            return self._file(path, entry)
        if path and path in self._folders:
            node: dict[str, object] = {
                "type": "directory",
                "oid": self._folders[path],
                "size": 0,
                "path": path,
            }
            if self._expand:
                below = {e.commit for p, e in self.tree.items() if p.startswith(path + "/")}
                node["lastCommit"] = self._told(
                    max((self._commit(c) for c in below), key=lambda c: (c.date, c.id))
                )
            return node
        return None

    def _file(self, path: str, entry: TreeEntry) -> dict[str, object]:
        node: dict[str, object] = {"type": "file", "oid": entry.oid, "size": entry.size, "path": path}
        if entry.lfs:
            size = len(pointer(entry.sha256, entry.size))
            node["lfs"] = {"oid": entry.sha256, "size": entry.size, "pointerSize": size}
            xet = xet_file_of(self._call.hub.store, entry.sha256)
            if xet:
                node["xetHash"] = xet.digest
        if self._expand:
            node["lastCommit"] = self._told(self._commit(entry.commit))
            node["securityFileStatus"] = None
        return node

    def _commit(self, commit: str) -> Commit:
        if commit not in self._commits:
            self._commits[commit] = self._call.hub.history.commit(self._repo, commit)
        return self._commits[commit]

    @staticmethod
    def _told(commit: Commit) -> dict[str, str]:
        return {"id": commit.id, "title": commit.title, "date": commit.date}

    def below(self, folder: str, *, recursive: bool) -> list[str]:
        """The paths in a folder, sub-folders included, in order; with `recursive` at any depth."""
        start = folder + "/" if folder else ""
        every: Iterable[str] = (p for p in (*self.tree, *self._folders) if p and p.startswith(start))
        if not recursive:
            every = (p for p in every if "/" not in p[len(start) :])
        return sorted(every)


def tree(call: HubRequest) -> Response:
    """GET /api/T/R/tree/{rev}[/path] ?recursive, expand, limit, cursor: a page of nodes; 404 for no such folder."""
    commit = call.hub.history.resolve(call.repo.id, call.params["rev"])
    folder = names.folder_path(call.params["path"])
    lister = Lister(call, commit, expand=call.flag("expand"))
    paths = lister.below(folder, recursive=call.flag("recursive"))
    if folder and not paths:
        raise entry_missing(folder, commit)
    most = EXPANDED_PAGE if call.flag("expand") else PAGE
    limit = max(1, call.number("limit", most, most))
    after = call.query("cursor")
    if after is not None:
        paths = [path for path in paths if path > after]
    nodes = [node for path in paths[:limit] if (node := lister.node(path))]
    return call.page(list(nodes), {"cursor": paths[limit - 1]} if len(paths) > limit else None)


def paths_info(call: HubRequest) -> Response:
    """POST /api/T/R/paths-info/{rev} with form fields (or JSON) `paths` and `expand`; missing paths are left out."""
    commit = call.hub.history.resolve(call.repo.id, call.params["rev"])
    paths, expand = _asked_paths(call)
    if len(paths) > MAX_PATHS:
        raise HubError(413, f"At most {MAX_PATHS} paths at a time")
    lister = Lister(call, commit, expand=expand)
    nodes = (lister.node(names.folder_path(path)) for path in dict.fromkeys(paths))
    return JSONResponse([node for node in nodes if node])


def _asked_paths(call: HubRequest) -> tuple[list[str], bool]:
    if call.request.headers.get("content-type", "").startswith("application/json"):
        body = call.json()
        paths = body.get("paths", [])
        if not isinstance(paths, list) or not all(isinstance(path, str) for path in paths):
            raise HubError(400, "paths must be a list of strings")
        return paths, body.get("expand") is True
    fields = call.form()
    return fields.get("paths", []), fields.get("expand", [""])[-1].lower() in ("1", "true")


def resolve(call: HubRequest) -> Response:
    """GET and HEAD /P R/resolve/{rev}/{path}: the content, with everything a client needs to cache it by."""
    commit = call.hub.history.resolve(call.repo.id, call.params["rev"])
    path = names.repo_path(call.params["path"])
    entry = call.hub.history.tree(call.repo.id, commit).get(path)
    if entry is None:
        raise entry_missing(path, commit)
    headers = {
        **HARMLESS,
        "X-Repo-Commit": commit,
        "ETag": f'"{entry.sha256 if entry.lfs else entry.oid}"',
        "Content-Type": content_type(path),
        "Content-Disposition": f"inline; filename*=UTF-8''{quote(path.rpartition('/')[2], safe='')}",
        "Cache-Control": "no-cache",
    }
    if entry.lfs:
        headers |= {"X-Linked-Etag": f'"{entry.sha256}"', "X-Linked-Size": str(entry.size)}
        xet = xet_file_of(call.hub.store, entry.sha256)
        if xet:
            route = f"{call.base}/api/{call.repo.kind}s/{call.repo.full_name}/xet-read-token/{commit}"
            headers |= {"X-Xet-Hash": xet.digest, "Link": f'<{route}>; rel="xet-auth"'}
    return content_response(call, entry.size, reader_of(call.hub.store, entry), headers)


def content_type(path: str) -> str:
    """Pictures as what they are (a card shows them), text as plain text, all else as bytes: never HTML."""
    guess, encoding = mimetypes.guess_type(path, strict=False)
    if encoding is None and guess in _PICTURES:
        return guess
    if (
        encoding is None
        and guess
        and (guess.startswith("text/") or guess in ("application/json", "application/yaml"))
    ):
        return "text/plain; charset=utf-8"
    return "application/octet-stream"
