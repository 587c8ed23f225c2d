"""One repo on a Hub, and the only place of a release that talks to it. Every call is retried, every step looks first.

Nothing here decides what a release is: it answers what the Hub has, and does one thing at a time to it.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from l2t_hub.errors import UserError
from l2t_hub.hub.endpoint import Endpoint
from l2t_hub.hub.retry import RetryPolicy, Say, retrying, status_of
from l2t_hub.publish.stage import ATTRIBUTES, StagedFile, StagedRelease

if TYPE_CHECKING:
    from huggingface_hub import Discussion

T = TypeVar("T")
MAIN = "main"


@dataclass(frozen=True)
class RemoteFile:
    """A file as the Hub lists it: `sha256` for large-file storage, else None and `git_hash` is of the content."""

    path: str
    size: int
    sha256: str | None
    git_hash: str

    def holds(self, file: StagedFile) -> bool:
        """Whether this is the staged file's content, by size and hash."""
        same = self.sha256 == file.sha256 if self.sha256 else self.git_hash == file.git_hash
        return same and self.size == file.size


Tree = Mapping[str, RemoteFile]


@dataclass(frozen=True)
class TreeDifference:
    """What makes a tree on the Hub the staged release: files to send, and paths to delete."""

    missing: tuple[StagedFile, ...]
    gone: tuple[str, ...]

    def __bool__(self) -> bool:
        return bool(self.missing or self.gone)


def difference(staged: StagedRelease, tree: Tree) -> TreeDifference:
    """What has to change in `tree`; the Hub's own `.gitattributes` stays."""
    missing = tuple(f for f in staged.files if f.path not in tree or not tree[f.path].holds(f))
    paths = set(staged.paths())
    gone = tuple(sorted(path for path in tree if path not in paths and path != ATTRIBUTES))
    return TreeDifference(missing, gone)


