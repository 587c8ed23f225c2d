"""A staged release on its way into a pull request, in commits of bounded size, each on top of a known head.

What is already there is found by looking at the pull request's own tree, so a release that was killed goes on where
it was, from any machine. After any error the loop looks again before it acts: a commit that was made although its
answer was lost is part of the tree it then sees.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace

from l2t_hub.errors import UserError
from l2t_hub.hub.retry import DISK_FULL, describe_error, is_transient, status_of, wait_after
from l2t_hub.publish.repository import (
    MAIN,
    RemoteRepo,
    TreeDifference,
    describe_files,
    difference,
    format_bytes,
)
from l2t_hub.publish.stage import StagedFile, StagedRelease

STALE_PARENT = 412
TITLE = "Release "
# Once is enough unless the repo held a .gitignore that hid files from the first pass.
_MOST_PASSES = 3
_MOST_PULLS = 5
_MOST_OVERTAKEN = 1000


@dataclass(frozen=True)
class PullRequest:
    """A pull request that carries a release: its number, the commit of `main` it stands on, others now superfluous.

    `known` says where the Hub has large content already (sha256 -> commit and path): it is copied there, not sent.
    """

    number: int
    base: str
    others: tuple[int, ...]
    known: dict[str, tuple[str, str]]

    @property
    def ref(self) -> str:
        """The git reference its commits go to."""
        return f"refs/pr/{self.number}"


@dataclass(frozen=True)
class UploadCounts:
    """What went over the wire in commits: files and their bytes; `copied` files the Hub had under another path."""

    files: int = 0
    size: int = 0
    copied: int = 0


def title_of(staged: StagedRelease) -> str:
    """The title of the pull request for exactly this content: how a later run finds it again."""
    return f"{TITLE}{staged.digest[:20]}"


def find_or_open(remote: RemoteRepo, staged: StagedRelease) -> PullRequest:
    """The pull request to go on with: one of this content that stands on `main` as it is, opened if there is none."""
    title = title_of(staged)
    for attempt in range(_MOST_PULLS):
        head = remote.head(MAIN)
        numbers = remote.open_pull_requests(title)
        current = [number for number in numbers if head in remote.history(f"refs/pr/{number}")]
        if current:
            chosen = min(current)  # two processes with the same content so come to the same one
            if not attempt:
                remote.say(f"going on with pull request {chosen}")
            others = tuple(number for number in numbers if number != chosen)
            known = _contents(remote, *(f"refs/pr/{number}" for number in others), head)
            return PullRequest(chosen, head, others, known)
        files = describe_files(staged.files)
        what = f"A {staged.kind} of {files}, fingerprint {staged.fingerprint}, made by `l2t release`."
        number = remote.open_pull_request(title, what)
        remote.say(f"pull request {number}: {remote.url}/discussions/{number}")
    raise UserError(
        f"{remote.url}: `main` moves faster than a pull request can be opened", "Wait a moment. Then:"
    )


def _contents(remote: RemoteRepo, *revisions: str) -> dict[str, tuple[str, str]]:
    commits = [remote.head(revision) for revision in revisions]
    trees = [(commit, remote.tree(commit)) for commit in commits]
    return {f.sha256: (commit, f.path) for commit, tree in trees for f in tree.values() if f.sha256}


def upload(remote: RemoteRepo, pull: PullRequest, staged: StagedRelease) -> UploadCounts:
    """Make the pull request's tree the staged release, whatever it holds now. Raises UserError or the client's."""
    sent, failures, passes, overtaken = UploadCounts(), 0, 0, 0
    while True:
        head = remote.head(pull.ref)
        left = difference(staged, remote.tree(head))
        if not left:
            return sent
        if passes == _MOST_PASSES:
            raise UserError(
                f"{remote.url}: the Hub lists other content for {_first(left)} than was read at the start",
                "Did it change here meanwhile? When nothing writes to the directory any more:",
            )
        try:
            for part in _batches(left, remote.policy.batch_files, remote.policy.batch_limit(staged.size)):
                head = _commit(remote, pull, part, head)
                sent, failures = _counted(sent, part, pull), 0
                remote.say(f"in pull request {pull.number}: {describe_files(part.missing)} more")
        except Exception as error:
            # Another process fills the same pull request: what it sent is seen on the next look.
            if status_of(error) == STALE_PARENT and overtaken < _MOST_OVERTAKEN:
                overtaken += 1
                continue
            failures += 1
            _wait_or_raise(remote, error, failures)
        else:
            passes += 1


def _first(left: TreeDifference) -> str:
    paths = [file.path for file in left.missing] or list(left.gone)
    return paths[0] if len(paths) == 1 else f"{paths[0]} and {len(paths) - 1} more"


def _wait_or_raise(remote: RemoteRepo, error: Exception, failures: int) -> None:
    if status_of(error) == DISK_FULL:
        raise UserError(
            f"{remote.endpoint.name} has no room left: {describe_error(error)}", "Make room there."
        ) from error
    if not is_transient(error):
        raise error
    if status_of(error) is None:
        remote.sign_in()  # the Xet client hides a refused token behind a lost connection
    if failures >= remote.policy.attempts:
        raise error
    wait = wait_after(error, failures, remote.policy)
    reason = describe_error(error)
    remote.say(
        f"sending: {reason}; looking again in {wait:.3g} s ({failures} of {remote.policy.attempts} attempts)"
    )
    time.sleep(wait)


def _batches(left: TreeDifference, most_files: int, most_bytes: int) -> Iterator[TreeDifference]:
    """Parts of the work, each small enough for one commit. Deletions come first: a file may take a folder's place."""
    batch: list[StagedFile] = []
    gone, size = left.gone, 0
    for file in left.missing:
        if batch and (len(batch) >= most_files or size + file.size > most_bytes):
            yield TreeDifference(tuple(batch), gone)
            batch, gone, size = [], (), 0
        batch.append(file)
        size += file.size
    if batch or gone:
        yield TreeDifference(tuple(batch), gone)


