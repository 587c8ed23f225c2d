"""The cards of a release: a model's card, the repo name in a dataset's card, and the texts of a collection.

All facts come from the files of the release: training record, configuration, log and scores. Statements about a model
follow from its numbers, so the card of a small demonstration model says that it is one.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import yaml
from huggingface_hub import ModelCardData

from l2t_hub.artifacts import (
    CARD,
    CONFIG,
    PREDICTION_HEADS,
    TRAINING_LOG,
    TRAINING_RECORD,
    WEIGHTS,
    sha256_of,
    write_text,
)
from l2t_hub.dataset.card import (
    NO_LICENSE,
    OWN_TEXT,
    dataset_card,
    keep_edited_card,
    own_text_of,
)
from l2t_hub.errors import UserError
from l2t_hub.hub.endpoint import PUBLIC
from l2t_hub.hub.front_matter import load_front_matter
from l2t_hub.hub.names import MAX_DESCRIPTION_CHARS, MAX_NOTE_CHARS, check_repo
from l2t_hub.publish.scores import (
    CardScores,
    copy_reports,
    figure,
    interval,
    model_index,
    points,
    read_scores,
    reports_in,
)
from l2t_hub.publish.space import space_card_again
from l2t_hub.publish.stage import release_kind
from l2t_hub.records.card_text import card_digest, card_state, finished_card
from l2t_hub.records.dataset_manifest import Manifest, read_manifest
from l2t_hub.records.public_recipe import language_codes, public_recipe, source_title
from l2t_hub.records.reading import read_bounded, read_json
from l2t_hub.records.repo_path import inside
from l2t_hub.records.training_record import RunRecord, TrainingRecord, read_training_record
from l2t_hub.tasks.languages import language
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
    directory: Path | str, *, scores: Sequence[Path] = (), license: str | None = None, **published: Any
) -> Path:
    """Write the card of a model directory made by `l2t train`, and return its path. The owner's text is kept.

    `scores` are reports of `l2t eval` that contain this model; they are copied to `eval/`, whose reports the card
    shows. `license` replaces the licence on the card. `published` are the other arguments of `model_card`.

    Raises UserError as `model_card`, and if the examples of a report are missing.
    """
    directory = Path(directory)
    read_training_record(directory)
    read_scores(scores, directory, published.get("repo"))
    copy_reports(scores, directory)
    own = own_text_of(directory)
    card = model_card(directory, own=own, license=license or license_of(directory), **published)
    write_text(directory / CARD, card)
    return directory / CARD


def refresh_model_card(directory: Path, scores: Sequence[Path] = (), *, say: Callable[[str], None]) -> None:
    """Put scores into a model directory and write its card, unless the card is the user's own or was edited.

    Nothing is done for a directory without a training record. Raises UserError as `write_model_card`.
    """
    if not (directory / TRAINING_RECORD).is_file():
        return
    card = directory / CARD
    if card.is_file() and card_state(read_bounded(card).decode(errors="replace")) != "written":
        copy_reports(scores, directory)
        say(
            f"{card}: kept as you edited it; `l2t card {directory}` writes it again and keeps your file beside it"
        )
        return
    write_model_card(directory, scores=scores)


def model_card(
    directory: Path,
    *,
    record: TrainingRecord | None = None,
    repo: str | None = None,
    dataset: str | None = None,
    dataset_revision: str | None = None,
    scores: Sequence[Path] | None = None,
    repos: Mapping[str, str] | None = None,
    license: str | None = None,
    own: str = "",
    hub: str = PUBLIC,
) -> str:
    """Return the card of a model directory, to be released as `repo` if one is given.

    `record` replaces the training record of the directory. `dataset` and `dataset_revision` name the published
    dataset; the default is what the record names. `scores` are the reports to show (default: those in `eval/`), and
    `repos` maps the labels of their other models to repos. `license` is the model's (default: that of its source
    text), and `own` the owner's text. Links begin with `hub`.

    Raises UserError if the directory has no training record or the scores are of other weights, and UsageError for an
    invalid repo name.
    """
    if repo is not None:
        check_repo(repo)
    record, config = record or read_training_record(directory), _config(directory)
    dataset = check_repo(dataset, "dataset") if dataset else record.dataset.repository
    dataset_revision = dataset_revision or record.dataset.revision
    card_scores = read_scores(reports_in(directory) if scores is None else scores, directory, repo)
    location = repo or record.name
    license = license or record.recipe["source"].get("license")
    metadata = model_metadata(record, location, dataset, card_scores, license or NO_LICENSE)
    values = _facts(directory, record, config) | {
        "repo": repo,
        "name": location.rpartition("/")[2],
        "location": location,
        "hub": hub.rstrip("/"),
        "dataset": dataset,
        "dataset_revision": dataset_revision,
        "scores": card_scores,
        "repos": dict(repos or {}),
        "interval": interval,
        "points": points,
        "figure": figure,
        "usage": usage(location),
        **OWN_TEXT,
    }
    return finished_card(render_card("model.md.j2", metadata, values), own)


def license_of(directory: Path) -> str | None:
    """Return the licence in the front matter of a directory's card, None if it names none."""
    card, license = directory / CARD, None
    if card.is_file():
        with suppress(UserError):  # a card that is edited may have any front matter
            license = load_front_matter(card).get("license")
    return str(license) if license and license != NO_LICENSE else None


