"""A model's own checks: safetensors weights, a configuration that runs no code of the repository, its record."""

import json
from typing import Any

from l2t_hub.hub.staging import TRAINING, WEIGHTS, Stage, StagedFile

CONFIG = "config.json"
# Files in which transformers looks for the name of a class to load from the repository's own Python code.
REMOTE_CODE_FILES = (
    CONFIG,
    "tokenizer_config.json",
    "generation_config.json",
    "processor_config.json",
    "preprocessor_config.json",
)
_TOKENIZER = ("tokenizer.json", "tokenizer_config.json")


def model_problems(stage: Stage) -> list[str]:
    """All that is wrong with a staged model."""
    problems = [
        f"{name}: missing" for name in (WEIGHTS, CONFIG, TRAINING, *_TOKENIZER) if stage.file(name) is None
    ]
    problems += [
        f"{path}: Python code in a model's repository: transformers would offer to run it"
        for path in stage.paths()
        if path.endswith(".py")
    ]
    for file in stage.files:
        if file.path.endswith(".json"):
            problems += _json_problems(file)
    config = _parsed(stage.file(CONFIG))
    if isinstance(config, dict) and not (config.get("model_type") and config.get("architectures")):
        problems.append(
            f"{CONFIG}: it names no model_type and architectures: from_pretrained could not load it"
        )
    record = _parsed(stage.file(TRAINING))
    if isinstance(record, dict) and not record.get("fingerprint"):
        problems.append(f"{TRAINING}: it has no fingerprint")
    return problems


def _parsed(file: StagedFile | None) -> Any:
    try:
        return json.loads(file.read()) if file else None
    except ValueError:
        return None


def _json_problems(file: StagedFile) -> list[str]:
    try:
        tree = json.loads(file.read())
    except ValueError as error:
        return [f"{file.path}: not JSON: {error}"]
    name = file.path.rpartition("/")[2]
    if name in REMOTE_CODE_FILES and has_auto_map(tree):
        return [f"{file.path}: it has `auto_map`, which makes transformers run code from the repository"]
    return []


def has_auto_map(tree: object) -> bool:
    """Whether a configuration, or any part of it, asks for code of the repository."""
    if isinstance(tree, dict):
        return (
            "auto_map" in tree
            or "custom_pipelines" in tree
            or any(has_auto_map(value) for value in tree.values())
        )
    return isinstance(tree, list) and any(has_auto_map(value) for value in tree)
