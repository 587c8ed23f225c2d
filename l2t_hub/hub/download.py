"""Download a dataset or model from a Hub and check every file against the release's own list.

A model repo is refused if loading it would run code: `auto_map` in a configuration, or weights only as a pickle.
Pickles and Python files beside safetensors are never fetched.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from l2t_hub.artifacts import MANIFEST, RELEASE_RECORD
from l2t_hub.errors import UsageError, UserError
from l2t_hub.hub.failures import LOG_IN, PRIVATE_REPO, hub_error
from l2t_hub.hub.names import check_hub_name
from l2t_hub.hub.retry import RetryPolicy, Say, retrying
from l2t_hub.hub.unsafe_files import CODE_SUFFIXES, PICKLE_SUFFIXES, REMOTE_CODE_FILES, has_auto_map
from l2t_hub.records.file_list import UNLISTED, compare_directory, is_loaded
from l2t_hub.records.listed_files import listed_files
from l2t_hub.records.reading import parse_json, read_bounded
from l2t_hub.records.repo_path import path_problem

_REMEDY = (
    "Delete it from the Hub cache (`hf cache rm`) and download it again. "
    "If it still differs, the repo was changed after the release."
)
KINDS = ("dataset", "model")


@dataclass(frozen=True)
class Download:
    """A dataset or model repo at one commit, downloaded.

    `directory` may contain links into the Hub cache. `verified` is the number of files checked against the release.
    `skipped` lists the files not fetched because loading them could run code, `unlisted` those that no record of the
    release lists and no library loads.
    """

    directory: Path
    kind: str
    repo: str
    revision: str
    verified: int
    skipped: tuple[str, ...] = ()
    unlisted: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The repo and its commit, ORG/NAME@COMMIT, as cards and records cite it."""
        return f"{self.repo}@{self.revision}"


def parse_name(text: str, revision: str | None = None) -> tuple[str, str | None]:
    """Split 'ORG/NAME' or 'ORG/NAME@REVISION' into repo and revision. Raises UsageError for anything else."""
    check_hub_name(text, nearby=False)
    repo, at, own = text.partition("@")
    if at and not re.fullmatch(r"[^\s@]+", own):
        raise UsageError(f"{text}: '{own}' is no revision", "Name a branch, a tag or a commit after the @.")
    if own and revision and own != revision:
        raise UsageError(f"{text}: conflicts with the revision {revision} given separately", "Give only one.")
    return repo, own or revision


def kinds_of(choice: str | None) -> tuple[str, ...]:
    """Return the kinds of repo that `--kind` leaves, the preferred one first. Raises UsageError for another word."""
    if choice is None:
        return KINDS
    if choice not in KINDS:
        raise UsageError(f"--kind {choice}: must be one of {', '.join(KINDS)}")
    return (choice,)


def kind_and_commit(repo: str, revision: str | None = None, kinds: Sequence[str] = KINDS) -> tuple[str, str]:
    """Return the first of `kinds` that the Hub has by that name, and its commit. Raises UserError if it has none."""
    from huggingface_hub import HfApi
    from huggingface_hub.errors import RepositoryNotFoundError

    api = HfApi()
    for kind in kinds:
        look_up = partial(api.repo_info, repo, repo_type=kind, revision=revision)
        try:
            return kind, str(retrying(look_up, f"looking up {repo}", RetryPolicy(), lambda line: None).sha)
        except RepositoryNotFoundError:
            continue
        except Exception as error:
            raise hub_error(error, f"{repo}: lookup failed", api.endpoint) from error
    raise UserError(
        f"{repo}: no such directory or recipe, and {api.endpoint} has no {' or '.join(kinds)} of that name",
        f"Check the name. {PRIVATE_REPO}",
    )


