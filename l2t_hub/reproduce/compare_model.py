"""Verifies a model's files, repeats the first steps of its training, and compares the losses."""

import importlib.metadata
import math
import os
import platform
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from l2t_hub import __version__
from l2t_hub.artifacts import CARD, PREDICTION_HEADS, TRAINING_LOG, WEIGHTS, sha256_of
from l2t_hub.errors import UsageError, UserError
from l2t_hub.recipe import Recipe, recipe_from_tree
from l2t_hub.records.release_record import ReleaseRecord
from l2t_hub.records.repo_path import inside
from l2t_hub.records.training_record import TrainingRecord, read_training_record
from l2t_hub.reproduce.checks import Check, Outcome
from l2t_hub.reproduce.model_dataset import dataset_of
from l2t_hub.text import counted
from l2t_hub.train.locate import DatasetLocation
from l2t_hub.train.training_log import read_log
from l2t_hub.train.verify_model import verify_model

STEPS = 20
LOSSES = ("loss", "eval_loss")
EXACT = (*LOSSES, "learning_rate", "grad_norm")
# Other platforms round differently, and training amplifies it. Measured on the nano recipe over 60 steps: fp32 losses
# with baseline and with vector kernels differ by up to 4e-7 of the loss, bf16 and fp32 losses by up to 7e-3.
ADVISED = {"fp32": 1e-4, "bf16": 1e-2, "mixed": 1e-2}
DECISIVE = ("torch", "transformers", "trl", "accelerate", "numpy")


def reproduce_model(
    directory: Path,
    data: str | None,
    steps: int | None,
    folder: Path,
    tolerance: float | None = None,
    *,
    skipped: Sequence[str] = (),
    is_local: bool = True,
) -> Outcome:
    """Verify a model's directory, repeat the first `steps` of its run in `folder`, up to a logged step, and compare.

    Every logged number must be equal to the last bit, and so must the weights if all steps were repeated. With a
    `tolerance`, only losses are compared, and may differ by that share of their value. The rule is the caller's: a
    record chooses what it says of its platform, so not the rule. `data` is the dataset if it has moved; `is_local`
    says that the model was not downloaded, `skipped` lists what a download left out.

    Raises UserError if the dataset is not available, UsageError if no loss was logged within `steps`, and what
    training raises.
    """
    record, log = read_training_record(directory), read_log(inside(directory, TRAINING_LOG))
    last, total = comparable_step(log, steps), record.steps
    dataset = dataset_of(record, data, directory if is_local else None)
    differences = platform_differences(record)
    fingerprint = record.dataset_fingerprint
    same_data = dataset.fingerprint == fingerprint
    checks = [
        *_file_checks(directory, len(record.files), skipped),
        Check("dataset fingerprint", same_data, fingerprint[:12], dataset.fingerprint[:12]),
    ]
    scope = "nothing trained because the dataset is another one"
    released = ReleaseRecord.find(directory)
    left_out = [f"the card, {CARD}"] if released is None else []
    if same_data:
        with _recorded_threads(record):
            again = _train(_first_steps(record, last), dataset, folder)
        checks += _loss_checks(log, read_log(again / TRAINING_LOG), last, tolerance)
        if last == total and tolerance is None:
            trained = [file for file in (WEIGHTS, PREDICTION_HEADS) if (again / file).is_file()]
            checks += [_weights_check(directory, again, file) for file in trained]
        else:
            left_out.append(_weights_left_out(last, total))
        scope = f"{last:,} of {counted(total, 'step')} repeated"
    rule = (
        f"Losses may differ by {tolerance:g} of their value, as --tolerance asks."
        if tolerance
        else f"Every logged number is compared to the last bit.{_advice(record) if differences else ''}"
    )
    return Outcome(
        "model", record.fingerprint, scope, rule, tuple(checks), tuple(differences), tuple(left_out)
    )


def _advice(record: TrainingRecord) -> str:
    return f" To allow for another platform's rounding, add --tolerance {ADVISED[record.precision]:g}."


def _file_checks(directory: Path, files: int, skipped: Sequence[str]) -> list[Check]:
    """Return one check if every file is as the records say, else one for each problem."""
    problems = verify_model(directory, skipped).problems
    if not problems:
        return [Check("files, configuration and log", True, counted(files, "file"), "as recorded")]
    return [Check("files", False, "as recorded", "not as recorded", problem) for problem in problems]


def _weights_left_out(last: int, total: int) -> str:
    if last == total:
        return "the weights that the repeated run gave, since no tolerance applies to them"
    return f"the weights that a repeated run gives, since {last:,} of {counted(total, 'step')} were repeated"


