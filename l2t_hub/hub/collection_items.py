"""The models of a collection on the Hub, where a command takes names of models."""

import re
from collections.abc import Sequence
from functools import partial

from l2t_hub.errors import UserError
from l2t_hub.hub.failures import hub_error
from l2t_hub.hub.retry import RetryPolicy, retrying
from l2t_hub.records.bounds import is_repo

MAX_MODELS = 100
# The Hub ends the slug of a collection with its id.
_SLUG = re.compile(r"[\w-]+/[\w.-]+-[0-9a-f]{24}")


def is_collection(name: str) -> bool:
    """Whether a name is the slug of a collection, ORG/TITLE-ID, and not of a model."""
    return _SLUG.fullmatch(name) is not None


def with_collections(names: Sequence[str]) -> list[str]:
    """Return the names with each collection replaced by the models in it, in its order.

    Raises UserError if a collection does not exist or has no models.
    """
    return [model for name in names for model in (_models(name) if is_collection(name) else [name])]


def _models(slug: str) -> list[str]:
    from huggingface_hub import HfApi

    api = HfApi()
    look_up = partial(api.get_collection, slug)
    try:
        collection = retrying(look_up, f"reading {slug}", RetryPolicy(), lambda line: None)
    except Exception as error:
        raise hub_error(error, f"{slug}: the collection cannot be read", api.endpoint) from error
    models = [item.item_id for item in collection.items if item.item_type == "model"]
    models = [name for name in models if is_repo(name)]
    if not models:
        raise UserError(f"{slug}: this collection has no models", "Name models: ORG/NAME.")
    return models[:MAX_MODELS]
