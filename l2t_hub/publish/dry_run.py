"""What a release would send, said without sending it: every file with size and way, deletions, tags, collection."""

from l2t_hub.errors import UserError
from l2t_hub.publish.repository import MAIN, RemoteRepo, Tree, difference, format_bytes
from l2t_hub.publish.stage import REGULAR_BYTES, StagedFile, StagedRelease
from l2t_hub.publish.tags import next_version, plan_tags, version_tag

# The `.gitattributes` of a new repo sends these to large-file storage; the Hub alone decides, this foresees it.
LARGE = (
    ".7z", ".arrow", ".bz2", ".gif", ".gz", ".jpeg", ".jpg", ".lz4", ".model", ".onnx", ".parquet", ".pdf", ".png",
    ".safetensors", ".tar", ".tgz", ".wasm", ".webp", ".whl", ".xz", ".zip", ".zst",
)  # fmt: skip


def expected_way(file: StagedFile) -> str:
    """'lfs' for a file the Hub will keep in large-file storage, else 'regular'."""
    if file.size == 0:
        return "regular"
    large = file.size > REGULAR_BYTES or file.path.lower().endswith(LARGE) or not _is_text(file.head())
    return "lfs" if large else "regular"


def _is_text(head: bytes) -> bool:
    try:
        head.decode()
    except UnicodeDecodeError as error:
        if error.start < len(head) - 3:  # else a character was cut in two where the sample ends
            return False
    return b"\0" not in head


def show_dry_run(
    remote: RemoteRepo, staged: StagedRelease, *, private: bool, collection: str | None, version: str | None
) -> None:
    """Say line by line what a release would do to the Hub as it is now. Writes nothing, here or there."""
    privacy = remote.privacy()
    if private and privacy is False:
        raise UserError(f"{remote.url} is public, and --private was given")
    if privacy is None:
        remote.say(f"new repo: {remote.url}, {'private' if private else 'public'}")
        _list_files(remote, staged, {})
        tags = (version_tag(version) if version else next_version({}), f"fp-{staged.fingerprint[:12]}")
    else:
        head = remote.head(MAIN)
        changed = _list_files(remote, staged, remote.tree(head))
        plan = plan_tags(remote, staged, None if changed else head, version)
        tags = (plan.version, plan.fingerprint)
    remote.say(f"tags: {', '.join(tags)}")
    if collection:
        remote.say(f"collection: {remote.repo_id.partition('/')[0]} / {collection}")


def _list_files(remote: RemoteRepo, staged: StagedRelease, tree: Tree) -> bool:
    changes = difference(staged, tree)
    for file in changes.missing:
        verb = "changed" if file.path in tree else "new"
        remote.say(f"{verb:8} {expected_way(file):8} {format_bytes(file.size):>9}  {file.path}")
    for path in changes.gone:
        remote.say(f"{'deleted':8} {'':8} {format_bytes(tree[path].size):>9}  {path}")
    same = len(staged.files) - len(changes.missing)
    size = sum(file.size for file in changes.missing)
    remote.say(
        f"to send: {len(changes.missing)} files, {format_bytes(size)}; "
        f"to delete: {len(changes.gone)}; unchanged: {same}"
    )
    return bool(changes)