def comparable_step(log: Sequence[Mapping[str, Any]], steps: int | None) -> int:
    """Return the last step up to `steps` whose training loss was logged: what comes after it cannot be compared.

    None stands for STEPS, or for the first logged step if that is later. Raises UsageError if there is none.
    """
    logged = sorted({int(entry["step"]) for entry in log if "loss" in entry})
    if not logged:
        raise UserError(
            "the published training log has no training loss", "There is nothing to compare with."
        )
    if steps is not None and steps < logged[0]:
        raise UsageError(
            f"--steps {steps}: the first training loss was logged at step {logged[0]}, so nothing could be compared",
            f"Repeat at least that many: --steps {logged[0]}.",
        )
    return max((step for step in logged if step <= (steps or STEPS)), default=logged[0])


def platform_differences(record: TrainingRecord) -> list[str]:
    """Return, in words, the differences in machine and libraries that can change the last bit of a loss."""
    from l2t_hub.train.batch_layout import count_devices
    from l2t_hub.train.hardware import hardware

    then, now = record.hardware.model_dump(), hardware().model_dump()
    differences = [
        f"{name} was {then.get(name) or 'none'}, is {now[name] or 'none'}"
        for name in ("machine", "processor", "gpus")
        if then.get(name) != now[name]
    ]
    recorded_devices, devices = record.batch.devices, count_devices()
    if recorded_devices != devices:
        differences.append(f"number of devices was {recorded_devices}, is {devices}")
    versions = {name: importlib.metadata.version(name) for name in DECISIVE}
    versions |= {"l2t_hub": __version__, "python": platform.python_version()}
    differences += [
        f"version of {name} changed from {record.versions.get(name)} to {version}"
        for name, version in versions.items()
        if record.versions.get(name) != version
    ]
    return differences


def _first_steps(record: TrainingRecord, last: int) -> Recipe:
    """Return the recorded recipe, stopped after `last` steps of its schedule, in the precision that was used."""
    tree = record.recipe
    train = {**tree["train"], "stop_after_steps": last, "precision": record.precision, "save_steps": last}
    return recipe_from_tree({**tree, "train": train})


def _train(recipe: Recipe, dataset: DatasetLocation, folder: Path) -> Path:
    from l2t_hub.train import train

    return train(recipe, dataset.directory, folder / "model").out


@contextmanager
def _recorded_threads(record: TrainingRecord) -> Iterator[None]:
    """Use as many threads as the recorded run, if this machine could. They decide the order of sums: the last bit."""
    import torch

    before = torch.get_num_threads()
    if record.hardware.threads <= max(before, 2 * (os.cpu_count() or 1)):
        torch.set_num_threads(record.hardware.threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _loss_checks(
    published: Sequence[Mapping[str, Any]],
    repeated: Sequence[Mapping[str, Any]],
    last: int,
    tolerance: float | None,
) -> list[Check]:
    """Return a check for every number of the published log up to step `last`."""
    values = {(entry["step"], key): value for entry in repeated for key, value in _numbers(entry, EXACT)}
    checks = []
    for entry in published:
        for key, theirs in _numbers(entry, LOSSES if tolerance else EXACT):
            if entry["step"] <= last:
                ours = values.get((entry["step"], key))
                difference = abs(theirs - ours) if ours is not None else math.inf
                equal = math.isfinite(theirs) and difference <= (tolerance or 0) * abs(theirs)
                relative = difference / abs(theirs) if theirs else math.inf
                note = "" if difference in (0, math.inf) else f"relative difference {relative:.1e}"
                checks.append(Check(f"step {entry['step']:,}: {key}", equal, repr(theirs), repr(ours), note))
    return checks


def _numbers(entry: Mapping[str, Any], keys: Sequence[str]) -> Iterator[tuple[str, float]]:
    """Yield the numbers of a record of the log by these keys, and the losses of further heads."""
    yield from ((key, entry[key]) for key in keys if key in entry)
    for head, loss in enumerate(entry.get("head_losses", ())[1:], 2):
        if loss is not None:
            yield f"loss of head {head}", loss


def _weights_check(published: Path, repeated: Path, file: str) -> Check:
    """Compare a file of weights of two directories. A link out of the published one is never followed."""
    try:
        weights = inside(published, file)
        theirs = sha256_of(weights)[:12] if weights.is_file() else "missing"
    except UserError:
        theirs = "a link out of the directory"
    ours = sha256_of(repeated / file)[:12]
    what = "weights" if file == WEIGHTS else "further heads"
    return Check(f"{what} after the last step", theirs == ours, theirs, ours)
