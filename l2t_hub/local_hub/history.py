"""Branches, tags, pull request refs, commits and trees: git's model in the database of the store.

Every commit has its whole tree, a flat table from path to entry, so reading a revision takes one row. The tree of
some thousand files takes a few hundred kilobytes. Every function that writes uses one transaction.
"""

import json
import threading
import time
import zlib
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from types import MappingProxyType

from l2t_hub.local_hub import identifiers
from l2t_hub.local_hub.git_objects import TreeEntry, commit_hash, folder_oids
from l2t_hub.local_hub.http_errors import HubError, entry_not_found, revision_not_found
from l2t_hub.local_hub.storage import Store, damaged, from_json, unpacked

Tree = Mapping[str, TreeEntry]
MAIN = "refs/heads/main"
_CACHED_TREES = 32


@dataclass(frozen=True)
class Commit:
    """One commit as lists and pages show it. `date` is ISO 8601 in UTC with milliseconds."""

    id: str
    parents: tuple[str, ...]
    title: str
    message: str
    author: str
    date: str


@dataclass(frozen=True)
class Put:
    """Write the file `entry` at `path`."""

    path: str
    entry: TreeEntry


@dataclass(frozen=True)
class Remove:
    """Delete the file at `path`, or with `folder` every file below it."""

    path: str
    folder: bool = False


Change = Put | Remove


