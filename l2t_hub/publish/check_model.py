"""A model's own checks: safetensors weights, a configuration that runs no code of the repository, its record."""

import json
from typing import Any

from l2t_hub.artifacts import CONFIG, TRAINING_RECORD, WEIGHTS
from l2t_hub.hub.unsafe_files import REMOTE_CODE_FILES, has_auto_map
from l2t_hub.publish.stage import StagedFile, StagedRelease

_TOKENIZER = ("tokenizer.json", "tokenizer_config.json")


def model_problems(staged: StagedRelease) -> list[str]:
    """All that is wrong with a staged model."""
    problems = [
        f"{name}: missing"
        for name in (WEIGHTS, CONFIG, TRAINING_RECORD, *_TOKENIZER)
        if staged.file(name) is None
    ]
    problems += [
        f"{path}: Python code in a model's repository: transformers would offer to run it"
        for path in staged.paths()
        if path.endswith(".py")
    ]
    for file in staged.files:
        if file.path.endswith(".json"):
            problems += _json_problems(file)
    config = _parsed(staged.file(CONFIG))
    if isinstance(config, dict) and not (config.get("model_type") and config.get("architectures")):
        problems.append(
            f"{CONFIG}: it names no model_type and architectures: from_pretrained could not load it"
        )
    record = _parsed(staged.file(TRAINING_RECORD))
    if isinstance(record, dict) and not record.get("fingerprint"):
        problems.append(f"{TRAINING_RECORD}: it has no fingerprint")
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
