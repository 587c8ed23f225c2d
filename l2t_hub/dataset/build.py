"""Build a dataset directory from a recipe: prepare, build the partitions that are missing, assemble.

One build at a time runs in a directory. Finished results that still apply are reused; stale ones are rebuilt, and the
build says why. The directory shows the old dataset or the new one, never a part of either.
"""

import shutil
from functools import partial
from pathlib import Path

from l2t_hub.artifacts import CARD, MANIFEST, MODULES, TOKENIZER, intact, sha256_of
from l2t_hub.corpus.source import Document, Source, open_source
from l2t_hub.corpus.source_languages import check_tasks, language_facts, left_out_lines
from l2t_hub.dataset.card import keep_edited_card, own_text_of, write_dataset_card
from l2t_hub.dataset.drops import check_examples, drop_lines, drop_warnings
from l2t_hub.dataset.executors import worker_server
from l2t_hub.dataset.executors.execute import check_executor, execute
from l2t_hub.dataset.executors.slurm_queue import wait_for_jobs
from l2t_hub.dataset.keys import BuildKeys, ingredients, stale_reasons
from l2t_hub.dataset.layout import (
    DATA,
    REPLACED,
    count_repeated_ids,
    link_or_copy,
    place_shards,
    shard_entries,
    stage_shards,
    switch_dataset,
)
from l2t_hub.dataset.ledger import Ledger, merged
from l2t_hub.dataset.manifest import realised, totals
from l2t_hub.dataset.manifest_size import check_manifest_size
from l2t_hub.dataset.prepare import Answers, Prepared, build_partitions, prepare
from l2t_hub.dataset.progress import Reporter, default_reporter
from l2t_hub.dataset.shards import Shard
from l2t_hub.dataset.transform import hash_ids
from l2t_hub.dataset.workspace import FinishedPartition, Workspace, open_workspace, say_what_is_kept
from l2t_hub.errors import UsageError, UserError
from l2t_hub.interruption import interruptible
from l2t_hub.mixture import tasks_of
from l2t_hub.recipe import Recipe, recipe_from_tree
from l2t_hub.records.dataset_manifest import Manifest, PartitionEntry, read_manifest
from l2t_hub.records.file_list import compare_directory, unknown_files
from l2t_hub.tasks.registry import tasks_for

INGREDIENTS = "ingredients.json"


def build(
    recipe: Recipe,
    out: Path | str,
    *,
    workers: int | None = None,
    executor: str = "local",
    progress: Reporter | None = None,
) -> Manifest:
    """Build the dataset of a recipe without variants in the directory `out`, and return its manifest.

    `workers` is how many partitions are built at once (default: one per core), `executor` where (local, slurm or ray;
    see `executors/execute.py`). Neither changes a byte of the result. Finished work is kept for the next build.

    Raises UsageError for a recipe or directory that cannot be used. Raises UserError if the source cannot be read,
    the disk is full, a worker is killed, or another build is running in the directory. Raises Interrupted, which says
    what is kept, after Ctrl-C.
    """
    out, reporter = Path(out), progress or default_reporter()
    check_executor(executor)
    tasks = tasks_of(recipe.mixture, tasks_for(recipe.mixture.modules))
    check_tasks(recipe, tasks)
    if executor == "local":
        worker_server.start(workers, recipe.build.partitions)
    say_kept = partial(say_what_is_kept, out, recipe.build.partitions)
    source = open_source(recipe)
    check_manifest_size(recipe, tasks, source)
    for note in (*source.notes, *left_out_lines(recipe, tasks)):
        reporter.message(note)
    with interruptible(say_kept), open_workspace(out) as workspace:
        wait_for_jobs(workspace, reporter)
        before = _existing_dataset(out)
        run = partial(execute, executor=executor, workers=workers, reporter=reporter)
        answers = Answers.of(before) if before else Answers()
        prepared = prepare(recipe, source, workspace, run, reporter, answers)
        keys = prepared.keys
        left_out = prepared.duplicates
        check_manifest_size(recipe, tasks, source, dropped=(left_out.near_identical, left_out.repeated))
        if before is not None:
            if _is_current(before, recipe, keys) and _is_intact(out, before):
                reporter.message(f"{out}: already finished, nothing has changed")
                workspace.clear()
                return before
            _adopt_partitions(workspace, before, prepared.source, keys)
        _remove_stale(workspace, before, keys, reporter)
        ranks, description = range(len(keys.partition_keys)), f"building {recipe.name}"
        partitions = build_partitions(workspace, prepared, ranks, run, reporter, description)
        manifest = _assemble(recipe, workspace, prepared, partitions, reporter)
        for line in (*drop_lines(manifest), *drop_warnings(manifest, recipe)):
            reporter.message(line)
        workspace.clear()
        return manifest


