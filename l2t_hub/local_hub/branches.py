"""Branches, tags, and squashing the history of a branch."""

from starlette.responses import JSONResponse, Response

from l2t_hub.local_hub import identifiers
from l2t_hub.local_hub.history import MAIN
from l2t_hub.local_hub.http_errors import HubError, revision_not_found
from l2t_hub.local_hub.hub_request import HubRequest, text_field


def refs(request: HubRequest) -> Response:
    """GET /api/T/R/refs ?include_prs."""

    def listed(prefix: str) -> list[dict[str, str]]:
        targets = request.history.refs(request.repo.id, prefix)
        return [
            {"name": name, "ref": prefix + name, "targetCommit": target} for name, target in targets.items()
        ]

    answer: dict[str, object] = {
        "branches": listed("refs/heads/"),
        "converts": [],
        "tags": listed("refs/tags/"),
    }
    if request.flag("include_prs"):
        answer["pullRequests"] = [{**row, "name": f"refs/pr/{row['name']}"} for row in listed("refs/pr/")]
    return JSONResponse(answer)


def create_branch(request: HubRequest) -> Response:
    """POST /api/T/R/branch/{b} {startingPoint, emptyBranch, overwrite}. 409 if it exists."""
    body = request.json()
    branch = identifiers.ref_name(request.params["rev"], "branch")
    ref = f"refs/heads/{branch}"
    history, repo = request.history, request.repo.id
    with request.store.transaction():
        start = history.resolve(repo, text_field(body, "startingPoint") or "main")
        if history.ref_of(repo, ref) and body.get("overwrite") is not True:
            raise HubError(409, f"Reference already exists: {ref}")
        if body.get("emptyBranch") is True:
            *_, first = history.log(repo, start)
            start = first.id
        history.set_ref(repo, ref, start)
    return JSONResponse({"name": branch, "ref": ref, "targetCommit": start})


def delete_branch(request: HubRequest) -> Response:
    """DELETE /api/T/R/branch/{b}. `main` cannot be deleted."""
    ref = f"refs/heads/{identifiers.ref_name(request.params['rev'], 'branch')}"
    if ref == MAIN:
        raise HubError(403, "The branch main cannot be deleted.")
    return _delete(request, ref)


def create_tag(request: HubRequest) -> Response:
    """POST /api/T/R/tag/{rev} {tag, message}. 409 if it exists."""
    body = request.json()
    tag = identifiers.ref_name(body.get("tag"), "tag")
    ref = f"refs/tags/{tag}"
    history, repo = request.history, request.repo.id
    with request.store.transaction():
        target = request.commit_id()
        if history.ref_of(repo, ref):
            raise HubError(409, f"Tag already exists: {tag}")
        history.set_ref(repo, ref, target, text_field(body, "message") or None)
    return JSONResponse({"name": tag, "ref": ref, "targetCommit": target})


def delete_tag(request: HubRequest) -> Response:
    """DELETE /api/T/R/tag/{tag}."""
    return _delete(request, f"refs/tags/{identifiers.ref_name(request.params['rev'], 'tag')}")


def _delete(request: HubRequest, ref: str) -> Response:
    with request.store.transaction():
        if not request.history.ref_of(request.repo.id, ref):
            raise revision_not_found(ref)
        request.history.delete_ref(request.repo.id, ref)
    return JSONResponse({})


def super_squash(request: HubRequest) -> Response:
    """POST /api/T/R/super-squash/{b} {message}: replace the history of a branch by one commit of the same files."""
    message = identifiers.required_text(
        request.json().get("message") or "Super-squash", "The commit message", 500
    )
    ref = f"refs/heads/{identifiers.ref_name(request.params['rev'], 'branch')}"
    history, repo = request.history, request.repo.id
    with request.store.transaction():
        if not history.ref_of(repo, ref):
            raise revision_not_found(request.params["rev"])
        tree = history.tree(repo, history.resolve(repo, ref))
        history.set_ref(repo, ref, history.add_commit(repo, tree, {}, (), message, "", request.user))
    return JSONResponse({})
