"""The checks of a model before its release: intact weights, no code to run, a training record."""

import json
from typing import Any

from l2t_hub.artifacts import CONFIG, TRAINING_RECORD, WEIGHTS
from l2t_hub.hub.unsafe_files import REMOTE_CODE_FILES, has_auto_map
from l2t_hub.publish.stage import StagedFile, StagedRelease

_TOKENIZER = ("tokenizer.json", "tokenizer_config.json")


def model_problems(staged: StagedRelease) -> list[str]:
    """Return what is wrong with a staged model."""
    problems = [
        f"{name}: missing"
        for name in (WEIGHTS, CONFIG, TRAINING_RECORD, *_TOKENIZER)
        if staged.file(name) is None
    ]
    problems += [
        f"{path}: Python code in a model repo, which transformers would offer to run"
        for path in staged.paths()
        if path.endswith(".py")
    ]
    for file in staged.files:
        if file.path.endswith(".json"):
            problems += _json_problems(file)
    config = _parsed(staged.file(CONFIG))
    if isinstance(config, dict) and not (config.get("model_type") and config.get("architectures")):
        problems.append(
            f"{CONFIG}: no model_type or architectures, so from_pretrained could not load the model"
        )
    record = _parsed(staged.file(TRAINING_RECORD))
    if isinstance(record, dict) and not record.get("fingerprint"):
        problems.append(f"{TRAINING_RECORD}: no fingerprint")
    return problems


def tensor_problems(file: StagedFile) -> list[str]:
    """Return what is wrong with a safetensors file: a bad header, or tensors that do not fill the file exactly."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(file.source, framework="np"):
            return []
    except (SafetensorError, OSError) as error:
        return [f"{file.path}: not a complete safetensors file: {error}"]


def _parsed(file: StagedFile | None) -> Any:
    try:
        return json.loads(file.read()) if file else None
    except (ValueError, RecursionError):
        return None


def _json_problems(file: StagedFile) -> list[str]:
    try:
        tree = json.loads(file.read())
    except (ValueError, RecursionError) as error:
        return [f"{file.path}: not valid JSON: {error}"]
    name = file.path.rpartition("/")[2]
    if name in REMOTE_CODE_FILES and has_auto_map(tree):
        return [f"{file.path}: `auto_map` makes transformers run code from the repo"]
    return []
