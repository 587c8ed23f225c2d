"""The dry run of a release: what it would send, delete, tag and add to a collection."""

from l2t_hub.publish.repository import (
    MAIN,
    RemoteRepo,
    Tree,
    describe_files,
    difference,
    format_bytes,
    public_repo_error,
)
from l2t_hub.publish.stage import REGULAR_BYTES, StagedFile, StagedRelease
from l2t_hub.publish.tags import next_version, plan_tags, version_tag

# The `.gitattributes` of a new repo sends these to large-file storage. The Hub decides; this only predicts.
LARGE = (
    ".7z", ".arrow", ".bz2", ".gif", ".gz", ".jpeg", ".jpg", ".lz4", ".model", ".onnx", ".parquet", ".pdf", ".png",
    ".safetensors", ".tar", ".tgz", ".wasm", ".webp", ".whl", ".xz", ".zip", ".zst",
)  # fmt: skip


def expected_storage(file: StagedFile) -> str:
    """Return 'lfs' for a file that the Hub will keep in large-file storage, otherwise 'regular'."""
    if file.size == 0:
        return "regular"
    large = file.size > REGULAR_BYTES or file.path.lower().endswith(LARGE) or not _is_text(file.head())
    return "lfs" if large else "regular"


def _is_text(head: bytes) -> bool:
    try:
        head.decode()
    except UnicodeDecodeError as error:
        if error.start < len(head) - 3:  # later than that, the sample may just end inside a character
            return False
    return b"\0" not in head


def show_dry_run(
    remote: RemoteRepo, staged: StagedRelease, *, private: bool, collection: str | None, version: str | None
) -> None:
    """Report line by line what a release would change on the Hub. Writes nothing, neither here nor there.

    Raises UserError if the release would be refused: a public repo with `private`, or a version already in use.
    """
    existing = remote.is_private()
    if private and existing is False:
        raise public_repo_error(remote)
    if existing is None:
        remote.say(f"new {'private' if private else 'public'} repo: {remote.url}")
        _list_files(remote, staged, {})
        tags = (version_tag(version) if version else next_version({}), f"fp-{staged.fingerprint[:12]}")
    else:
        head = remote.head(MAIN)
        changed = _list_files(remote, staged, remote.tree(head))
        planned = plan_tags(remote, staged, None if changed else head, version)
        tags = (planned.version, planned.fingerprint)
    remote.say(f"tags: {', '.join(tags)}")
    if collection:
        remote.say(f"collection: {remote.repo_id.partition('/')[0]} / {collection}")


def _list_files(remote: RemoteRepo, staged: StagedRelease, tree: Tree) -> bool:
    """List the changes to `tree`; whether there are any."""
    changes = difference(staged, tree)
    for file in changes.missing:
        verb = "changed" if file.path in tree else "new"
        remote.say(f"{verb:8} {expected_storage(file):8} {format_bytes(file.size):>9}  {file.path}")
    for path in changes.gone:
        remote.say(f"{'deleted':8} {'':8} {format_bytes(tree[path].size):>9}  {path}")
    unchanged = len(staged.files) - len(changes.missing)
    remote.say(
        f"to send: {describe_files(changes.missing)}; to delete: {len(changes.gone)}; unchanged: {unchanged}"
    )
    return bool(changes)
