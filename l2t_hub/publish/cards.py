"""The cards of a release: a model's card, the repo name in a dataset's card, and the texts of a collection.

All facts come from the files of the release: training record, configuration, log and scores. Statements about a model
follow from its numbers, so the card of a small demonstration model says that it is one.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from huggingface_hub import ModelCardData

from l2t_hub.artifacts import (
    CARD,
    CONFIG,
    TRAINING_LOG,
    WEIGHTS,
    sha256_of,
    write_text,
)
from l2t_hub.dataset.card import keep_edited_card, own_text_of, write_dataset_card
from l2t_hub.errors import UserError
from l2t_hub.hub.endpoint import PUBLIC
from l2t_hub.hub.names import MAX_DESCRIPTION_CHARS, MAX_NOTE_CHARS, check_repo
from l2t_hub.publish.scores import CardScores, copy_reports, interval, model_index, points, read_scores
from l2t_hub.records.dataset_manifest import read_manifest
from l2t_hub.records.reading import read_json
from l2t_hub.records.repo_path import inside
from l2t_hub.records.training_record import TrainingRecord, read_training_record
from l2t_hub.templates import render, render_card
from l2t_hub.train.training_log import read_log

PLOT = "loss.png"
PROMPT = "The old man walked down to the river"
# Less than 1% of the 105 billion tokens on which the models of the paper were trained (arXiv:2601.03448).
DEMONSTRATION_TOKENS = 1_000_000_000
CURVE_POINTS = 10
_ARCHITECTURE = (
    ("num_hidden_layers", "layers"),
    ("hidden_size", "hidden size"),
    ("num_attention_heads", "attention heads"),
    ("num_key_value_heads", "key-value heads"),
    ("head_dim", "head dimension"),
    ("intermediate_size", "MLP size"),
    ("hidden_act", "activation"),
    ("vocab_size", "vocabulary (rounded up)"),
    ("max_position_embeddings", "longest input"),
    ("tie_word_embeddings", "tied embeddings"),
    ("rms_norm_eps", "RMSNorm epsilon"),
    ("attention_dropout", "attention dropout"),
    ("initializer_range", "standard deviation of initial weights"),
)


def write_model_card(
    directory: Path | str,
    *,
    repo: str,
    dataset: str | None = None,
    dataset_revision: str | None = None,
    scores: Sequence[Path] = (),
    repos: Mapping[str, str] | None = None,
    license: str = "apache-2.0",
    language: str = "en",
    hub: str = PUBLIC,
) -> Path:
    """Write the card of a model directory made by `l2t train`, to be released as `repo`, and return its path.

    `dataset` and `dataset_revision` name the published dataset; the default is what the training record names.
    `scores` are reports of `l2t eval` that contain this model, and are copied to `eval/`. `repos` maps the labels of
    their other models to repos. Links begin with `hub`.

    Raises UserError if the directory has no training record or the scores are of other weights, and UsageError for an
    invalid repo name.
    """
    directory = Path(directory)
    check_repo(repo)
    record, config = read_training_record(directory), _config(directory)
    dataset = check_repo(dataset, "dataset") if dataset else record.dataset.repository
    dataset_revision = dataset_revision or record.dataset.revision
    card_scores = read_scores(scores, directory, repo)
    metadata = _front_matter(record, repo, dataset, card_scores, license, language)
    values = _facts(directory, record, config) | {
        "repo": repo,
        "hub": hub.rstrip("/"),
        "dataset": dataset,
        "dataset_revision": dataset_revision,
        "scores": card_scores,
        "repos": dict(repos or {}),
        "interval": interval,
        "points": points,
        "usage": usage(repo),
    }
    copy_reports(scores, directory)
    write_text(directory / CARD, render_card("model.md.j2", metadata, values))
    return directory / CARD


def _facts(directory: Path, record: TrainingRecord, config: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the files of a model directory say about it, for the template."""
    recipe, log = record.recipe, directory / TRAINING_LOG
    return {
        "record": record,
        "config": config,
        "architecture": [(name, config[key]) for key, name in _ARCHITECTURE if key in config],
        "recipe": recipe,
        "recipe_yaml": yaml.safe_dump(recipe, sort_keys=False, allow_unicode=True).strip(),
        "weights": sha256_of(directory / WEIGHTS) if (directory / WEIGHTS).is_file() else None,
        "curve": curve(read_log(log)) if log.is_file() else [],
        "plot": PLOT if (directory / PLOT).is_file() else None,
        "demonstration": record.tokens < DEMONSTRATION_TOKENS,
        "toolkit": record.versions.get("l2t_hub", ""),
    }


