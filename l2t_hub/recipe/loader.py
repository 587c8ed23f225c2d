"""From a YAML file, its parents (`extends`) and `--set` overrides to one checked `Recipe`."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from l2t_hub.errors import UsageError, nearest
from l2t_hub.recipe import yaml_tree
from l2t_hub.recipe.schema import Recipe
from l2t_hub.recipe.yaml_tree import Places, Tree
from l2t_hub.resources import resource_folder


def bundled_recipes() -> dict[str, Path]:
    """The recipes that come with the package, by name."""
    return {path.stem: path for path in sorted(resource_folder("recipes").glob("*.yaml"))}


def load_recipe(reference: str | Path, overrides: Sequence[str] = (), variant: str | None = None) -> Recipe:
    """Read a recipe by file name or bundled name and check it, each of its variants included.

    `overrides` are "a.b=c" with c in YAML; they win over the file and its variants alike. Raises UsageError
    naming file, line, key, what is wrong and the nearest valid name.
    """
    tree, places = _with_parents(_find(reference), [])
    sets = [_override(text) for text in overrides]
    variants = tree.get("variants")
    for key, change in sets:
        tree = yaml_tree.merge(tree, change)
        places = {k: v for k, v in places.items() if not k.startswith(f"{key}.")} | {key: f"--set {key}"}
    recipe = recipe_from_tree(tree, places)
    names = list(variants) if isinstance(variants, dict) else []
    resolved = {name: variant_of(recipe, name, [change for _, change in sets]) for name in names}
    if variant is None:
        return recipe
    if variant not in resolved:
        raise UsageError(f"{reference}: no variant '{variant}'. {nearest(variant, names)}")
    return resolved[variant]


def load_releases(
    reference: str | Path, overrides: Sequence[str] = (), variant: str | None = None
) -> list[Recipe]:
    """Read a recipe as the releases it describes: each of its variants (or the one named), else itself."""
    recipe = load_recipe(reference, overrides, variant)
    return [load_recipe(reference, overrides, name) for name in recipe.variants] or [recipe]


def recipe_from_tree(tree: Tree, places: Places | None = None) -> Recipe:
    """Check a plain tree (from YAML or a manifest) against the schema; UsageError lists everything wrong."""
    places = places or {}
    try:
        recipe = Recipe.model_validate_json(json.dumps(tree, default=str))
    except ValidationError as error:
        problems = [_explain(problem, places) for problem in error.errors()]
        raise UsageError(
            "\n".join(problems), "See `l2t recipes keys` for every key, its type and meaning."
        ) from None
    recipe._places.update(places)
    return recipe


def variant_of(recipe: Recipe, name: str, sets: Sequence[Tree] = ()) -> Recipe:
    """Give the recipe of one variant: the base with the variant's keys, then any overrides, laid over it."""
    prefix = f"variants.{name}."
    tree = recipe.model_dump(mode="json", exclude_unset=True, exclude={"variants"})
    change = recipe.variants[name] or {}
    if not isinstance(change, dict):
        raise UsageError(
            f"{recipe.where(f'variants.{name}')}: a variant is a mapping of recipe keys to values"
        )
    for layer in (change, {"name": name}, *sets):
        tree = yaml_tree.merge(tree, {k: v for k, v in layer.items() if k != "variants"})
    own = {k.removeprefix(prefix): v for k, v in recipe._places.items() if k.startswith(prefix)}
    kept = {k: v for k, v in recipe._places.items() if k not in own or v.startswith("--set")}
    return recipe_from_tree({**tree, "name": name}, {**own, **kept})


def _find(reference: str | Path) -> Path:
    """A recipe file by path, or by the name of a bundled one."""
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
        "Give a path to a YAML file, or the name of a bundled recipe (`l2t recipes list`).",
    )


def _with_parents(path: Path, chain: list[Path]) -> tuple[Tree, Places]:
    """Read a file with what it extends underneath; a file that extends itself, however far round, is an error."""
    here = path.resolve()
    if here in chain:
        ring = " -> ".join(p.name for p in [*chain[chain.index(here) :], here])
        raise UsageError(f"{path}: `extends` goes in a circle: {ring}")
    tree, places = yaml_tree.read(path)
    parent = tree.pop("extends", None)
    place = places.pop("extends", str(path))
    if parent is None:
        return tree, places
    if not isinstance(parent, str):
        raise UsageError(f"{place}: `extends` names one recipe file; this is {parent!r}")
    beside = path.parent / parent
    try:
        base, base_places = _with_parents(beside if beside.is_file() else _find(parent), [*chain, here])
    except UsageError as error:
        raise UsageError(f"{place}: extends {parent}: {error.message}", error.hint) from None
    return yaml_tree.merge(base, tree), base_places | places


def _override(text: str) -> tuple[str, Tree]:
    """Parse one "a.b=c" into its key and a nested tree."""
    key, equals, value = text.partition("=")
    key = key.strip()
    if not equals or not key or not all(key.split(".")):
        raise UsageError(f"--set {text}: not of the form key=value", "For example --set train.max_steps=100")
    tree, _ = yaml_tree.parse(f"value: {value}" if value.strip() else "value: ''", f"--set {text}")
    nested: Any = tree["value"]
    for part in reversed(key.split(".")):
        nested = {part: nested}
    return key, nested


def _explain(problem: Any, places: Places) -> str:
    """One problem pydantic found, as a sentence with its place and the nearest valid name."""
    location = [str(part) for part in problem["loc"]]
    key = ".".join(location)
    place = _place(location, places)
    if problem["type"] == "extra_forbidden":
        return f"{place}: unknown key `{key}`. {nearest(location[-1], _keys_at(location[:-1]))}"
    if problem["type"] == "missing":
        return f"{place}: `{key}` is missing"
    if problem["type"] == "literal_error":
        expected = problem["ctx"]["expected"].replace("'", "").replace(" or ", ", ").split(", ")
        guess = nearest(str(problem["input"]), expected)
        return f"{place}: `{key}` is {problem['input']!r}, not one of {', '.join(expected)}. {guess}"
    if problem["type"] == "value_error":
        return f"{place}: {key}: {problem['ctx']['error']}" if key else f"{place}: {problem['ctx']['error']}"
    said = problem["msg"].removeprefix("Input ")
    return f"{place}: `{key}` is {problem['input']!r}; it {said}"


def _place(location: list[str], places: Places) -> str:
    """The place of the nearest enclosing key that has one."""
    for end in range(len(location), 0, -1):
        place = places.get(".".join(location[:end]))
        if place:
            return place
    return next(iter(places.values()), "recipe").rpartition(":")[0] or "recipe"


def _keys_at(location: list[str]) -> list[str]:
    """The keys the schema knows at a place."""
    model: type[BaseModel] = Recipe
    for part in location:
        field = model.model_fields.get(part)
        annotation = field.annotation if field else None
        if not (isinstance(annotation, type) and issubclass(annotation, BaseModel)):
            return []
        model = annotation
    return list(model.model_fields)