def resolve(
    text: Path | str,
    kind: str,
    revision: str | None = None,
    *,
    say: Say = print,
    policy: RetryPolicy | None = None,
) -> tuple[Path, Download | None]:
    """Return the directory that a DIR|REPO argument names, and the download it comes from, if any.

    A directory of that name takes precedence over a repo. Uses the Hub selected by `connected` or the environment.
    Raises UsageError for an invalid argument, UserError as `download` does.
    """
    directory = Path(text)
    if directory.is_dir():
        return directory, None
    if directory.exists():
        raise UsageError(f"{text}: this is a file, not a {kind} directory")
    repo, revision = parse_name(str(text), revision)
    downloaded = download(repo, kind, revision, say=say, policy=policy)
    return downloaded.directory, downloaded


def download(
    repo: str,
    kind: str,
    revision: str | None = None,
    *,
    only: Sequence[str] | None = None,
    code: Sequence[str] = (),
    say: Say = print,
    policy: RetryPolicy | None = None,
) -> Download:
    """Download a dataset or model at a revision (default: `main`) into the Hub cache and check every file.

    `only` limits the download to paths that match these patterns. `code` names Python files of a dataset that the
    user trusts; no others are fetched. Raises UserError if the repo, revision or manifest
    does not exist, if a file differs from the release, or if loading the model would run code from its repo.
    """
    policy = policy or RetryPolicy()
    commit, paths = _list_files(repo, kind, revision, policy, say)
    for path in paths:
        if problem := path_problem(path):
            raise UserError(f"{repo}: refused: the Hub lists a file {path!r}: {problem}")
    skip = [path for path in _refused_files(repo, kind, paths) if kind == "model" or path not in code]
    try:
        if kind == "model":
            _refuse_remote_code(repo, commit, paths, policy, say)
        fetch = partial(_fetch, repo, kind, commit, skip, only)
        directory = Path(retrying(fetch, f"downloading {repo}", policy, say))
    except UserError:
        raise
    except Exception as error:
        raise hub_error(error, f"{repo}: download failed", _hub_url()) from error
    verified, unlisted = _check(directory, repo, kind, paths, skip, partly=only is not None)
    if skip:
        say(f"{repo}: skipped files that could run code when loaded: {', '.join(skip[:5])}")
    if unlisted:
        say(f"{repo}: not part of the release: {', '.join(unlisted[:5])}")
    return Download(directory, kind, repo, commit, verified, tuple(skip), tuple(unlisted))


def _hub_url() -> str:
    from huggingface_hub.constants import ENDPOINT

    return str(ENDPOINT)


def file_sizes(
    repo: str, kind: str, revision: str | None, *, anonymous: bool, say: Say = print
) -> tuple[str, dict[str, int]]:
    """Return the commit that a revision names, and the bytes of each file whose size is known.

    `anonymous` sends no token, so that only a public repo is found. Raises UserError.
    """
    info = _look_up(repo, kind, revision, RetryPolicy(), say, sizes=True, anonymous=anonymous)
    return str(info.sha), {file.rfilename: file.size for file in info.siblings or [] if file.size is not None}


def fetch_file(repo: str, kind: str, commit: str, path: str, *, anonymous: bool, say: Say = print) -> Path:
    """Download one file of a repo, whatever is in it. `anonymous` sends no token. Raises UserError."""
    from huggingface_hub import hf_hub_download

    token = False if anonymous else None
    fetch = partial(hf_hub_download, repo, path, repo_type=kind, revision=commit, token=token)
    try:
        return Path(retrying(fetch, f"downloading {path} of {repo}", RetryPolicy(), say))
    except Exception as error:
        raise hub_error(error, f"{repo}: {path}: download failed", _hub_url()) from error


def _list_files(
    repo: str, kind: str, revision: str | None, policy: RetryPolicy, say: Say
) -> tuple[str, list[str]]:
    """Return the commit that a revision names, and the paths of its files."""
    info = _look_up(repo, kind, revision, policy, say)
    return str(info.sha), [sibling.rfilename for sibling in getattr(info, "siblings", None) or []]


