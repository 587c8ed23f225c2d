"""From a name on the Hub to a directory here that can be trusted: every file checked against the release's list.

A model's repository is refused if it would run code: `auto_map`, or weights only as a pickle. Pickles and Python
files that lie beside safetensors are never fetched.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from hashlib import file_digest
from pathlib import Path
from typing import Any

from l2t_hub.artifacts import MANIFEST, RELEASE_RECORD
from l2t_hub.errors import UsageError, UserError
from l2t_hub.hub.names import is_repo, path_problem
from l2t_hub.hub.retry import RetryPolicy, Say, describe_error, retrying, status_of
from l2t_hub.hub.unsafe_files import CODE_SUFFIXES, PICKLE_SUFFIXES, REMOTE_CODE_FILES, has_auto_map

_REMEDY = (
    "Delete it from the Hub cache (`hf cache rm`) and download again; if it stays so, the repo was changed."
)


@dataclass(frozen=True)
class Download:
    """A repo at one commit, here. `directory` may hold links into the Hub cache; `verified` counts files checked.

    `skipped` are files that were not fetched because loading them could run code.
    """

    directory: Path
    kind: str
    repo: str
    revision: str
    verified: int
    skipped: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The repo with its commit: what a card or a record should name."""
        return f"{self.repo}@{self.revision}"


def parse_name(text: str, revision: str | None = None) -> tuple[str, str | None]:
    """'ORG/NAME' or 'ORG/NAME@REVISION' as repo and revision. Raises UsageError for anything else."""
    repo, at, own = text.partition("@")
    if not is_repo(repo) or (at and not re.fullmatch(r"[^\s@]+", own)):
        raise UsageError(
            f"{text}: neither a directory nor the name of a repo", "A name is ORG/NAME or ORG/NAME@REVISION."
        )
    if own and revision and own != revision:
        raise UsageError(f"{text}: two revisions are asked for, {own} and {revision}")
    return repo, own or revision


def resolve(
    text: Path | str,
    kind: str,
    revision: str | None = None,
    *,
    say: Say = print,
    policy: RetryPolicy | None = None,
) -> tuple[Path, Download | None]:
    """The directory that a DIR|REPO argument means, and where it came from if that was the Hub.

    A directory that exists wins. Uses the Hub that `connected` or the environment chose.
    """
    directory = Path(text)
    if directory.is_dir():
        return directory, None
    if directory.exists():
        raise UsageError(f"{text}: this is a file, not a {kind} directory")
    repo, revision = parse_name(str(text), revision)
    found = download(repo, kind, revision, say=say, policy=policy)
    return found.directory, found


def download(
    repo: str,
    kind: str,
    revision: str | None = None,
    *,
    only: Sequence[str] | None = None,
    say: Say = print,
    policy: RetryPolicy | None = None,
) -> Download:
    """Bring a dataset or model at a revision (default: `main`) into the Hub cache, and check every file.

    `only` are patterns of paths to fetch; what is fetched is checked. Raises UserError if the repo, the revision or
    the manifest is missing, if a file is not what the release says, or if a model's repository would run code.
    """
    policy = policy or RetryPolicy()
    commit, paths = _listing(repo, kind, revision, policy, say)
    for path in paths:
        if problem := path_problem(path):
            raise UserError(f"{repo}: refused: the Hub lists a file {path!r}: {problem}")
    skip = _refused_files(repo, kind, paths)
    if kind == "model":
        _refuse_remote_code(repo, commit, paths, policy, say)
    fetched = Path(
        retrying(lambda: _fetch(repo, kind, commit, skip, only), f"downloading {repo}", policy, say)
    )
    wanted = {path for path in paths if path not in skip and (fetched / path).is_file()}
    checked = _check(fetched, repo, kind, wanted, partly=only is not None)
    if skip:
        say(f"{repo}: not fetched, as loading them could run code: {', '.join(skip[:5])}")
    return Download(fetched, kind, repo, commit, checked, tuple(skip))


def _listing(
    repo: str, kind: str, revision: str | None, policy: RetryPolicy, say: Say
) -> tuple[str, list[str]]:
    """The commit a revision means, and its files."""
    from huggingface_hub import HfApi
    from huggingface_hub.errors import RepositoryNotFoundError, RevisionNotFoundError

    api = HfApi()
    try:
        info = retrying(
            lambda: api.repo_info(repo, repo_type=kind, revision=revision), f"looking up {repo}", policy, say
        )
    except RevisionNotFoundError:
        raise UserError(f"{repo} has no revision {revision}", "Name a branch, a tag or a commit.") from None
    except RepositoryNotFoundError:
        raise UserError(
            f"{api.endpoint} has no {kind} {repo}, or it is private and the token does not reach it",
            "Check the name; log in with `hf auth login` or set HF_TOKEN for a private one.",
        ) from None
    except Exception as error:
        raise _failed(repo, error) from error
    return str(info.sha), [sibling.rfilename for sibling in getattr(info, "siblings", None) or []]


