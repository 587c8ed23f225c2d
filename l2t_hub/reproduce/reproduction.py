"""Reproduces what the argument names (a dataset, a model or a recipe) and reports whether the result is equal."""

import json
import os
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from l2t_hub.artifacts import MANIFEST, TRAINING_RECORD, disk_errors, write_text
from l2t_hub.dataset.build import build
from l2t_hub.dataset.progress import Reporter, default_reporter
from l2t_hub.dataset.verify import verify
from l2t_hub.errors import UsageError
from l2t_hub.interruption import interruptible
from l2t_hub.recipe import Recipe, bundled_recipes, load_recipe, recipe_from_tree
from l2t_hub.records.dataset_manifest import read_manifest
from l2t_hub.reproduce.checks import Outcome, ReproduceReport
from l2t_hub.reproduce.compare_dataset import PublishedDataset, reproduce_dataset
from l2t_hub.reproduce.trusted_modules import check_trust

REPORT = "reproduce.json"
# The arguments that mean nothing for other targets, with their defaults.
_FOR_NAMES: dict[str, Any] = {"kind": None}
_FOR_MODELS: dict[str, Any] = {"steps": None, "data": None, "tolerance": None}
_FOR_DATASETS: dict[str, Any] = {"sample": None, "source": None, "trust_modules": ()}


def reproduce(
    target: str | Path | Recipe,
    *,
    kind: str | None = None,
    sample: int | None = None,
    steps: int | None = None,
    workers: int | None = None,
    source: str | None = None,
    data: str | None = None,
    tolerance: float | None = None,
    trust_modules: Sequence[str] = (),
    out: Path | str | None = None,
    progress: Reporter | None = None,
) -> ReproduceReport:
    """Rebuild a release and compare the result with what was published.

    `target` is a dataset or model directory, a Hub name (`namespace/name[@revision]`, on the Hub that `connected` or
    the environment chose), or a recipe without variants. A recipe is built twice, with one worker and with several.

    `kind` is "dataset" or "model", where the Hub has both by that name; the default is the dataset.

    A dataset is rebuilt from the recorded revision of its source, and its shards are compared by SHA-256. `sample`
    rebuilds only that many partitions, with the published tokenizer. For a model, every file is compared with the
    records, and the first `steps` of training (default: 20, or up to the first logged loss) are repeated and
    compared to the last bit, or within the relative `tolerance`. `source` and `data` are
    the paths of the source text and of a model's dataset, if they have moved. `out` is a directory for the
    report (JSON) and for shards that differ. Task modules of a dataset run only if `trust_modules` has their SHA-256.

    Raises UsageError for a target that is none of these, UserError for what cannot be read or fetched. Differences
    are not errors; they are in the report.
    """
    if sample is not None and sample < 1:
        raise UsageError(f"--sample {sample}: must be at least one partition")
    if steps is not None and steps < 1:
        raise UsageError(f"--steps {steps}: must be at least one step")
    if tolerance is not None and not 0 < tolerance < 1:
        raise UsageError(f"--tolerance {tolerance:g}: must be between 0 and 1, for example 0.0001")
    check_trust(trust_modules)
    start = time.monotonic()
    keep = Path(out) if out is not None else None
    reporter = progress or default_reporter()
    cores, trusted = workers or os.cpu_count() or 1, tuple(trust_modules)
    options = _Options(kind, sample, steps, cores, source, data, tolerance, trusted, keep, reporter)
    kept = "nothing is kept: what was rebuilt served only the comparison"
    with (
        interruptible(lambda: (kept, "Rerun the command to start again.")),
        tempfile.TemporaryDirectory(prefix="l2t-reproduce-") as folder,
    ):
        outcome = _reproduce(target, options, Path(folder))
    report = ReproduceReport(
        **vars(outcome),
        target=target.name if isinstance(target, Recipe) else str(target),
        seconds=round(time.monotonic() - start, 3),
    )
    if keep is not None:
        with disk_errors(keep):
            keep.mkdir(parents=True, exist_ok=True)
        write_text(keep / REPORT, json.dumps(report.as_dict(), indent=2, ensure_ascii=False) + "\n")
    return report


@dataclass(frozen=True)
class _Options:
    """The arguments of `reproduce` with their defaults filled in."""

    kind: str | None
    sample: int | None
    steps: int | None
    workers: int
    source: str | None
    data: str | None
    tolerance: float | None
    trust_modules: tuple[str, ...]
    keep: Path | None
    reporter: Reporter

    def refuse_for(self, what: str, defaults: Mapping[str, Any], remedy: str = "") -> None:
        """Raise UsageError if one of the arguments in `defaults`, which mean nothing for `what`, was given."""
        for name, default in defaults.items():
            if getattr(self, name) != default:
                option = f"--{name.replace('_', '-')}"
                raise UsageError(f"{option} does not apply to {what}", f"Leave {option} out{remedy}.")


