"""What a release will send: an explicit list of files with size and hashes, made from a directory by written rules.

Hidden files, checkpoints, logs and partial files are left out and named; a symlink, which could reach anything on
this machine, is refused. The list carries one file of its own, `l2t_release.json`: the release's table of contents.
"""

import json
import os
import stat
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from hashlib import sha1, sha256
from pathlib import Path
from typing import Any

import yaml

from l2t_hub.artifacts import CARD, MANIFEST, RELEASE_RECORD, TRAINING_RECORD, WEIGHTS
from l2t_hub.errors import UsageError, UserError
from l2t_hub.hub.names import path_problem

FORMAT = 1
# The Hub's own file: it says what is kept as large-file storage, and a release leaves it alone.
ATTRIBUTES = ".gitattributes"
# Above this the Hub keeps a file in large-file storage, so nothing larger needs git's hash.
REGULAR_BYTES = 10 << 20
_PIECE = 1 << 20

# Rule -> patterns of a file's or folder's name. The first that fits names the reason; the order is the table's.
LEFT_OUT: Mapping[str, tuple[str, ...]] = {
    "hidden": (".*",),
    "checkpoint": ("checkpoint-*", "checkpoints"),
    "partial": ("*.partial", "*.part", "*.incomplete", "*.tmp", "*.lock", "*~"),
    "log": ("*.log", "logs", "runs", "wandb", "events.out.tfevents.*"),
    "cache": ("__pycache__", "*.pyc", "cache"),
    "state of a run": ("run.json",),
}
# Scores for the Hub's own leaderboards live in a folder that looks hidden and is meant to be published.
NOT_HIDDEN = (".eval_results",)


@dataclass(frozen=True)
class StagedFile:
    """One file to send: its path in the repo, where its content is, and what the Hub must say it has.

    `git_hash` is git's hash of the content, kept for files small enough to be regular ones.
    """

    path: str
    size: int
    sha256: str
    git_hash: str | None
    source: Path | None = None
    content: bytes | None = None

    def read(self) -> bytes:
        """The whole content; for small files."""
        return self.content if self.source is None else self.source.read_bytes()  # type: ignore[return-value]

    def head(self, count: int = 4096) -> bytes:
        """The first bytes."""
        if self.source is None:
            return (self.content or b"")[:count]
        with self.source.open("rb") as stream:
            return stream.read(count)


@dataclass(frozen=True)
class StagedRelease:
    """A directory ready to be released. `left_out` pairs paths with the rule that left them out.

    `fingerprint` is the manifest's or the training record's own, a Space's is made from its files; `digest` is the
    hash of everything that will be on the Hub, so two releases are the same if and only if their digests are.
    """

    directory: Path
    kind: str
    fingerprint: str
    digest: str
    files: tuple[StagedFile, ...]
    left_out: tuple[tuple[str, str], ...]

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(file.size for file in self.files)

    def file(self, path: str) -> StagedFile | None:
        """The file at a path of the repo."""
        return next((file for file in self.files if file.path == path), None)

    def paths(self) -> list[str]:
        """All paths, in order."""
        return [file.path for file in self.files]


def stage(directory: Path, token: str | None = None) -> StagedRelease:
    """List, classify and hash what a release of `directory` sends. Nothing is written.

    Raises UserError for symlinks, special files, names the Hub cannot take, and files that hold the token;
    UsageError if the directory is no dataset, model or Space.
    """
    if not directory.is_dir():
        raise UsageError(
            f"{directory}: no such directory", "Give the directory of a dataset, model or Space."
        )
    kind = release_kind(directory)
    left_out: list[tuple[str, str]] = []
    paths = sorted(_walk(directory, "", left_out))
    _check_names(directory, paths)
    files = [_hashed(directory, path, token) for path in paths]
    own = _own_fingerprint(directory, kind)
    listed = {file.path: [file.size, file.sha256] for file in files}
    fingerprint = own or sha256(json.dumps(listed, sort_keys=True).encode()).hexdigest()
    files.append(_record(kind, fingerprint, listed))
    files.sort(key=lambda file: file.path)
    digest = next(file.sha256 for file in files if file.path == RELEASE_RECORD)
    return StagedRelease(directory, kind, fingerprint, digest, tuple(files), tuple(sorted(left_out)))


def release_kind(directory: Path) -> str:
    """'dataset', 'model' or 'space', by the files that make one. Raises UsageError for none or two of them."""
    found = []
    if (directory / MANIFEST).is_file():
        found.append("dataset")
    if (directory / TRAINING_RECORD).is_file() or (directory / WEIGHTS).is_file():
        found.append("model")
    if not found and front_matter(directory / CARD).get("sdk"):
        found.append("space")
    if len(found) == 1:
        return found[0]
    what = "neither a dataset, a model nor a Space" if not found else f"both a {' and a '.join(found)}"
    raise UsageError(
        f"{directory}: this is {what}",
        f"A dataset has {MANIFEST}; a model {WEIGHTS}, config.json and {TRAINING_RECORD}; "
        f"a Space a {CARD} whose front matter has `sdk: gradio` and `app_file`.",
    )


