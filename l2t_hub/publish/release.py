"""A release: from a directory to a repo whose `main` shows all of it or none of it. One road for all three kinds.

    stage -> validate -> pull request -> read back -> merge -> tag -> collection

Every step can be killed and done again: what is there is found by looking at the Hub, nothing is remembered here.
"""

import logging
import shlex
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from l2t_hub.errors import UsageError, UserError
from l2t_hub.hub.connect import connected
from l2t_hub.hub.endpoint import Endpoint
from l2t_hub.hub.names import check_collection, check_repo
from l2t_hub.hub.retry import (
    DISK_FULL,
    RetryPolicy,
    Say,
    describe_error,
    is_transient,
    status_of,
    without_secrets,
)
from l2t_hub.publish.dry_run import show_dry_run
from l2t_hub.publish.merge import CONFLICT, after_conflict, merge
from l2t_hub.publish.repository import MAIN, RemoteRepo, describe_files, difference
from l2t_hub.publish.stage import StagedRelease, stage
from l2t_hub.publish.tags import check_version, plan_tags
from l2t_hub.publish.upload import TITLE, PullRequest, UploadCounts, find_or_open, read_back, upload
from l2t_hub.publish.validate import validate


@dataclass(frozen=True)
class Release:
    """What is on the Hub now. `revision` is the commit of `main`; with `unchanged`, nothing had to be sent.

    `sent_files` and `sent_bytes` count what this run sent; `copied_files` the Hub had already under another path.
    """

    kind: str
    repo: str
    url: str
    revision: str
    tags: tuple[str, ...]
    fingerprint: str
    digest: str
    files: int
    size: int
    sent_files: int = 0
    sent_bytes: int = 0
    copied_files: int = 0
    unchanged: bool = False
    pull_request: int | None = None
    collection: str | None = None
    dry_run: bool = False
    rehearsal: bool = False

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self)

    def summary(self) -> str:
        """One line for a person."""
        if self.dry_run:
            return f"nothing was sent: this was a dry run for {self.url}"
        what = "unchanged" if self.unchanged else f"released {self.files:,} files"
        tags = f" ({', '.join(self.tags)})" if self.tags else ""
        return f"{what}: {self.url} at {self.revision[:12]}{tags}"


def release(
    directory: Path | str,
    repo: str,
    *,
    hub: str | Endpoint | None = None,
    private: bool = False,
    dry_run: bool = False,
    collection: str | None = None,
    version: str | None = None,
    note: str | None = None,
    about: str | None = None,
    say: Say = print,
    policy: RetryPolicy | None = None,
) -> Release:
    """Publish a dataset, model or Space directory as `repo` (ORG/NAME) on `hub` (see `connected`).

    `collection` is the title of one to add it to, with `note` beside it, and with description `about` if it is new;
    `version` becomes a tag (default: the next of v1, v2, ...). An interrupted run is resumed by the same call.

    Raises UsageError for a bad name or a directory that is none of the three; UserError for everything else, its last
    line the command that resumes.
    """
    directory = Path(directory)
    check_repo(repo)
    check_collection(collection, note)
    if version is not None:
        check_version(version)
    with connected(hub) as endpoint:
        try:
            staged = stage(directory, endpoint.token)
            validate(staged)
            _quiet_clients()
            remote = RemoteRepo(endpoint, staged.kind, repo, policy or RetryPolicy(), _guarded(say, endpoint))
            _announce(remote, staged)
            remote.sign_in()
            if dry_run:
                show_dry_run(remote, staged, private=private, collection=collection, version=version)
                return _result(remote, staged, "", (), dry_run=True)
            return _publish(remote, staged, private, collection, version, note, about)
        except UsageError:
            raise
        except Exception as error:
            command = _command(directory, repo, endpoint, private, collection, version, note)
            raise failure(error, endpoint, command) from error


def _guarded(say: Say, endpoint: Endpoint) -> Say:
    return lambda line: say(without_secrets(line, endpoint.token))


def _quiet_clients() -> None:
    """The clients' own warnings print URLs with signatures; what matters of them is said here."""
    from huggingface_hub.utils.tqdm import disable_progress_bars

    logging.getLogger("huggingface_hub").setLevel(logging.ERROR)
    if not sys.stderr.isatty():
        disable_progress_bars()


def _announce(remote: RemoteRepo, staged: StagedRelease) -> None:
    remote.say(f"{staged.kind} {staged.directory}: {describe_files(staged.files)} -> {remote.url}")
    if staged.left_out:
        names = [f"{path} ({rule})" for path, rule in staged.left_out]
        more = f", and {len(names) - 6} more" if len(names) > 6 else ""
        remote.say(f"left out: {', '.join(names[:6])}{more}")


