"""Whether a recipe and the dataset it is to train on agree: the record of a model must say what it was trained on."""

from pathlib import PurePath
from typing import Any

from l2t_hub.errors import UsageError, UserError
from l2t_hub.recipe import Recipe, recipe_from_tree
from l2t_hub.recipe.schema import UNFINGERPRINTED_KEYS
from l2t_hub.train.locate import DatasetLocation

# The sections that decide what a dataset says. `build` divides and lays out, and the seed of training may differ.
SECTIONS = ("source", "blocks", "mixture", "tokenizer", "packing", "validation")
_SHOWN = 4
Tree = dict[str, Any]


def agreed(recipe: Recipe, dataset: DatasetLocation, *, follow_data: bool = False) -> Recipe:
    """Return the recipe if the dataset was built with its keys.

    With `follow_data`, return it with the dataset's own keys in the sections that decide a dataset. Raises UsageError
    that names the differences without, UserError if the dataset's keys are no valid recipe.
    """
    ours, theirs = recipe.resolved(), dataset.manifest.recipe
    differences = _differences(ours, theirs)
    if not differences:
        return recipe
    if follow_data:
        taken = {section: theirs[section] for section in SECTIONS if section in theirs}
        try:
            return recipe_from_tree({**ours, **taken})
        except UsageError as error:
            raise UserError(f"{dataset.name}: its recipe is of another version: {error.message}") from None
    shown = [
        f"`{key}` is {_shown(mine)} in the recipe ({_at(recipe, key)}) and {_shown(other)} in the dataset"
        for key, (mine, other) in differences.items()
    ]
    if len(shown) > _SHOWN:
        shown[_SHOWN:] = [f"and {len(shown) - _SHOWN} more"]
    raise UsageError(
        f"{dataset.name} was not built from the recipe {recipe.name}: {'; '.join(shown)}",
        "Name the recipe or the variant of this dataset, or build the recipe's own. "
        "To train on this one all the same, with its keys on record, add --follow-data.",
    )


def _differences(ours: Tree, theirs: Tree) -> dict[str, tuple[Any, Any]]:
    """Return the dotted keys whose values differ, with both values.

    Keys that one of the two lacks, because they do not apply or its version does not know them, do not count.
    """
    found: dict[str, tuple[Any, Any]] = {}
    for section in SECTIONS:
        mine, other = ours[section], theirs.get(section, {})
        for key in mine.keys() & other.keys() - UNFINGERPRINTED_KEYS.get(section, set()):
            if not _equal(f"{section}.{key}", mine[key], other[key]):
                found[f"{section}.{key}"] = mine[key], other[key]
    return {key: found[key] for key in sorted(found)}


def _equal(key: str, ours: Any, theirs: Any) -> bool:
    """Whether two values agree. Text may lie in another folder, and a revision may be left open."""
    if key.endswith(".revision"):
        return ours == theirs or None in (ours, theirs)
    if key == "source.path" and ours is not None and theirs is not None:
        return PurePath(ours).name == PurePath(theirs).name
    return bool(ours == theirs)


def _at(recipe: Recipe, key: str) -> str:
    return recipe.where(key).removesuffix(f": {key}")


def _shown(value: Any) -> str:
    return "null" if value is None else f"'{value}'" if isinstance(value, str) else str(value).lower()
