"""Models that a visitor names: public ones on the Hub that fit, and of their files only those that are loaded."""

import shutil
from fnmatch import fnmatch
from functools import partial
from pathlib import Path

from l2t_hub.demo.choice import ModelChoice
from l2t_hub.errors import UserError
from l2t_hub.hub.download import download
from l2t_hub.hub.failures import hub_error
from l2t_hub.hub.retry import RetryPolicy, retrying
from l2t_hub.records.bounds import is_repo
from l2t_hub.scoring import ModelSource

FETCHED = ("*.safetensors", "*.json", "*.txt", "*.model", "*.jinja")
"""The files of a model that loading reads. Others, such as weights in further formats, are not downloaded."""
MAX_FILES = 200
FREE_DISK = 2 << 30
"""Bytes that stay free on the disk of the cache."""
POLICY = RetryPolicy(attempts=2, longest_asked=10)


def fetch_guest(choice: ModelChoice, limit: int) -> ModelSource:
    """Download a public model of at most `limit` bytes, and return where it is. Its name is never taken for a path.

    The Hub is asked without the owner's token first: a visitor must not see what only the owner may read. Raises
    UserError if the model is not public, too large, refused (see `download`), or cannot be fetched.
    """
    if not is_repo(choice.name):
        raise UserError(f"{choice.label}: not the name of a model on the Hub.", "Write it as ORG/NAME.")
    commit, size = _look_up(choice)
    if size > limit:
        raise UserError(
            f"{choice.label}: the model has {size / 1e6:,.0f} MB, and this page loads at most "
            f"{limit / 1e6:,.0f} MB.",
            "Choose a smaller model.",
        )
    if _free_disk() < size + FREE_DISK:
        raise UserError(
            f"{choice.label}: there is no room for another model here.", "Choose one from the list."
        )
    fetched = download(
        choice.name,
        "model",
        commit,
        only=FETCHED,
        say=lambda line: None,
        policy=POLICY,
    )
    return ModelSource(choice.label, str(fetched.directory), commit, is_local=False)


def _look_up(choice: ModelChoice) -> tuple[str, int]:
    """Return the commit of a public model, and the bytes of the files that are fetched."""
    from huggingface_hub import HfApi
    from huggingface_hub.errors import RepositoryNotFoundError, RevisionNotFoundError

    api = HfApi(token=False)
    ask = partial(api.model_info, choice.name, revision=choice.revision, files_metadata=True, timeout=10)
    try:
        info = retrying(ask, f"looking up {choice.name}", POLICY, lambda line: None)
    except RevisionNotFoundError:
        raise UserError(
            f"{choice.name} has no revision {choice.revision}.", "Name a branch, a tag or a commit."
        ) from None
    except RepositoryNotFoundError:
        raise UserError(
            f"{api.endpoint} has no public model {choice.name}.", "Check the spelling: ORG/NAME."
        ) from None
    except Exception as error:
        raise hub_error(error, f"{choice.label}: lookup failed", api.endpoint) from error
    if info.gated:
        raise UserError(f"{choice.name}: access to this model is restricted.", "Choose a public model.")
    files = [file for file in info.siblings or [] if any(fnmatch(file.rfilename, p) for p in FETCHED)]
    if len(files) > MAX_FILES or any(file.size is None for file in files):
        raise UserError(
            f"{choice.label}: the Hub does not say how large this model is.", "Choose another model."
        )
    return str(info.sha), sum(file.size or 0 for file in files)


def _free_disk() -> int:
    from huggingface_hub.constants import HF_HUB_CACHE

    folder = Path(HF_HUB_CACHE)
    while not folder.exists():
        folder = folder.parent
    return shutil.disk_usage(folder).free
