"""The checks of a model before its release: intact weights, no code to run, a training record."""

from l2t_hub.artifacts import CONFIG, TRAINING_RECORD, WEIGHTS
from l2t_hub.errors import UserError
from l2t_hub.hub.unsafe_files import REMOTE_CODE_FILES, has_auto_map
from l2t_hub.publish.stage import StagedFile, StagedRelease
from l2t_hub.records.file_list import file_problem
from l2t_hub.records.reading import parse_json
from l2t_hub.records.training_record import TrainingRecord
from l2t_hub.train.verify_model import fingerprint_problems

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
    return problems + _record_problems(staged)


def _record_problems(staged: StagedRelease) -> list[str]:
    """Compare the staged files with the training record, and its fingerprint with what it is made of."""
    files = {file.path: file for file in staged.files}
    try:
        record = TrainingRecord.parse(files[TRAINING_RECORD].read(), TRAINING_RECORD)
    except (KeyError, UserError):
        return []  # reported as a missing file, or with its place
    problems = [
        f"{path}: {problem}"
        for path, expected in record.expected().items()
        if (problem := file_problem(files.get(path), expected, TRAINING_RECORD))
    ]
    return problems + fingerprint_problems(record)


def tensor_problems(file: StagedFile) -> list[str]:
    """Return what is wrong with a safetensors file: a bad header, or tensors that do not fill the file exactly."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(file.source, framework="np"):
            return []
    except (SafetensorError, OSError) as error:
        return [f"{file.path}: not a complete safetensors file: {error}"]


def _json_problems(file: StagedFile) -> list[str]:
    try:
        if file.path == TRAINING_RECORD:
            TrainingRecord.parse(file.read(), file.path)
        tree = parse_json(file.read(), file.path)
    except UserError as error:
        return [error.message]
    name = file.path.rpartition("/")[2]
    if name in REMOTE_CODE_FILES and has_auto_map(tree):
        return [f"{file.path}: `auto_map` makes transformers run code from the repo"]
    loadable = isinstance(tree, dict) and tree.get("model_type") and tree.get("architectures")
    if file.path == CONFIG and not loadable:
        return [f"{CONFIG}: no model_type or architectures, so from_pretrained could not load the model"]
    return []
