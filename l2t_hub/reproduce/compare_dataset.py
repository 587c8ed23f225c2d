"""A dataset made again from what its manifest says, and compared shard by shard with what was published."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from l2t_hub.artifacts import TOKENIZER, disk_errors, sha256_of
from l2t_hub.corpus.source import Source, open_source
from l2t_hub.dataset.keys import ingredients, stale_reasons
from l2t_hub.dataset.layout import link_or_copy
from l2t_hub.dataset.progress import Reporter
from l2t_hub.dataset.shards import Shard
from l2t_hub.errors import UsageError, UserError
from l2t_hub.recipe import Recipe, recipe_from_tree
from l2t_hub.records.dataset_manifest import LedgerRow, Manifest, ShardEntry
from l2t_hub.reproduce.checks import Check
from l2t_hub.reproduce.compare_shards import first_difference
from l2t_hub.reproduce.rebuild import Pinned, Rebuilt, rebuild

RULE = "equal means equal in every byte (SHA-256); the card, README.md, is not compared"


@dataclass(frozen=True)
class Published:
    """A dataset to be reproduced: its manifest, and a function that brings files of it into a directory here."""

    manifest: Manifest
    bring: Callable[[Sequence[str]], Path]


@dataclass(frozen=True)
class Outcome:
    """What a comparison found, and how much was compared."""

    checks: list[Check]
    environment: list[str]
    scope: str


def reproduce_dataset(
    published: Published,
    folder: Path,
    *,
    sample: int | None,
    workers: int,
    place: str | None,
    keep: Path | None,
    report: Reporter,
) -> Outcome:
    """Rebuild a dataset (or the partitions of `sample` of its shards) in `folder` and compare.

    `place` is where this machine has the source; differing shards are kept in `keep`. If the source is not what it
    was, nothing is built: the checks say which of its files differ. Raises what a build raises.
    """
    manifest = published.manifest
    recipe = pinned_recipe(manifest, place)
    source = _open(recipe, place)
    environment = _environment(manifest, recipe, source)
    checks = _source_checks(manifest, source)
    if not all(check.equal for check in checks):
        return Outcome(checks, environment, "nothing built, because the source is not the same")
    ranks = _ranks(manifest, sample)
    theirs = published.bring(_files(manifest, ranks))
    pinned = None
    if sample is not None or manifest.tokenizer.trained is None:
        pinned = Pinned(_tokenizer(manifest, theirs), manifest.tokenizer)
    built = rebuild(recipe, source, folder, ranks, workers, report, pinned)
    checks += [
        _check("fingerprint", manifest.fingerprint, built.keys.fingerprint),
        *_tokenizer_checks(manifest, built, trained_again=pinned is None),
        *_part_checks(manifest, theirs, built, keep),
    ]
    count = len(manifest.partitions)
    shards = sum(entry.partition in ranks for entry in manifest.shards)
    scope = (
        f"{len(ranks)} of {count} partitions built again, {shards} of {len(manifest.shards)} shards compared"
    )
    return Outcome(checks, environment, scope)


def pinned_recipe(manifest: Manifest, place: str | None) -> Recipe:
    """The manifest's recipe, its source at the revision that was read, or at `place` on this machine."""
    tree = {**manifest.recipe, "source": dict(manifest.recipe["source"])}
    source, contents = tree["source"], manifest.source["contents"]
    if place is not None:
        key = "path" if source["path"] is not None else "dataset"
        source[key] = place
    elif source["dataset"] is not None and not Path(source["dataset"]).is_dir():
        source["revision"] = next(iter(contents.values()))
    return recipe_from_tree(tree)


def _open(recipe: Recipe, place: str | None) -> Source:
    try:
        return open_source(recipe)
    except UsageError as error:
        if place is not None:
            raise
        raise UserError(
            f"the source of this dataset is not on this machine: {error.message}",
            "Say where it is here, with --source; whether it is the same text is checked by its hashes.",
        ) from None


def _environment(manifest: Manifest, recipe: Recipe, source: Source) -> list[str]:
    """What made the published shards and is another version here, in words."""
    from l2t_hub.dataset.keys import module_digests
    from l2t_hub.dataset.manifest import made_by

    contents, tokenizer = manifest.source["contents"], manifest.tokenizer.sha256
    before = ingredients(recipe, contents, tokenizer, manifest.made_by, manifest.modules)
    modules = module_digests(recipe.mixture.modules)
    now = ingredients(recipe, contents, tokenizer, made_by(recipe.blocks.sentences), modules)
    return stale_reasons(before, now)


def _source_checks(manifest: Manifest, source: Source) -> list[Check]:
    """The source as a whole if it is the same, else each file of it that is not."""
    then, now = manifest.source["contents"], source.contents
    if then == now:
        return [Check(f"source: {len(now):,} {'file' if len(now) == 1 else 'files'}", True, "same", "same")]
    names = [name for name in dict.fromkeys([*then, *now]) if then.get(name) != now.get(name)]
    return [_check(f"source {name}", then.get(name, "missing"), now.get(name, "missing")) for name in names]


