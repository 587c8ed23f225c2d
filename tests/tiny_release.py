"""A dataset and models of it, made in seconds by the real build and trainer."""

from dataclasses import dataclass
from pathlib import Path

from l2t_hub.dataset.build import build
from l2t_hub.dataset.progress import SilentReporter
from l2t_hub.recipe import Recipe, recipe_from_tree
from l2t_hub.train import train

TREE = {
    "description": "A release for tests.",
    "source": {
        "path": "bundled:sample",
        "title": "The sample",
        "license": "apache-2.0",
        "url": "https://example.org/text",
    },
    "blocks": {"tokens_per_block": 64, "min_words": 10},
    "mixture": {"raw_share": 0.3},
    "tokenizer": {"vocab_size": 400},
    "packing": {"sequence_length": 256},
    "build": {"partitions": 3},
    "model": {
        "size": "nano",
        "num_hidden_layers": 1,
        "hidden_size": 16,
        "intermediate_size": 32,
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
        "head_dim": 8,
    },
    "train": {
        "max_steps": 6,
        "warmup_steps": 2,
        "batch_size": 2,
        "per_device_train_batch_size": 2,
        "logging_steps": 2,
        "eval_steps": 4,
    },
}


@dataclass(frozen=True)
class TinyRelease:
    """A dataset, a baseline and another model of it, and their scores on the probes."""

    dataset: Path
    baseline: Path
    model: Path
    scores: Path


def tiny_recipe(name: str, **sections: dict[str, object]) -> Recipe:
    """Return the recipe of a tiny release, with some keys of its sections changed."""
    changed = {section: {**TREE.get(section, {}), **keys} for section, keys in sections.items()}
    return recipe_from_tree({**TREE, **changed, "name": name})


def make_dataset(recipe: Recipe, folder: Path) -> Path:
    """Build the dataset of a recipe in `folder` and return it."""
    build(recipe, folder, workers=1, progress=SilentReporter())
    return folder


def make_model(recipe: Recipe, data: Path, folder: Path) -> Path:
    """Train the model of a recipe in `folder` and return it."""
    train(recipe, data, folder)
    return folder
