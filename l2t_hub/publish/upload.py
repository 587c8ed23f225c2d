"""The upload of a staged release into a pull request or a branch, in commits of bounded size.

What is already there is read from the destination's own tree, so a release that was killed can be continued from any
machine. After each error the loop reads the tree again before it acts: a commit that was made although its response
was lost is then part of that tree.
"""

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

from l2t_hub.errors import UserError
from l2t_hub.hub.failures import DISK_FULL
from l2t_hub.hub.retry import describe_error, is_transient, status_of, wait_after
from l2t_hub.publish.repository import (
    MAIN,
    RemoteRepo,
    TreeDifference,
    describe_files,
    difference,
    format_bytes,
)
from l2t_hub.publish.stage import StagedFile, StagedRelease
from l2t_hub.text import counted

STALE_PARENT = 412
TITLE = "Release "
# One pass is enough, unless a .gitignore in the repo hid files from the first.
_MAX_PASSES = 3
_MAX_OPENED = 5
_MAX_OVERTAKEN = 1000


@dataclass(frozen=True)
class PullRequest:
    """A pull request that carries a release.

    `base` is the commit of `main` it began from; `superseded` are older pull requests of the same content. `stored`
    maps the SHA-256 of large files on the Hub to commit and path: the Hub copies those, they are not sent. `version`
    is the tag that the release will get.
    """

    number: int
    base: str
    superseded: tuple[int, ...]
    stored: dict[str, tuple[str, str]]
    version: str

    @property
    def ref(self) -> str:
        """The git reference its commits go to."""
        return f"refs/pr/{self.number}"

    @property
    def name(self) -> str:
        """What messages call it."""
        return f"pull request {self.number}"


@dataclass(frozen=True)
class Branch:
    """A branch whose tree becomes that of a staged release. `version` begins the messages of its commits."""

    ref: str
    version: str
    stored: dict[str, tuple[str, str]] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """What messages call it."""
        return f"branch {self.ref}"


@dataclass(frozen=True)
class UploadCounts:
    """Files and bytes that were sent, and files that the Hub copied because it had their content."""

    files: int = 0
    size: int = 0
    copied: int = 0


def pull_request_title(staged: StagedRelease, version: str) -> str:
    """Return the title of the pull request of a version, which becomes that of its commit on `main`.

    The digest in it is of exactly this content: a later run finds the pull request by it.
    """
    return f"{TITLE}{version} ({staged.digest[:20]})"


def find_or_open(remote: RemoteRepo, staged: StagedRelease, version: str) -> PullRequest | None:
    """Return an open pull request of this content that begins from the current `main`, opened if there is none.

    `version` is what a new one is called. Returns None if `main` shows this content by now: another process has
    released it. Raises UserError if `main` changes each time one is opened.
    """
    title = pull_request_title(staged, version)
    for attempt in range(_MAX_OPENED):
        head = remote.head(MAIN)
        numbers = remote.open_pull_requests(TITLE, staged.digest[:20])
        current = [number for number in numbers if head in remote.history(f"refs/pr/{number}")]
        if current:
            chosen = min(current)  # two processes that release the same content choose the same one
            if not attempt:
                remote.say(f"continuing pull request {chosen}")
            superseded = tuple(number for number in numbers if number != chosen)
            stored = _stored_contents(remote, *(f"refs/pr/{number}" for number in superseded), head)
            return PullRequest(chosen, head, superseded, stored, version)
        if not difference(staged, remote.tree(head)):
            close_superseded(remote, numbers)
            return None
        contents = f"{describe_files(staged.files)}, fingerprint {staged.fingerprint}"
        number = remote.open_pull_request(title, f"A {staged.kind} released by `l2t release`: {contents}.")
        remote.say(f"pull request {number}: {remote.url}/discussions/{number}")
    raise UserError(
        f"{remote.url}: `main` keeps changing while a pull request is opened",
        "Wait until nothing else writes to the repo.",
    )


def close_superseded(remote: RemoteRepo, numbers: Iterable[int]) -> None:
    """Close pull requests of content that `main` shows."""
    for number in numbers:
        remote.close_pull_request(number, "The same release has been merged.")


def _stored_contents(remote: RemoteRepo, *revisions: str) -> dict[str, tuple[str, str]]:
    commits = [remote.head(revision) for revision in revisions]
    trees = [(commit, remote.tree(commit)) for commit in commits]
    return {f.sha256: (commit, f.path) for commit, tree in trees for f in tree.values() if f.sha256}


def upload(remote: RemoteRepo, pull: PullRequest | Branch, staged: StagedRelease) -> UploadCounts:
    """Make the tree of a pull request or branch equal to the staged release, and return what was sent.

    Raises UserError if files changed on this machine or the Hub has no space left, and the client's last error if all
    attempts fail.
    """
    sent, failures, passes, overtaken = UploadCounts(), 0, 0, 0
    while True:
        head = remote.head(pull.ref)
        remaining = difference(staged, remote.tree(head))
        if not remaining:
            return sent
        if passes == _MAX_PASSES:
            raise UserError(
                f"{remote.url}: the content on the Hub differs from what was hashed at the start: "
                f"{_first(remaining)}",
                "Make sure that nothing writes to the directory.",
            )
        try:
            for part in _batches(
                remaining, remote.policy.batch_files, remote.policy.batch_limit(staged.size)
            ):
                head = _commit(remote, pull, part, head)
                sent, failures = _add_counts(sent, part, pull), 0
                remote.say(f"{pull.name}: added {describe_files(part.missing)}")
        except Exception as error:
            # Another process fills the same pull request: the next look shows what it sent.
            if status_of(error) == STALE_PARENT and overtaken < _MAX_OVERTAKEN:
                overtaken += 1
                continue
            failures += 1
            wait_or_raise(remote, error, failures)
        else:
            passes += 1