def _reproduce(target: str | Path | Recipe, options: _Options, folder: Path) -> Outcome:
    """Reproduce the target: a directory on this machine, else a recipe, else a name on the Hub."""
    if isinstance(target, Recipe):
        return _recipe(target, options, folder)
    directory = Path(target)
    if directory.is_dir():
        options.refuse_for("a directory", _FOR_NAMES)
        return _directory(directory, options, folder)
    if directory.is_file() or str(target) in bundled_recipes():
        return _recipe(load_recipe(target), options, folder)
    return _from_hub(str(target), options, folder)


def _directory(directory: Path, options: _Options, folder: Path) -> Outcome:
    if (directory / MANIFEST).is_file():
        # Every file of the directory is one that the manifest names, and as the manifest says; or it is a difference.
        problems = tuple(verify(directory).problems)
        published = _here(directory, problems=problems, trusted=options.trust_modules)
        return _dataset(published, options, folder)
    if (directory / TRAINING_RECORD).is_file():
        return _model(directory, options, folder, is_local=True)
    raise UsageError(
        f"{directory}: neither a dataset nor a finished model",
        f"A dataset directory contains {MANIFEST}, a model directory {TRAINING_RECORD}.",
    )


def _recipe(recipe: Recipe, options: _Options, folder: Path) -> Outcome:
    """Build a recipe twice and compare, since it has nothing published to compare with."""
    if recipe.variants:
        raise UsageError(
            f"{recipe.name} has several variants: {', '.join(recipe.variants)}",
            f"Choose one, for example --variant {next(iter(recipe.variants))}.",
        )
    options.refuse_for("a recipe", {**_FOR_NAMES, **_FOR_MODELS, "trust_modules": ()})
    if options.source is not None:
        recipe = _with_source(recipe, options.source)
    first = folder / "first"
    build(recipe, first, workers=1, progress=options.reporter)
    second = replace(options, workers=max(2, options.workers), source=None)
    outcome = _dataset(_here(first, own=True), second, folder)
    scope = f"built twice, with 1 worker and with {second.workers}: {outcome.scope}"
    return replace(outcome, kind="recipe", scope=scope)


def _with_source(recipe: Recipe, source: str) -> Recipe:
    """Return the recipe with its text at another path, or its dataset in another directory."""
    tree = recipe.resolved()
    key = "path" if recipe.source.path is not None else "dataset"
    return recipe_from_tree({**tree, "source": {**tree["source"], key: source}})


def _here(directory: Path, **how: Any) -> PublishedDataset:
    """Return the dataset of a directory: all its files are here."""

    def fetch(paths: Sequence[str]) -> Path:
        return directory

    return PublishedDataset(read_manifest(directory), fetch, fetch, **how)


def _dataset(published: PublishedDataset, options: _Options, folder: Path) -> Outcome:
    options.refuse_for("a dataset", _FOR_MODELS)
    return reproduce_dataset(
        published,
        folder / "again",
        sample=options.sample,
        workers=options.workers,
        source_path=options.source,
        keep=options.keep,
        reporter=options.reporter,
    )


def _model(
    directory: Path, options: _Options, folder: Path, skipped: Sequence[str] = (), *, is_local: bool
) -> Outcome:
    from l2t_hub.reproduce.compare_model import reproduce_model

    options.refuse_for("a model", _FOR_DATASETS)
    return reproduce_model(
        directory,
        options.data,
        options.steps,
        folder,
        options.tolerance,
        skipped=skipped,
        is_local=is_local,
    )


def _from_hub(name: str, options: _Options, folder: Path) -> Outcome:
    """Reproduce a published dataset or model at one commit. Only what is compared is fetched."""
    from l2t_hub.hub.download import download, kind_and_commit, kinds_of, parse_name

    repo, revision = parse_name(name)
    kind, commit = kind_and_commit(repo, revision, kinds_of(options.kind))
    if kind == "dataset":
        options.refuse_for(
            f"the dataset {repo}", _FOR_MODELS, ", or add --kind model for a model of that name"
        )

    def fetch(paths: Sequence[str], are_code: bool = False) -> Path:
        code = paths if are_code else ()
        return download(repo, kind, commit, only=paths, code=code, say=options.reporter.message).directory

    if kind == "dataset":
        manifest = read_manifest(fetch([MANIFEST]))
        trusted = options.trust_modules
        published = PublishedDataset(manifest, fetch, partial(fetch, are_code=True), trusted=trusted)
        return _dataset(published, options, folder)
    found = download(repo, kind, commit, say=options.reporter.message)
    return _model(found.directory, options, folder, found.skipped, is_local=False)
