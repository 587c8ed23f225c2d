"""Every endpoint of the local Hub in one table: method, path, who may call it, which handler serves it.

Paths are matched percent-encoded, as they were sent, because the slash in `refs%2Fpr%2F1` must not split it. Each
part is decoded afterwards. The access column is checked before any handler runs.
"""

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Literal
from urllib.parse import unquote

from starlette.responses import Response

from l2t_hub.local_hub import (
    branches,
    card_metadata,
    commits,
    discussions,
    git_protocol,
    hub_collections,
    jobs,
    lfs,
    pages,
    repo_files,
    repos,
    xet,
)
from l2t_hub.local_hub.http_errors import HubError
from l2t_hub.local_hub.hub_request import HubRequest
from l2t_hub.local_hub.identifiers import RESERVED

# anyone: the token is not looked at; open: no token is needed, and the handler shows what the caller may read;
# user: any token; write: a token that can write; repo-read, repo-write: the same for the repo in the path;
# signed: a URL that this Hub signed; xet-*: a token of the Xet store.
Access = Literal[
    "anyone", "open", "user", "write", "repo-read", "repo-write", "signed", "xet-read", "xet-write"
]
Handler = Callable[[HubRequest], Response] | Callable[[HubRequest], Awaitable[Response]]


@dataclass(frozen=True)
class Route:
    """One row. A handler that `streams` is a coroutine and reads the body itself; a `page` is for browsers."""

    method: str
    pattern: re.Pattern[str]
    template: str
    access: Access
    handler: Handler
    streams: bool = False
    page: bool = False

    def match(self, method: str, path: str) -> dict[str, str] | None:
        """Return the decoded parts of `path` if this route serves it, else None."""
        if method != self.method and not (method == "HEAD" and self.method == "GET"):
            return None
        match = self.pattern.fullmatch(path)
        return {key: _decoded(value or "") for key, value in match.groupdict().items()} if match else None

    def moved(self, path: str, repo: str) -> str:
        """Return `path`, which this route serves, with another repo `namespace/name` in it."""
        match = self.pattern.fullmatch(path)
        return path[: match.start("ns")] + repo + path[match.end("name") :] if match else path


def _decoded(text: str) -> str:
    try:
        return unquote(text, errors="strict")
    except UnicodeDecodeError:
        raise HubError(400, "The path is not UTF-8.") from None


_RESERVED = "|".join(sorted(RESERVED))
_PARTS = {
    "{kinds}": "(?P<kind>models|datasets|spaces)",
    "{home}": f"(?:(?P<kind>datasets|spaces)/)?(?!(?:{_RESERVED})/)(?P<ns>[^/]+)/(?P<name>[^/]+)",
    "{repo}": "(?P<kind>models|datasets|spaces)/(?P<ns>[^/]+)/(?P<name>[^/]+)",
}


def _compiled(template: str) -> re.Pattern[str]:
    text = template.replace(".", r"\.")
    for part, pattern in _PARTS.items():
        text = text.replace(part, pattern)
    text = re.sub(r"\{(\w+)\*\}", r"(?:/(?P<\1>.*))?", text)
    text = re.sub(r"\{(\w+):n\}", r"(?P<\1>[0-9]{1,15})", text)
    return re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", text))


def route(
    method: str, template: str, access: Access, handler: Handler, *, streams: bool = False, page: bool = False
) -> Route:
    """Return a row. In `template`, `{x}` is one part of the path, `{x*}` the rest of it, `{x:n}` a number."""
    return Route(method, _compiled(template), template, access, handler, streams, page)


