"""One repo on a Hub: the only part of a release that talks to it.

Nothing here decides what a release is. Each method answers one question about the repo or makes one change to it,
retried after transient failures, and each change first checks whether it has been made already.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from l2t_hub.errors import UserError
from l2t_hub.hub.endpoint import Endpoint
from l2t_hub.hub.retry import RetryPolicy, Say, retrying, status_of
from l2t_hub.publish.stage import ATTRIBUTES, StagedFile, StagedRelease
from l2t_hub.text import counted

if TYPE_CHECKING:
    from huggingface_hub import Discussion

T = TypeVar("T")
MAIN = "main"


@dataclass(frozen=True)
class RemoteFile:
    """A file as the Hub lists it. `sha256` is None unless the file is in large-file storage (LFS or Xet).

    For other files `git_hash` is git's SHA-1 of the content.
    """

    path: str
    size: int
    sha256: str | None
    git_hash: str

    def holds(self, file: StagedFile) -> bool:
        """Whether this file has the size and hash of the staged one."""
        same = self.sha256 == file.sha256 if self.sha256 else self.git_hash == file.git_hash
        return same and self.size == file.size


Tree = Mapping[str, RemoteFile]
"""The files of a revision by path."""


@dataclass(frozen=True)
class TreeDifference:
    """What turns a tree on the Hub into the staged release: files to send, and paths to delete."""

    missing: tuple[StagedFile, ...]
    gone: tuple[str, ...]

    def __bool__(self) -> bool:
        return bool(self.missing or self.gone)


def difference(staged: StagedRelease, tree: Tree) -> TreeDifference:
    """Return what has to change in `tree`. The Hub's own `.gitattributes` stays."""
    missing = tuple(f for f in staged.files if f.path not in tree or not tree[f.path].holds(f))
    paths = set(staged.paths())
    gone = tuple(sorted(path for path in tree if path not in paths and path != ATTRIBUTES))
    return TreeDifference(missing, gone)