def _failed(repo: str, error: Exception) -> UserError:
    if isinstance(error, UserError):
        return error
    hint = (
        "Set HF_TOKEN to a token that may read it." if status_of(error) in (401, 403) else "Try again later."
    )
    return UserError(f"{repo}: cannot be downloaded: {describe_error(error)}", hint)


def _refused_files(repo: str, kind: str, paths: Sequence[str]) -> list[str]:
    dangerous = [path for path in paths if path.lower().endswith((*PICKLE_SUFFIXES, *CODE_SUFFIXES))]
    if kind == "model" and not any(path.endswith(".safetensors") for path in paths):
        what = f"only {dangerous[0]}" if dangerous else "none"
        raise UserError(
            f"{repo}: refused: it has no safetensors weights ({what}); loading a pickle runs code",
            "Use a repository, or a revision, with model.safetensors.",
        )
    return dangerous


def _refuse_remote_code(repo: str, commit: str, paths: Sequence[str], policy: RetryPolicy, say: Say) -> None:
    from huggingface_hub import hf_hub_download

    for path in (path for path in paths if path.rpartition("/")[2] in REMOTE_CODE_FILES):
        step = partial(hf_hub_download, repo, path, revision=commit)
        file = str(retrying(step, f"reading {path}", policy, say))
        if has_auto_map(_json(Path(file), repo)):
            raise UserError(
                f"{repo}: refused: {path} has `auto_map`, which makes transformers run code from the repository",
                "l2t loads models whose classes are part of transformers, and no others.",
            )


def _fetch(repo: str, kind: str, commit: str, skip: Sequence[str], only: Sequence[str] | None) -> str:
    from huggingface_hub import snapshot_download

    patterns = [re.sub(r"([\[*?])", r"[\1]", path) for path in skip]
    return snapshot_download(
        repo,
        repo_type=kind,
        revision=commit,
        ignore_patterns=patterns,
        allow_patterns=[*only, MANIFEST, RELEASE_RECORD] if only else None,
    )


def _json(path: Path, repo: str) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"{repo}: {path.name} cannot be read: {error}") from None


def _check(directory: Path, repo: str, kind: str, paths: set[str], *, partly: bool) -> int:
    """Compare every file with the manifest and the release's list; how many were checked."""
    expected: dict[str, tuple[int | None, str]] = {}
    if (directory / RELEASE_RECORD).is_file():
        listed = _json(directory / RELEASE_RECORD, repo).get("files", {})
        expected |= {path: (int(size), str(digest)) for path, (size, digest) in listed.items()}
    if kind == "dataset":
        if not (directory / MANIFEST).is_file():
            raise UserError(
                f"{repo}: not a dataset of l2t: it has no {MANIFEST}",
                "Datasets made by `l2t build` have one.",
            )
        expected |= _from_manifest(_json(directory / MANIFEST, repo), repo)
    lacking = (
        []
        if partly
        else [p for p in expected if p not in paths and not p.endswith((*PICKLE_SUFFIXES, *CODE_SUFFIXES))]
    )
    if lacking:
        raise UserError(f"{repo}: incomplete: {lacking[0]} is listed in the release and not there")
    known = [path for path in sorted(paths) if path in expected]
    for path in known:
        _compare(directory / path, path, repo, *expected[path])
    strays = [path for path in paths if path.endswith(".parquet") and path not in expected]
    if strays:
        raise UserError(f"{repo}: {strays[0]} is not in {MANIFEST}: somebody added it to the repository")
    return len(known)


def _from_manifest(tree: Mapping[str, Any], repo: str) -> dict[str, tuple[int | None, str]]:
    try:
        shards = {str(row["path"]): (int(row["bytes"]), str(row["sha256"])) for row in tree["shards"]}
        return shards | {str(path): (None, str(digest)) for path, digest in tree.get("files", {}).items()}
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UserError(f"{repo}: its {MANIFEST} cannot be read: {error!r}") from None


def _compare(file: Path, path: str, repo: str, size: int | None, digest: str) -> None:
    if size is not None and file.stat().st_size != size:
        raise UserError(
            f"{repo}: {path} has {file.stat().st_size} bytes here and {size} in the release", _REMEDY
        )
    with file.open("rb") as stream:
        if file_digest(stream, "sha256").hexdigest() != digest:
            raise UserError(f"{repo}: {path} is not the file that was released: its sha256 differs", _REMEDY)
