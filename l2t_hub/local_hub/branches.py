"""Branches, tags and the squashing of a branch's history."""

from starlette.responses import JSONResponse, Response

from l2t_hub.local_hub import identifiers as names
from l2t_hub.local_hub.history import MAIN
from l2t_hub.local_hub.http_errors import HubError, revision_missing
from l2t_hub.local_hub.hub_request import HubRequest, text_field


def refs(call: HubRequest) -> Response:
    """GET /api/T/R/refs ?include_prs."""
    history, repo = call.hub.history, call.repo.id

    def told(prefix: str) -> list[dict[str, str]]:
        found = history.refs(repo, prefix).items()
        return [{"name": name, "ref": prefix + name, "targetCommit": target} for name, target in found]

    answer: dict[str, object] = {"branches": told("refs/heads/"), "converts": [], "tags": told("refs/tags/")}
    if call.flag("include_prs"):
        answer["pullRequests"] = [{**row, "name": f"refs/pr/{row['name']}"} for row in told("refs/pr/")]
    return JSONResponse(answer)


def create_branch(call: HubRequest) -> Response:
    """POST /api/T/R/branch/{b} {startingPoint, emptyBranch, overwrite}; 409 if it exists."""
    body = call.json()
    branch = names.ref_word(call.params["rev"], "branch")
    ref = f"refs/heads/{branch}"
    history, repo = call.hub.history, call.repo.id
    with call.hub.store.transaction():
        start = history.resolve(repo, text_field(body, "startingPoint") or "main")
        if history.ref_of(repo, ref) and body.get("overwrite") is not True:
            raise HubError(409, f"Reference already exists: {ref}")
        if body.get("emptyBranch") is True:
            *_, first = history.log(repo, start)
            start = first.id
        history.set_ref(repo, ref, start)
    return JSONResponse({"name": branch, "ref": ref, "targetCommit": start})


def delete_branch(call: HubRequest) -> Response:
    """DELETE /api/T/R/branch/{b}; `main` stays."""
    ref = f"refs/heads/{names.ref_word(call.params['rev'], 'branch')}"
    if ref == MAIN:
        raise HubError(403, "The main branch cannot be deleted")
    return _delete(call, ref)


def create_tag(call: HubRequest) -> Response:
    """POST /api/T/R/tag/{rev} {tag, message}; 409 if it exists."""
    body = call.json()
    tag = names.ref_word(body.get("tag"), "tag")
    ref = f"refs/tags/{tag}"
    history, repo = call.hub.history, call.repo.id
    with call.hub.store.transaction():
        target = history.resolve(repo, call.params["rev"])
        if history.ref_of(repo, ref):
            raise HubError(409, f"Tag reference exists already: {tag}")
        history.set_ref(repo, ref, target, text_field(body, "message") or None)
    return JSONResponse({"name": tag, "ref": ref, "targetCommit": target})


def delete_tag(call: HubRequest) -> Response:
    """DELETE /api/T/R/tag/{tag}."""
    return _delete(call, f"refs/tags/{names.ref_word(call.params['rev'], 'tag')}")


def _delete(call: HubRequest, ref: str) -> Response:
    with call.hub.store.transaction():
        if not call.hub.history.ref_of(call.repo.id, ref):
            raise revision_missing(ref)
        call.hub.history.delete_ref(call.repo.id, ref)
    return JSONResponse({})


def super_squash(call: HubRequest) -> Response:
    """POST /api/T/R/super-squash/{b} {message}: the branch becomes one commit, its files unchanged."""
    message = names.line_of_text(call.json().get("message") or "Super-squash", "A message", 500)
    ref = f"refs/heads/{names.ref_word(call.params['rev'], 'branch')}"
    history, repo = call.hub.history, call.repo.id
    with call.hub.store.transaction():
        if not history.ref_of(repo, ref):
            raise revision_missing(call.params["rev"])
        tree = history.tree(repo, history.resolve(repo, ref))
        history.set_ref(repo, ref, history.add_commit(repo, tree, {}, (), message, "", call.user))
    return JSONResponse({})
