"""What an evaluation records of a model: its origin, its weights, the recipe and the step it was trained to."""

import hashlib
import json
import platform
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from l2t_hub import __version__
from l2t_hub.artifacts import CHECKPOINTS, PREDICTION_HEADS, sha256_of
from l2t_hub.errors import UserError
from l2t_hub.evaluate import statistics
from l2t_hub.evaluate.measures import measures
from l2t_hub.evaluate.readings import readings
from l2t_hub.evaluate.results import ModelScores, Sample
from l2t_hub.recipe import recipe_from_tree
from l2t_hub.records.recipe_tree import tokens_after
from l2t_hub.records.repo_path import inside
from l2t_hub.records.training_record import RunRecord, TrainingRecord
from l2t_hub.scoring import ModelSource, Scorer
from l2t_hub.scoring.replicas import replicas
from l2t_hub.train.compute import mean_flops_per_token


def model_scores(
    label: str,
    scorer: Scorer,
    samples: Sequence[Sample],
    *,
    space: bool,
    seconds: float,
) -> ModelScores:
    """Return the scores of a model. `space` says whether the suite puts a space before texts without a context."""
    phenomena, micro, macro = statistics.accuracies(samples)
    source = scorer.source
    record = _record(source)
    recipe_sha256, seed = _recipe(record)
    step, tokens = _progress(source, record)
    return ModelScores(
        label=label,
        model=source.name,
        revision=_commit(scorer),
        weights_sha256=weights_digest(source),
        parameters=int(scorer.model.num_parameters()),
        dtype=str(scorer.model.dtype).removeprefix("torch."),
        device=", ".join(str(replica.device) for replica in replicas(scorer.model)),
        prefix_token=scorer.prefix,
        prefix_id=scorer.prefix_id,
        phenomena=phenomena,
        micro=micro,
        macro=macro,
        ties=sum(sample.tie for sample in samples if len(sample.log_likelihoods) > 1),
        seconds=round(seconds, 3),
        clustered=statistics.clustered_accuracy(samples),
        readings=readings(samples, space),
        recipe_sha256=recipe_sha256,
        seed=seed,
        step=step,
        tokens=tokens,
        flops_per_token=_flops_per_token(record, scorer, step),
        groups=statistics.grouped_accuracies(samples),
        measures=measures(samples),
        notes=tuple(bos_notes(scorer)),
    )


def bos_notes(scorer: Scorer) -> list[str]:
    """Say how the tokenizer's own BOS tokens differ from the one that models are trained with.

    Scores do not depend on it: texts are encoded without special tokens, after one prefix token. Other programs do.
    """
    name, tokenizer = scorer.source.name, scorer.tokenizer
    if tokenizer.bos_token_id is None:
        return [f"{name}: the tokenizer has no BOS token; texts are scored after {scorer.prefix}"]
    ids = list(tokenizer("a")["input_ids"])
    count = next((i for i, token in enumerate(ids) if token != tokenizer.bos_token_id), len(ids))
    if count == 1:
        return []
    added = "no BOS token" if count == 0 else f"{count} BOS tokens"
    return [f"{name}: the tokenizer adds {added} to a text; texts are scored after one {scorer.prefix}"]


def decides(scorer: Scorer) -> dict[str, Any]:
    """Return what decides a model's scores on any task."""
    directory = Path(scorer.source.location)
    return {
        "weights": weights_digest(scorer.source),
        "files": {
            name: sha256_of(directory / name)
            for name in ("config.json", "tokenizer.json", "tokenizer_config.json")
            if (directory / name).is_file()
        },
        "prefix": scorer.prefix_id,
        "dtype": str(scorer.model.dtype),
        "device": scorer.model.device.type,
        "versions": library_versions() | {"lm_eval": version("lm_eval")},
    }


def _record(source: ModelSource) -> TrainingRecord | RunRecord | None:
    """Return the record of the training that a model or a checkpoint comes from; None if there is none to read."""
    directory = Path(source.location)
    try:
        found = TrainingRecord.find(directory)
        if found is None and source.step is not None and directory.parent.name == CHECKPOINTS:
            found = TrainingRecord.find(directory.parent.parent)
            return found or RunRecord.find(directory.parent)
    except UserError:  # scoring a model does not need its record
        return None
    return found


def _recipe(record: TrainingRecord | RunRecord | None) -> tuple[str | None, int | None]:
    """Return the hash of a model's recipe without its name and seed, and the seed. Replicates differ in the seed.

    Both are None for a model without a readable record of its training.
    """
    if record is None:
        return None, None
    tree = {key: value for key, value in record.recipe.items() if key not in ("name", "description", "seed")}
    return hashlib.sha256(json.dumps(tree, sort_keys=True).encode()).hexdigest(), int(record.recipe["seed"])


def _progress(
    source: ModelSource, record: TrainingRecord | RunRecord | None
) -> tuple[int | None, int | None]:
    """Return the steps and the tokens, padding included, that a model was trained for; None where not known."""
    if record is None:
        return source.step, None
    if source.step is None:
        return (record.steps, record.tokens) if isinstance(record, TrainingRecord) else (None, None)
    return source.step, tokens_after(record.recipe, source.step)


def _flops_per_token(
    record: TrainingRecord | RunRecord | None, scorer: Scorer, step: int | None
) -> float | None:
    """Return the operations of training per token up to a step; None without a readable recipe."""
    if record is None:
        return None
    try:
        return mean_flops_per_token(recipe_from_tree(record.recipe), scorer.model.config.vocab_size, step)
    except UserError:  # of a version with other keys
        return None


def _commit(scorer: Scorer) -> str | None:
    """Return the Hub commit of a model: as transformers recorded it, or the one that was downloaded."""
    recorded = None if scorer.source.is_local else getattr(scorer.model.config, "_commit_hash", None)
    return recorded or scorer.source.revision


def weights_digest(source: ModelSource) -> str | None:
    """Return the SHA-256 of a model's weight files, read one after the other in the order of their names.

    The heads beside a model are none: scores do not depend on them. None for a model that is not in a local
    directory. Raises UserError if a file is a link out of the directory.
    """
    directory = Path(source.location)
    if not directory.is_dir():
        return None
    names = sorted({path.name for path in directory.glob("*.safetensors")} - {PREDICTION_HEADS})
    return sha256_of(*(inside(directory, name) for name in names))


def library_versions() -> dict[str, str]:
    """Return the versions of this package, Python and the libraries that can influence a model's scores."""
    libraries = {name: version(name) for name in ("torch", "transformers", "tokenizers", "datasets")}
    return {"l2t_hub": __version__, "python": platform.python_version(), **libraries}
