"""Rebuilds a dataset from its manifest and compares it with the published one, shard by shard."""

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from l2t_hub.artifacts import TOKENIZER, disk_errors, sha256_of
from l2t_hub.corpus.source import Source, open_source
from l2t_hub.dataset.keys import ingredients, stale_reasons
from l2t_hub.dataset.layout import link_or_copy
from l2t_hub.dataset.progress import Reporter
from l2t_hub.dataset.shards import Shard
from l2t_hub.dataset.task_modules import read_task_modules
from l2t_hub.errors import UserError
from l2t_hub.recipe import Recipe, recipe_from_tree
from l2t_hub.records.bounds import is_repo
from l2t_hub.records.dataset_manifest import LedgerRow, Manifest, ShardEntry
from l2t_hub.records.repo_path import inside
from l2t_hub.reproduce.checks import Check, Outcome
from l2t_hub.reproduce.compare_shards import first_difference
from l2t_hub.reproduce.rebuild import PublishedTokenizer, Rebuilt, rebuild
from l2t_hub.reproduce.trusted_modules import Fetch, trusted_modules
from l2t_hub.text import counted

DIFFERING = "differing"
BUNDLED_SAMPLE = "bundled:sample"
RULE = "Files are compared byte for byte (SHA-256), except the card, README.md."


@dataclass(frozen=True)
class PublishedDataset:
    """The dataset to reproduce: its manifest, and a function that fetches files of it into a directory.

    `problems` are what a check of its files found; a dataset with any is not reproduced.

    `own` says that this process built it from a recipe of the user. Any other manifest is a stranger's: it opens no
    file of this machine, and runs no code but task modules whose hash is in `trusted`. `fetch_code` fetches those.
    """

    manifest: Manifest
    fetch: Fetch
    fetch_code: Fetch
    own: bool = False
    trusted: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()


def reproduce_dataset(
    published: PublishedDataset,
    folder: Path,
    *,
    sample: int | None,
    workers: int,
    source_path: str | None,
    keep: Path | None,
    reporter: Reporter,
) -> Outcome:
    """Rebuild a dataset in `folder`, or only `sample` of its partitions, and compare.

    `source_path` is where the user has the source. Shards that differ are kept in `keep`. If the source has changed,
    nothing is built, and the checks name the files that differ. Raises what a build raises, and UserError if the
    manifest names task modules that are not trusted, or a local source without `source_path`.
    """
    manifest = published.manifest
    trusted = None if published.own else published.trusted
    modules = trusted_modules(manifest, trusted, published.fetch_code, folder.parent / "trusted")
    recipe = pinned_recipe(manifest, source_path, modules, own=published.own)
    source = open_source(recipe)
    environment = _environment(manifest, recipe, source)
    checks = _source_checks(manifest, source)
    if not all(check.equal for check in checks):
        return _outcome(manifest, "nothing rebuilt because the source has changed", checks, environment)
    ranks = _ranks(manifest, sample)
    fetched = published.fetch(_files(manifest, ranks))
    tokenizer = None
    # A named tokenizer is never loaded again: the record chose the name, and it may be a path of this machine.
    if sample is not None or recipe.tokenizer.name is not None or manifest.tokenizer.trained is None:
        tokenizer = _published_tokenizer(manifest, fetched)
    rebuilt = rebuild(recipe, source, folder, ranks, workers, reporter, tokenizer)
    checks += [
        _check("partitions", f"{len(manifest.partitions):,}", f"{len(rebuilt.keys.partition_keys):,}"),
        _check("fingerprint", manifest.fingerprint, rebuilt.keys.fingerprint),
        *_tokenizer_checks(manifest, rebuilt, retrained=tokenizer is None),
        *_ledger_checks(manifest, rebuilt),
        *_shard_checks(manifest, fetched, rebuilt, keep),
        *(Check("files", False, "as listed", "not as listed", problem) for problem in published.problems),
    ]
    compared = sum(entry.partition in ranks for entry in manifest.shards)
    scope = (
        f"{len(ranks)} of {counted(len(manifest.partitions), 'partition')} rebuilt, "
        f"{compared} of {counted(len(manifest.shards), 'shard')} compared"
    )
    return _outcome(manifest, scope, checks, environment)


def _outcome(manifest: Manifest, scope: str, checks: list[Check], environment: list[str]) -> Outcome:
    return Outcome("dataset", manifest.fingerprint, scope, RULE, tuple(checks), tuple(environment))


