"""Which models the page offers, and what it calls them."""

from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath

import yaml
from huggingface_hub import metadata_load

from l2t_hub.errors import UsageError, UserError

MODELS_VARIABLE = "L2T_DEMO_MODELS"
"""Environment variable of a Space: model names, separated by commas or blanks."""


def chosen_models(
    given: Sequence[str], environment: Mapping[str, str], readme: Path | None = None
) -> tuple[str, ...]:
    """Give the models to offer: those given, else those of the environment variable, else the README's `models:`.

    Raises UsageError when none of the three names any.
    """
    listed = environment.get(MODELS_VARIABLE, "").replace(",", " ").split()
    models = list(given) or listed or (_readme_models(readme) if readme else [])
    if not models:
        raise UsageError(
            "There is no model to show.",
            f"Name one or two: l2t demo MODEL MODEL (a Space: set {MODELS_VARIABLE}, or `models:` in its README). "
            "No models yet? `l2t run nano` makes two in a few minutes.",
        )
    return tuple(dict.fromkeys(models))


def _readme_models(readme: Path) -> list[str]:
    if not readme.is_file():
        return []
    try:
        metadata = metadata_load(readme) or {}
    except (ValueError, yaml.YAMLError) as error:
        raise UserError(f"{readme}: the front matter cannot be read: {error}") from error
    models = metadata.get("models") or []
    if not isinstance(models, list) or not all(isinstance(model, str) for model in models):
        raise UserError(f"{readme}: `models` must be a list of model names.")
    return models


def display_names(models: Sequence[str]) -> dict[str, str]:
    """Give each model a short name, unique on the page: name -> model.

    It is the end of the path that tells the models apart: `runs/a/models/nano-raw` is `nano-raw`, unless another
    model ends the same way.
    """
    parts = {model: _parts(model) for model in models}
    names: dict[str, str] = {}
    for model, own in parts.items():
        others = [other for name, other in parts.items() if name != model]
        length = 1
        while length < len(own) and any(own[-length:] == other[-length:] for other in others):
            length += 1
        names["/".join(own[-length:]) or model] = model
    # Two spellings of one path end alike all the way up; only their full names still differ.
    return names if len(names) == len(models) else {model: model for model in models}


def _parts(model: str) -> tuple[str, ...]:
    return PurePosixPath(model.replace("\\", "/")).parts
