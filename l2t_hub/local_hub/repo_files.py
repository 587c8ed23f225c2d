"""List the files and folders of a revision, and download files."""

import mimetypes
from collections.abc import Iterable, Mapping
from urllib.parse import quote

from starlette.responses import JSONResponse, Response

from l2t_hub.local_hub import identifiers
from l2t_hub.local_hub.file_content import reader_of
from l2t_hub.local_hub.git_objects import TreeEntry, pointer
from l2t_hub.local_hub.history import Commit, Tree
from l2t_hub.local_hub.http_errors import HubError, entry_not_found
from l2t_hub.local_hub.hub_request import HubRequest, byte_range, content_response
from l2t_hub.local_hub.xet_files import xet_file_of

PAGE = 1000
EXPANDED_PAGE = 50
MAX_PATHS = 1000
_IMAGES = ("image/png", "image/jpeg", "image/gif", "image/webp", "image/svg+xml")
# Files are uploads: a browser must not run them as pages of this origin.
HARMLESS = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; sandbox",
}


class TreeLister:
    """Builds the nodes of one commit that tree and paths-info return."""

    def __init__(self, request: HubRequest, commit: str, *, expand: bool) -> None:
        self._request = request
        self._repo = request.repo.id
        self._expand = expand
        self.tree: Tree = request.history.tree(self._repo, commit)
        self._folders: Mapping[str, str] = request.history.folders(self._repo, commit)
        self._commits: dict[str, Commit] = {}

    def node(self, path: str) -> dict[str, object] | None:
        """Return the file or folder at `path`, None if there is none."""
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
                node["lastCommit"] = self._last_commit(
                    max((self._commit(c) for c in below), key=lambda c: (c.date, c.id))
                )
            return node
        return None

    def _file(self, path: str, entry: TreeEntry) -> dict[str, object]:
        node: dict[str, object] = {"type": "file", "oid": entry.oid, "size": entry.size, "path": path}
        if entry.lfs:
            size = len(pointer(entry.sha256, entry.size))
            node["lfs"] = {"oid": entry.sha256, "size": entry.size, "pointerSize": size}
            xet = xet_file_of(self._request.store, entry.sha256)
            if xet:
                node["xetHash"] = xet.digest
        if self._expand:
            node["lastCommit"] = self._last_commit(self._commit(entry.commit))
            node["securityFileStatus"] = None
        return node

    def _commit(self, commit: str) -> Commit:
        if commit not in self._commits:
            self._commits[commit] = self._request.history.commit(self._repo, commit)
        return self._commits[commit]

    @staticmethod
    def _last_commit(commit: Commit) -> dict[str, str]:
        return {"id": commit.id, "title": commit.title, "date": commit.date}

    def below(self, folder: str, *, recursive: bool) -> list[str]:
        """Return the sorted paths of the files and folders in a folder; with `recursive` at any depth."""
        prefix = folder + "/" if folder else ""
        paths: Iterable[str] = (p for p in (*self.tree, *self._folders) if p and p.startswith(prefix))
        if not recursive:
            paths = (p for p in paths if "/" not in p[len(prefix) :])
        return sorted(paths)


def tree(request: HubRequest) -> Response:
    """GET /api/T/R/tree/{rev}[/path] ?recursive, expand, limit, cursor: a page of nodes. 404 for a missing folder."""
    commit = request.commit_id()
    folder = identifiers.folder_path(request.params["path"])
    lister = TreeLister(request, commit, expand=request.flag("expand"))
    paths = lister.below(folder, recursive=request.flag("recursive"))
    if folder and not paths:
        raise entry_not_found(folder, commit)
    maximum = EXPANDED_PAGE if request.flag("expand") else PAGE
    limit = request.number("limit", maximum, maximum, minimum=1)
    after = request.query("cursor")
    if after is not None:
        paths = [path for path in paths if path > after]
    nodes = [node for path in paths[:limit] if (node := lister.node(path))]
    return request.page(list(nodes), {"cursor": paths[limit - 1]} if len(paths) > limit else None)


def paths_info(request: HubRequest) -> Response:
    """POST /api/T/R/paths-info/{rev}, `paths` and `expand` as form or JSON. Missing paths are left out."""
    commit = request.commit_id()
    paths, expand = _requested_paths(request)
    if len(paths) > MAX_PATHS:
        raise HubError(413, f"At most {MAX_PATHS} paths are allowed in one request.")
    lister = TreeLister(request, commit, expand=expand)
    nodes = (lister.node(identifiers.folder_path(path)) for path in dict.fromkeys(paths))
    return JSONResponse([node for node in nodes if node])


def _requested_paths(request: HubRequest) -> tuple[list[str], bool]:
    if request.http.headers.get("content-type", "").startswith("application/json"):
        body = request.json()
        paths = body.get("paths", [])
        if not isinstance(paths, list) or not all(isinstance(path, str) for path in paths):
            raise HubError(400, "paths must be a list of strings.")
        return paths, body.get("expand") is True
    fields = request.form()
    return fields.get("paths", []), fields.get("expand", [""])[-1].lower() in ("1", "true")


def resolve(request: HubRequest) -> Response:
    """GET and HEAD /P R/resolve/{rev}/{path}: the content, with the headers that clients cache it by."""
    commit = request.commit_id()
    path = identifiers.file_path(request.params["path"])
    entry = request.history.tree(request.repo.id, commit).get(path)
    if entry is None:
        raise entry_not_found(path, commit)
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
        xet = xet_file_of(request.store, entry.sha256)
        if xet:
            repo = f"{request.repo.kind}s/{request.repo.full_name}"
            token_url = f"{request.base}/api/{repo}/xet-read-token/{commit}"
            headers |= {"X-Xet-Hash": xet.digest, "Link": f'<{token_url}>; rel="xet-auth"'}
    part = byte_range(request.http.headers.get("range"), entry.size)
    return content_response(request, entry.size, reader_of(request.store, entry), headers, part)


def content_type(path: str) -> str:
    """Return the media type of a file: that of an image, plain text, or bytes, but never HTML."""
    guess, encoding = mimetypes.guess_type(path, strict=False)
    if encoding is None and guess in _IMAGES:
        return guess
    if (
        encoding is None
        and guess
        and (guess.startswith("text/") or guess in ("application/json", "application/yaml"))
    ):
        return "text/plain; charset=utf-8"
    return "application/octet-stream"
