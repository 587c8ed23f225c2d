"""The record of an experiment: a folder with everything that its result rests on, to be kept and published.

It has the recipes, what was trained where and how fast, the scores as JSON, the training logs and the report. It has
no weights, no text and no path of this machine.
"""

import json
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path, PurePath
from typing import Any

import yaml

from l2t_hub import __version__
from l2t_hub.artifacts import disk_errors, write_text
from l2t_hub.evaluate.results import Evaluation
from l2t_hub.records.public_recipe import public_recipe
from l2t_hub.report.render import write_run_report
from l2t_hub.report.run_results import ReleaseReport, RunReport

FACTS, RECIPES = "experiment.json", "recipes.yaml"
SCORES, ALONG, LOGS = "scores", "along-training", "training"


def write_record(folder: Path, report: RunReport) -> Path:
    """Write the record of a run into `folder`, and return it. What the folder holds besides stays."""
    facts = experiment_facts(report, folder)
    write_run_report(folder, report, {})
    recipes = [public_recipe(release.training.recipe) for release in report.releases]
    text = "---\n".join(yaml.safe_dump(r, sort_keys=False, allow_unicode=True, width=100) for r in recipes)
    write_text(folder / RECIPES, text)
    _write_json(folder / FACTS, facts, indent=1)
    for place, evaluations in ((SCORES, report.evaluations), (f"{SCORES}/{ALONG}", report.along)):
        for evaluation in evaluations:
            _write_json(folder / place / f"{evaluation.protocol.suite}.json", public_scores(evaluation))
    for release in report.releases:
        lines = "".join(json.dumps(entry) + "\n" for entry in release.log)
        _make_folder(folder / LOGS)
        write_text(folder / LOGS / f"{release.name}.jsonl", lines)
    return folder


def experiment_facts(report: RunReport, folder: Path) -> dict[str, Any]:
    """Return what was run, with what, on what, and how long it took, as JSON types; `folder` is the record's."""
    first = report.releases[0].training
    return {
        "name": report.title,
        "description": report.description,
        "l2t_hub": __version__,
        "commit": commit(folder),
        "versions": first.versions,
        "hardware": _different([release.training.hardware.model_dump() for release in report.releases]),
        "finished": max(release.training.finished for release in report.releases),
        "tokens": sum(release.training.tokens for release in report.releases),
        "training_seconds": round(sum(release.training.seconds for release in report.releases), 1),
        "scoring_seconds": round(
            sum(model.seconds for scores in (*report.evaluations, *report.along) for model in scores.models),
            1,
        ),
        "runs": [_run(release) for release in report.releases],
    }


def _run(release: ReleaseReport) -> dict[str, Any]:
    record = release.training
    kept = (
        "fingerprint", "dataset_fingerprint", "parameters", "vocab_size", "precision", "steps", "tokens",
        "predicted_tokens", "seconds", "tokens_per_second", "mfu", "resumed_from_step", "loss", "eval_loss",
        "held_out", "pairs", "finished",
    )  # fmt: skip
    facts = record.model_dump(mode="json", include=set(kept))
    return {
        "name": release.name,
        "seed": record.recipe["seed"],
        **{key: facts[key] for key in kept},
        "sequences": record.sequences.model_dump(mode="json"),
        "files": dict(record.files),
        "dataset_totals": {split: dict(totals) for split, totals in release.manifest.totals.items()},
        "mixture": dict(release.manifest.mixture["raw_share"]),
    }


def public_scores(evaluation: Evaluation) -> dict[str, Any]:
    """Return scores in which a model is called as in the run, not by its path, and no file of samples is named."""
    models = tuple(
        replace(model, model=_public_name(model.model, model.label)) for model in evaluation.models
    )
    return asdict(replace(evaluation, models=models, samples_file=None))


def _public_name(path: str, label: str) -> str:
    """Return a model's directory from `models/` on, or its label."""
    parts = PurePath(path).parts
    places = [i for i, part in enumerate(parts) if part == "models"]
    return "/".join(parts[places[-1] :]) if places else label


def commit(record: Path) -> str | None:
    """Return the commit of this package's checkout; None for no checkout.

    If files differ from it, `+changes` follows. The files of an earlier record in the same folder do not count.
    """
    here = Path(__file__).resolve().parent

    def git(*arguments: str) -> str | None:
        try:
            done = subprocess.run(
                ["git", "-C", str(here), *arguments], capture_output=True, text=True, check=False, timeout=20
            )
        except (OSError, subprocess.SubprocessError):
            return None
        return done.stdout.strip() if done.returncode == 0 else None

    # A package that is installed inside another project's checkout is no file of that checkout.
    if not git("ls-files", "--error-unmatch", str(Path(__file__).resolve())):
        return None
    top = Path(git("rev-parse", "--show-toplevel") or here)
    rest = ["--", ":/"]
    if record.resolve().is_relative_to(top):
        rest.append(f":(top,exclude,literal){record.resolve().relative_to(top)}")
    head, changes = git("rev-parse", "HEAD"), git("status", "--porcelain", "--untracked-files=no", *rest)
    return None if head is None else f"{head}+changes" if changes else head


def _different(values: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    return [value for number, value in enumerate(values) if value not in values[:number]]


def _write_json(path: Path, tree: Any, indent: int | None = None) -> None:
    _make_folder(path.parent)
    write_text(path, json.dumps(tree, indent=indent, ensure_ascii=False) + "\n")


def _make_folder(folder: Path) -> None:
    with disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