def _look_up(
    repo: str,
    kind: str,
    revision: str | None,
    policy: RetryPolicy,
    say: Say,
    *,
    sizes: bool = False,
    anonymous: bool = False,
) -> Any:
    from huggingface_hub import HfApi
    from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError, RevisionNotFoundError

    api = HfApi(token=False if anonymous else None)
    look_up = partial(api.repo_info, repo, repo_type=kind, revision=revision, files_metadata=sizes)
    try:
        return retrying(look_up, f"looking up {repo}", policy, say)
    except RevisionNotFoundError:
        raise UserError(f"{repo} has no revision {revision}", "Name a branch, a tag or a commit.") from None
    except GatedRepoError:
        raise UserError(
            f"{repo}: access to this {kind} is restricted", f"Request access on its page. {LOG_IN}"
        ) from None
    except RepositoryNotFoundError:
        raise UserError(
            f"{_hub_url()} has no {kind} {repo}, or it is private and this token has no access",
            f"Check the name. {PRIVATE_REPO}",
        ) from None
    except Exception as error:
        raise hub_error(error, f"{repo}: lookup failed", _hub_url()) from error


def _refused_files(repo: str, kind: str, paths: Sequence[str]) -> list[str]:
    """Return the files that are never fetched. Raises UserError for a model without safetensors weights."""
    dangerous = [path for path in paths if _is_dangerous(path)]
    if kind == "model" and not any(path.endswith(".safetensors") for path in paths):
        instead = f", only {dangerous[0]}, which could run code when loaded" if dangerous else ""
        raise UserError(
            f"{repo}: refused: it has no safetensors weights{instead}",
            "Use a repo or a revision that has model.safetensors.",
        )
    return dangerous


def _is_dangerous(path: str) -> bool:
    return path.lower().endswith((*PICKLE_SUFFIXES, *CODE_SUFFIXES))


def _refuse_remote_code(repo: str, commit: str, paths: Sequence[str], policy: RetryPolicy, say: Say) -> None:
    from huggingface_hub import hf_hub_download

    for path in (path for path in paths if path.rpartition("/")[2] in REMOTE_CODE_FILES):
        step = partial(hf_hub_download, repo, path, revision=commit)
        file = str(retrying(step, f"reading {path}", policy, say))
        if has_auto_map(parse_json(read_bounded(Path(file)), f"{repo}: {path}")):
            raise UserError(
                f"{repo}: refused: {path} has `auto_map`, which makes transformers run code from the repo",
                "l2t loads only models whose classes are part of transformers.",
            )


def _fetch(repo: str, kind: str, commit: str, skip: Sequence[str], only: Sequence[str] | None) -> str:
    from huggingface_hub import snapshot_download

    literal_skip = [re.sub(r"([\[*?])", r"[\1]", path) for path in skip]
    return snapshot_download(
        repo,
        repo_type=kind,
        revision=commit,
        ignore_patterns=literal_skip,
        allow_patterns=[*only, MANIFEST, RELEASE_RECORD] if only else None,
    )


def _check(
    directory: Path, repo: str, kind: str, paths: Sequence[str], skipped: Sequence[str], *, partly: bool
) -> tuple[int, list[str]]:
    """Compare a repo with what its records list; return how many files were compared, and the unlisted paths.

    `paths` are all files of the repo, fetched or not. Raises UserError if a listed file is missing or different, or
    if a library would load a file that is not listed.
    """
    listed = listed_files(directory, kind, repo)
    absent = sorted(listed.keys() - set(paths) - {p for p in listed if _is_dangerous(p)})
    if absent:
        raise UserError(f"{repo}: incomplete: {absent[0]} is listed in the release but missing")
    unlisted = sorted(set(paths) - listed.keys() - set(UNLISTED)) if listed else []
    loaded = [path for path in unlisted if path not in skipped and is_loaded(kind, path)]
    if loaded:
        raise UserError(
            f"{repo}: {loaded[0]} is not in the release: it was added to the repo later",
            "Download the revision that was released: ORG/NAME@REVISION.",
        )
    wanted = {
        path: expected
        for path, expected in listed.items()
        if path in paths and path not in skipped and not (partly and not (directory / path).is_file())
    }
    for path, problem in compare_directory(directory, wanted, "the release").items():
        raise UserError(f"{repo}: {path}: {problem}", _REMEDY)
    return len(wanted), unlisted