GIT_ENDPOINTS = (("GET", "info/refs"), ("POST", "git-upload-pack"), ("POST", "git-receive-pack"))
API: tuple[Route, ...] = (
    route("GET", "/api/whoami-v2", "user", repos.whoami),
    route("GET", "/api/agent-harnesses", "open", repos.agent_harnesses),
    route("POST", "/api/repos/create", "write", repos.create),
    route("DELETE", "/api/repos/delete", "write", repos.delete),
    route("POST", "/api/repos/move", "write", repos.move),
    route("POST", "/api/validate-yaml", "user", card_metadata.validate),
    route("GET", "/api/{kinds}", "open", repos.listing),
    route("GET", "/api/{repo}", "repo-read", repos.info),
    route("GET", "/api/{repo}/revision/{rev}", "repo-read", repos.info),
    route("PUT", "/api/{repo}/settings", "repo-write", repos.settings),
    route("GET", "/api/{repo}/auth-check", "repo-read", repos.auth_check),
    route("GET", "/api/{repo}/auth-check/write", "repo-write", repos.auth_check),
    route("GET", "/api/{repo}/runtime", "repo-read", repos.runtime),
    route("GET", "/api/{repo}/tree/{rev}{path*}", "repo-read", repo_files.tree),
    route("POST", "/api/{repo}/paths-info/{rev}", "repo-read", repo_files.paths_info),
    route("GET", "/api/{repo}/commits/{rev}", "repo-read", commits.log),
    route("GET", "/api/{repo}/refs", "repo-read", branches.refs),
    route("POST", "/api/{repo}/branch/{rev}", "repo-write", branches.create_branch),
    route("DELETE", "/api/{repo}/branch/{rev}", "repo-write", branches.delete_branch),
    route("POST", "/api/{repo}/tag/{rev}", "repo-write", branches.create_tag),
    route("DELETE", "/api/{repo}/tag/{rev}", "repo-write", branches.delete_tag),
    route("POST", "/api/{repo}/super-squash/{rev}", "repo-write", branches.super_squash),
    route("POST", "/api/{repo}/preupload/{rev}", "repo-write", commits.preupload),
    route("POST", "/api/{repo}/commit/{rev}", "repo-write", commits.commit, streams=True),
    route("GET", "/api/{repo}/discussions", "repo-read", discussions.listing),
    route("POST", "/api/{repo}/discussions", "repo-write", discussions.create),
    route("GET", "/api/{repo}/discussions/{number}", "repo-read", discussions.details),
    route("POST", "/api/{repo}/discussions/{number}/comment", "repo-write", discussions.comment),
    route("POST", "/api/{repo}/discussions/{number}/title", "repo-write", discussions.rename),
    route("POST", "/api/{repo}/discussions/{number}/status", "repo-write", discussions.change_status),
    route("POST", "/api/{repo}/discussions/{number}/merge", "repo-write", discussions.merge),
    route("POST", "/api/jobs/{ns}", "write", jobs.run),
    route("GET", "/api/jobs/{ns}/{id}", "user", jobs.inspect),
    route("GET", "/api/collections", "open", hub_collections.listing),
    route("POST", "/api/collections", "write", hub_collections.create),
    route("GET", "/api/collections/{ns}/{slug}", "open", hub_collections.get),
    route("PATCH", "/api/collections/{ns}/{slug}", "write", hub_collections.update),
    route("DELETE", "/api/collections/{ns}/{slug}", "write", hub_collections.delete),
    route("POST", "/api/collections/{ns}/{slug}/items", "write", hub_collections.add_item),
    route("PATCH", "/api/collections/{ns}/{slug}/items/{id}", "write", hub_collections.update_item),
    route("DELETE", "/api/collections/{ns}/{slug}/items/{id}", "write", hub_collections.delete_item),
    route("POST", "/{home}.git/info/lfs/objects/batch", "repo-write", lfs.batch),
    route("POST", "/{home}.git/info/lfs/objects/verify", "repo-write", lfs.verify),
    *(
        route(method, "/{home}" + suffix + path, "anyone", git_protocol.refuse)
        for method, path in GIT_ENDPOINTS
        for suffix in (".git/", "/")
    ),
    route("PUT", "/lfs/object/{oid}/{size:n}", "signed", lfs.put_object, streams=True),
    route("PUT", "/lfs/part/{oid}/{size:n}/{number:n}", "signed", lfs.put_part, streams=True),
    route("POST", "/lfs/complete/{oid}/{size:n}", "signed", lfs.complete),
    route("GET", "/api/{repo}/xet-read-token/{rev}", "repo-read", xet.read_token),
    route("GET", "/api/{repo}/xet-write-token/{rev}", "repo-write", xet.write_token),
    route("POST", "/xet/v1/xorbs/{prefix}/{hash}", "xet-write", xet.post_xorb, streams=True),
    route("POST", "/xet/v1/shards", "xet-write", xet.post_shard, streams=True),
    route("POST", "/xet/shards", "xet-write", xet.post_shard, streams=True),
    route("GET", "/xet/v1/reconstructions/{hash}", "xet-read", xet.reconstruction),
    route("GET", "/xet/xorb/{hash}/{start:n}/{end:n}", "signed", xet.get_xorb),
    route("GET", "/xet/v1/chunks{rest*}", "xet-read", xet.absent),
    route("POST", "/xet/v1/xorb-grants{rest*}", "xet-write", xet.absent),
    route("GET", "/xet/v2{rest*}", "xet-read", xet.absent),
    route("POST", "/xet/v2{rest*}", "xet-write", xet.absent),
    route("GET", "/{home}/resolve/{rev}{path*}", "repo-read", repo_files.resolve),
)

PAGES: tuple[Route, ...] = (
    route("GET", "/", "open", pages.index, page=True),
    route("GET", "/static/style.css", "open", pages.style, page=True),
    route("GET", "/{ns}", "open", pages.index, page=True),
    route("GET", "/collections/{ns}/{slug}", "open", pages.collection, page=True),
    route("GET", "/{home}", "repo-read", pages.card, page=True),
    route("GET", "/{home}/tree/{rev}{path*}", "repo-read", pages.tree, page=True),
    route("GET", "/{home}/blob/{rev}{path*}", "repo-read", pages.blob, page=True),
    route("GET", "/{home}/commits/{rev}", "repo-read", pages.commits, page=True),
    route("GET", "/{home}/commit/{rev}", "repo-read", pages.commit, page=True),
    route("GET", "/{home}/discussions", "repo-read", pages.discussions, page=True),
    route("GET", "/{home}/discussions/{number}", "repo-read", pages.discussion, page=True),
)
