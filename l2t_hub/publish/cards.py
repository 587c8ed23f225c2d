"""What a release writes of itself: a model's card, the use of a dataset by its name, the notes of a collection.

Everything is read from what the release holds: training record, configuration, log, scores. What a card says of a
model follows from its numbers, so that a demonstration says that it is one.
"""

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from huggingface_hub import ModelCardData

from l2t_hub.artifacts import (
    CARD,
    TRAINING_LOG,
    TRAINING_RECORD,
    WEIGHTS,
    disk_errors,
    sha256_of,
    write_text,
)
from l2t_hub.dataset.card import use_values
from l2t_hub.errors import UserError
from l2t_hub.hub.endpoint import PUBLIC
from l2t_hub.hub.names import check_repo
from l2t_hub.publish.scores import CardScores, copy_reports, interval, model_index, points, read_scores
from l2t_hub.records.dataset_manifest import read_manifest
from l2t_hub.templates import render, render_card
from l2t_hub.train.training_log import read_log

PLOT = "loss.png"
PROMPT = "The old man walked down to the river"
# Less than 1% of the 105 billion tokens that a model of the paper's family has seen.
DEMONSTRATION_TOKENS = 1_000_000_000
CURVE_POINTS = 10
NOTE, DESCRIPTION = 500, 150
_USE = re.compile(r"^## How to use it\n.*?(?=^## )", re.MULTILINE | re.DOTALL)
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
    ("initializer_range", "standard deviation of the first weights"),
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
    """Write the card of a model directory made by `l2t train`, to be released as `repo`, and give its path.

    `dataset` and `dataset_revision` name the published dataset (default: what the training record says); `scores`
    are reports of `l2t eval` that hold this model, copied to `eval/`; `repos` says where the other models of those
    reports are, by label; links begin with `hub`. Raises UserError for a directory without a record, or scores of
    other weights.
    """
    directory = Path(directory)
    check_repo(repo)
    record, config = _read(directory / TRAINING_RECORD), _read(directory / "config.json")
    data = record.get("dataset") or {}
    dataset = check_repo(dataset, "dataset") if dataset else data.get("repository")
    dataset_revision = dataset_revision or data.get("revision")
    seen = read_scores(scores, directory, repo)
    metadata = _front_matter(record, repo, dataset, seen, license, language)
    values = {
        "repo": repo,
        "hub": hub.rstrip("/"),
        "record": record,
        "config": config,
        "architecture": [(name, config[key]) for key, name in _ARCHITECTURE if key in config],
        "recipe": record["recipe"],
        "recipe_yaml": yaml.safe_dump(record["recipe"], sort_keys=False, allow_unicode=True).strip(),
        "dataset": dataset,
        "dataset_revision": dataset_revision,
        "scores": seen,
        "repos": dict(repos or {}),
        "interval": interval,
        "points": points,
        "usage": usage(repo),
        "weights": sha256_of(directory / WEIGHTS) if (directory / WEIGHTS).is_file() else None,
        "curve": curve(read_log(directory / TRAINING_LOG)) if (directory / TRAINING_LOG).is_file() else [],
        "plot": PLOT if (directory / PLOT).is_file() else None,
        "demonstration": record["tokens"] < DEMONSTRATION_TOKENS,
        "toolkit": record["versions"]["l2t_hub"],
    }
    copy_reports(scores, directory)
    write_text(directory / CARD, render_card("model.md.j2", metadata, values))
    return directory / CARD


def usage(repo: str) -> str:
    """The five lines that load a model and let it go on with a sentence.

    Not `AutoTokenizer`: for the type qwen2, transformers 5 has it ignore the pre-tokenizer that the file defines.
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
    """At most CURVE_POINTS rows of a training log, evenly spread, its first and last among them: losses in nats."""
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
    record: Mapping[str, Any],
    repo: str,
    dataset: str | None,
    seen: list[CardScores],
    license: str,
    language: str,
) -> ModelCardData:
    """The metadata of hub.md's conventions. No `base_model`: these weights derive from no other."""
    recipe = record["recipe"]
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
        eval_results=model_index(seen) or None,
    )


def name_dataset(directory: Path | str, repo: str) -> Path:
    """Put a repository's name into the card of a dataset directory, and the card's new hash into its manifest.

    Only the section on use changes; the same name again changes nothing. Raises UserError for a directory without a
    manifest or with a card that somebody has rewritten.
    """
    directory = Path(directory)
    check_repo(repo)
    manifest = read_manifest(directory)
    card = directory / CARD
    with disk_errors(card):
        text = card.read_text(encoding="utf-8") if card.is_file() else ""
    if not _USE.search(text):
        raise UserError(
            f"{card}: no section 'How to use it' to put the repository's name into",
            "Build the dataset again.",
        )
    section = render("dataset_use.md.j2", use_values(manifest, repo))
    named = _USE.sub(lambda _: f"{section}\n", text, count=1)
    if named != text:
        write_text(card, named)
    if manifest.files.get(CARD) != sha256_of(card):
        manifest.with_files({**manifest.files, CARD: sha256_of(card)}).write(directory)
    return card


def collection_description(name: str, description: str) -> str:
    """What a collection says of itself: at most 150 characters."""
    return _within(
        render("collection.md.j2", {"kind": "collection", "name": name, "description": description}),
        DESCRIPTION,
    )


def collection_note(kind: str, directory: Path | str) -> str:
    """What a collection says of a dataset or model (from its directory) or a Space: at most 500 characters."""
    directory = Path(directory)
    about: dict[str, Any] = {"kind": kind}
    if kind == "dataset":
        manifest = read_manifest(directory)
        about |= {"name": manifest.name, "mixture": manifest.mixture, "totals": manifest.totals}
    elif kind == "model":
        record = _read(directory / TRAINING_RECORD)
        about |= {"name": record["name"], "record": record, "recipe": record["recipe"]}
    return _within(render("collection.md.j2", about), NOTE)


def _within(text: str, limit: int) -> str:
    """One line of at most `limit` characters, cut between words."""
    line = " ".join(text.split())
    if len(line) <= limit:
        return line
    return line[: limit - 1].rpartition(" ")[0].rstrip(" ,;:.") + "…"


def _read(path: Path) -> dict[str, Any]:
    try:
        tree: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return tree
    except FileNotFoundError:
        raise UserError(
            f"{path.parent}: no finished model: {path.name} is missing",
            "Train it with `l2t train`; an interrupted run goes on with --resume.",
        ) from None
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: cannot be read: {error}", "Train the model again.") from None
