"""The files that a release of a directory will send, with size and hashes.

Hidden files, checkpoints, logs and partial files are left out and listed. A symlink is refused, because it could
publish any file of this machine. One file is added: `l2t_release.json`, the release record, which lists the others.
"""

import json
import os
import stat
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from hashlib import sha1, sha256
from pathlib import Path

from l2t_hub.artifacts import CARD, CONFIG, MANIFEST, RELEASE_RECORD, TRAINING_RECORD, WEIGHTS
from l2t_hub.errors import UsageError, UserError
from l2t_hub.hub.front_matter import load_front_matter
from l2t_hub.records.card_text import card_digest
from l2t_hub.records.dataset_manifest import Manifest
from l2t_hub.records.release_record import Kind, ReleaseRecord
from l2t_hub.records.repo_path import path_problem, same_name
from l2t_hub.records.training_record import TrainingRecord

# The Hub's own file: it lists what belongs in large-file storage. A release leaves it alone.
ATTRIBUTES = ".gitattributes"
# The Hub keeps larger files in large-file storage, where git's hash is not needed.
REGULAR_BYTES = 10 << 20
_PIECE = 1 << 20

# Reason -> patterns of file and folder names to leave out. The first match names the reason.
LEFT_OUT: Mapping[str, tuple[str, ...]] = {
    "hidden": (".*",),
    "checkpoint": ("checkpoint-*", "checkpoints"),
    "partial": ("*.partial", "*.part", "*.incomplete", "*.tmp", "*.lock", "*~"),
    "log": ("*.log", "logs", "runs", "wandb", "events.out.tfevents.*"),
    "cache": ("__pycache__", "*.pyc", "cache"),
    "state of a run": ("run.json",),
}
IN_DATA = ("hidden", "partial")
DATA = "data"
# The Hub's folder of benchmark scores. It looks hidden but is meant to be published.
NOT_HIDDEN = (".eval_results",)


@dataclass(frozen=True)
class StagedFile:
    """A file to send. Its content is in the file `source` or, for the release record, in `content`.

    `size` is in bytes. `git_hash` is git's SHA-1 of the content, None for files too large to be regular ones.
    """

    path: str
    size: int
    sha256: str
    git_hash: str | None
    source: Path | None = None
    content: bytes | None = None

    def read(self) -> bytes:
        """Return the whole content. Meant for small files."""
        return self.content if self.source is None else self.source.read_bytes()  # type: ignore[return-value]

    @property
    def card_sha256(self) -> str:
        """The SHA-256 of a card without the owner's text."""
        return card_digest(self.read())

    def head(self, count: int = 4096) -> bytes:
        """Return the first `count` bytes."""
        if self.source is None:
            return (self.content or b"")[:count]
        with self.source.open("rb") as stream:
            return stream.read(count)


@dataclass(frozen=True)
class StagedRelease:
    """A directory ready to be released.

    `fingerprint` comes from the manifest or training record, for a Space from its files. `digest` is a hash of all
    content, so two releases are equal if and only if their digests are. `left_out` pairs each path that is not
    released with the reason.
    """

    directory: Path
    kind: Kind
    fingerprint: str
    digest: str
    files: tuple[StagedFile, ...]
    left_out: tuple[tuple[str, str], ...]

    @property
    def size(self) -> int:
        """Total size in bytes."""
        return sum(file.size for file in self.files)

    def file(self, path: str) -> StagedFile | None:
        """Return the file at a path in the repo, or None."""
        return next((file for file in self.files if file.path == path), None)

    def paths(self) -> list[str]:
        """Return all paths, sorted."""
        return [file.path for file in self.files]

    def with_contents(self, contents: Mapping[str, bytes]) -> "StagedRelease":
        """Return the release with these contents, by path, instead of the files of the directory."""
        files = {f.path: f for f in self.files if f.path != RELEASE_RECORD}
        files |= {path: _staged_content(path, content) for path, content in contents.items()}
        own = self.fingerprint if self.kind != "space" else None
        return _complete(self.directory, self.kind, files.values(), own, self.left_out)


def stage(directory: Path, token: str | None = None) -> StagedRelease:
    """Select and hash the files that a release of `directory` sends. Writes nothing.

    Raises UserError for symlinks, special files, names the Hub rejects, and files that contain `token`; UsageError if
    the directory is not a dataset, model or Space.
    """
    if not directory.is_dir():
        raise UsageError(
            f"{directory}: no such directory", "Name the directory of a dataset, model or Space."
        )
    kind = release_kind(directory)
    left_out: list[tuple[str, str]] = []
    paths = sorted(_walk(directory, "", left_out))
    _check_names(directory, paths)
    files = [_hashed(directory, path, token) for path in paths]
    own = _own_fingerprint(directory, kind)
    return _complete(directory, kind, files, own, tuple(sorted(left_out)))


