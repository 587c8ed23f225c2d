"""Building a dataset directory from a recipe: decide what is to do, do it, put it together.

One build at a time works in a directory; what is finished and still holds is used again, what is stale is rebuilt
with the reason said; the directory shows the old dataset or the new one, never half of either.
"""

import shutil
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from l2t_hub.artifacts import CARD, MANIFEST, TOKENIZER, sha256_of
from l2t_hub.corpus.source import Document, Source, open_source
from l2t_hub.dataset.card import write_card
from l2t_hub.dataset.executors.execute import check_executor, execute
from l2t_hub.dataset.executors.slurm_queue import await_jobs
from l2t_hub.dataset.keys import BuildKeys, made_from, reasons
from l2t_hub.dataset.layout import final_shards, link, repeated_ids, shard_entries, stage, switch
from l2t_hub.dataset.ledger import Ledger, merged
from l2t_hub.dataset.manifest import realised, totals
from l2t_hub.dataset.pipeline import transform_setup
from l2t_hub.dataset.prepare import Prepared, build_partitions, prepare
from l2t_hub.dataset.progress import Reporter, reporter
from l2t_hub.dataset.shards import Shard
from l2t_hub.dataset.transform import hash_ids
from l2t_hub.dataset.workspace import FinishedPartition, Workspace, intact, workspace
from l2t_hub.errors import UsageError, UserError
from l2t_hub.mixture import tasks_of
from l2t_hub.recipe import Recipe, recipe_from_tree
from l2t_hub.records.dataset_manifest import Manifest, PartitionEntry, read_manifest
from l2t_hub.records.file_list import unknown_files
from l2t_hub.tasks.registry import tasks_for

PLAN = "plan.json"
MANY = 0.1


def build(
    recipe: Recipe,
    out: Path | str,
    *,
    workers: int | None = None,
    executor: str = "local",
    progress: Reporter | None = None,
) -> Manifest:
    """Make the dataset of a recipe (one without variants) in the directory `out`, and give its manifest.

    `workers` processes work at once (default: one per core) by the `executor` (local, slurm or ray, see
    `execute.py`); neither changes anything in the result. Raises UsageError for a recipe or directory that cannot be
    used, UserError for a source that cannot be read, a full disk, a worker killed, or another build in the same
    directory. What is finished is kept and used by the next build.
    """
    out, report = Path(out), progress or reporter()
    check_executor(executor)
    tasks_of(recipe.mixture, tasks_for(recipe.mixture.modules))
    source = open_source(recipe)
    with workspace(out) as space:
        await_jobs(space, report)
        before = _finished_dataset(out)
        run = partial(execute, executor=executor, workers=workers, report=report)
        ready = prepare(recipe, source, space, run, report, before)
        plan = ready.plan
        if before is not None:
            if _same(before, recipe, plan) and _whole(out, before):
                report.say(f"{out}: finished already, nothing has changed")
                shutil.rmtree(space.folder, ignore_errors=True)
                return before
            _adopt(space, before, ready.source, plan)
        _say_reasons(space, before, plan, report)
        parts = build_partitions(space, ready, range(len(plan.keys)), run, report, f"building {recipe.name}")
        manifest = _assemble(recipe, space, ready, parts)
        _warn(manifest, recipe, report)
        shutil.rmtree(space.folder, ignore_errors=True)
        return manifest


def _finished_dataset(out: Path) -> Manifest | None:
    """The manifest of the dataset that lies here; UsageError if somebody else's files lie among its data."""
    if not (out / MANIFEST).is_file():
        return None
    manifest = read_manifest(out)
    strange = [path for path in unknown_files(out, manifest.expected()) if path.startswith("data/")]
    if strange:
        raise UsageError(
            f"{out}: holds files that no build made: {', '.join(strange[:3])}",
            "Nothing was touched. Move them away, or build into another directory.",
        )
    return manifest


def _same(before: Manifest, recipe: Recipe, plan: BuildKeys) -> bool:
    keys = tuple(part.key for part in before.partitions)
    return before.recipe == recipe.resolved() and keys == plan.keys and before.fingerprint == plan.fingerprint


def _whole(out: Path, manifest: Manifest) -> bool:
    """Whether every file of a dataset is as the manifest says."""
    shards = all(intact(out / s.path, s.bytes, s.sha256) for s in manifest.shards)
    return shards and all((out / n).is_file() and sha256_of(out / n) == h for n, h in manifest.files.items())