class RemoteRepo:
    """The repo `repo_id` (ORG/NAME) on the Hub at `endpoint`. `kind` is model, dataset or space.

    `say` receives a line for every retry. After `sign_in`, `user` is the name of the token's owner.
    """

    def __init__(self, endpoint: Endpoint, kind: str, repo_id: str, policy: RetryPolicy, say: Say) -> None:
        from huggingface_hub import HfApi

        self.endpoint = endpoint
        self.kind = kind
        self.repo_id = repo_id
        self.policy = policy
        self.say = say
        self.user = ""
        self.api: HfApi = HfApi(endpoint=endpoint.url, token=endpoint.token or False)

    @property
    def url(self) -> str:
        """The repo's page."""
        return self.endpoint.repo_url(self.kind, self.repo_id)

    def retry(self, what: str, step: Callable[[], T]) -> T:
        """Return the result of `step`, retried after transient failures; `what` describes it in progress lines."""
        return retrying(step, what, self.policy, self.say)

    # -- account and repo ---------------------------------------------------------------------------------------

    def sign_in(self) -> None:
        """Look up the token's owner. Raises UserError if there is no token, or it is invalid or read-only."""
        hint = "Log in with `hf auth login`, or set HF_TOKEN to a token with write access."
        if not self.endpoint.token:
            raise UserError(f"no token for {self.endpoint.name}", hint)
        account = self.retry("signing in", lambda: self._whoami(hint))
        self.user = str(account.get("name"))
        auth = account.get("auth")
        token = auth.get("accessToken") if isinstance(auth, dict) else None
        role = token.get("role") if isinstance(token, dict) else None
        if role == "read":
            raise UserError(f"the token of {self.user} has only read access to {self.endpoint.name}", hint)

    def _whoami(self, hint: str) -> Mapping[str, object]:
        from huggingface_hub.errors import HfHubHTTPError

        try:
            account: Mapping[str, object] = self.api.whoami()
            return account
        except HfHubHTTPError as error:
            if status_of(error) in (401, 403):
                raise UserError(
                    f"{self.endpoint.name} rejected the token: it is invalid or has expired", hint
                ) from None
            raise

    def is_private(self) -> bool | None:
        """Whether the repo is private; None if it does not exist."""
        from huggingface_hub.errors import RepositoryNotFoundError

        def look_up() -> bool | None:
            try:
                return bool(self.api.repo_info(self.repo_id, repo_type=self.kind).private)
            except RepositoryNotFoundError:
                return None

        return self.retry("looking up the repo", look_up)

    def create_if_missing(self, private: bool) -> None:
        """Create the repo unless it exists. Raises UserError if `private` is requested and the repo is public."""
        existing = self.is_private()
        if existing is None:
            self.retry("creating the repo", lambda: self._create(private))
            existing = self.is_private()
        if private and existing is False:
            raise public_repo_error(self)

    def _create(self, private: bool) -> None:
        sdk = "gradio" if self.kind == "space" else None
        self.api.create_repo(self.repo_id, repo_type=self.kind, private=private, exist_ok=True, space_sdk=sdk)

    # -- reading ------------------------------------------------------------------------------------------------

    def head(self, revision: str = MAIN) -> str:
        """Return the commit of a branch, tag or pull request, 40 hex digits."""

        def look_up() -> str:
            return str(self.api.repo_info(self.repo_id, repo_type=self.kind, revision=revision).sha)

        return self.retry(f"looking up {revision}", look_up)

    def tree(self, revision: str) -> Tree:
        """Return all files of a revision by path."""
        from huggingface_hub import RepoFile

        def list_tree() -> dict[str, RemoteFile]:
            entries = self.api.list_repo_tree(
                self.repo_id, recursive=True, revision=revision, repo_type=self.kind
            )
            files = [entry for entry in entries if isinstance(entry, RepoFile)]
            return {
                f.path: RemoteFile(f.path, f.size, f.lfs.sha256 if f.lfs else None, f.blob_id) for f in files
            }

        return self.retry("listing files", list_tree)

    def read(self, path: str, revision: str) -> bytes:
        """Return the content of a small file, read from the Hub and not from a cache."""
        from huggingface_hub import get_session, hf_hub_url
        from huggingface_hub.utils import build_hf_headers, hf_raise_for_status  # type: ignore[attr-defined]

        url = hf_hub_url(
            self.repo_id, path, repo_type=self.kind, revision=revision, endpoint=self.endpoint.url
        )
        headers = build_hf_headers(token=self.endpoint.token or False)

        def fetch() -> bytes:
            response = get_session().get(url, headers=headers, follow_redirects=True)
            hf_raise_for_status(response)
            return bytes(response.content)

        return self.retry(f"reading {path} back", fetch)

    def history(self, revision: str) -> list[str]:
        """Return the commits of a revision, newest first."""

        def list_commits() -> list[str]:
            commits = self.api.list_repo_commits(self.repo_id, repo_type=self.kind, revision=revision)
            return [commit.commit_id for commit in commits]

        return self.retry("listing commits", list_commits)

    def tags(self) -> dict[str, str]:
        """Return all tags with the commits they point to."""
        return self.retry("listing tags", self._tags)

    def _tags(self) -> dict[str, str]:
        refs = self.api.list_repo_refs(self.repo_id, repo_type=self.kind)
        return {tag.name: tag.target_commit for tag in refs.tags}

    def create_branch(self, name: str) -> None:
        """Create a branch at `main` unless it exists."""
        self.retry(
            f"creating the branch {name}",
            lambda: self.api.create_branch(
                self.repo_id, branch=name, repo_type=self.kind, revision=MAIN, exist_ok=True
            ),
        )

    # -- pull requests ------------------------------------------------------------------------------------------

    def open_pull_requests(self, title: str, part: str = "") -> list[int]:
        """Return the numbers of our open pull requests, newest first.

        Only those whose title begins with `title` and has `part` in it.
        """
        return self.retry("looking for a pull request", lambda: self._open_pull_requests(title, part))

    def _open_pull_requests(self, title: str, part: str = "") -> list[int]:
        discussions: Iterable[Discussion] = self.api.get_repo_discussions(
            self.repo_id,
            repo_type=self.kind,
            discussion_type="pull_request",
            discussion_status="open",
            author=self.user,
        )
        return sorted(
            (
                d.num
                for d in discussions
                if d.title.startswith(title) and part in d.title and d.status in ("open", "draft")
            ),
            reverse=True,
        )

    def open_pull_request(self, title: str, description: str) -> int:
        """Open a pull request and return its number. A request whose response was lost is found, not repeated."""
        before = set(self.open_pull_requests(title))

        def step() -> int:
            new = [number for number in self._open_pull_requests(title) if number not in before]
            if new:
                return new[0]
            discussion = self.api.create_pull_request(
                self.repo_id, title, description=description, repo_type=self.kind
            )
            return int(discussion.num)

        return self.retry("opening a pull request", step)

    def pull_request_state(self, number: int) -> tuple[str, str | None]:
        """Return a pull request's status (draft, open, closed or merged) and the commit of its merge."""

        def look_up() -> tuple[str, str | None]:
            details = self.api.get_discussion_details(self.repo_id, number, repo_type=self.kind)
            return str(details.status), details.merge_commit_oid

        return self.retry("looking up the pull request", look_up)

    def close_pull_request(self, number: int, comment: str) -> None:
        """Close a pull request unless it is closed or merged."""

        def step() -> None:
            details = self.api.get_discussion_details(self.repo_id, number, repo_type=self.kind)
            if details.status in ("open", "draft"):
                self.api.change_discussion_status(
                    self.repo_id, number, "closed", comment=comment, repo_type=self.kind
                )

        self.retry(f"closing pull request {number}", step)

    # -- tags and collections -----------------------------------------------------------------------------------

    def tag(self, name: str, commit: str, message: str) -> bool:
        """Tag a commit. Returns False if the tag exists on another commit."""

        def step() -> bool:
            tags = self._tags()
            if name not in tags:
                self.api.create_tag(
                    self.repo_id, tag=name, tag_message=message, revision=commit, repo_type=self.kind
                )
                return True
            return tags[name] == commit

        try:
            return self.retry(f"tagging {name}", step)
        except Exception as error:
            if status_of(error) == 409:  # another process created the tag after we listed the tags
                return self.tags().get(name) == commit
            raise

    def add_to_collection(self, title: str, note: str | None, description: str | None) -> str:
        """Add the repo to the collection with this title, created with `description` if new. Returns its URL."""
        namespace = self.repo_id.partition("/")[0]

        def create() -> str:
            collection = self.api.create_collection(
                title, namespace=namespace, description=description, exists_ok=True
            )
            return collection.slug

        slug = self.retry("creating the collection", create)

        def add() -> str:
            return self.api.add_collection_item(slug, self.repo_id, self.kind, note=note, exists_ok=True).url  # type: ignore[arg-type]

        return self.retry("adding to the collection", add)


def public_repo_error(remote: RemoteRepo) -> UserError:
    """Return the error for a private release to a public repo."""
    return UserError(
        f"{remote.url} is public, but --private was given",
        "Release without --private, or make the repo private in its settings.",
    )


def describe_files(files: Sequence[StagedFile]) -> str:
    """Return number and size of files: '12 files, 3.4 MB'."""
    count = counted(len(files), "file")
    return f"{count}, {format_bytes(sum(file.size for file in files))}"


def format_bytes(size: float) -> str:
    """Return a size for display, in decimal units: '812 B', '3.4 MB'."""
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "B" or size >= 100 else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"
