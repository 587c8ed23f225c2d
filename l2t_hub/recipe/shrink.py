"""`--shrink`: the keys that turn a recipe into a rehearsal of it, at toy size and on the bundled text.

What says how a release is made stays: scheme, tasks, splitter, packing scheme, precision, objective. What says how
much is made becomes small. The text and the tokenizer become ones that need no network.
"""

from typing import Any

from l2t_hub.recipe.schema import Recipe
from l2t_hub.recipe.source_section import SourceSection
from l2t_hub.recipe.yaml_tree import Tree

SHRINK = "--shrink"
"""The place of a shrunk key, for messages."""
SUFFIX = "-shrunk"
MAX_NAME = 96
DOCUMENTS = 90
PARTITIONS = 3
STEPS = 12
# Blocks are long enough for `fill_middle`, which needs three parts of 20 words, and sequences for their examples.
BLOCK, SEQUENCE, VOCABULARY = 256, 640, 1024
MODEL = {
    "size": "nano",
    "num_hidden_layers": 2,
    "hidden_size": 64,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 16,
    "intermediate_size": 128,
}
# Keys that are places in the schedule. Other keys that end in `_steps` are distances between two events.
SCHEDULE = {"stop_after_steps", "warmup_steps"}


def shrunk_name(name: str) -> str:
    """Return the name of a recipe's rehearsal."""
    return f"{name[: MAX_NAME - len(SUFFIX)]}{SUFFIX}"


def shrunk_keys(recipe: Recipe, sample: SourceSection) -> Tree:
    """Return the keys that a recipe's rehearsal has instead of the recipe's own; `sample` is the bundled text."""
    source = sample.model_copy(update={"limit": DOCUMENTS, "duplicates": recipe.source.duplicates})
    share = recipe.validation.share
    return {
        "name": shrunk_name(recipe.name),
        "description": f"A rehearsal of {recipe.name} at toy size, on the bundled sample, to show that it runs.",
        "source": source.model_dump(mode="json"),
        "blocks": {"tokens_per_block": BLOCK, "min_words": min(recipe.blocks.min_words, 20)},
        "tokenizer": {"name": None, "revision": None, "vocab_size": VOCABULARY},
        "packing": {"sequence_length": SEQUENCE},
        "validation": {"share": max(share, 0.1) if share else 0.0, "files": None},
        "build": {"partitions": min(recipe.build.partitions, PARTITIONS)},
        "model": MODEL,
        "train": {
            **_steps(recipe),
            "batch_size": 4,
            "per_device_train_batch_size": 2,
            "trackio_space": None,  # a rehearsal records nothing elsewhere
        },
        "evaluation": {
            "suites": ["probes"],
            "held_out_documents": min(recipe.evaluation.held_out_documents, 8),
            "pairs": "probes",
            "pairs_steps": recipe.evaluation.pairs_steps and STEPS // 2,
        },
    }


def _steps(recipe: Recipe) -> dict[str, Any]:
    """Return the keys of `train` that are numbers of steps: the schedule in proportion, two of every other event."""
    train = recipe.train
    steps = {
        key: max(1, value * STEPS // train.max_steps) if key in SCHEDULE else STEPS // 2
        for key, value in train
        if key.endswith("_steps") and value
    }
    if train.decay_steps and "warmup_steps" in steps:  # which together must not exceed the schedule
        steps["warmup_steps"] = min(steps["warmup_steps"], STEPS - max(1, round(train.decay_share * STEPS)))
    return {**steps, "max_steps": STEPS, "logging_steps": 1}
