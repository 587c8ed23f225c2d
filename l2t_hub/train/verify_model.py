"""The verifier of a model directory: every file, the configuration, the log and the fingerprint against the record.

`verify_release` finds out whether a directory or a Hub name is of a dataset or a model, and verifies it.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from l2t_hub.artifacts import CARD, MANIFEST, TRAINING_LOG, TRAINING_RECORD
from l2t_hub.dataset.verify import VerifyReport, verify
from l2t_hub.errors import UsageError, UserError
from l2t_hub.hub.model_check import count_weights, read_model_config
from l2t_hub.recipe.schema import tree_fingerprint
from l2t_hub.records.file_list import compare_directory, is_loaded, unknown_files
from l2t_hub.records.listed_files import release_problems
from l2t_hub.records.release_record import ReleaseRecord
from l2t_hub.records.repo_path import inside
from l2t_hub.records.training_record import TrainingRecord, read_training_record
from l2t_hub.train.training_log import read_log

THE_RECORD = "the training record"
# Beside its own directory, transformers looks for chat templates here.
TEMPLATES = "additional_chat_templates/"


def verify_release(
    target: str, *, kind: str | None = None, say: Callable[[str], None] = print
) -> VerifyReport:
    """Verify the dataset or model that a directory holds, or that a Hub name names.

    `kind` is "dataset" or "model", where the Hub has both by that name; the default is the dataset.
    Raises UsageError for neither, UserError for what cannot be downloaded, and what the verifiers raise.
    """
    directory = Path(target)
    if directory.is_dir():
        if kind is not None:
            raise UsageError("--kind does not apply to a directory", "Leave --kind out.")
        return _verify(directory)
    if directory.exists():
        raise UsageError(f"{target}: this is a file, not the directory of a dataset or model")
    from l2t_hub.hub.download import download, kind_and_commit, kinds_of, parse_name

    repo, revision = parse_name(target)
    found_kind, commit = kind_and_commit(repo, revision, kinds_of(kind))
    found = download(repo, found_kind, commit, say=say)
    return replace(_verify(found.directory, found.skipped), release=f"{repo}@{commit[:12]}")


def _verify(directory: Path, skipped: Sequence[str] = ()) -> VerifyReport:
    is_model = (directory / TRAINING_RECORD).exists() and not (directory / MANIFEST).exists()
    return verify_model(directory, skipped) if is_model else verify(directory, skipped)


def verify_model(directory: Path | str, skipped: Sequence[str] = ()) -> VerifyReport:
    """Compare a model directory with its training record and, if it has one, the record of its release.

    Files that transformers would load and neither lists are problems too. `skipped` are files that a download left
    out. No weights are loaded, and nothing outside the directory is read. Raises UserError if a record is missing or
    malformed; everything else is in the report.
    """
    directory = Path(directory)
    record = read_training_record(directory)
    released = ReleaseRecord.find(directory)
    known = {CARD, TRAINING_RECORD, *record.files, *(released.files if released else ())}
    unknown = unknown_files(directory, known)
    dangerous = [path for path in unknown if _is_read(path)]
    problems = [
        *(
            f"{path}: {said}"
            for path, said in compare_directory(directory, record.expected(), THE_RECORD).items()
        ),
        *(f"{path}: not in {THE_RECORD}" for path in dangerous),
        *release_problems(directory, "model", skipped),
        *fingerprint_problems(record),
        *_said(lambda: _config_problems(directory, record)),
        *_said(lambda: _log_problems(directory, record)),
    ]
    counts = {"files": len(record.files), "parameters": record.parameters, "steps": record.steps}
    unlisted = [path for path in unknown if path not in dangerous and "/" not in path]
    agrees = f"{THE_RECORD}, and the fingerprint follows from the recipe"
    return VerifyReport(
        str(directory),
        "model",
        record.fingerprint,
        counts,
        agrees,
        list(dict.fromkeys(problems)),
        unlisted,
        tuple(skipped),
    )


def _is_read(path: str) -> bool:
    """Whether transformers reads a file of this name; checkpoints and scores below the directory are not its own."""
    return path.startswith(TEMPLATES) or ("/" not in path and is_loaded("model", path))


def fingerprint_problems(record: TrainingRecord) -> list[str]:
    """Say whether a model's fingerprint does not follow from the recipe and the dataset that its record names."""
    dataset = record.dataset_fingerprint
    fingerprint = tree_fingerprint(record.recipe, "model", source=dataset, tokenizer=dataset)
    if fingerprint == record.fingerprint:
        return []
    return [
        f"fingerprint: it is {record.fingerprint[:12]}..., but recipe and dataset give {fingerprint[:12]}..."
    ]


def _config_problems(directory: Path, record: TrainingRecord) -> list[str]:
    """Compare the configuration and the headers of the weights with the record."""
    config = read_model_config(directory, str(directory))
    stored, _ = count_weights(directory, str(directory))
    return [
        *_differences("config.json", {"vocab_size": (config.get("vocab_size"), record.vocab_size)}),
        *_differences("the weights", {"numbers": (stored, record.parameters)}),
    ]


def _log_problems(directory: Path, record: TrainingRecord) -> list[str]:
    """Compare the losses that the record gives with those of the log."""
    log = read_log(inside(directory, TRAINING_LOG))
    losses = [entry["loss"] for entry in log if "loss" in entry]
    eval_losses = [entry["eval_loss"] for entry in log if "eval_loss" in entry]
    last = {
        "last step": (max((entry["step"] for entry in log), default=0), record.steps),
        "last loss": (losses[-1] if losses else None, record.loss),
        "last eval_loss": (eval_losses[-1] if eval_losses else None, record.eval_loss),
        "first eval_loss": (eval_losses[0] if eval_losses else None, record.initial_eval_loss),
        "best eval_loss": (min(eval_losses, default=None), record.best_eval_loss),
    }
    return _differences(TRAINING_LOG, last)


def _differences(where: str, pairs: dict[str, tuple[Any, Any]]) -> list[str]:
    return [
        f"{where}: {what} is {found}, {recorded} in {THE_RECORD}"
        for what, (found, recorded) in pairs.items()
        if found != recorded
    ]


def _said(check: Callable[[], list[str]]) -> list[str]:
    """Return the problems of a check, or the one that stopped it."""
    try:
        return check()
    except UserError as error:
        return [error.message]