class RemoteRepo:
    """The repo `repo` of a kind on the Hub at `place`; `say` hears of every retry."""

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
        """Do `step` with retries; `what` names it to the user."""
        return retrying(step, what, self.policy, self.say)

    # -- who and where ------------------------------------------------------------------------------------------

    def sign_in(self) -> None:
        """Find out who we are. Raises UserError without a token, or with one that is not accepted or cannot write."""
        hint = "Log in with `hf auth login`, or set HF_TOKEN to a token with write access."
        if not self.endpoint.token:
            raise UserError(f"no token for {self.endpoint.name}", hint)
        told = self.retry("signing in", lambda: self._whoami(hint))
        self.user = str(told.get("name"))
        auth = told.get("auth")
        token = auth.get("accessToken") if isinstance(auth, dict) else None
        role = token.get("role") if isinstance(token, dict) else None
        if role == "read":
            raise UserError(f"the token of {self.user} may only read on {self.endpoint.name}", hint)

    def _whoami(self, hint: str) -> Mapping[str, object]:
        from huggingface_hub.errors import HfHubHTTPError

        try:
            told: Mapping[str, object] = self.api.whoami()
            return told
        except HfHubHTTPError as error:
            if status_of(error) in (401, 403):
                raise UserError(
                    f"{self.endpoint.name} does not accept the token: it is wrong or has expired", hint
                ) from None
            raise

    def privacy(self) -> bool | None:
        """Whether the repo is private; None if there is none."""
        from huggingface_hub.errors import RepositoryNotFoundError

        def look() -> bool | None:
            try:
                return bool(self.api.repo_info(self.repo_id, repo_type=self.kind).private)
            except RepositoryNotFoundError:
                return None

        return self.retry("looking for the repo", look)

    def ensure(self, private: bool) -> None:
        """Make the repo if it is not there. Raises UserError if `private` is asked and it is public."""
        there = self.privacy()
        if there is None:
            self.retry("making the repo", lambda: self._create(private))
            there = self.privacy()
        if private and there is False:
            raise UserError(
                f"{self.url} is public, and --private was given",
                "Release without --private, or make the repo private in its settings first.",
            )

    def _create(self, private: bool) -> None:
        sdk = "gradio" if self.kind == "space" else None
        self.api.create_repo(self.repo_id, repo_type=self.kind, private=private, exist_ok=True, space_sdk=sdk)

    # -- reading ------------------------------------------------------------------------------------------------

    def head(self, revision: str = MAIN) -> str:
        """The commit a branch, tag or pull request points to, 40 hex digits."""

        def look() -> str:
            return str(self.api.repo_info(self.repo_id, repo_type=self.kind, revision=revision).sha)

        return self.retry(f"looking at {revision}", look)

    def tree(self, revision: str) -> Tree:
        """All files of a revision by path."""
        from huggingface_hub import RepoFile

        def look() -> dict[str, RemoteFile]:
            entries = self.api.list_repo_tree(
                self.repo_id, recursive=True, revision=revision, repo_type=self.kind
            )
            files = [entry for entry in entries if isinstance(entry, RepoFile)]
            return {
                f.path: RemoteFile(f.path, f.size, f.lfs.sha256 if f.lfs else None, f.blob_id) for f in files
            }

        return self.retry("listing files", look)

    def read(self, path: str, revision: str) -> bytes:
        """The content of one small file, from the Hub and not from any cache."""
        from huggingface_hub import get_session, hf_hub_url
        from huggingface_hub.utils._headers import build_hf_headers
        from huggingface_hub.utils._http import hf_raise_for_status

        url = hf_hub_url(
            self.repo_id, path, repo_type=self.kind, revision=revision, endpoint=self.endpoint.url
        )
        headers = build_hf_headers(token=self.endpoint.token or False)

        def fetch() -> bytes:
            answer = get_session().get(url, headers=headers, follow_redirects=True)
            hf_raise_for_status(answer)
            return bytes(answer.content)

        return self.retry(f"reading {path} back", fetch)

    def history(self, revision: str) -> list[str]:
        """The commits of a revision, newest first."""

        def look() -> list[str]:
            return [
                c.commit_id
                for c in self.api.list_repo_commits(self.repo_id, repo_type=self.kind, revision=revision)
            ]

        return self.retry("reading the history", look)

    def tags(self) -> dict[str, str]:
        """All tags with the commits they point to."""

        def look() -> dict[str, str]:
            return {
                tag.name: tag.target_commit
                for tag in self.api.list_repo_refs(self.repo_id, repo_type=self.kind).tags
            }

        return self.retry("reading the tags", look)

    # -- pull requests ------------------------------------------------------------------------------------------

    def open_pull_requests(self, title: str) -> list[int]:
        """The numbers of our own pull requests whose title begins so, neither merged nor closed, newest first."""
        return self.retry("looking for a pull request", lambda: self._open_pull_requests(title))

    def _open_pull_requests(self, title: str) -> list[int]:
        found: Iterable[Discussion] = self.api.get_repo_discussions(
            self.repo_id,
            repo_type=self.kind,
            discussion_type="pull_request",
            discussion_status="open",
            author=self.user,
        )
        return sorted(
            (d.num for d in found if d.title.startswith(title) and d.status in ("open", "draft")),
            reverse=True,
        )

    def open_pull_request(self, title: str, description: str) -> int:
        """Open a pull request; its number. If the answer to the request is lost, the one it made is found."""
        before = set(self.open_pull_requests(title))

        def step() -> int:
            fresh = [number for number in self._open_pull_requests(title) if number not in before]
            if fresh:
                return fresh[0]
            made = self.api.create_pull_request(
                self.repo_id, title, description=description, repo_type=self.kind
            )
            return int(made.num)

        return self.retry("opening a pull request", step)

    def pull_request_state(self, number: int) -> tuple[str, str | None]:
        """The status of a pull request (draft, open, closed, merged), and the commit of its merge."""

        def look() -> tuple[str, str | None]:
            told = self.api.get_discussion_details(self.repo_id, number, repo_type=self.kind)
            return str(told.status), told.merge_commit_oid

        return self.retry("looking at the pull request", look)

    def close_pull_request(self, number: int, why: str) -> None:
        """Close a pull request, unless it is closed or merged already."""

        def step() -> None:
            told = self.api.get_discussion_details(self.repo_id, number, repo_type=self.kind)
            if told.status in ("open", "draft"):
                self.api.change_discussion_status(
                    self.repo_id, number, "closed", comment=why, repo_type=self.kind
                )

        self.retry(f"closing pull request {number}", step)

    # -- tags and collections -----------------------------------------------------------------------------------

    def tag(self, name: str, commit: str, message: str) -> bool:
        """Tag a commit; False if another commit has that tag already."""

        def step() -> bool:
            refs = self.api.list_repo_refs(self.repo_id, repo_type=self.kind)
            there = {tag.name: tag.target_commit for tag in refs.tags}
            if name not in there:
                self.api.create_tag(
                    self.repo_id, tag=name, tag_message=message, revision=commit, repo_type=self.kind
                )
                return True
            return there[name] == commit

        try:
            return self.retry(f"tagging {name}", step)
        except Exception as error:
            if status_of(error) == 409:  # somebody was quicker by a moment
                return self.tags().get(name) == commit
            raise

    def collect(self, title: str, note: str | None, about: str | None) -> str:
        """Put the repo into the collection of this title, made with description `about` if new; its URL."""
        namespace = self.repo_id.partition("/")[0]

        def make() -> str:
            made = self.api.create_collection(title, namespace=namespace, description=about, exists_ok=True)
            return made.slug

        slug = self.retry("making the collection", make)

        def add() -> str:
            return self.api.add_collection_item(slug, self.repo_id, self.kind, note=note, exists_ok=True).url  # type: ignore[arg-type]

        return self.retry("adding to the collection", add)


def describe_files(files: Sequence[StagedFile]) -> str:
    """How many files and how much: '12 files, 3.4 MB'."""
    count = "1 file" if len(files) == 1 else f"{len(files):,} files"
    return f"{count}, {format_bytes(sum(file.size for file in files))}"


def format_bytes(size: float) -> str:
    """A size for a person: '812 B', '3.4 MB'."""
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "B" or size >= 100 else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"