def _facts(directory: Path, record: TrainingRecord, config: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the files of a model directory say about it, for the template."""
    recipe, log = public_recipe(record.recipe), directory / TRAINING_LOG
    return {
        "record": record,
        "streamed": record.dataset.streamed,
        "config": config,
        "architecture": [(name, config[key]) for key, name in _ARCHITECTURE if key in config],
        "recipe": recipe,
        "languages": " and ".join(language(code).name for code in language_codes(recipe)),
        "recipe_yaml": yaml.safe_dump(recipe, sort_keys=False, allow_unicode=True).strip(),
        "raw": recipe["mixture"]["scheme"] == "raw",
        "source_name": source_title(record.recipe),
        "heads": PREDICTION_HEADS if (directory / PREDICTION_HEADS).is_file() else None,
        "weights": sha256_of(directory / WEIGHTS) if (directory / WEIGHTS).is_file() else None,
        "curve": curve(read_log(log)) if log.is_file() else [],
        "plot": PLOT if (directory / PLOT).is_file() else None,
        "demonstration": record.tokens < DEMONSTRATION_TOKENS,
        "toolkit": record.versions.get("l2t_hub", ""),
    }


def usage(repo: str, revision: str | None = None) -> str:
    """Return five lines of Python that load a model, at a revision if one is given, and continue a sentence.

    They avoid `AutoTokenizer`: for the model type qwen2, transformers 5 ignores the pre-tokenizer in tokenizer.json.
    """
    name = f'"{repo}"' + (f', revision="{revision}"' if revision else "")
    return "\n".join(
        [
            "from transformers import AutoModelForCausalLM, PreTrainedTokenizerFast",
            f"tokenizer = PreTrainedTokenizerFast.from_pretrained({name})",
            f"model = AutoModelForCausalLM.from_pretrained({name})",
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


def model_metadata(
    record: TrainingRecord | RunRecord,
    repo: str,
    dataset: str | None,
    scores: list[CardScores],
    license: str,
) -> ModelCardData:
    """Return the metadata of the card of a model or checkpoint. It has no `base_model`: training was from scratch."""
    recipe = record.recipe
    made = ["l2t-baseline"] if recipe["mixture"]["scheme"] == "raw" else ["l2t", "language-learning-tasks"]
    return ModelCardData(
        language=language_codes(recipe),
        license=license,
        library_name="transformers",
        pipeline_tag="text-generation",
        datasets=[dataset] if dataset else None,
        tags=[*made, "trained-from-scratch", f"mixture-{recipe['mixture']['scheme']}"],
        model_name=repo.rpartition("/")[2],
        eval_results=model_index(scores) or None,
    )


def write_card_again(directory: Path, license: str | None = None) -> tuple[Path, Path | None]:
    """Write the card of a dataset, model or Space directory again from its records; the owner's text is kept.

    A card that was edited elsewhere is kept as `README.md~`. `license` replaces the licence. Returns the paths of the
    card and of the kept one, if any. Raises UsageError for another directory.
    """
    kind, own = release_kind(directory), own_text_of(directory)
    manifest: Manifest | None = None
    if kind == "dataset":
        manifest = _licensed(read_manifest(directory), license)
        card = dataset_card(directory, manifest, own=own)
    elif kind == "model":
        card = model_card(directory, own=own, license=license or license_of(directory))
    else:
        card = space_card_again(directory, own)
    kept = keep_edited_card(directory)
    write_text(directory / CARD, card)
    if manifest is not None:
        manifest.with_files({**manifest.files, CARD: card_digest(card.encode())}).write(directory)
    return directory / CARD, kept


def _licensed(manifest: Manifest, license: str | None) -> Manifest:
    """Return the manifest with another licence of its source, if one is given."""
    if license is None:
        return manifest
    recipe = {**manifest.recipe, "source": {**manifest.recipe["source"], "license": license}}
    return Manifest.model_validate({**manifest.as_dict(), "recipe": recipe})


def collection_description(title: str, kind: str, directory: Path | str) -> str:
    """Return the description of a new collection, at most 150 characters: the title, and what the records say."""
    directory = Path(directory)
    recipe: dict[str, Any] = {}
    if kind == "dataset":
        recipe = read_manifest(directory).recipe
    elif kind == "model":
        recipe = read_training_record(directory).recipe
    values = {"kind": "collection", "name": title, "description": recipe.get("description") or ""}
    return _within(render("collection.md.j2", values), MAX_DESCRIPTION_CHARS)


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
