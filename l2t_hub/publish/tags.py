"""The two tags of a release, on the merged commit: a version (`v3`) and the fingerprint (`fp-0123456789ab`)."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from l2t_hub.errors import UsageError, UserError
from l2t_hub.publish.repository import RemoteRepo, difference
from l2t_hub.publish.stage import StagedRelease

_VERSION = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._+-]{0,60}")
_NUMBERED = re.compile(r"v([1-9][0-9]{0,8})")
_MAX_RACES = 5


@dataclass(frozen=True)
class Tags:
    """The tags planned for a release.

    `numbered` means that the version was not given by the user, so it may move on to the next free number.
    """

    version: str
    fingerprint: str
    numbered: bool

    def apply(self, remote: RemoteRepo, staged: StagedRelease, commit: str) -> tuple[str, ...]:
        """Put both tags on `commit` and return them. A tag stays on the first commit that shows the same content.

        Raises UserError if the version belongs to another release.
        """
        message = f"{staged.kind}, fingerprint {staged.fingerprint}, contents {staged.digest}"
        version = self.version
        for _ in range(_MAX_RACES):
            if remote.tag(version, commit, message) or _shows(remote, version, staged):
                break
            if not self.numbered:
                raise _taken(remote, version)
            version = next_version(remote.tags())
        else:
            raise _taken(remote, version)
        remote.tag(self.fingerprint, commit, message)
        remote.say(f"tagged {version} and {self.fingerprint}")
        return version, self.fingerprint


def _shows(remote: RemoteRepo, version: str, staged: StagedRelease) -> bool:
    """Whether a tag is on a commit of this content: another process has released it at the same time."""
    return not difference(staged, remote.tree(remote.tags()[version]))


def _taken(remote: RemoteRepo, version: str) -> UserError:
    return UserError(
        f"{remote.url}: the tag {version} belongs to another release, and published tags do not move",
        "Choose another --version, or omit it to get the next number.",
    )


def check_version(version: str) -> None:
    """Raise UsageError unless `version` can be a tag."""
    if not _VERSION.fullmatch(version) or ".." in version or version.endswith((".", ".lock")):
        raise UsageError(f"--version {version}: not a valid git tag", "Use a version such as 1.0 or v2.")


def version_tag(version: str) -> str:
    """Return the tag of a version: 1.0 becomes v1.0."""
    return f"v{version}" if version[0].isdigit() else version


def next_version(tags: Mapping[str, str]) -> str:
    """Return the number after the highest of v1, v2, ..."""
    numbers = [int(match[1]) for name in tags if (match := _NUMBERED.fullmatch(name))]
    return f"v{max(numbers, default=0) + 1}"


def plan_tags(
    remote: RemoteRepo, staged: StagedRelease, released_as: str | None, version: str | None
) -> Tags:
    """Return the tags this release will get. `released_as` is the commit of `main` if it already shows the release.

    Raises UserError, before anything is sent, if the given version belongs to another release.
    """
    tags = remote.tags()
    fingerprint = f"fp-{staged.fingerprint[:12]}"
    if version is not None:
        name = version_tag(version)
        if name in tags and tags[name] != released_as:
            raise _taken(remote, name)
        return Tags(name, fingerprint, numbered=False)
    existing = sorted(
        name for name, commit in tags.items() if commit == released_as and not name.startswith("fp-")
    )
    return Tags(existing[0] if existing else next_version(tags), fingerprint, numbered=True)
