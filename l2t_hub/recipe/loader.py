"""Load a recipe: a YAML file, the files it extends and `--set` overrides become one checked `Recipe`."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from l2t_hub.errors import UsageError, nearest
from l2t_hub.recipe import yaml_tree
from l2t_hub.recipe.problems import explain
from l2t_hub.recipe.schema import Recipe
from l2t_hub.recipe.yaml_tree import Locations, Tree
from l2t_hub.resources import resource_folder

SOURCE_NAMES = ("path", "dataset")
# What belongs to the source that it was written for, as the recipe's description does.
SOURCE_TEXTS = ("title", "license", "url", "config", "revision")


def bundled_recipes() -> dict[str, Path]:
    """Return the files of the recipes that come with the package, by name."""
    return {path.stem: path for path in sorted(resource_folder("recipes").glob("*.yaml"))}


def load_recipe(reference: str | Path, overrides: Sequence[str] = (), variant: str | None = None) -> Recipe:
    """Read a recipe by file name or bundled name, and check it and all its variants.

    `overrides` are of the form "a.b=c" with c in YAML; they take precedence over the file and its variants. If a
    variant is named, they need to be valid for that one only. Returns the recipe, or the variant named. Raises
    UsageError that names file, line and key, says what is wrong and suggests the nearest valid name.
    """
    if variant is not None and overrides:
        load_recipe(reference)  # the other variants as they are in the file
    tree, locations = _read_with_parents(_find(reference), [])
    changes = [_override(text) for text in overrides]
    variants = tree.get("variants")
    tree = _without_source_texts(tree, _combined(changes))
    for key, change in changes:
        tree = yaml_tree.merge(tree, change)
        locations = {k: v for k, v in locations.items() if not k.startswith(f"{key}.")}
        locations[key] = f"--set {key}"
    recipe = recipe_from_tree(tree, locations)
    names = list(variants) if isinstance(variants, dict) else []
    if variant is not None and variant not in names:
        hint = nearest(variant, names) if names else "The recipe has no variants."
        raise UsageError(f"{reference}: unknown variant '{variant}'. {hint}")
    chosen = names if variant is None or not overrides else [variant]
    resolved = {name: variant_of(recipe, name, _combined(changes)) for name in chosen}
    return recipe if variant is None else resolved[variant]


def load_releases(
    reference: str | Path, overrides: Sequence[str] = (), variant: str | None = None
) -> list[Recipe]:
    """Read the releases of a recipe: the variant named, else all its variants, else the recipe itself."""
    recipe = load_recipe(reference, overrides, variant)
    return [load_recipe(reference, overrides, name) for name in recipe.variants] or [recipe]


def recipe_from_tree(tree: Tree, locations: Locations | None = None) -> Recipe:
    """Check a tree (from YAML or a manifest) against the schema. Raises UsageError that lists every problem."""
    locations = locations or {}
    try:
        recipe = Recipe.model_validate_json(json.dumps(tree, default=str))
    except ValidationError as error:
        raise UsageError(
            "\n".join(explain(error, locations)),
            "Run `l2t recipes keys` for every key, its type and meaning.",
        ) from None
    recipe._locations.update(locations)
    return recipe


def variant_of(recipe: Recipe, name: str, changes: Tree | None = None) -> Recipe:
    """Return one variant: the recipe with the variant's keys merged into it, then `changes`."""
    prefix = f"variants.{name}."
    tree = recipe.model_dump(mode="json", exclude_unset=True, exclude={"variants"})
    change = recipe.variants[name] or {}
    if not isinstance(change, dict):
        raise UsageError(f"{recipe.where(f'variants.{name}')}: a variant must be a mapping of keys to values")
    for layer in (change, {"name": name}, changes or {}):
        tree = _over(tree, {k: v for k, v in layer.items() if k != "variants"})
    in_variant = {k.removeprefix(prefix): v for k, v in recipe._locations.items() if k.startswith(prefix)}
    in_recipe = {k: v for k, v in recipe._locations.items() if k not in in_variant or v.startswith("--set")}
    return recipe_from_tree({**tree, "name": name}, {**in_variant, **in_recipe})


def _find(reference: str | Path) -> Path:
    """Return a recipe file, given its path or the name of a bundled recipe."""
    path = Path(reference)
    if path.is_file():
        return path
    known = bundled_recipes()
    if str(reference) in known:
        return known[str(reference)]
    if path.suffix in (".yaml", ".yml") and path.stem in known and path.parent.name in ("", "recipes"):
        return known[path.stem]
    raise UsageError(
        f"{reference}: no such recipe file. {nearest(path.stem, known)}",
        "Give the path of a YAML file, or the name of a bundled recipe (see `l2t recipes list`).",
    )


def _read_with_parents(path: Path, children: list[Path]) -> tuple[Tree, Locations]:
    """Read a file merged over the file that it extends; `children` are the files that extend this one."""
    file = path.resolve()
    if file in children:
        cycle = " -> ".join(p.name for p in [*children[children.index(file) :], file])
        raise UsageError(f"{path}: `extends` forms a cycle: {cycle}")
    tree, locations = yaml_tree.read(path)
    parent = tree.pop("extends", None)
    location = locations.pop("extends", str(path))
    if parent is None:
        return tree, locations
    if not isinstance(parent, str):
        raise UsageError(f"{location}: `extends` must be the name of one recipe file, not {parent!r}")
    sibling = path.parent / parent
    try:
        base, base_locations = _read_with_parents(
            sibling if sibling.is_file() else _find(parent), [*children, file]
        )
    except UsageError as error:
        raise UsageError(f"{location}: extends {parent}: {error.message}", error.hint) from None
    return _over(base, tree), base_locations | locations


def _over(base: Tree, top: Tree) -> Tree:
    """Merge `top` over `base`; what `base` says about its source goes if `top` has another source."""
    return yaml_tree.merge(_without_source_texts(base, top), top)


def _without_source_texts(base: Tree, top: Tree) -> Tree:
    """Return `base` without the title, licence and so on of its source, if `top` names another source."""
    old, new = base.get("source"), top.get("source")
    if not isinstance(old, dict) or not isinstance(new, dict):
        return base
    same = all(new[key] == old.get(key) for key in SOURCE_NAMES if key in new)
    if same:
        return base
    kept = {key: value for key, value in old.items() if key not in SOURCE_TEXTS}
    return {**{key: value for key, value in base.items() if key != "description"}, "source": kept}


def _combined(changes: Sequence[tuple[str, Tree]]) -> Tree:
    """Return the overrides as one tree, in which a later one takes precedence."""
    combined: Tree = {}
    for _, change in changes:
        combined = yaml_tree.merge(combined, change)
    return combined


def _override(text: str) -> tuple[str, Tree]:
    """Parse "a.b=c" into the key "a.b" and the tree {"a": {"b": c}}."""
    key, equals, value = text.partition("=")
    key = key.strip()
    if not equals or not key or not all(key.split(".")):
        raise UsageError(f"--set {text}: not of the form key=value", "For example: --set train.max_steps=100")
    nested: Any = yaml_tree.parse_value(value, f"--set {text}") if value.strip() else ""
    for part in reversed(key.split(".")):
        nested = {part: nested}
    return key, nested