def _existing_dataset(out: Path) -> Manifest | None:
    """Return the manifest of the dataset in the directory. UsageError if its data folder has files of others."""
    if not (out / MANIFEST).is_file():
        return None
    manifest = read_manifest(out)
    known = manifest.expected()
    foreign = [path for path in unknown_files(out, known) if path.startswith((f"{DATA}/", f"{MODULES}/"))]
    if foreign:
        raise UsageError(
            f"{out}: contains files that no build made: {', '.join(foreign[:3])}",
            "Nothing was changed. Move these files, or build into another directory.",
        )
    return manifest


def _is_current(before: Manifest, recipe: Recipe, keys: BuildKeys) -> bool:
    partition_keys = tuple(partition.key for partition in before.partitions)
    same_keys = partition_keys == keys.partition_keys and before.fingerprint == keys.fingerprint
    return same_keys and before.recipe == keys.modules.recorded(recipe.resolved("data"))


def _is_intact(out: Path, manifest: Manifest) -> bool:
    """Whether every file of a dataset is as its manifest says."""
    return not compare_directory(out, manifest.expected(), MANIFEST)


def _adopt_partitions(workspace: Workspace, before: Manifest, source: Source, keys: BuildKeys) -> None:
    """Link the partitions of an earlier dataset whose keys still apply into the workspace."""
    for rank, (key, old) in enumerate(zip(keys.partition_keys, before.partitions, strict=False)):
        entries = [entry for entry in before.shards if entry.partition == rank]
        if old.key != key or workspace.partition_folder(rank, key).is_dir():
            continue
        if not all(intact(workspace.out / e.path, e.bytes, e.sha256) for e in entries):
            continue
        folder = workspace.begin(rank, key)
        shards = []
        for entry in entries:
            task = entry.config if entry.view == "examples" else ""
            fields = entry.model_dump(include={"view", "split", "rows", "tokens", "bytes", "sha256"})
            shard = Shard(file=entry.path.replace("/", "-"), task=task, **fields)
            link_or_copy(workspace.out / entry.path, folder / shard.file)
            shards.append(shard)
        ids = hash_ids(record.id for record in source.read(rank) if isinstance(record, Document))
        workspace.commit(
            folder, FinishedPartition(rank, key, shards, Ledger.from_json(old.ledger), old.drops), ids
        )


def _remove_stale(workspace: Workspace, before: Manifest | None, keys: BuildKeys, reporter: Reporter) -> None:
    """Remove results that no longer apply, and say why they do not."""
    if before is not None:
        recipe, contents = recipe_from_tree(before.recipe), before.source["contents"]
        old = ingredients(recipe, contents, before.tokenizer.sha256, before.made_by, before.modules)
    else:
        old = workspace.read_json(INGREDIENTS)
    reasons = stale_reasons(old, keys.ingredients)
    has_results = any(folder.name[:1] != "." for folder in workspace.stage_folder.iterdir())
    if reasons and (has_results or before is not None):
        reporter.message("rebuilding what these changes affect:")
        for reason in reasons:
            reporter.message(f"  {reason}")
    elif before is not None:
        reporter.message(
            "repairing the dataset: its files differ from its manifest, or its description changed"
        )
    workspace.remove_stale(keys.partition_keys)
    workspace.write_json(INGREDIENTS, keys.ingredients)


