"""`reproduce`: what the argument names, which of the three roads back it is, and the report."""

import json
import os
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from l2t_hub.artifacts import MANIFEST, TRAINING_LOG, TRAINING_RECORD, WEIGHTS, disk_errors, write_text
from l2t_hub.dataset.build import build
from l2t_hub.dataset.progress import Reporter, default_reporter
from l2t_hub.errors import UsageError, UserError
from l2t_hub.recipe import Recipe, bundled_recipes, load_recipe
from l2t_hub.records.dataset_manifest import read_manifest
from l2t_hub.reproduce.checks import ReproduceReport
from l2t_hub.reproduce.compare_dataset import RULE, Outcome, Published, reproduce_dataset
from l2t_hub.train.training_log import read_log

REPORT = "reproduce.json"
STEPS = 20
Fetch = Callable[[str], Path]


def reproduce(
    target: str | Path | Recipe,
    *,
    sample: int | None = None,
    steps: int = STEPS,
    workers: int | None = None,
    source: str | None = None,
    data: str | None = None,
    out: Path | str | None = None,
    progress: Reporter | None = None,
) -> ReproduceReport:
    """Make a release again and compare.

    `target` is a dataset or model directory, a Hub name (`namespace/name[@revision]`, on the Hub that `connected` or
    the environment chose), or a recipe without variants, which is built twice, with one worker and with several.

    A dataset is built again with the published source revision, its shards compared by SHA-256; `sample` builds only
    the partitions of that many shards, with the published tokenizer. For a model the first `steps` are trained again.
    `source` says where this machine has the text, `data` the dataset of a model, where the release's own place does
    not do. `out` gets the report as JSON, and shards that differ. Raises UsageError for a target that is none,
    UserError for what cannot be read or fetched; a difference is no error, it is in the report.
    """
    if sample is not None and sample < 1:
        raise UsageError(f"--sample {sample}: at least one shard")
    if steps < 1:
        raise UsageError(f"--steps {steps}: at least one step")
    began = time.monotonic()
    keep = Path(out) if out is not None else None
    work = _Work(
        sample, steps, workers or os.cpu_count() or 1, source, data, keep, progress or default_reporter()
    )
    with tempfile.TemporaryDirectory(prefix="l2t-reproduce-") as folder:
        road = _walk(target, work, Path(folder))
    name = target.name if isinstance(target, Recipe) else str(target)
    report = ReproduceReport(
        target=name,
        kind=road.kind,
        fingerprint=road.fingerprint,
        scope=road.outcome.scope,
        rule=road.rule,
        checks=tuple(road.outcome.checks),
        environment=tuple(road.outcome.environment),
        seconds=round(time.monotonic() - began, 3),
    )
    if keep is not None:
        with disk_errors(keep):
            keep.mkdir(parents=True, exist_ok=True)
        write_text(keep / REPORT, json.dumps(report.as_dict(), indent=2, ensure_ascii=False) + "\n")
    return report


@dataclass(frozen=True)
class _Work:
    """What the caller asked for."""

    sample: int | None
    steps: int
    workers: int
    source: str | None
    data: str | None
    keep: Path | None
    report: Reporter


@dataclass(frozen=True)
class _Road:
    """One reproduction done: of what kind of thing, with which fingerprint, what came of it, what counts as equal."""

    kind: str
    fingerprint: str
    outcome: Outcome
    rule: str


def _walk(target: str | Path | Recipe, work: _Work, folder: Path) -> _Road:
    """Take the road back that fits the target: a directory here, else a recipe, else a name on the Hub."""
    if isinstance(target, Recipe):
        return _recipe(target, work, folder)
    directory = Path(target)
    if directory.is_dir():
        return _directory(directory, work, folder)
    if directory.is_file() or str(target) in bundled_recipes():
        return _recipe(load_recipe(target), work, folder)
    return _from_hub(str(target), work, folder)


