"""The merge of a release's pull request into `main`, which makes the whole release visible at once.

Two releases to one repo never mix. Before the merge, `main` must be at the commit that the pull request began from.
If another release is merged between that check and our merge, both change the only line of the release record
(`l2t_release.json`), so the Hub reports a conflict and refuses ours.
"""

from l2t_hub.errors import UserError
from l2t_hub.hub.retry import status_of
from l2t_hub.publish.repository import MAIN, RemoteRepo, difference
from l2t_hub.publish.stage import StagedRelease
from l2t_hub.publish.upload import PullRequest, same_on_main

CONFLICT = 409


class LostRaceError(UserError):
    """Another release reached `main` before this one."""


def merge(remote: RemoteRepo, pull: PullRequest, staged: StagedRelease) -> str:
    """Merge the pull request and return the commit of `main` that shows the release, compared file by file.

    If another process has released exactly the same content in the meantime, that commit is returned.

    Raises LostRaceError if `main` now shows another release, and UserError if its files differ from any release.
    """
    try:
        commit = remote.retry("merging", lambda: _merge_once(remote, pull, staged))
    except Exception as error:
        if status_of(error) != CONFLICT:
            raise
        commit = after_conflict(remote, pull, staged)
    wrong = difference(staged, remote.tree(commit))
    if wrong:
        paths = [file.path for file in wrong.missing] + list(wrong.gone)
        raise UserError(
            f"{remote.url}: `main` differs from the release in {', '.join(paths[:3])}: "
            "another commit to `main` was made during the merge",
            "Check that commit.",
        )
    return commit


def _merge_once(remote: RemoteRepo, pull: PullRequest, staged: StagedRelease) -> str:
    state, merged = remote.pull_request_state(pull.number)
    if state == "merged":
        return merged or remote.head(MAIN)
    if remote.head(MAIN) != pull.base:
        return after_conflict(remote, pull, staged)
    if state == "closed":
        raise UserError(
            f"{remote.url}: pull request {pull.number} was closed while the release was being uploaded",
            "Check why it was closed.",
        )
    if state == "draft":
        remote.api.change_discussion_status(remote.repo_id, pull.number, "open", repo_type=remote.kind)
    remote.api.merge_pull_request(remote.repo_id, pull.number, repo_type=remote.kind)
    state, merged = remote.pull_request_state(pull.number)
    return merged or remote.head(MAIN)


def after_conflict(remote: RemoteRepo, pull: PullRequest, staged: StagedRelease) -> str:
    """Return the commit of `main` that shows this release, although the Hub refused our change.

    Raises LostRaceError if `main` shows another release.
    """
    state, merged = remote.pull_request_state(pull.number)
    if state == "merged" and merged:
        return merged
    head = same_on_main(remote, staged)
    if head:
        remote.say("another process has released the same content; using that release")
        return head
    raise LostRaceError(
        f"{remote.url}: another release reached `main` first (now at {remote.head(MAIN)[:12]}); "
        f"`main` shows that release, and this one is in pull request {pull.number}",
        "Decide whether this one should replace it.",
    )
