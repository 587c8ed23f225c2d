"""A release: publishes a directory as a repo whose `main` shows all of it or none of it.

    stage -> validate -> name -> pull request -> upload -> read back -> merge -> tag -> collection

Datasets, models and Spaces take the same path. Any step can be killed and repeated: the state is read from the Hub,
and nothing is remembered on this machine.
"""

import logging
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from l2t_hub.console import command
from l2t_hub.errors import UsageError, UserError
from l2t_hub.hub.connect import connected
from l2t_hub.hub.endpoint import Endpoint
from l2t_hub.hub.failures import explain
from l2t_hub.hub.names import check_collection, check_repo
from l2t_hub.hub.retry import RetryPolicy, Say, is_transient, status_of, without_secrets
from l2t_hub.interruption import interruptible
from l2t_hub.publish.dry_run import show_dry_run
from l2t_hub.publish.merge import CONFLICT, after_conflict, merge
from l2t_hub.publish.repository import MAIN, RemoteRepo, describe_files
from l2t_hub.publish.stage import StagedRelease, stage
from l2t_hub.publish.tags import check_version, plan_tags
from l2t_hub.publish.upload import (
    TITLE,
    PullRequest,
    UploadCounts,
    close_superseded,
    find_or_open,
    read_back,
    same_on_main,
    upload,
)
from l2t_hub.publish.validate import validate
from l2t_hub.text import counted

_SHOWN_LEFT_OUT = 6