def _ranks(manifest: Manifest, sample: int | None) -> list[int]:
    """The partitions to build: all, or those of `sample` shards spread evenly over the list of shards."""
    count = len(manifest.shards)
    if sample is None or sample >= count:
        return list(range(len(manifest.partitions)))
    chosen = [manifest.shards[(2 * n + 1) * count // (2 * sample)] for n in range(sample)]
    return sorted({entry.partition for entry in chosen})


def _files(manifest: Manifest, ranks: Sequence[int]) -> list[str]:
    """What is needed of the published dataset: its tokenizer, and the shards that are compared."""
    shards = [entry.path for entry in manifest.shards if entry.partition in ranks]
    return [name for name in manifest.files if name.startswith(f"{TOKENIZER}/")] + shards


def _tokenizer(manifest: Manifest, theirs: Path) -> Path:
    """The published tokenizer's folder on this machine, its files as the manifest says."""
    for name, digest in manifest.files.items():
        if name.startswith(f"{TOKENIZER}/") and _digest(theirs / name) != digest:
            raise UserError(
                f"{theirs / name}: not the tokenizer file that the manifest names",
                "Download or build it again.",
            )
    return theirs / TOKENIZER


def _tokenizer_checks(manifest: Manifest, built: Rebuilt, trained_again: bool) -> list[Check]:
    note = "trained again" if trained_again else "the published one was used"
    checks = [_check("tokenizer", manifest.tokenizer.sha256, built.tokenizer.sha256, note)]
    for name, digest in manifest.files.items():
        if name.startswith(f"{TOKENIZER}/") and trained_again:
            here = built.tokenizer_folder / Path(name).name
            checks.append(_check(name, digest, _digest(here)))
    return checks


def _part_checks(manifest: Manifest, theirs: Path, built: Rebuilt, keep: Path | None) -> list[Check]:
    """Ledger and shards of the partitions that were built again, in the order of the manifest's shards."""
    ranks = list(built.parts)
    checks = []
    for rank in ranks:
        then, now = manifest.partitions[rank].ledger, built.parts[rank].ledger.to_json()
        note = "" if then == now else _ledger_difference(then, now)
        checks.append(
            Check(f"ledger of partition {rank}", then == now, f"{len(then)} flows", f"{len(now)} flows", note)
        )
    shards = {rank: _by_file(built.parts[rank].shards) for rank in ranks}
    for entry in manifest.shards:
        if entry.partition in shards:
            waiting = shards[entry.partition][_file_of(entry)]
            shard = waiting.pop(0) if waiting else None
            checks.append(_shard_check(theirs / entry.path, built, entry, shard, keep))
    for rank in ranks:
        extra = [shard.file for waiting in shards[rank].values() for shard in waiting]
        checks += [Check(f"{name} of partition {rank}", False, "missing", "built") for name in extra]
    return checks


def _by_file(shards: Sequence[Shard]) -> defaultdict[tuple[str, str, str], list[Shard]]:
    files: defaultdict[tuple[str, str, str], list[Shard]] = defaultdict(list)
    for shard in shards:
        files[shard.view, shard.task or shard.view, shard.split].append(shard)
    return files


def _file_of(entry: ShardEntry) -> tuple[str, str, str]:
    return entry.view, entry.config, entry.split


def _shard_check(
    theirs: Path, built: Rebuilt, entry: ShardEntry, shard: Shard | None, keep: Path | None
) -> Check:
    """Compare the file itself, as it is published, with the one built here."""
    path = entry.path
    if shard is None:
        return Check(path, False, _short(entry.sha256), "missing")
    found = _digest(theirs)
    if found == shard.sha256:
        return Check(path, True, _short(found), _short(shard.sha256))
    ours = built.path(built.parts[entry.partition], shard)
    if keep is not None:
        with disk_errors(keep):
            (keep / path).parent.mkdir(parents=True, exist_ok=True)
            (keep / path).unlink(missing_ok=True)
            link_or_copy(ours, keep / path)
    note = first_difference(theirs, ours) if found != "missing" else ""
    if found != entry.sha256:
        note = f"the published file is not the one its manifest names; {note}".removesuffix("; ")
    return Check(path, False, _short(found), _short(shard.sha256), note)


def _ledger_difference(then: list[LedgerRow], now: list[LedgerRow]) -> str:
    flows = [{(row["stage"], row["split"], row["what"]): row for row in rows} for rows in (then, now)]
    for key in sorted({*flows[0], *flows[1]}):
        one, other = flows[0].get(key), flows[1].get(key)
        if one != other:
            name = ", ".join(part for part in key if part)
            said = [
                f"{row['in']:,} in, {row['out']:,} out" if row else "no such flow" for row in (one, other)
            ]
            return f"{name}: {said[0]} published, {said[1]} here"
    return "the same flows in another order"


def _check(what: str, published: str, here: str, note: str = "") -> Check:
    return Check(what, published == here, _short(published), _short(here), note)


def _digest(path: Path) -> str:
    return sha256_of(path) if path.is_file() else "missing"


def _short(digest: str) -> str:
    return digest[:12] if len(digest) >= 40 else digest