def now() -> str:
    """Return the current time in the format of huggingface.co: 2026-01-31T12:00:00.000Z."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class History:
    """The commits and refs of all repos of one store. `repo` is always the repo's row number in the database."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self._trees: OrderedDict[tuple[int, str], tuple[Tree, Mapping[str, str]]] = OrderedDict()
        self._lock = threading.Lock()

    # -- reading -----------------------------------------------------------------------------------------------

    def refs(self, repo: int, prefix: str) -> dict[str, str]:
        """Return the commits of the refs below `prefix` ('refs/heads/'), by their name after the prefix."""
        below = "SELECT name, target FROM refs WHERE repo=? AND substr(name, 1, ?)=? ORDER BY name"
        rows = self.store.rows(below, repo, len(prefix), prefix)
        return {row["name"][len(prefix) :]: row["target"] for row in rows}

    def ref_of(self, repo: int, revision: str) -> str | None:
        """Return the full name of the branch, tag or pull request that `revision` means, None for anything else."""
        short = not revision.startswith("refs/")
        for name in (f"refs/heads/{revision}", f"refs/tags/{revision}") if short else (revision,):
            if self.store.row("SELECT 1 FROM refs WHERE repo=? AND name=?", repo, name):
                return name
        return None

    def resolve(self, repo: int, revision: str) -> str:
        """Return the commit of a branch, tag, `refs/pr/N`, or full or shortened commit ID. Raises HubError 404."""
        ref = self.ref_of(repo, revision)
        if ref:
            row = self.store.row("SELECT target FROM refs WHERE repo=? AND name=?", repo, ref)
            if row:
                return str(row["target"])
        if identifiers.looks_like_commit(revision):
            matching = "SELECT id FROM commits WHERE repo=? AND substr(id, 1, ?)=? LIMIT 2"
            rows = self.store.rows(matching, repo, len(revision), revision)
            if len(rows) == 1:
                return str(rows[0]["id"])
        raise revision_not_found(revision)

    def tree(self, repo: int, commit: str) -> Tree:
        """Return all files of a commit by path, in path order. Threads share the result: read only."""
        return self._loaded(repo, commit)[0]

    def folders(self, repo: int, commit: str) -> Mapping[str, str]:
        """Return the git hash of every folder of a commit by path; the root is ''."""
        return self._loaded(repo, commit)[1]

    def _loaded(self, repo: int, commit: str) -> tuple[Tree, Mapping[str, str]]:
        key = (repo, commit)
        with self._lock:
            if key in self._trees:
                self._trees.move_to_end(key)
                return self._trees[key]
        row = self.store.row("SELECT tree FROM commits WHERE repo=? AND id=?", repo, commit)
        if row is None:
            raise revision_not_found(commit)
        rows = from_json(unpacked(row["tree"]))
        try:
            tree = MappingProxyType({path: TreeEntry(*fields) for path, fields in rows.items()})
            loaded = (tree, MappingProxyType(folder_oids(tree)))
        except (AttributeError, TypeError, ValueError):
            raise damaged() from None
        with self._lock:
            self._trees[key] = loaded
            while len(self._trees) > _CACHED_TREES:
                self._trees.popitem(last=False)
        return loaded

    def forget(self, repo: int) -> None:
        """Remove a deleted repo from the cache."""
        with self._lock:
            for key in [key for key in self._trees if key[0] == repo]:
                del self._trees[key]

    def commit(self, repo: int, commit: str) -> Commit:
        """Return a commit by its full ID. Raises HubError 404."""
        row = self.store.row("SELECT * FROM commits WHERE repo=? AND id=?", repo, commit)
        if row is None:
            raise revision_not_found(commit)
        parents = tuple(from_json(row["parents"]))
        return Commit(row["id"], parents, row["title"], row["message"], row["author"], row["date"])

    def log(self, repo: int, commit: str) -> Iterable[Commit]:
        """Yield the commit and the chain of its first parents, newest first."""
        while True:
            current = self.commit(repo, commit)
            yield current
            if not current.parents:
                return
            commit = current.parents[0]

    def changes(self, repo: int, commit: str) -> dict[str, tuple[TreeEntry | None, TreeEntry | None]]:
        """Return what a commit changed against its first parent, as path -> (before, after)."""
        parents = self.commit(repo, commit).parents
        before = self.tree(repo, parents[0]) if parents else {}
        after = self.tree(repo, commit)
        return difference(before, after)

    # -- writing -----------------------------------------------------------------------------------------------

    def add_commit(
        self,
        repo: int,
        tree: Tree,
        before: Tree,
        parents: tuple[str, ...],
        title: str,
        message: str,
        author: str,
    ) -> str:
        """Store a commit of `tree` and return its ID. Files that differ from `before` get it as their last commit."""
        body = f"{title}\n\n{message}" if message else title
        files = dict(sorted(tree.items()))
        commit = commit_hash(folder_oids(files)[""], parents, author, int(time.time()), body)
        dated = {
            path: entry
            if entry.commit and entry.same_file(before.get(path))
            else replace(entry, commit=commit)
            for path, entry in files.items()
        }
        packed = {path: [e.oid, e.size, e.sha256, e.lfs, e.commit] for path, e in dated.items()}
        compressed = zlib.compress(json.dumps(packed).encode(), 1)
        row = (repo, commit, json.dumps(parents), title, message, author, now(), compressed)
        with self.store.transaction() as db:
            db.execute("INSERT OR IGNORE INTO commits VALUES(NULL, ?, ?, ?, ?, ?, ?, ?, ?)", row)
            db.executemany(
                "INSERT OR IGNORE INTO objects VALUES(?, ?)",
                [(repo, e.sha256) for e in files.values() if e.lfs],
            )
        return commit

    def set_ref(self, repo: int, name: str, target: str, message: str | None = None) -> None:
        """Create a ref or move it to another commit."""
        with self.store.transaction() as db:
            db.execute("INSERT OR REPLACE INTO refs VALUES(?, ?, ?, ?)", (repo, name, target, message))

    def delete_ref(self, repo: int, name: str) -> None:
        """Delete a ref. Its commits stay."""
        with self.store.transaction() as db:
            db.execute("DELETE FROM refs WHERE repo=? AND name=?", (repo, name))

    def write(
        self,
        repo: int,
        ref: str,
        changes: Iterable[Change],
        title: str,
        message: str,
        author: str,
        parent: str | None,
    ) -> str:
        """Commit `changes` to the branch or pull request `ref` and return the ID of the new commit.

        Raises HubError 412 if `parent` is not the head of the ref, 404 if a file to delete does not exist, 400 if a
        file and a folder would have the same path.
        """
        with self.store.transaction():
            head = self.resolve(repo, ref)
            if parent is not None and not (len(parent) >= 7 and head.startswith(parent)):
                raise HubError(412, f"The branch has changed: its head is {head}, not {parent[:40]}.")
            before = self.tree(repo, head)
            after = applied(before, changes, head)
            commit = self.add_commit(repo, after, before, (head,), title, message, author)
            self.set_ref(repo, ref, commit)
        return commit

    def merge_base(self, repo: int, first: str, second: str) -> str | None:
        """Return the newest commit that is an ancestor of both, over all parents; None if there is none."""
        ancestors = self._ancestors(repo, first)
        seen: set[str] = set()
        queue = [second]
        while queue:
            commit = queue.pop(0)
            if commit in ancestors:
                return commit
            if commit not in seen:
                seen.add(commit)
                queue.extend(self.commit(repo, commit).parents)
        return None

    def _ancestors(self, repo: int, commit: str) -> set[str]:
        ancestors: set[str] = set()
        queue = [commit]
        while queue:
            commit = queue.pop()
            if commit not in ancestors:
                ancestors.add(commit)
                queue.extend(self.commit(repo, commit).parents)
        return ancestors

    def merged_tree(self, repo: int, target: str, head: str) -> tuple[dict[str, TreeEntry], list[str]]:
        """Return the three-way merge of `head` into `target`, and the paths that both changed differently."""
        base_commit = self.merge_base(repo, target, head)
        base = self.tree(repo, base_commit) if base_commit else {}
        ours, theirs = self.tree(repo, target), self.tree(repo, head)
        merged, conflicts = dict(ours), []
        for path, (before, after) in difference(base, theirs).items():
            current = ours.get(path)
            unchanged = before.same_file(current) if before else current is None
            same_change = after.same_file(current) if after else current is None
            if not unchanged and not same_change:
                conflicts.append(path)
            elif after is None:
                merged.pop(path, None)
            else:
                merged[path] = after
        return merged, conflicts


