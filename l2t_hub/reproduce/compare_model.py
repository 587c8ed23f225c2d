"""The first steps of a training run made again from the published data, its losses compared with those published."""

import importlib.metadata
import platform
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from l2t_hub import __version__
from l2t_hub.artifacts import TRAINING_LOG, WEIGHTS, sha256_of
from l2t_hub.errors import UserError
from l2t_hub.recipe import Recipe, recipe_from_tree
from l2t_hub.reproduce.checks import Check
from l2t_hub.reproduce.compare_dataset import Outcome
from l2t_hub.train.locate import DatasetLocation, locate
from l2t_hub.train.training_log import read_log

LOSSES = ("loss", "eval_loss")
EXACT = (*LOSSES, "learning_rate", "grad_norm")
# Another platform rounds otherwise, and training amplifies it. Measured on the nano recipe over 60 steps: fp32 with
# baseline against vector kernels differs by up to 4e-7 of the loss; bf16 against fp32 itself by up to 7e-3.
TOLERANCE = {"fp32": 1e-4, "bf16": 1e-2}
DECISIVE = ("torch", "transformers", "trl", "accelerate", "numpy")


def reproduce_model(
    record: Mapping[str, Any],
    log: Sequence[Mapping[str, Any]],
    weights: Callable[[], Path],
    data: str | None,
    steps: int,
    folder: Path,
) -> tuple[Outcome, str]:
    """Train the first `steps` (to the next logged one) of a recorded run in `folder`, compare, and say by which rule.

    On the platform of the record every logged number must be the same to the last bit, and after all steps the
    weights too; elsewhere losses must agree within TOLERANCE of themselves. `data` is where the dataset is, if not
    where the record says. Raises UserError if the data cannot be had, and what training raises.
    """
    dataset = _find(record, data)
    differences = platform_differences(record)
    tolerance = TOLERANCE[record["precision"]] if differences else None
    rule = (
        f"on another platform losses are compared within {tolerance:g} of themselves"
        if tolerance
        else "on the same platform every logged number is compared to the last bit"
    )
    fingerprint = str(record["dataset_fingerprint"])
    checks = [
        Check(
            "dataset fingerprint",
            dataset.fingerprint == fingerprint,
            fingerprint[:12],
            dataset.fingerprint[:12],
        )
    ]
    if not checks[0].equal:
        return Outcome(checks, differences, "nothing trained, because the data is not the same"), rule
    last = comparable_step(log, steps)
    total = int(record["steps"])
    with _threads(record, same=not differences):
        here = _train(_first_steps(record, last), dataset, folder)
    checks += _loss_checks(log, read_log(here / TRAINING_LOG), last, tolerance)
    if last == total and tolerance is None:
        checks.append(_weights_check(weights(), here / WEIGHTS))
    return Outcome(checks, differences, f"{last:,} of {total:,} steps trained again"), rule


def comparable_step(log: Sequence[Mapping[str, Any]], steps: int) -> int:
    """The last logged step up to `steps`, else the first there is: only logged losses can be compared."""
    logged = sorted({int(entry["step"]) for entry in log if "loss" in entry})
    if not logged:
        raise UserError("the published log holds no training loss", "It cannot be compared with anything.")
    return max((step for step in logged if step <= steps), default=logged[0])


def platform_differences(record: Mapping[str, Any]) -> list[str]:
    """What of the machine and the libraries decides the last bit of a loss and is another here, in words."""
    from l2t_hub.train.batch_layout import count_devices
    from l2t_hub.train.hardware import hardware

    then, now = record["hardware"], hardware()
    found = [
        f"{name} was {then.get(name) or 'none'}, is {now[name] or 'none'}"
        for name in ("machine", "processor", "gpus")
        if then.get(name) != now[name]
    ]
    devices = record["batch"]["devices"], count_devices()
    if devices[0] != devices[1]:
        found.append(f"devices were {devices[0]}, are {devices[1]}")
    versions = record["versions"]
    here = {name: importlib.metadata.version(name) for name in DECISIVE}
    here |= {"l2t_hub": __version__, "python": platform.python_version()}
    found += [
        f"version of {name} changed from {versions.get(name)} to {version}"
        for name, version in here.items()
        if versions.get(name) != version
    ]
    return found


def _find(record: Mapping[str, Any], data: str | None) -> DatasetLocation:
    """The dataset of a record: where the user says, else the published one at its revision, else the directory."""
    known = record["dataset"]
    if data is not None:
        return locate(data)
    if known.get("repository"):
        from l2t_hub.hub.download import download

        revision = known.get("revision")
        found = download(known["repository"], "dataset", revision, only=["data/packed/*", "tokenizer/*"])
        return locate(found.directory)
    if not Path(known["name"]).is_dir():
        raise UserError(
            f"{known['name']}: this model's dataset is not on this machine, and the record names no published one",
            "Say where it is, with --data; whether it is the same is checked by its fingerprint.",
        )
    return locate(known["name"])


def _first_steps(record: Mapping[str, Any], last: int) -> Recipe:
    """The recorded recipe, stopped after `last` steps of the same schedule, in the precision that was used."""
    tree = record["recipe"]
    train = {**tree["train"], "stop_after_steps": last, "precision": record["precision"], "save_steps": last}
    return recipe_from_tree({**tree, "train": train})


def _train(recipe: Recipe, dataset: DatasetLocation, folder: Path) -> Path:
    from l2t_hub.train import train

    return train(recipe, dataset.directory, folder / "model").out


@contextmanager
def _threads(record: Mapping[str, Any], *, same: bool) -> Iterator[None]:
    """As many threads as the recorded run had: their number decides the order of sums, and so the last bit."""
    import torch

    before = torch.get_num_threads()
    if same:
        torch.set_num_threads(int(record["hardware"].get("threads") or before))
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _loss_checks(
    published: Sequence[Mapping[str, Any]],
    here: Sequence[Mapping[str, Any]],
    last: int,
    tolerance: float | None,
) -> list[Check]:
    """A check for every number of the published log up to step `last`."""
    found = {(entry["step"], key): entry[key] for entry in here for key in EXACT if key in entry}
    checks = []
    for entry in published:
        if entry["step"] > last:
            continue
        for key in LOSSES if tolerance else EXACT:
            if key not in entry:
                continue
            theirs, ours = entry[key], found.get((entry["step"], key))
            off = abs(theirs - ours) if ours is not None else float("inf")
            equal = off == 0 if tolerance is None else off <= tolerance * abs(theirs)
            note = "" if off in (0, float("inf")) else f"{off / abs(theirs):.1e} of itself"
            checks.append(Check(f"step {entry['step']:,}: {key}", equal, repr(theirs), repr(ours), note))
    return checks


def _weights_check(weights: Path, here: Path) -> Check:
    theirs = sha256_of(weights)[:12] if weights.is_file() else "missing"
    ours = sha256_of(here)[:12]
    return Check("weights after the last step", theirs == ours, theirs, ours)