def _publish(
    remote: RemoteRepo,
    staged: StagedRelease,
    private: bool,
    collection: str | None,
    version: str | None,
    note: str | None,
    about: str | None,
) -> Release:
    remote.ensure(private)
    head = remote.head(MAIN)
    tree = remote.tree(head)
    tags = plan_tags(remote, staged, head if not difference(staged, tree) else None, version)
    if difference(staged, tree):
        pull = find_or_open(remote, staged)
        sent, revision = _upload_and_merge(remote, pull, staged)
        remote.say(f"merged: `main` is {revision[:12]} and shows all of it")
        _close_superseded(remote, pull)
        made = tags.apply(remote, staged, revision)
        slug = remote.collect(collection, note, about) if collection else None
        return _result(remote, staged, revision, made, sent, pull.number, slug)
    remote.say(f"unchanged: `main` ({head[:12]}) shows exactly this; nothing is sent")
    made = tags.apply(remote, staged, head)
    slug = remote.collect(collection, note, about) if collection else None
    return _result(remote, staged, head, made, collection=slug, unchanged=True)


def _upload_and_merge(
    remote: RemoteRepo, pull: PullRequest, staged: StagedRelease
) -> tuple[UploadCounts, str]:
    """Fill the pull request, read it back and merge it: what was sent, and the commit of `main`."""
    try:
        sent = upload(remote, pull, staged)
        read_back(remote, staged, pull.ref)
    except Exception as error:
        if status_of(error) != CONFLICT:  # else it was merged or closed while we filled it
            raise
        return UploadCounts(), after_conflict(remote, pull, staged)
    return sent, merge(remote, pull, staged)


def _close_superseded(remote: RemoteRepo, pull: PullRequest) -> None:
    """Close what this release made superfluous: earlier attempts, and its own request if another's was merged."""
    for number in (*pull.others, pull.number):
        remote.close_pull_request(number, "The same release has been merged.")
    left = remote.open_pull_requests(TITLE)
    if left:
        numbers = ", ".join(str(number) for number in left)
        remote.say(
            f"unfinished releases of other content wait in pull requests {numbers}: close what is not wanted"
        )


def _result(
    remote: RemoteRepo,
    staged: StagedRelease,
    revision: str,
    tags: Sequence[str],
    sent: UploadCounts | None = None,
    pull: int | None = None,
    collection: str | None = None,
    *,
    unchanged: bool = False,
    dry_run: bool = False,
) -> Release:
    sent = sent or UploadCounts()
    return Release(
        kind=staged.kind,
        repo=remote.repo_id,
        url=remote.url,
        revision=revision,
        tags=tuple(tags),
        fingerprint=staged.fingerprint,
        digest=staged.digest,
        files=len(staged.files),
        size=staged.size,
        sent_files=sent.files,
        sent_bytes=sent.size,
        copied_files=sent.copied,
        unchanged=unchanged,
        pull_request=pull,
        collection=collection,
        dry_run=dry_run,
        rehearsal=remote.endpoint.is_local_hub,
    )


def _command(
    directory: Path,
    repo: str,
    endpoint: Endpoint,
    private: bool,
    collection: str | None,
    version: str | None,
    note: str | None,
) -> str:
    words = ["l2t", "release", str(directory), "--repo", repo]
    words += ["--hub", endpoint.option] if endpoint.option else []
    words += ["--private"] if private else []
    words += ["--collection", collection] if collection else []
    words += ["--version", version] if version else []
    words += ["--note", note] if note else []
    return shlex.join(words)


def failure(error: BaseException, endpoint: Endpoint, command: str) -> UserError:
    """Any failure of a release as a UserError: what happened in plain words, what to do, the command that resumes."""
    if isinstance(error, UserError):
        what, advice = error.message, error.hint or ""
        kind = type(error)
    else:
        what, advice, kind = _explained(error, endpoint), "What was made stays; go on with:", UserError
    hint = f"{advice}\n{command}" if advice else f"Then:\n{command}"
    return kind(without_secrets(what, endpoint.token), without_secrets(hint, endpoint.token))


def _explained(error: BaseException, endpoint: Endpoint) -> str:
    status = status_of(error)
    told = describe_error(error)
    if status == 401:
        return f"{endpoint.name} does not accept the token any more: it is wrong or has expired"
    if status == 403:
        return f"{endpoint.name} does not allow this token to do that: {told}"
    if status == DISK_FULL:
        return f"{endpoint.name} has no room left: {told}"
    if is_transient(error):
        return f"{endpoint.name} did not do it in all attempts: {told}"
    return f"the release failed: {told}"
