"""The moment of a release: the pull request becomes `main`, all at once, or somebody else was first and it does not.

Two releases to one repo never mix. Before merging, `main` must be where the pull request began; and should another
be merged in between, the two tables of contents (`l2t_release.json`) differ on their only line, so the Hub finds a
conflict and refuses.
"""

from l2t_hub.errors import UserError
from l2t_hub.hub.retry import status_of
from l2t_hub.publish.repository import MAIN, RemoteRepo, difference
from l2t_hub.publish.stage import StagedRelease
from l2t_hub.publish.upload import PullRequest, same_on_main

CONFLICT = 409


class LostRaceError(UserError):
    """Another release reached `main` while this one was on its way."""


def merge(remote: RemoteRepo, pull: PullRequest, staged: StagedRelease) -> str:
    """Merge the pull request; the commit of `main` that shows the release, checked file by file.

    If another process has meanwhile released exactly the same content, that is the release and all is well.

    Raises LostRaceError if `main` shows another release now; UserError if it shows what nobody released.
    """
    try:
        commit = remote.retry("merging", lambda: _step(remote, pull, staged))
    except Exception as error:
        if status_of(error) != CONFLICT:
            raise
        commit = after_conflict(remote, pull, staged)
    wrong = difference(staged, remote.tree(commit))
    if wrong:
        odd = [file.path for file in wrong.missing] + list(wrong.gone)
        raise UserError(
            f"{remote.url}: `main` differs from the release in {', '.join(odd[:3])}: "
            "somebody committed to it by hand at the very moment of the merge"
        )
    return commit


def _step(remote: RemoteRepo, pull: PullRequest, staged: StagedRelease) -> str:
    state, merged = remote.pull_request_state(pull.number)
    if state == "merged":
        return merged or remote.head(MAIN)
    if remote.head(MAIN) != pull.base:
        return after_conflict(remote, pull, staged)
    if state == "closed":
        raise UserError(f"{remote.url}: somebody closed pull request {pull.number} while it was being filled")
    if state == "draft":
        remote.api.change_discussion_status(remote.repo_id, pull.number, "open", repo_type=remote.kind)
    remote.api.merge_pull_request(remote.repo_id, pull.number, repo_type=remote.kind)
    state, merged = remote.pull_request_state(pull.number)
    return merged or remote.head(MAIN)


def after_conflict(remote: RemoteRepo, pull: PullRequest, staged: StagedRelease) -> str:
    """The commit of `main` that shows this release although the Hub refused us; LostRaceError if it shows another."""
    state, merged = remote.pull_request_state(pull.number)
    if state == "merged" and merged:
        return merged
    head = same_on_main(remote, staged)
    if head:
        remote.say("another process has released exactly this at the same time: that is the release")
        return head
    raise LostRaceError(
        f"{remote.url}: another release reached `main` first (now at {remote.head(MAIN)[:12]}); "
        f"`main` is whole and shows that one, this one waits in pull request {pull.number}",
        "To put this one on top of it, release again:",
    )
