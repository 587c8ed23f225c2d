"""What to tell a user when a Hub call has failed for good: one sentence, and what to do about it."""

import re

from l2t_hub.artifacts import NO_ROOM
from l2t_hub.errors import UserError
from l2t_hub.hub.retry import (
    causes,
    describe_error,
    first_line,
    is_connection_error,
    is_offline,
    server_message,
    status_of,
    without_secrets,
)

DISK_FULL = 507
LOG_IN = "Log in with `hf auth login`, or set HF_TOKEN."
PRIVATE_REPO = "For a private repo, log in with `hf auth login` or set HF_TOKEN."
_WAIT = "Wait a few minutes."
_OTHERS = "Make sure that no other process writes to the repo."
# Status -> what happened ({hub} and the server's own words are filled in), and the remedy.
_BY_STATUS: dict[int, tuple[str, str]] = {
    401: ("{hub} rejected the token: it is invalid or has expired", LOG_IN),
    402: ("{hub} asks for payment{detail}", "Add credits or a plan to the account that pays."),
    403: ("{hub} denied access{detail}", "Use a token that has {access} access to this repo."),
    404: (
        "{hub} has no such repo, revision or file{detail}",
        f"Check the name. {PRIVATE_REPO}",
    ),
    409: ("{hub} reported a conflict with another change{detail}", _OTHERS),
    412: ("the repo on {hub} changed in the meantime", _OTHERS),
    413: ("{hub} rejected a request as too large{detail}", "Split files that exceed the Hub's size limit."),
    429: ("{hub} is rate-limiting requests{detail}", _WAIT),
    DISK_FULL: ("{hub} has no storage space left{detail}", "Free some space there or raise the quota."),
}
_SERVER_ERROR = ("{hub} failed with status {status}{detail}", _WAIT)
_OTHER_STATUS = ("{hub} refused the request with status {status}{detail}", "Check the arguments.")


def explain(error: BaseException, hub: str, access: str = "read") -> tuple[str, str]:
    """Return what went wrong at `hub` as one sentence, and the remedy as another, '' if none is known.

    `access` is the kind of token access the command needs, 'read' or 'write'.
    """
    status = status_of(error)
    if status is not None:
        other = _SERVER_ERROR if status >= 500 else _OTHER_STATUS
        message, remedy = _BY_STATUS.get(status, other)
        detail = server_message(error)
        return message.format(hub=hub, status=status, detail=detail), remedy.format(access=access)
    chain = causes(error)
    if room := next((reason for cause in chain if (reason := _no_room(cause))), None):
        return f"{room} on this machine", "Free some space."
    if any("Offline" in type(cause).__name__ for cause in chain):
        return "HF_HUB_OFFLINE is set, so the Hub cannot be reached", "Unset HF_HUB_OFFLINE."
    if is_offline(error):
        return (
            f"{hub} cannot be reached from this machine ({first_line(error)})",
            "Check your network connection.",
        )
    if any(isinstance(cause, TimeoutError) or "Timeout" in type(cause).__name__ for cause in chain):
        return f"{hub} did not respond in time", "Check your network connection."
    if any(is_connection_error(cause) for cause in chain):
        reason = without_secrets(first_line(error))
        return f"the connection to {hub} failed ({reason})", "Check the URL and your network connection."
    if isinstance(error, OSError) and error.filename:
        return f"{error.filename}: {error.strerror}", "Check that the file is accessible."
    return describe_error(error), ""


def _no_room(error: BaseException) -> str | None:
    """Return why a local write found no room, None for other errors. hf_xet reports it in the text only."""
    code = getattr(error, "errno", None)
    if code is None and (match := re.search(r"\(os error (\d+)\)", str(error))):
        code = int(match[1])
    return NO_ROOM.get(code) if isinstance(code, int) else None


def hub_error(error: Exception, what: str, hub: str) -> UserError:
    """Return a failure to read from `hub` as a UserError; `what` says which repo and step failed."""
    message, remedy = explain(error, hub)
    hint = f"{remedy} Then rerun the command." if remedy else "Rerun it. If it fails again, report a bug."
    return UserError(f"{what}: {message}", hint)
