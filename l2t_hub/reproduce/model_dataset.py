"""The dataset a model was trained on: the one the user names, one beside the model, or the published one."""

from collections.abc import Iterator
from pathlib import Path

from l2t_hub.artifacts import MANIFEST
from l2t_hub.errors import UserError
from l2t_hub.hub.endpoint import LOCAL_OWNER, Endpoint
from l2t_hub.records.training_record import TrainingRecord
from l2t_hub.train.locate import DatasetLocation, locate

# What reproducing needs of a published dataset.
_FILES = ("data/packed/*", "tokenizer/*")
# Where `l2t run` and the README's commands put the dataset of models/NAME.
_FOLDERS = ("datasets", "data")


def dataset_of(record: TrainingRecord, data: str | None, model: Path | None) -> DatasetLocation:
    """Return the dataset the user gave as `data`, else one beside the model directory, else the published one.

    `model` is None for a model on a Hub: then no directory of this machine is looked at. Raises UserError if the
    dataset is not to be found, or if it was published on a local Hub: on another, its name may belong to a stranger.
    """
    if data is not None:
        return locate(data)
    for directory in _beside(record, model) if model is not None else ():
        if (directory / MANIFEST).is_file():
            dataset = locate(directory)
            if dataset.fingerprint == record.dataset_fingerprint:
                return dataset
    used = record.dataset
    if used.repository is None and used.streamed is not None:
        raise UserError(
            f"{record.name}: this model was trained straight from text, so there is no dataset to train on again",
            "Build the dataset from the model's recipe with `l2t build`, and give it with --data: it has the same "
            "fingerprint and the same sequences.",
        )
    if used.repository is None:
        raise UserError(
            f"{used.name}: this model's dataset is not on this machine, and it was not published",
            "If it has moved, give its path with --data. Its fingerprint shows whether it is the same dataset.",
        )
    _refuse_strangers(used.repository, model)
    from l2t_hub.hub.download import download

    return locate(download(used.repository, "dataset", used.revision, only=_FILES).directory)


def _beside(record: TrainingRecord, model: Path) -> Iterator[Path]:
    """Yield where the dataset of a local model may be: as recorded, and beside the folder of models."""
    if record.dataset.repository is None:
        yield Path(record.dataset.name)
    run = model.resolve().parent.parent
    names = dict.fromkeys((record.name, model.resolve().name))
    yield from (run / folder / name for folder in _FOLDERS for name in names)


def _refuse_strangers(repository: str, model: Path | None) -> None:
    from huggingface_hub.constants import ENDPOINT

    if repository.split("/")[0] != LOCAL_OWNER or Endpoint(str(ENDPOINT)).is_local_hub:
        return
    hub = model.resolve().parent.parent / "hub" if model is not None else Path("DIR")
    raise UserError(
        f"{repository}: this model's dataset was published on a local Hub; on {ENDPOINT}, the name is a stranger's",
        f"Give the dataset with --data, or its Hub with --hub local:{hub}.",
    )
