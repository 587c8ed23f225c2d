"""The one exception every part of the embedded Hub raises for a bad request, and the codes clients look for.

The Hugging Face clients tell a missing repo from a missing file by the `X-Error-Code` header alone when the server
is on loopback, so the code travels with the exception from wherever the fault was found to the response.
"""

from collections.abc import Mapping


class HubError(Exception):
    """A request that cannot be served: HTTP `status`, a sentence for the user, and what the client reads.

    `code` becomes the `X-Error-Code` header, `fields` join the JSON body (`url` of a repo that exists already, `slug`
    of a collection), `headers` join the response's.
    """

    def __init__(
        self,
        status: int,
        message: str,
        code: str | None = None,
        headers: Mapping[str, str] | None = None,
        fields: Mapping[str, object] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.code = code
        self.headers = dict(headers or {})
        self.fields = dict(fields or {})


def repo_missing(name: str) -> HubError:
    """404 for a repo that is not there, or is private to the one who asks: the two must look the same."""
    return HubError(
        404, f"Repository {name} not found (or it is private and the token does not reach it)", "RepoNotFound"
    )


def revision_missing(revision: str) -> HubError:
    """404 for a branch, tag, pull request or commit that is not in the repo."""
    return HubError(404, f"Invalid rev id: {revision}", "RevisionNotFound")


def entry_missing(path: str, commit: str) -> HubError:
    """404 for a file or folder that is not in `commit`; clients need the commit to cache the absence."""
    return HubError(
        404, f"{path} does not exist on this revision", "EntryNotFound", {"X-Repo-Commit": commit}
    )
