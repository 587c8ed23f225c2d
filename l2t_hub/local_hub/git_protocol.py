"""The answer to `git clone`, `git fetch` and `git push`: the local Hub stores repos, but it is not a git server."""

from starlette.responses import Response

from l2t_hub.local_hub.hub_request import HubRequest


def refuse(request: HubRequest) -> Response:
    """GET /P R[.git]/info/refs and POST git-upload-pack, git-receive-pack: how to get the files instead.

    git prints a plain-text body. A 401 would make it ask for a password, so the answer needs no token and is the same
    for repos that do not exist.
    """
    kind = (request.params.get("kind") or "models").removesuffix("s")
    repo = f"{request.params['ns']}/{request.params['name']}"
    text = (
        "The rehearsal Hub does not serve git. Use `hf download` to get the files and `hf upload` to send files:\n"
        f"  HF_ENDPOINT={request.base} hf download {repo} --type {kind} --local-dir {request.params['name']}\n"
    )
    return Response(text, status_code=403, media_type="text/plain")
