"""HubError, raised for a request that the local Hub refuses, and the errors that clients recognise by a code.

On loopback, the Hugging Face clients tell a missing repo, revision and file apart by the `X-Error-Code` header alone,
so the code is part of the exception.
"""

from collections.abc import Mapping


class HubError(Exception):
    """A refused request: an HTTP status and a sentence for the user.

    `code` becomes the `X-Error-Code` header. `fields` join the JSON body (the `url` of a repo that exists already,
    the `slug` of a collection). `headers` join the headers of the response; nothing in them comes from `message`.
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


def repo_not_found(name: str) -> HubError:
    """Return a 404 for a repo that does not exist, or that the caller may not read: the two must look the same."""
    return HubError(
        404, f"Repository {name} not found, or it is private and the token cannot read it.", "RepoNotFound"
    )


def revision_not_found(revision: str) -> HubError:
    """Return a 404 for a branch, tag, pull request or commit that the repo does not have."""
    return HubError(404, f"Invalid rev id: {revision}", "RevisionNotFound")


def entry_not_found(path: str, commit: str) -> HubError:
    """Return a 404 for a file or folder that `commit` does not have. Clients cache the absence under the commit."""
    return HubError(
        404, f"{path} does not exist on this revision", "EntryNotFound", {"X-Repo-Commit": commit}
    )