def difference(before: Tree, after: Tree) -> dict[str, tuple[TreeEntry | None, TreeEntry | None]]:
    """Return the paths whose content differs between two trees, as path -> (before, after)."""
    paths = sorted(before.keys() | after.keys())
    pairs = {path: (before.get(path), after.get(path)) for path in paths}
    return {path: (a, b) for path, (a, b) in pairs.items() if not (a.same_file(b) if a else b is None)}


def applied(before: Tree, changes: Iterable[Change], commit: str) -> dict[str, TreeEntry]:
    """Return `before` with the changes applied in order."""
    after = dict(before)
    written = set()
    for change in changes:
        if isinstance(change, Put):
            after[change.path] = change.entry
            written.add(change.path)
        elif change.folder:
            below = [path for path in after if path.startswith(change.path + "/")]
            if not below:
                raise entry_not_found(change.path, commit)
            for path in below:
                del after[path]
        elif after.pop(change.path, None) is None:
            raise entry_not_found(change.path, commit)
    folders = folders_of(after)
    for path in written & after.keys():
        if path in folders:
            raise HubError(400, f"{path} is a folder; a file cannot have the same path.")
    clash = folders & after.keys()
    if clash:
        raise HubError(400, f"{min(clash)} is a file; it cannot be a folder as well.")
    return after


def folders_of(paths: Iterable[str]) -> set[str]:
    """Return every folder that contains one of the paths, at any depth."""
    folders: set[str] = set()
    for path in paths:
        folder = path.rpartition("/")[0]
        while folder and folder not in folders:
            folders.add(folder)
            folder = folder.rpartition("/")[0]
    return folders
