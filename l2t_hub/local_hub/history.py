"""Branches, tags, pull-request refs, commits and trees of one repo: git's model, kept in the store's database.

A tree is kept whole with every commit, as a flat table from path to entry: reading any revision is one row, and a
release of some thousand files stays a few hundred kilobytes. All functions that write do so in one transaction.
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

from l2t_hub.local_hub import identifiers as names
from l2t_hub.local_hub.git_objects import TreeEntry, commit_hash, folder_oids
from l2t_hub.local_hub.http_errors import HubError, entry_missing, revision_missing
from l2t_hub.local_hub.storage import Store

Tree = Mapping[str, TreeEntry]
MAIN = "refs/heads/main"
_CACHED_TREES = 32


@dataclass(frozen=True)
class Commit:
    """One commit as lists and pages show it; `date` is ISO 8601 in UTC with milliseconds."""

    id: str
    parents: tuple[str, ...]
    title: str
    message: str
    author: str
    date: str


@dataclass(frozen=True)
class Put:
    """Write `entry` at `path`."""

    path: str
    entry: TreeEntry


@dataclass(frozen=True)
class Remove:
    """Delete the file at `path`, or with `folder` everything below it."""

    path: str
    folder: bool = False


Change = Put | Remove


def now() -> str:
    """The time as the Hub writes it: 2026-01-31T12:00:00.000Z."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class History:
    """The commits and refs of all repos of one store. `repo` is always the repo's number in the database."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self._trees: OrderedDict[tuple[int, str], tuple[Tree, Mapping[str, str]]] = OrderedDict()
        self._lock = threading.Lock()

    # -- reading -----------------------------------------------------------------------------------------------

    def refs(self, repo: int, prefix: str) -> dict[str, str]:
        """The refs below `prefix` ('refs/heads/'), by their short name."""
        rows = self.store.rows(
            "SELECT name, target FROM refs WHERE repo=? AND substr(name, 1, ?)=? ORDER BY name",
            repo,
            len(prefix),
            prefix,
        )
        return {row["name"][len(prefix) :]: row["target"] for row in rows}

    def ref_of(self, repo: int, revision: str) -> str | None:
        """The full name of the branch, tag or pull request that `revision` means; None for a commit or nothing."""
        full = (
            [revision]
            if revision.startswith("refs/")
            else [f"refs/heads/{revision}", f"refs/tags/{revision}"]
        )
        for name in full:
            if self.store.row("SELECT 1 FROM refs WHERE repo=? AND name=?", repo, name):
                return name
        return None

    def resolve(self, repo: int, revision: str) -> str:
        """The commit that `revision` (branch, tag, `refs/pr/N`, full or shortened commit id) points to; else 404."""
        ref = self.ref_of(repo, revision)
        if ref:
            row = self.store.row("SELECT target FROM refs WHERE repo=? AND name=?", repo, ref)
            if row:
                return str(row["target"])
        if names.looks_like_commit(revision):
            rows = self.store.rows(
                "SELECT id FROM commits WHERE repo=? AND substr(id, 1, ?)=? LIMIT 2",
                repo,
                len(revision),
                revision,
            )
            if len(rows) == 1:
                return str(rows[0]["id"])
        raise revision_missing(revision)

    def tree(self, repo: int, commit: str) -> Tree:
        """All files of a commit by path, in path order. Shared between threads: read only."""
        return self._loaded(repo, commit)[0]

    def folders(self, repo: int, commit: str) -> Mapping[str, str]:
        """The git hash of every folder of a commit, the root under ''."""
        return self._loaded(repo, commit)[1]

    def _loaded(self, repo: int, commit: str) -> tuple[Tree, Mapping[str, str]]:
        key = (repo, commit)
        with self._lock:
            if key in self._trees:
                self._trees.move_to_end(key)
                return self._trees[key]
        row = self.store.row("SELECT tree FROM commits WHERE repo=? AND id=?", repo, commit)
        if row is None:
            raise revision_missing(commit)
        tree = MappingProxyType(
            {path: TreeEntry(*fields) for path, fields in json.loads(zlib.decompress(row["tree"])).items()}
        )
        loaded = (tree, MappingProxyType(folder_oids(tree)))
        with self._lock:
            self._trees[key] = loaded
            while len(self._trees) > _CACHED_TREES:
                self._trees.popitem(last=False)
        return loaded

    def forget(self, repo: int) -> None:
        """Drop what is cached of a repo that was deleted."""
        with self._lock:
            for key in [key for key in self._trees if key[0] == repo]:
                del self._trees[key]

    def commit(self, repo: int, commit: str) -> Commit:
        """One commit by its full id; 404 if the repo has no such commit."""
        row = self.store.row("SELECT * FROM commits WHERE repo=? AND id=?", repo, commit)
        if row is None:
            raise revision_missing(commit)
        return Commit(
            row["id"],
            tuple(json.loads(row["parents"])),
            row["title"],
            row["message"],
            row["author"],
            row["date"],
        )

    def log(self, repo: int, commit: str) -> Iterable[Commit]:
        """The commit and its first parents, newest first."""
        while True:
            found = self.commit(repo, commit)
            yield found
            if not found.parents:
                return
            commit = found.parents[0]

    def changes(self, repo: int, commit: str) -> dict[str, tuple[TreeEntry | None, TreeEntry | None]]:
        """What a commit changed against its first parent: path -> (before, after)."""
        found = self.commit(repo, commit)
        before = self.tree(repo, found.parents[0]) if found.parents else {}
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
        """Store a commit of `tree`; its id. Comparing with `before` dates the last change of each file."""
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
        with self.store.transaction() as db:
            db.execute(
                "INSERT OR IGNORE INTO commits(repo, id, parents, title, message, author, date, tree)"
                " VALUES(?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    repo,
                    commit,
                    json.dumps(parents),
                    title,
                    message,
                    author,
                    now(),
                    zlib.compress(json.dumps(packed).encode(), 1),
                ),
            )
            db.executemany(
                "INSERT OR IGNORE INTO objects VALUES(?, ?)",
                [(repo, e.sha256) for e in files.values() if e.lfs],
            )
        return commit

    def set_ref(self, repo: int, name: str, target: str, message: str | None = None) -> None:
        """Point a ref at a commit, making it if it is new."""
        with self.store.transaction() as db:
            db.execute("INSERT OR REPLACE INTO refs VALUES(?, ?, ?, ?)", (repo, name, target, message))

    def delete_ref(self, repo: int, name: str) -> None:
        """Remove a ref; its commits stay."""
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
        """Commit `changes` on top of the branch or pull request `ref`, and move it; the new commit's id.

        412 if `parent` is given and the ref has moved on; 404 for a deletion of what is not there; 400 where a file
        and a folder would have the same path.
        """
        with self.store.transaction():
            head = self.resolve(repo, ref)
            if parent is not None and not (len(parent) >= 7 and head.startswith(parent)):
                raise HubError(412, f"The branch has moved on: it is at {head}, not at {parent[:40]}")
            before = self.tree(repo, head)
            after = applied(before, changes, head)
            commit = self.add_commit(repo, after, before, (head,), title, message, author)
            self.set_ref(repo, ref, commit)
        return commit

    def merge_base(self, repo: int, one: str, other: str) -> str | None:
        """The newest commit that both histories (all parents) hold."""
        mine = self._ancestors(repo, one)
        seen: set[str] = set()
        queue = [other]
        while queue:
            commit = queue.pop(0)
            if commit in mine:
                return commit
            if commit not in seen:
                seen.add(commit)
                queue.extend(self.commit(repo, commit).parents)
        return None

    def _ancestors(self, repo: int, commit: str) -> set[str]:
        found: set[str] = set()
        queue = [commit]
        while queue:
            commit = queue.pop()
            if commit not in found:
                found.add(commit)
                queue.extend(self.commit(repo, commit).parents)
        return found

    def merged_tree(self, repo: int, target: str, head: str) -> tuple[dict[str, TreeEntry], list[str]]:
        """The three-way merge of `head` into `target`, and the paths both changed to different contents."""
        base_commit = self.merge_base(repo, target, head)
        base = self.tree(repo, base_commit) if base_commit else {}
        ours, theirs = self.tree(repo, target), self.tree(repo, head)
        merged, conflicts = dict(ours), []
        for path, (before, after) in difference(base, theirs).items():
            mine = ours.get(path)
            unchanged_here = before.same_file(mine) if before else mine is None
            same_there = after.same_file(mine) if after else mine is None
            if not unchanged_here and not same_there:
                conflicts.append(path)
            elif after is None:
                merged.pop(path, None)
            else:
                merged[path] = after
        return merged, conflicts


def difference(before: Tree, after: Tree) -> dict[str, tuple[TreeEntry | None, TreeEntry | None]]:
    """The paths whose content differs between two trees, with the entry on either side."""
    paths = sorted(before.keys() | after.keys())
    pairs = {path: (before.get(path), after.get(path)) for path in paths}
    return {path: (a, b) for path, (a, b) in pairs.items() if not (a.same_file(b) if a else b is None)}


def applied(before: Tree, changes: Iterable[Change], commit: str) -> dict[str, TreeEntry]:
    """`before` with the changes made, in their order."""
    after = dict(before)
    written = set()
    for change in changes:
        if isinstance(change, Put):
            after[change.path] = change.entry
            written.add(change.path)
        elif change.folder:
            below = [path for path in after if path.startswith(change.path + "/")]
            if not below:
                raise entry_missing(change.path, commit)
            for path in below:
                del after[path]
        elif after.pop(change.path, None) is None:
            raise entry_missing(change.path, commit)
    folders = folders_of(after)
    for path in written & after.keys():
        if path in folders:
            raise HubError(400, f"{path} is a folder: a file cannot have the same path")
    clash = folders & after.keys()
    if clash:
        raise HubError(400, f"{min(clash)} is a file: nothing can be written below it")
    return after


def folders_of(paths: Iterable[str]) -> set[str]:
    """Every folder that some path lies in."""
    found: set[str] = set()
    for path in paths:
        folder = path.rpartition("/")[0]
        while folder and folder not in found:
            found.add(folder)
            folder = folder.rpartition("/")[0]
    return found