def usage(repo: str) -> str:
    """Return five lines of Python that load a model and continue a sentence.

    They avoid `AutoTokenizer`: for the model type qwen2, transformers 5 ignores the pre-tokenizer in tokenizer.json.
    """
    return "\n".join(
        [
            "from transformers import AutoModelForCausalLM, PreTrainedTokenizerFast",
            f'tokenizer = PreTrainedTokenizerFast.from_pretrained("{repo}")',
            f'model = AutoModelForCausalLM.from_pretrained("{repo}")',
            f'inputs = tokenizer("{PROMPT}", return_tensors="pt")',
            "print(tokenizer.decode(model.generate(**inputs, max_new_tokens=30)[0]))",
        ]
    )


def curve(log: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return at most CURVE_POINTS rows of a training log, evenly spaced, including the first and last.

    Each row has the keys step, loss and eval_loss (nats per token, or None), and tokens if the log has them.
    """
    steps: dict[int, dict[str, Any]] = {}
    for entry in log:
        row = steps.setdefault(entry["step"], {"step": entry["step"], "loss": None, "eval_loss": None})
        row.update({key: entry[key] for key in ("tokens", "loss", "eval_loss") if key in entry})
    rows = list(steps.values())
    if len(rows) <= CURVE_POINTS:
        return rows
    last = len(rows) - 1
    return [rows[round(n * last / (CURVE_POINTS - 1))] for n in range(CURVE_POINTS)]


def _front_matter(
    record: TrainingRecord,
    repo: str,
    dataset: str | None,
    scores: list[CardScores],
    license: str,
    language: str,
) -> ModelCardData:
    """Return the card's metadata. There is no `base_model`, because the model is trained from scratch."""
    recipe = record.recipe
    return ModelCardData(
        language=[language],
        license=license,
        library_name="transformers",
        pipeline_tag="text-generation",
        datasets=[dataset] if dataset else None,
        tags=[
            "l2t",
            "language-learning-tasks",
            "trained-from-scratch",
            f"mixture-{recipe['mixture']['scheme']}",
        ],
        model_name=repo.rpartition("/")[2],
        eval_results=model_index(scores) or None,
    )


def name_dataset(directory: Path | str, repo: str) -> Path:
    """Write the card of a dataset directory again, with its repo name. Returns the card's path.

    Repeating the call changes nothing. Raises UserError if the manifest is missing.
    """
    directory = Path(directory)
    check_repo(repo)
    manifest = read_manifest(directory)
    keep_edited_card(directory)
    write_dataset_card(directory, manifest, repo=repo, own=own_text_of(directory))
    return directory / CARD


def collection_description(name: str, description: str) -> str:
    """Return the description of a collection, at most 150 characters."""
    return _within(
        render("collection.md.j2", {"kind": "collection", "name": name, "description": description}),
        MAX_DESCRIPTION_CHARS,
    )


def collection_note(kind: str, directory: Path | str) -> str:
    """Return the note beside a dataset, model or Space in a collection, at most 500 characters.

    The note of a dataset or model is made from the records in its directory.
    """
    directory = Path(directory)
    values: dict[str, Any] = {"kind": kind}
    if kind == "dataset":
        manifest = read_manifest(directory)
        values |= {"name": manifest.name, "mixture": manifest.mixture, "totals": manifest.totals}
    elif kind == "model":
        record = read_training_record(directory)
        values |= {"name": record.name, "record": record, "recipe": record.recipe}
    return _within(render("collection.md.j2", values), MAX_NOTE_CHARS)


def _within(text: str, limit: int) -> str:
    """Return `text` as one line of at most `limit` characters, cut between words."""
    line = " ".join(text.split())
    if len(line) <= limit:
        return line
    return line[: limit - 1].rpartition(" ")[0].rstrip(" ,;:.") + "…"


def _config(directory: Path) -> dict[str, Any]:
    path = inside(directory, CONFIG)
    config = read_json(path)
    if not isinstance(config, dict):
        raise UserError(f"{path}: not a JSON object", "Train the model again.")
    return config