def _first(changes: TreeDifference) -> str:
    paths = [file.path for file in changes.missing] or list(changes.gone)
    return paths[0] if len(paths) == 1 else f"{paths[0]} and {len(paths) - 1} more"


def wait_or_raise(remote: RemoteRepo, error: Exception, failures: int) -> None:
    """Wait before the next attempt, or raise the error if another attempt cannot help."""
    status = status_of(error)
    if status == DISK_FULL or not is_transient(error):
        raise error
    if status is None:
        remote.sign_in()  # the Xet client reports a rejected token as a lost connection
    if failures >= remote.policy.attempts:
        raise error
    wait = wait_after(error, failures, remote.policy)
    attempts = f"attempt {failures} of {remote.policy.attempts} failed"
    remote.say(f"uploading: {describe_error(error)}; retrying in {wait:.3g} s ({attempts})")
    time.sleep(wait)


def _batches(changes: TreeDifference, max_files: int, max_bytes: int) -> Iterator[TreeDifference]:
    """Split changes into parts that each fit into one commit. Deletions come first: a file may replace a folder."""
    batch: list[StagedFile] = []
    gone, size = changes.gone, 0
    for file in changes.missing:
        if batch and (len(batch) >= max_files or size + file.size > max_bytes):
            yield TreeDifference(tuple(batch), gone)
            batch, gone, size = [], (), 0
        batch.append(file)
        size += file.size
    if batch or gone:
        yield TreeDifference(tuple(batch), gone)


def _commit(remote: RemoteRepo, pull: PullRequest | Branch, part: TreeDifference, head: str) -> str:
    """Commit one part on top of `head` and return the new head. Fails with 412 if the destination has moved on."""
    from huggingface_hub import CommitOperationAdd, CommitOperationCopy, CommitOperationDelete
    from huggingface_hub.utils._runtime import is_xet_available

    operations: list[CommitOperationAdd | CommitOperationCopy | CommitOperationDelete] = []
    operations += [CommitOperationDelete(path, is_folder=False) for path in part.gone]
    for file in part.missing:
        stored = pull.stored.get(file.sha256)
        if stored:
            operations.append(CommitOperationCopy(stored[1], file.path, src_revision=stored[0]))
            continue
        addition = CommitOperationAdd(file.path, str(file.source) if file.source else file.read())
        if not is_xet_available():
            # Saves hashing the file again. LFS verifies the hash on arrival; Xet would trust it unchecked.
            addition.upload_info.sha256 = bytes.fromhex(file.sha256)
        operations.append(addition)
    commit = remote.api.create_commit(
        remote.repo_id,
        operations,
        commit_message=f"{pull.version}: {_message(part)}",
        repo_type=remote.kind,
        revision=pull.ref,
        parent_commit=head,
        num_threads=4,
    )
    return str(commit.oid)


def _message(part: TreeDifference) -> str:
    deleted = f", {len(part.gone)} deleted" if part.gone else ""
    return f"{describe_files(part.missing)}{deleted}"


def _add_counts(sent: UploadCounts, part: TreeDifference, pull: PullRequest | Branch) -> UploadCounts:
    uploaded = [file for file in part.missing if file.sha256 not in pull.stored]
    copied = len(part.missing) - len(uploaded)
    size = sum(file.size for file in uploaded)
    return replace(sent, files=sent.files + len(uploaded), size=sent.size + size, copied=sent.copied + copied)


def read_back(remote: RemoteRepo, staged: StagedRelease, revision: str) -> None:
    """Compare a revision with the staged release: size and hash of every file, and small files byte by byte.

    Large files are compared by the hash that the Hub lists, which it verified at the upload. Raises UserError naming
    a file that differs.
    """
    tree = remote.tree(revision)
    wrong = difference(staged, tree)
    if wrong:
        raise UserError(f"{remote.url}: {revision} differs from what was sent: {_first(wrong)}")
    regular = [file for file in staged.files if tree[file.path].sha256 is None and file.size]
    for file in regular:
        if remote.read(file.path, revision) != file.read():
            raise UserError(f"{remote.url}: {file.path} at {revision} differs from what was sent")
    total, small = format_bytes(staged.size), format_bytes(sum(file.size for file in regular))
    remote.say(
        f"verified {counted(len(staged.files), 'file')} ({total}) by size and hash, "
        f"{len(regular):,} of them ({small}) byte by byte"
    )


def same_on_main(remote: RemoteRepo, staged: StagedRelease) -> str | None:
    """Return the head of `main` if it shows exactly this release, else None."""
    head = remote.head(MAIN)
    return None if difference(staged, remote.tree(head)) else head