def _commit(remote: RemoteRepo, pull: PullRequest, part: TreeDifference, head: str) -> str:
    """Commit one part on top of `head`; the new head. 412 if the pull request has moved on."""
    from huggingface_hub import CommitOperationAdd, CommitOperationCopy, CommitOperationDelete
    from huggingface_hub.utils._runtime import is_xet_available

    operations: list[CommitOperationAdd | CommitOperationCopy | CommitOperationDelete] = []
    operations += [CommitOperationDelete(path, is_folder=False) for path in part.gone]
    for file in part.missing:
        source = pull.known.get(file.sha256)
        if source:
            operations.append(CommitOperationCopy(source[1], file.path, src_revision=source[0]))
            continue
        addition = CommitOperationAdd(file.path, str(file.source) if file.source else file.read())
        if not is_xet_available():
            # Spares a second reading, as LFS checks what arrives. Xet would believe it, so there it is not told.
            addition.upload_info.sha256 = bytes.fromhex(file.sha256)
        operations.append(addition)
    made = remote.api.create_commit(
        remote.repo_id,
        operations,
        commit_message=_message(part),
        repo_type=remote.kind,
        revision=pull.ref,
        parent_commit=head,
        num_threads=4,
    )
    return str(made.oid)


def _message(part: TreeDifference) -> str:
    deleted = f", {len(part.gone)} deleted" if part.gone else ""
    return f"{describe_files(part.missing)}{deleted}"


def _counted(sent: UploadCounts, part: TreeDifference, pull: PullRequest) -> UploadCounts:
    fresh = [file for file in part.missing if file.sha256 not in pull.known]
    copied = len(part.missing) - len(fresh)
    size = sum(file.size for file in fresh)
    return replace(sent, files=sent.files + len(fresh), size=sent.size + size, copied=sent.copied + copied)


def read_back(remote: RemoteRepo, staged: StagedRelease, revision: str) -> None:
    """Compare size and hash of every file of a revision with what was staged, and small text files byte by byte.

    Raises UserError naming what differs. Large files go by the hash the Hub lists, which it checked at the upload.
    """
    tree = remote.tree(revision)
    wrong = difference(staged, tree)
    if wrong:
        raise UserError(f"{remote.url}: read back at {revision}, it differs in {_first(wrong)}")
    regular = [file for file in staged.files if tree[file.path].sha256 is None and file.size]
    for file in regular:
        if remote.read(file.path, revision) != file.read():
            raise UserError(f"{remote.url}: {file.path} read back at {revision} is not what was sent")
    remote.say(
        f"read back: {describe_files(staged.files)}, size and hash of each as here; "
        f"{len(regular)} read in full ({format_bytes(sum(f.size for f in regular))})"
    )


def same_on_main(remote: RemoteRepo, staged: StagedRelease) -> str | None:
    """The head of `main` if it shows exactly this release, else None."""
    head = remote.head(MAIN)
    return None if difference(staged, remote.tree(head)) else head