def _adopt(space: Workspace, before: Manifest, source: Source, plan: BuildKeys) -> None:
    """Take over the partitions of a finished dataset whose keys still hold."""
    for rank, (key, old) in enumerate(zip(plan.keys, before.partitions, strict=False)):
        entries = [s for s in before.shards if s.partition == rank]
        good = all(intact(space.out / s.path, s.bytes, s.sha256) for s in entries)
        if old.key != key or not good or space.place(rank, key).is_dir():
            continue
        folder = space.begin(rank, key)
        shards = []
        for entry in entries:
            task = entry.config if entry.view == "examples" else ""
            about = entry.model_dump(include={"view", "split", "rows", "tokens", "bytes", "sha256"})
            shard = Shard(file=entry.path.replace("/", "-"), task=task, **about)
            link(space.out / entry.path, folder / shard.file)
            shards.append(shard)
        ids = hash_ids(record.id for record in source.read(rank) if isinstance(record, Document))
        space.commit(folder, FinishedPartition(rank, key, shards, Ledger.from_json(old.ledger)), ids)


def _say_reasons(space: Workspace, before: Manifest | None, plan: BuildKeys, report: Reporter) -> None:
    """Say why what is there cannot be used, and clear it away."""
    old: Mapping[str, Any] | None = _made_from(before) if before is not None else space.read(PLAN)
    changed = reasons(old, plan.made_from)
    stale = any(folder.name[:1] != "." for folder in space.parts.iterdir()) or before is not None
    if changed and stale:
        report.say("rebuilding what these changes touch:")
        for line in changed:
            report.say(f"  {line}")
    elif before is not None:
        report.say(
            "the dataset here is not as its manifest says, or its description changed: putting it right"
        )
    space.clear(plan.keys)
    space.write(PLAN, plan.made_from)


def _made_from(before: Manifest) -> dict[str, Any]:
    """What a finished dataset was made from, as its manifest tells it."""
    recipe, contents = recipe_from_tree(before.recipe), before.source["contents"]
    return made_from(recipe, contents, before.tokenizer.sha256, before.made_by, before.modules)


def _assemble(recipe: Recipe, space: Workspace, ready: Prepared, parts: list[FinishedPartition]) -> Manifest:
    """Check the ledger, lay the dataset out, write card and manifest, and switch."""
    ledger = merged(part.ledger for part in parts)
    wrong = ledger.check(recipe.build.packed)
    if wrong:
        raise AssertionError("the ledger does not add up: " + "; ".join(wrong))
    if not ledger.get("read").went_out:
        raise UserError(f"{recipe.where('source.path')}: no document with text in it: {_why(ledger)}")
    repeated = repeated_ids(space, parts)
    if repeated and recipe.build.on_error == "stop":
        raise UserError(
            f"{recipe.where('source.id_column')}: {repeated:,} ids stand in more than one partition",
            "Name a column of unique ids, set source.id_column: null, or set build.on_error: drop to keep them all.",
        )
    named, source, plan = final_shards(parts), ready.source, ready.plan
    staged = stage(space, named)
    shutil.copytree(space.folder / TOKENIZER, staged / TOKENIZER)
    entries = shard_entries(named, recipe.packing.sequence_length)
    manifest = Manifest(
        name=recipe.name,
        fingerprint=plan.fingerprint,
        recipe=recipe.resolved(),
        source={
            "contents": source.contents,
            "records": ledger.get("read").came_in,
            "repeated_ids": repeated,
            "near_identical": ready.twins,
        },
        tokenizer=ready.tokenizer,
        made_by=plan.tools,
        modules=plan.modules,
        partitions=[
            PartitionEntry(key=part.key, inputs=one, ledger=part.ledger.to_json())
            for part, one in zip(parts, plan.inputs, strict=True)
        ],
        shards=entries,
        ledger=ledger.to_json(),
        totals=totals(ledger, entries, recipe.packing.sequence_length),
        mixture=realised(ledger, recipe, ready.solved),
        files={},
        format=1,
    )
    setup = transform_setup(ready.drawn, space.folder / TOKENIZER, ready.tokenizer)
    write_card(staged / CARD, manifest, recipe, source, setup)
    others = [staged / CARD, *sorted(p for p in (staged / TOKENIZER).iterdir() if p.is_file())]
    manifest = manifest.with_files({p.relative_to(staged).as_posix(): sha256_of(p) for p in others})
    manifest.write(staged)
    switch(space, staged, ("data", TOKENIZER, CARD))
    return manifest


def _warn(manifest: Manifest, recipe: Recipe, report: Reporter) -> None:
    """Say so if the mixture came out far from what was asked for because examples do not fit a sequence."""
    fit, length = Ledger.from_json(manifest.ledger).total("fit"), recipe.packing.sequence_length
    lost = fit.dropped.total()
    if lost > MANY * fit.came_in:
        report.say(
            f"warning: {lost:,} of {fit.came_in:,} examples are longer than a sequence of {length:,} tokens and were "
            f"dropped; an example repeats its block, so blocks.tokens_per_block (now "
            f"{recipe.blocks.tokens_per_block}) should be about {length // 3} at most"
        )


def _why(ledger: Ledger) -> str:
    read = ledger.get("read")
    drops = ", ".join(f"{count:,} {reason}" for reason, count in sorted(read.dropped.items()))
    return f"{read.came_in:,} records{f' ({drops})' if drops else ''}"