def front_matter(card: Path) -> dict[str, Any]:
    """The front matter of a card, {} where there is none or it does not parse; validation says what is wrong."""
    try:
        text = card.read_text(encoding="utf-8")
        found = yaml.safe_load(text.split("---", 2)[1]) if text.startswith("---") else None
    except (OSError, UnicodeDecodeError, yaml.YAMLError, IndexError):
        return {}
    return found if isinstance(found, dict) else {}


def _walk(root: Path, below: str, left_out: list[tuple[str, str]]) -> Iterator[str]:
    with os.scandir(root / below) as entries:
        for entry in entries:
            path = f"{below}{entry.name}"
            rule = _rule(entry.name, top=not below)
            if path == RELEASE_RECORD:
                rule = "written anew by each release"
            if rule:
                left_out.append((path + ("/" if entry.is_dir(follow_symlinks=False) else ""), rule))
            elif entry.is_symlink():
                raise UserError(
                    f"{root / path}: a symlink is not released: it could publish any file of this machine",
                    "Put the file itself there, or move the link out of the directory.",
                )
            elif entry.is_dir(follow_symlinks=False):
                yield from _walk(root, f"{path}/", left_out)
            elif entry.is_file(follow_symlinks=False):
                yield path
            else:
                raise UserError(
                    f"{root / path}: neither a file nor a folder: a pipe, socket or device cannot be released"
                )


def _rule(name: str, top: bool) -> str | None:
    if top and name in NOT_HIDDEN:
        return None
    for rule, patterns in LEFT_OUT.items():
        if any(fnmatchcase(name, pattern) for pattern in patterns):
            return rule
    return None


def _check_names(directory: Path, paths: list[str]) -> None:
    seen: dict[str, str] = {}
    for path in paths:
        problem = path_problem(path)
        if problem:
            raise UserError(f"{directory}: {path!r} cannot be released: {problem}", "Rename it.")
        # Written on Linux, cloned on a Mac: there these two would be one file.
        folded = unicodedata.normalize("NFC", path).casefold()
        if folded in seen:
            raise UserError(
                f"{directory}: {path} and {seen[folded]} differ only in letter case", "Rename one."
            )
        seen[folded] = path


def _hashed(directory: Path, path: str, token: str | None) -> StagedFile:
    source = directory / path
    secret = token.encode() if token else None
    content, tail, read = sha256(), b"", 0
    try:
        # Without following a link that was put there since the walk.
        with os.fdopen(os.open(source, os.O_RDONLY | os.O_NOFOLLOW), "rb") as stream:
            status = os.fstat(stream.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise UserError(f"{source}: not a plain file")
            size = status.st_size
            git = sha1(b"blob %d\0" % size, usedforsecurity=False) if size <= REGULAR_BYTES else None
            while piece := stream.read(_PIECE):
                read += len(piece)
                content.update(piece)
                if git:
                    git.update(piece)
                if secret and secret in tail + piece:
                    raise UserError(
                        f"{source}: it holds your Hub token", "Take it out, and make yourself a new token."
                    )
                tail = piece[-len(secret) :] if secret else b""
    except OSError as error:
        raise UserError(f"{source}: cannot be read: {error.strerror or error}") from None
    if read != size:
        raise UserError(
            f"{source}: it changed while it was read", "Release when nothing writes to it any more."
        )
    return StagedFile(path, size, content.hexdigest(), git.hexdigest() if git else None, source)


def _own_fingerprint(directory: Path, kind: str) -> str | None:
    name = {"dataset": MANIFEST, "model": TRAINING_RECORD}.get(kind)
    if name is None:
        return None
    try:
        found = json.loads((directory / name).read_text(encoding="utf-8"))["fingerprint"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return found if isinstance(found, str) and found else None


def _record(kind: str, fingerprint: str, listed: Mapping[str, list[object]]) -> StagedFile:
    """The table of contents. On one line: git then cannot merge the tables of two releases into a third."""
    tree = {"format": FORMAT, "kind": kind, "fingerprint": fingerprint, "files": listed}
    content = (json.dumps(tree, sort_keys=True, ensure_ascii=False, separators=(",", ":")) + "\n").encode()
    git = sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False)
    return StagedFile(
        RELEASE_RECORD, len(content), sha256(content).hexdigest(), git.hexdigest(), content=content
    )