def _complete(
    directory: Path,
    kind: Kind,
    files: Collection[StagedFile],
    fingerprint: str | None,
    left_out: tuple[tuple[str, str], ...],
) -> StagedRelease:
    """Return the release of these files, with its record; `fingerprint` None means a hash of the files."""
    listed = {file.path: (file.size, file.sha256) for file in sorted(files, key=lambda file: file.path)}
    fingerprint = fingerprint or sha256(json.dumps(listed, sort_keys=True).encode()).hexdigest()
    record = ReleaseRecord(files=listed, fingerprint=fingerprint, format=1, kind=kind)
    staged = _staged_content(RELEASE_RECORD, record.content())
    every = tuple(sorted([*files, staged], key=lambda file: file.path))
    return StagedRelease(directory, kind, fingerprint, staged.sha256, every, left_out)


def release_kind(directory: Path) -> Kind:
    """Return 'dataset', 'model' or 'space', judged by the files present.

    Raises UsageError if the directory is none or several of these, UserError if its card has invalid front matter.
    """
    kinds: list[Kind] = []
    if (directory / MANIFEST).is_file():
        kinds.append("dataset")
    if (directory / TRAINING_RECORD).is_file() or (directory / WEIGHTS).is_file():
        kinds.append("model")
    card = directory / CARD
    if not kinds and card.is_file() and load_front_matter(card).get("sdk"):
        kinds.append("space")
    if len(kinds) == 1:
        return kinds[0]
    what = "neither a dataset, a model nor a Space" if not kinds else f"both a {' and a '.join(kinds)}"
    raise UsageError(
        f"{directory}: this is {what}",
        f"A dataset has {MANIFEST}. A model has {WEIGHTS}, {CONFIG} and {TRAINING_RECORD}. "
        f"A Space has a {CARD} with `sdk: gradio` and `app_file` in its front matter.",
    )


def _walk(root: Path, below: str, left_out: list[tuple[str, str]]) -> Iterator[str]:
    with os.scandir(root / below) as entries:
        for entry in entries:
            path = f"{below}{entry.name}"
            rule = _rule(entry.name, below)
            if path == RELEASE_RECORD:
                rule = "rewritten by each release"
            if rule:
                left_out.append((path + ("/" if entry.is_dir(follow_symlinks=False) else ""), rule))
            elif entry.is_symlink():
                raise UserError(
                    f"{root / path}: symlinks cannot be released: they could publish any file of this machine",
                    "Replace the link with the file, or remove it.",
                )
            elif entry.is_dir(follow_symlinks=False):
                yield from _walk(root, f"{path}/", left_out)
            elif entry.is_file(follow_symlinks=False):
                yield path
            else:
                raise UserError(
                    f"{root / path}: neither a file nor a folder; pipes, sockets and devices cannot be released",
                    "Remove it.",
                )


def _rule(name: str, below: str) -> str | None:
    """Return the reason to leave out `name` in the folder `below`, None if it is released."""
    if not below and name in NOT_HIDDEN:
        return None
    # In `data/`, folders have the names of tasks, such as `cache`.
    rules = IN_DATA if below.startswith(f"{DATA}/") else LEFT_OUT
    for rule in rules:
        if any(fnmatchcase(name, pattern) for pattern in LEFT_OUT[rule]):
            return rule
    return None


def _check_names(directory: Path, paths: list[str]) -> None:
    for path in paths:
        if problem := path_problem(path):
            raise UserError(f"{directory}: {path!r} cannot be released: {problem}", "Rename it.")
    if pair := same_name(paths):
        raise UserError(
            f"{directory}: {pair[0]} and {pair[1]} are one file on systems that ignore letter case",
            "Rename one.",
        )


def _hashed(directory: Path, path: str, token: str | None) -> StagedFile:
    source = directory / path
    secret = token.encode() if token else None
    content, tail, read = sha256(), b"", 0
    try:
        # O_NOFOLLOW: the file may have been replaced with a link since the walk.
        with os.fdopen(os.open(source, os.O_RDONLY | os.O_NOFOLLOW), "rb") as stream:
            status = os.fstat(stream.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise UserError(f"{source}: not a regular file")
            size = status.st_size
            git = sha1(b"blob %d\0" % size, usedforsecurity=False) if size <= REGULAR_BYTES else None
            while piece := stream.read(_PIECE):
                read += len(piece)
                content.update(piece)
                if git:
                    git.update(piece)
                if secret and secret in tail + piece:
                    raise UserError(
                        f"{source}: contains your Hub token",
                        "Remove it from the file, and create a new token.",
                    )
                tail = piece[-len(secret) :] if secret else b""
    except OSError as error:
        raise UserError(f"{source}: cannot be read: {error.strerror or error}") from None
    if read != size:
        raise UserError(
            f"{source}: changed while it was being read", "Wait until nothing writes to the directory."
        )
    return StagedFile(path, size, content.hexdigest(), git.hexdigest() if git else None, source)


def _own_fingerprint(directory: Path, kind: str) -> str | None:
    """Return the fingerprint of a dataset or model by its record; None without one, which validation reports."""
    try:
        if kind == "dataset":
            return Manifest.read(directory).fingerprint
        return TrainingRecord.read(directory).fingerprint if kind == "model" else None
    except UserError:
        return None


def _staged_content(path: str, content: bytes) -> StagedFile:
    git = sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False)
    return StagedFile(path, len(content), sha256(content).hexdigest(), git.hexdigest(), content=content)