def pinned_recipe(
    manifest: Manifest, source_path: str | None, modules: Sequence[str], *, own: bool
) -> Recipe:
    """Return the manifest's recipe with the source at the revision that was read, or at `source_path`.

    `modules` are the paths of its task modules here. Raises UserError for a manifest that is not our own if it asks
    for a file of this machine.
    """
    source = dict(manifest.recipe["source"])
    tree = {
        **manifest.recipe,
        "source": source,
        "mixture": {**manifest.recipe["mixture"], "modules": list(modules)},
    }
    if source_path is not None:
        source["path" if source["path"] is not None else "dataset"] = source_path
    elif source["dataset"] is not None:
        source["revision"] = _pinned_revision(manifest, source["dataset"], own=own)
    elif not own and source["path"] != BUNDLED_SAMPLE:
        raise UserError(
            "this dataset was made from a local file, and a record of someone else opens no file of this machine",
            "Give the path of the text with --source. Its hashes show whether it is the same text.",
        )
    language = source.get("language", "en")
    folders = [name for name in ([language] if isinstance(language, str) else language) if "/" in name]
    if folders and not own:
        raise UserError(
            f"this dataset was made with the language folder {folders[0]}, and a record of someone else opens no "
            "folder of this machine",
            "Build the dataset from its recipe, with source.language naming your copy of the folder.",
        )
    return recipe_from_tree(tree)


def _pinned_revision(manifest: Manifest, dataset: str, *, own: bool) -> str | None:
    """Return the commit at which the source was read. Raises UserError if the record names no Hub dataset."""
    revision = next(iter(manifest.source["contents"].values()), "")
    if own and Path(dataset).is_dir():
        return None
    if Path(dataset).exists() or not is_repo(dataset) or not re.fullmatch(r"[0-9a-f]{40}", revision):
        raise UserError(
            "this dataset's source is no Hub dataset at a commit, and a record of someone else opens no local file",
            "Give the path of the text with --source. Its hashes show whether it is the same text.",
        )
    return revision


def _environment(manifest: Manifest, recipe: Recipe, source: Source) -> list[str]:
    """Return, in words, which versions differ between the release and this machine."""
    from l2t_hub.dataset.manifest import made_by

    contents, tokenizer = manifest.source["contents"], manifest.tokenizer.sha256
    before = ingredients(recipe, contents, tokenizer, manifest.made_by, manifest.modules)
    modules = read_task_modules(recipe.mixture.modules).digests
    now = ingredients(recipe, contents, tokenizer, made_by(recipe), modules)
    return stale_reasons(before, now)


def _source_checks(manifest: Manifest, source: Source) -> list[Check]:
    """Return one check if the whole source is the same, else one per file that differs."""
    then, now = manifest.source["contents"], source.contents
    if then == now:
        return [Check(f"source: {counted(len(now), 'file')}", True, "same", "same")]
    names = [name for name in dict.fromkeys([*then, *now]) if then.get(name) != now.get(name)]
    return [_check(f"source {name}", then.get(name, "missing"), now.get(name, "missing")) for name in names]


