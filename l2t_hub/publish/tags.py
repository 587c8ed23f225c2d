"""The names of a release: a version (`v3`) and its fingerprint (`fp-0123456789ab`), tags on the merged commit."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from l2t_hub.errors import UsageError, UserError
from l2t_hub.publish.repository import RemoteRepo
from l2t_hub.publish.stage import StagedRelease

_VERSION = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._+-]{0,60}")
_NUMBERED = re.compile(r"v([1-9][0-9]{0,8})")
_RACES = 5


@dataclass(frozen=True)
class Tags:
    """The tags a release is to get. `numbered` versions may move on to the next free number, a given one may not."""

    version: str
    fingerprint: str
    numbered: bool

    def apply(self, remote: RemoteRepo, staged: StagedRelease, commit: str) -> tuple[str, ...]:
        """Put both tags on `commit`; what they are. A fingerprint's tag stays on the first release that had it."""
        message = f"{staged.kind}, fingerprint {staged.fingerprint}, contents {staged.digest}"
        version = self.version
        for _ in range(_RACES):
            if remote.tag(version, commit, message):
                break
            if not self.numbered:
                raise _taken(remote, version)
            version = next_version(remote.tags())
        else:
            raise _taken(remote, version)
        remote.tag(self.fingerprint, commit, message)
        remote.say(f"tagged {version} and {self.fingerprint}")
        return version, self.fingerprint


def _taken(remote: RemoteRepo, version: str) -> UserError:
    return UserError(
        f"{remote.url}: {version} is the tag of another release; a tag once published does not move",
        "Give another --version, or none for the next number. Then:",
    )


def check_version(version: str) -> None:
    """Raise UsageError unless `version` can be a tag."""
    if not _VERSION.fullmatch(version) or ".." in version or version.endswith((".", ".lock")):
        raise UsageError(f"--version {version}: not a name git takes for a tag", "Something like 1.0 or v2.")


def version_tag(version: str) -> str:
    """The tag of a version: 1.0 becomes v1.0."""
    return f"v{version}" if version[0].isdigit() else version


def next_version(tags: Mapping[str, str]) -> str:
    """The number after the highest of v1, v2, ..."""
    numbers = [int(match[1]) for name in tags if (match := _NUMBERED.fullmatch(name))]
    return f"v{max(numbers, default=0) + 1}"


def plan_tags(remote: RemoteRepo, staged: StagedRelease, shown_by: str | None, version: str | None) -> Tags:
    """The tags this release will get; `shown_by` is the commit of `main` if it shows the release already.

    Raises UserError if the version given belongs to another release: before anything is sent.
    """
    there = remote.tags()
    fingerprint = f"fp-{staged.fingerprint[:12]}"
    if version is not None:
        name = version_tag(version)
        if name in there and there[name] != shown_by:
            raise _taken(remote, name)
        return Tags(name, fingerprint, numbered=False)
    named = sorted(
        name for name, commit in there.items() if commit == shown_by and not name.startswith("fp-")
    )
    return Tags(named[0] if named else next_version(there), fingerprint, numbered=True)
