"""Jobs: kept as they were submitted, and not run. Of their secrets only the names are kept."""

from uuid import uuid4

from starlette.responses import JSONResponse, Response

from l2t_hub.local_hub.history import now
from l2t_hub.local_hub.http_errors import HubError
from l2t_hub.local_hub.hub_request import HubRequest, text_field

MAX_JOBS = 1000
MAX_WORDS = 1000
_KEPT = (
    "dockerImage",
    "spaceId",
    "flavor",
    "timeoutSeconds",
    "environment",
    "labels",
    "attempts",
    "arguments",
)


def run(request: HubRequest) -> Response:
    """POST /api/jobs/{ns} with the specification of a Job."""
    body = request.json()
    command = body.get("command")
    if not isinstance(command, list) or not 0 < len(command) <= MAX_WORDS:
        raise HubError(400, "command must be a list of words.")
    if not all(isinstance(word, str) for word in command):
        raise HubError(400, "command must be a list of words.")
    if not text_field(body, "dockerImage") and not text_field(body, "spaceId"):
        raise HubError(400, "A Job needs a dockerImage or a spaceId.")
    secrets = body.get("secrets") or {}
    if not isinstance(secrets, dict):
        raise HubError(400, "secrets must be an object.")
    jobs = request.hub.jobs
    if len(jobs) >= MAX_JOBS:
        raise HubError(429, "This rehearsal Hub keeps no more Jobs.")
    owner = request.params["ns"]
    job = {name: body[name] for name in _KEPT if name in body} | {
        "id": uuid4().hex[:24],
        "createdAt": now(),
        "owner": {"id": owner, "name": owner, "type": "user"},
        "command": command,
        "secrets": dict.fromkeys(map(str, secrets)),
        "status": {"stage": "SCHEDULING", "message": "This is a rehearsal: the Job is kept and not run."},
    }
    jobs[str(job["id"])] = job
    return JSONResponse(job)


def inspect(request: HubRequest) -> Response:
    """GET /api/jobs/{ns}/{id}."""
    job = request.hub.jobs.get(request.params["id"])
    if job is None or job["owner"] != {
        "id": request.params["ns"],
        "name": request.params["ns"],
        "type": "user",
    }:
        raise HubError(404, "There is no such Job.")
    return JSONResponse(job)