def _ranks(manifest: Manifest, sample: int | None) -> list[int]:
    """Return the partitions to rebuild: all, or `sample` of them, spread evenly."""
    count = len(manifest.partitions)
    if sample is None or sample >= count:
        return list(range(count))
    return [(2 * n + 1) * count // (2 * sample) for n in range(sample)]


def _files(manifest: Manifest, ranks: Sequence[int]) -> list[str]:
    """Return the published files that are needed: the tokenizer, and the shards to compare."""
    shards = [entry.path for entry in manifest.shards if entry.partition in ranks]
    return [*_tokenizer_files(manifest), *shards]


def _tokenizer_files(manifest: Manifest) -> dict[str, str]:
    """Return the SHA-256 of each of the tokenizer's files by its path."""
    return {path: digest for path, digest in manifest.files.items() if path.startswith(f"{TOKENIZER}/")}


def _published_tokenizer(manifest: Manifest, fetched: Path) -> PublishedTokenizer:
    """Return the published tokenizer after checking its files against the manifest."""
    files = _tokenizer_files(manifest)
    for path, digest in files.items():
        if _digest(fetched, path) != digest:
            raise UserError(
                f"{fetched / path}: not the tokenizer file that the manifest names",
                "Download or build the dataset again.",
            )
    return PublishedTokenizer(tuple(fetched / path for path in files), manifest.tokenizer)


def _tokenizer_checks(manifest: Manifest, rebuilt: Rebuilt, *, retrained: bool) -> list[Check]:
    note = "trained again" if retrained else "the published one was used"
    checks = [_check("tokenizer", manifest.tokenizer.sha256, rebuilt.tokenizer.sha256, note)]
    if retrained:
        folder = rebuilt.tokenizer_folder
        checks += [
            _check(path, digest, _digest(folder, Path(path).name))
            for path, digest in _tokenizer_files(manifest).items()
        ]
    return checks


def _ledger_checks(manifest: Manifest, rebuilt: Rebuilt) -> list[Check]:
    checks = []
    for rank, partition in rebuilt.partitions.items():
        theirs, ours = manifest.partitions[rank].ledger, partition.ledger.to_json()
        note = "" if theirs == ours else _ledger_difference(theirs, ours)
        counts = counted(len(theirs), "flow"), counted(len(ours), "flow")
        checks.append(Check(f"ledger of partition {rank}", theirs == ours, *counts, note))
    return checks


def _shard_checks(manifest: Manifest, fetched: Path, rebuilt: Rebuilt, keep: Path | None) -> list[Check]:
    """Compare the shards of the rebuilt partitions, in the order of the manifest; then list any extra ones."""
    unmatched = {rank: _by_file(partition.shards) for rank, partition in rebuilt.partitions.items()}
    checks = []
    for entry in manifest.shards:
        if entry.partition in unmatched:
            candidates = unmatched[entry.partition][entry.view, entry.config, entry.split]
            shard = candidates.pop(0) if candidates else None
            checks.append(_shard_check(fetched, rebuilt, entry, shard, keep))
    for rank, files in unmatched.items():
        extra = [shard.file for shards in files.values() for shard in shards]
        checks += [Check(f"{name} of partition {rank}", False, "missing", "rebuilt") for name in extra]
    return checks


def _by_file(shards: Sequence[Shard]) -> defaultdict[tuple[str, str, str], list[Shard]]:
    files: defaultdict[tuple[str, str, str], list[Shard]] = defaultdict(list)
    for shard in shards:
        files[shard.view, shard.task or shard.view, shard.split].append(shard)
    return files


def _shard_check(
    fetched: Path, rebuilt: Rebuilt, entry: ShardEntry, shard: Shard | None, keep: Path | None
) -> Check:
    """Compare a published file, not only its entry in the manifest, with the rebuilt one."""
    if shard is None:
        return Check(entry.path, False, _short(entry.sha256), "missing")
    digest = _digest(fetched, entry.path)
    if digest == shard.sha256:
        return _check(entry.path, digest, shard.sha256)
    rebuilt_file = rebuilt.path(entry.partition, shard)
    if keep is not None:
        # Under a name of ours: the record's would choose what is overwritten.
        kept = keep / DIFFERING / f"partition-{entry.partition:05d}-{shard.file}"
        with disk_errors(keep):
            kept.parent.mkdir(parents=True, exist_ok=True)
            kept.unlink(missing_ok=True)
            link_or_copy(rebuilt_file, kept)
    note = first_difference(fetched / entry.path, rebuilt_file) if digest != "missing" else ""
    if digest != entry.sha256:
        note = f"the published file is not the one its manifest names; {note}".removesuffix("; ")
    return _check(entry.path, digest, shard.sha256, note)


def _ledger_difference(theirs: list[LedgerRow], ours: list[LedgerRow]) -> str:
    flows = [{(row["stage"], row["split"], row["what"]): row for row in rows} for rows in (theirs, ours)]
    for key in sorted({*flows[0], *flows[1]}):
        rows = [ledger.get(key) for ledger in flows]
        if rows[0] != rows[1]:
            name = ", ".join(part for part in key if part)
            counts = [f"{row['in']:,} in, {row['out']:,} out" if row else "no such flow" for row in rows]
            return f"{name}: {counts[0]} published, {counts[1]} here"
    return "the same flows in another order"


def _check(what: str, published: str, here: str, note: str = "") -> Check:
    return Check(what, published == here, _short(published), _short(here), note)


def _digest(directory: Path, path: str) -> str:
    """Return the SHA-256 of a file of a directory; "missing" also for a link out of it, which is never followed."""
    try:
        file = inside(directory, path)
    except UserError:
        return "missing"
    return sha256_of(file) if file.is_file() else "missing"


def _short(digest: str) -> str:
    return digest[:12] if len(digest) >= 40 else digest
