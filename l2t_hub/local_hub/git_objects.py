"""Git's hashes of blobs, LFS pointers, trees and commits, as pure functions.

Clients compare these hashes: the `oid` of a regular file is the SHA-1 of its git blob, that of an LFS file the SHA-1
of its pointer. With git's definitions, a commit ID never stands for two different contents.
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class TreeEntry:
    """One file of a tree: git `oid`, `size` in bytes, `sha256` of its content, ID of the last `commit` on it."""

    oid: str
    size: int
    sha256: str
    lfs: bool
    commit: str = ""

    def same_file(self, other: "TreeEntry | None") -> bool:
        """Whether both have the same content and storage; the commit may differ."""
        return other is not None and self.oid == other.oid and self.lfs == other.lfs


def git_hash(kind: str, body: bytes) -> str:
    """Return the SHA-1 of a git object, as `git hash-object -t kind` prints it."""
    return hashlib.sha1(f"{kind} {len(body)}\0".encode() + body).hexdigest()


def pointer(sha256: str, size: int) -> bytes:
    """Return the text that git stores instead of an LFS file (git-lfs pointer specification, version 1)."""
    return f"version https://git-lfs.github.com/spec/v1\noid sha256:{sha256}\nsize {size}\n".encode()


def lfs_entry(sha256: str, size: int) -> TreeEntry:
    """Return the tree entry of a file in large-file storage."""
    return TreeEntry(git_hash("blob", pointer(sha256, size)), size, sha256, lfs=True)


def regular_entry(content: bytes) -> TreeEntry:
    """Return the tree entry of a regular file."""
    return TreeEntry(git_hash("blob", content), len(content), hashlib.sha256(content).hexdigest(), lfs=False)


def folder_oids(tree: Mapping[str, TreeEntry]) -> dict[str, str]:
    """Return the git tree hash of every folder of `tree` by path; the root is ''."""
    children: dict[str, list[tuple[str, str, str]]] = {"": []}
    for path, entry in tree.items():
        folder, _, name = path.rpartition("/")
        while folder not in children:
            children[folder] = []
            folder = folder.rpartition("/")[0]
        children[path.rpartition("/")[0]].append(("100644", name, entry.oid))
    oids: dict[str, str] = {}
    for folder in sorted(children, key=lambda f: f.count("/") if f else -1, reverse=True):  # deepest first
        oids[folder] = _tree_hash(children[folder])
        if folder:
            parent, _, name = folder.rpartition("/")
            children[parent].append(("40000", name, oids[folder]))
    return oids


def _tree_hash(rows: Iterable[tuple[str, str, str]]) -> str:
    # Git sorts a folder as if its name ended in a slash.
    ordered = sorted(rows, key=lambda row: (row[1] + "/" if row[0] == "40000" else row[1]).encode())
    return git_hash(
        "tree", b"".join(f"{mode} {name}\0".encode() + bytes.fromhex(oid) for mode, name, oid in ordered)
    )


def commit_hash(tree_oid: str, parents: Iterable[str], author: str, unix_time: int, message: str) -> str:
    """Return the ID of a commit with these fields; the author is also the committer, the time zone is UTC."""
    person = f"{author} <{author}@rehearsal.invalid> {unix_time} +0000"
    lines = [
        f"tree {tree_oid}",
        *(f"parent {p}" for p in parents),
        f"author {person}",
        f"committer {person}",
        "",
        message,
    ]
    return git_hash("commit", "\n".join(lines).encode())