@dataclass(frozen=True)
class Release:
    """What is on the Hub after a release, or would be after a dry run.

    `revision` is the commit of `main`, `size` is in bytes. `sent_files` and `sent_bytes` count what this run sent,
    `copied_files` what the Hub copied because it had the content; `unchanged` means that nothing had to be sent.
    `rehearsal` marks a release to the local Hub.
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
        """Return the release as plain JSON values."""
        return asdict(self)

    def summary(self) -> str:
        """Return one line for the terminal."""
        if self.dry_run:
            return f"dry run for {self.url}: nothing was sent"
        what = "unchanged" if self.unchanged else f"released {counted(self.files, 'file')}"
        tags = f" ({', '.join(self.tags)})" if self.tags else ""
        return f"{what}: {self.url} at {self.revision[:12]}{tags}"


@dataclass(frozen=True)
class _Options:
    """What the user asked for, beyond directory and repo; `release` documents the fields."""

    private: bool
    collection: str | None
    version: str | None
    note: str | None
    description: str | None
    license: str | None

    def check(self) -> None:
        check_collection(self.collection, self.note)
        if self.version is not None:
            check_version(self.version)

    def command(self, directory: Path, repo: str, endpoint: Endpoint) -> str:
        """Return the shell command that runs this release again."""
        words = [str(directory), "--repo", repo]
        words += ["--hub", endpoint.option] if endpoint.option else []
        words += ["--private"] if self.private else []
        words += ["--collection", self.collection] if self.collection else []
        words += ["--version", self.version] if self.version else []
        words += ["--note", self.note] if self.note else []
        words += ["--license", self.license] if self.license else []
        return command("release", *words)


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
    description: str | None = None,
    license: str | None = None,
    siblings: Mapping[str, str] | None = None,
    say: Say = print,
    policy: RetryPolicy | None = None,
) -> Release:
    """Publish a dataset, model or Space directory as `repo` (ORG/NAME) on `hub` (see `connected`).

    The card and the records name what is on that Hub (see `naming`); the directory stays as it is. `collection` is
    the title of a collection to add the repo to, with `note` beside it; a new collection gets `description`; the
    defaults of both come from the records. `version` becomes a tag; the default is the next of v1, v2, ... `license`
    is the licence of the text or the model, if the records do not say. `siblings` maps the weights (SHA-256) of
    models in the same release to their repos. The same call continues an interrupted release.

    Raises UsageError for an invalid argument, or a directory that is not a dataset, model or Space. Any other failure
    is a UserError whose last line is the command that continues the release, and so is that of Interrupted.
    """
    directory = Path(directory)
    options = _Options(private, collection, version, note, description, license)
    check_repo(repo)
    options.check()
    kept = f"{directory}: `main` of {repo} shows all of it or nothing, and uploaded files are kept"
    with connected(hub) as endpoint:
        again = options.command(directory, repo, endpoint)
        with interruptible(lambda: (kept, f"To continue, rerun:\n{again}")):
            try:
                return _release(directory, repo, endpoint, options, siblings or {}, dry_run, say, policy)
            except UsageError:
                raise
            except Exception as error:
                raise _failure(error, endpoint, again) from error


def _release(
    directory: Path,
    repo: str,
    endpoint: Endpoint,
    options: _Options,
    siblings: Mapping[str, str],
    dry_run: bool,
    say: Say,
    policy: RetryPolicy | None,
) -> Release:
    # Cards need the Hugging Face libraries, which read the endpoint when they are imported.
    from l2t_hub.publish.naming import check_card, check_license, released_contents

    if options.license is not None:
        check_license(options.license)
    staged = stage(directory, endpoint.token)
    validate(staged)
    check_card(directory, staged.kind, options.license)
    silence_clients()
    remote = RemoteRepo(endpoint, staged.kind, repo, policy or RetryPolicy(), _without_secrets(say, endpoint))
    _announce(remote, staged)
    remote.sign_in()
    contents = released_contents(
        directory, remote, license=options.license, private=options.private, siblings=siblings
    )
    staged = staged.with_contents(contents)
    if dry_run:
        show_dry_run(
            remote, staged, private=options.private, collection=options.collection, version=options.version
        )
        return _result(remote, staged, dry_run=True)
    return _publish(remote, staged, options)


def _without_secrets(say: Say, endpoint: Endpoint) -> Say:
    return lambda line: say(without_secrets(line, endpoint.token))


def silence_clients() -> None:
    """Turn off warnings of the clients, which print URLs with signatures. The release reports what matters."""
    from huggingface_hub.utils import disable_progress_bars  # type: ignore[attr-defined]

    logging.getLogger("huggingface_hub").setLevel(logging.ERROR)
    if not sys.stderr.isatty():
        disable_progress_bars()


def _announce(remote: RemoteRepo, staged: StagedRelease) -> None:
    remote.say(f"{staged.kind} {staged.directory}: {describe_files(staged.files)} -> {remote.url}")
    if staged.left_out:
        names = [f"{path} ({rule})" for path, rule in staged.left_out]
        hidden = len(names) - _SHOWN_LEFT_OUT
        more = f", and {hidden} more" if hidden > 0 else ""
        remote.say(f"left out: {', '.join(names[:_SHOWN_LEFT_OUT])}{more}")


def _publish(remote: RemoteRepo, staged: StagedRelease, options: _Options) -> Release:
    remote.create_if_missing(options.private)
    released_as = same_on_main(remote, staged)
    planned = plan_tags(remote, staged, released_as, options.version)
    pull = None if released_as else find_or_open(remote, staged, planned.version)
    sent = UploadCounts()
    if pull is None:
        revision = released_as or remote.head(MAIN)
        planned = plan_tags(remote, staged, revision, options.version)
        remote.say(f"unchanged: `main` ({revision[:12]}) already shows this release")
    else:
        sent, revision = _upload_and_merge(remote, pull, staged)
        remote.say(f"merged: `main` is now {revision[:12]}")
        _close_others(remote, pull)
    tags = planned.apply(remote, staged, revision)
    collection = None
    if options.collection:
        from l2t_hub.publish.cards import collection_description, collection_note

        note = options.note or collection_note(staged.kind, staged.directory)
        about = options.description or collection_description(
            options.collection, staged.kind, staged.directory
        )
        collection = remote.add_to_collection(options.collection, note, about)
    return _result(
        remote,
        staged,
        revision=revision,
        tags=tags,
        sent_files=sent.files,
        sent_bytes=sent.size,
        copied_files=sent.copied,
        unchanged=pull is None,
        pull_request=pull.number if pull else None,
        collection=collection,
    )


def _upload_and_merge(
    remote: RemoteRepo, pull: PullRequest, staged: StagedRelease
) -> tuple[UploadCounts, str]:
    """Fill the pull request, read it back and merge it. Returns what was sent, and the commit of `main`."""
    try:
        sent = upload(remote, pull, staged)
        read_back(remote, staged, pull.ref)
    except Exception as error:
        if status_of(error) != CONFLICT:  # a conflict here means that it was merged or closed meanwhile
            raise
        return UploadCounts(), after_conflict(remote, pull, staged)
    return sent, merge(remote, pull, staged)


def _close_others(remote: RemoteRepo, pull: PullRequest) -> None:
    """Close earlier pull requests of the same content, and our own if another process merged first."""
    close_superseded(remote, (*pull.superseded, pull.number))
    unfinished = remote.open_pull_requests(TITLE)
    if unfinished:
        numbers = ", ".join(str(number) for number in unfinished)
        remote.say(
            f"unfinished releases of other content: pull requests {numbers}; close any you do not need"
        )


def _result(
    remote: RemoteRepo,
    staged: StagedRelease,
    *,
    revision: str = "",
    tags: tuple[str, ...] = (),
    **fields: Any,
) -> Release:
    return Release(
        kind=staged.kind,
        repo=remote.repo_id,
        url=remote.url,
        revision=revision,
        tags=tags,
        fingerprint=staged.fingerprint,
        digest=staged.digest,
        files=len(staged.files),
        size=staged.size,
        rehearsal=remote.endpoint.is_local_hub,
        **fields,
    )


def _failure(error: BaseException, endpoint: Endpoint, again: str) -> UserError:
    """Return any failure of a release as a UserError that ends with the command to continue it."""
    kind = UserError
    if isinstance(error, UserError):
        kind, message, remedy = type(error), error.message, error.hint or ""
    else:
        message, remedy = explain(error, endpoint.name, "write")
        message += "; all attempts failed" if is_transient(error) else ""
        remedy = f"Uploaded files are kept. {remedy}".strip()
    then = "Then continue the release with:" if remedy else "Continue the release with:"
    hint = f"{remedy} {then}\n{again}".strip()
    return kind(without_secrets(message, endpoint.token), without_secrets(hint, endpoint.token))