def _assemble(
    recipe: Recipe,
    workspace: Workspace,
    prepared: Prepared,
    partitions: list[FinishedPartition],
    reporter: Reporter,
) -> Manifest:
    """Check the ledger, stage the dataset with card and manifest, and switch to it."""
    ledger = merged(partition.ledger for partition in partitions)
    repeated_ids = count_repeated_ids(workspace, partitions)
    _check_ledger(recipe, ledger, repeated_ids)
    placed, source, keys = place_shards(partitions), prepared.source, prepared.keys
    staged = stage_shards(workspace, placed)
    shutil.copytree(workspace.folder / TOKENIZER, staged / TOKENIZER)
    entries = shard_entries(placed, recipe.packing.sequence_length)
    tasks = tasks_of(recipe.mixture, tasks_for(recipe.mixture.modules))
    manifest = Manifest(
        name=recipe.name,
        fingerprint=keys.fingerprint,
        recipe=keys.modules.recorded(recipe.resolved("data")),
        source={
            "contents": source.contents,
            "records": ledger.get("read").came_in,
            "repeated_ids": repeated_ids,
            "near_identical": prepared.duplicates.near_identical,
            "duplicates": prepared.duplicates.repeated,
            "encodings": source.encodings,
        },
        tokenizer=prepared.tokenizer,
        made_by=keys.versions,
        modules=keys.modules.digests,
        tasks={t.name: {"level": t.level, "description": t.description} for t in tasks.values()},
        languages=language_facts(recipe, tasks),
        partitions=[
            PartitionEntry(
                key=partition.key,
                inputs=input_digest,
                ledger=partition.ledger.to_json(),
                drops=partition.drops,
            )
            for partition, input_digest in zip(partitions, keys.inputs, strict=True)
        ],
        shards=entries,
        ledger=ledger.to_json(),
        totals=totals(ledger, entries, recipe.packing.sequence_length),
        mixture=realised(ledger, recipe, prepared.solved),
        files={},
        format=1,
    )
    others = sorted(path for path in (staged / TOKENIZER).iterdir() if path.is_file())
    others += keys.modules.write(staged)
    manifest = manifest.with_files({p.relative_to(staged).as_posix(): sha256_of(p) for p in others})
    # A build that was killed while it switched has left the old card among the replaced files.
    own = own_text_of(workspace.out) or own_text_of(workspace.folder / REPLACED)
    manifest = write_dataset_card(staged, manifest, own=own)
    if kept := keep_edited_card(workspace.out):
        reporter.message(f"{kept}: the card that you had edited")
    switch_dataset(workspace, staged, (DATA, TOKENIZER, MODULES, CARD))
    return manifest


def _check_ledger(recipe: Recipe, ledger: Ledger, repeated_ids: int) -> None:
    """Raise AssertionError if the ledger does not add up, UserError if the source gave no usable documents."""
    problems = ledger.check(recipe.build.packed)
    if problems:
        raise AssertionError("the ledger does not add up: " + "; ".join(problems))
    read = ledger.get("read")
    if not read.went_out:
        drops = ", ".join(f"{count:,} {reason}" for reason, count in sorted(read.dropped.items()))
        raise UserError(
            f"{recipe.where('source.path')}: no document has text. Records read: {read.came_in:,}"
            f"{f' (dropped: {drops})' if drops else ''}",
            "Check source.path and source.text_column.",
        )
    check_examples(ledger, recipe)
    if repeated_ids and recipe.build.on_error == "stop":
        raise UserError(
            f"{recipe.where('source.id_column')}: {repeated_ids:,} document IDs are in more than one partition",
            "Name a column of unique IDs, set source.id_column: null, or set build.on_error: drop to keep them all.",
        )