def _directory(directory: Path, work: _Work, folder: Path) -> _Road:
    if (directory / MANIFEST).is_file():
        return _dataset(Published(read_manifest(directory), lambda paths: directory), work, folder)
    if (directory / TRAINING_RECORD).is_file():
        return _model(lambda path: directory / path, work, folder)
    raise UsageError(
        f"{directory}: neither a dataset nor a finished model of l2t",
        f"A dataset directory holds {MANIFEST}, a model directory {TRAINING_RECORD}.",
    )


def _recipe(recipe: Recipe, work: _Work, folder: Path) -> _Road:
    """A recipe has nothing published to be compared with: two builds from nothing must agree."""
    if recipe.variants:
        names = ", ".join(recipe.variants)
        raise UsageError(
            f"{recipe.name} describes several releases: {names}",
            f"Say which: --variant {next(iter(recipe.variants))}",
        )
    first = folder / "first"
    manifest = build(recipe, first, workers=1, progress=work.report)
    several = replace(work, workers=max(2, work.workers), source=None)
    road = _dataset(Published(manifest, lambda paths: first), several, folder)
    scope = f"built twice, with 1 worker and with {several.workers}: {road.outcome.scope}"
    return replace(road, kind="recipe", outcome=replace(road.outcome, scope=scope))


def _dataset(published: Published, work: _Work, folder: Path) -> _Road:
    outcome = reproduce_dataset(
        published,
        folder / "again",
        sample=work.sample,
        workers=work.workers,
        place=work.source,
        keep=work.keep,
        report=work.report,
    )
    return _Road("dataset", published.manifest.fingerprint, outcome, RULE)


def _model(fetch: Fetch, work: _Work, folder: Path) -> _Road:
    from l2t_hub.reproduce.compare_model import reproduce_model

    record = _read(fetch(TRAINING_RECORD))
    log = read_log(fetch(TRAINING_LOG))
    outcome, rule = reproduce_model(record, log, lambda: fetch(WEIGHTS), work.data, work.steps, folder)
    return _Road("model", str(record["fingerprint"]), outcome, rule)


def _read(path: Path) -> dict[str, Any]:
    try:
        record: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        record["fingerprint"], record["recipe"], record["dataset"], record["hardware"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(
            f"{path}: cannot be read as a training record: {error!r}", "Train the model again."
        ) from None
    return record


def _from_hub(name: str, work: _Work, folder: Path) -> _Road:
    """A published dataset or model at one commit; of it only what is compared is fetched, and checked."""
    from l2t_hub.hub.download import download, parse_name

    repo, revision = parse_name(name)
    kind, commit = _kind_of(repo, revision)

    def bring(paths: Sequence[str]) -> Path:
        return download(repo, kind, commit, only=paths, say=work.report.message).directory

    if kind == "dataset":
        return _dataset(Published(read_manifest(bring([MANIFEST])), bring), work, folder)
    return _model(lambda path: bring([path]) / path, work, folder)


def _kind_of(repo: str, revision: str | None) -> tuple[str, str]:
    """Whether a name is a dataset or a model, and its commit. Raises UserError if the Hub has neither."""
    from huggingface_hub import HfApi
    from huggingface_hub.errors import RepositoryNotFoundError

    from l2t_hub.hub.failures import hub_error
    from l2t_hub.hub.retry import RetryPolicy, retrying

    api = HfApi()
    for kind in ("dataset", "model"):
        look = partial(api.repo_info, repo, repo_type=kind, revision=revision)
        try:
            return kind, str(retrying(look, f"looking up {repo}", RetryPolicy(), lambda line: None).sha)
        except RepositoryNotFoundError:
            continue
        except Exception as error:
            raise hub_error(error, f"{repo}: lookup failed", api.endpoint) from error
    raise UserError(
        f"{repo}: no such directory or recipe, and {api.endpoint} has no dataset or model of that name",
        "Check the name; for a private repo set HF_TOKEN.",
    )
