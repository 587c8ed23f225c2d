"""Load a recipe: a YAML file, the files it extends and `--set` overrides become one checked `Recipe`."""

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from l2t_hub.errors import UsageError, nearest
from l2t_hub.recipe import yaml_tree
from l2t_hub.recipe.layers import SETS, SHRUNK, Family, Layer, Stack, leaves
from l2t_hub.recipe.problems import explain
from l2t_hub.recipe.schema import Recipe, Seeds
from l2t_hub.recipe.section import DoesNotApplyError
from l2t_hub.recipe.shrink import SHRINK, shrunk_keys, shrunk_name
from l2t_hub.recipe.yaml_tree import Locations, Tree
from l2t_hub.records import bounds
from l2t_hub.resources import resource_folder


def bundled_recipes() -> dict[str, Path]:
    """Return the files of the recipes that come with the package, by name, such as `nano` and `paper/base`."""
    folder = resource_folder("recipes")
    files = sorted(folder.rglob("*.yaml"), key=lambda path: path.with_suffix(""))
    return {path.relative_to(folder).with_suffix("").as_posix(): path for path in files}


def load_recipe(
    reference: str | Path, overrides: Sequence[str] = (), variant: str | None = None, *, shrink: bool = False
) -> Recipe:
    """Read a recipe by file name or bundled name, or one variant of it, or the rehearsal (`shrink`), and check it.

    `overrides` are of the form "a.b=c" with c in YAML; they take precedence over the file and its variants. With a
    variant, they need to suit that one only, and it alone is checked; without, they need to suit one of the variants.
    Raises UsageError that names file, line and key, says what is wrong and suggests the nearest valid name.
    """
    family = _family(reference, overrides, shrink)
    return _family_recipe(family) if variant is None else _variant(family, variant, str(reference))


def load_releases(
    reference: str | Path, overrides: Sequence[str] = (), variant: str | None = None, *, shrink: bool = False
) -> list[Recipe]:
    """Read the releases of a recipe (`shrink`: of its rehearsal): one variant, else all, else the recipe itself.

    Raises UsageError as `load_recipe` does, and for two variants that would be the same release.
    """
    family = _family(reference, overrides, shrink)
    if variant is not None:
        return [_variant(family, variant, str(reference))]
    stacks = {name: family.stack(name) for name in family.variants}
    return _check_variants(family, stacks) if stacks else [_resolved(family.stack())]


def recipe_from_tree(tree: Tree, locations: Locations | None = None) -> Recipe:
    """Check a tree (from YAML or a manifest) against the schema. Raises UsageError that lists every problem."""
    try:
        recipe = Recipe.model_validate_json(json.dumps(tree, default=str))
    except ValidationError as error:
        raise _usage_error(error, locations or {}) from None
    recipe._locations.update(locations or {})
    return recipe


def _usage_error(error: ValidationError, locations: Locations) -> UsageError:
    return UsageError(
        "\n".join(explain(error, locations)), "Run `l2t recipes keys` for every key, its type and meaning."
    )


def _family(reference: str | Path, overrides: Sequence[str] = (), shrink: bool = False) -> Family:
    """Return the layers of a recipe file, of the files it extends, of the rehearsal and of the overrides."""
    family = Family()
    for number, (tree, locations) in enumerate(_read_with_parents(_find(reference), []).values()):
        family.add(Layer(tree, locations, 2 * number))
    if shrink:
        family.add(_shrunk_layer(family))
    tree, locations = {}, {}
    for key, change in map(_override, overrides):
        tree = yaml_tree.merge(tree, change)
        locations = {k: v for k, v in locations.items() if not k.startswith(f"{key}.")}
        locations |= dict.fromkeys((key, *(k for k, _ in leaves(change))), f"--set {key}")
    family.add(Layer(tree, locations, SETS))
    stack = family.stack()
    if stack.tree.get("seeds"):
        seeds = _checked_seeds(stack.tree["seeds"], stack.locations)
        family.repeat(str(stack.get("name")), seeds, stack.locations.get("seeds", "seeds"))
    return family


def _checked_seeds(seeds: Any, locations: Locations) -> tuple[int, ...]:
    """Return the recipe's `seeds`. Raises UsageError unless they are different seeds."""
    try:
        checked = TypeAdapter(Seeds).validate_json(json.dumps(seeds, default=str))
    except ValidationError:
        checked = ()
    if not checked or len(set(checked)) < len(checked):
        raise UsageError(
            f"{locations.get('seeds', 'seeds')}: `seeds` must be a list of different whole numbers from 0 to "
            f"{bounds.MAX_SEED}, {bounds.MAX_SEEDS} at most",
            "For three runs of each release: `seeds: [1, 2, 3]`.",
        )
    return checked


def _shrunk_layer(family: Family) -> Layer:
    """Return the layer that turns a recipe and its variants into their rehearsals."""
    sample = _resolved(_family("nano").stack()).source
    tree = shrunk_keys(_resolved(family.stack(), spare_overrides=True), sample)
    tree["variants"] = {
        name: shrunk_keys(_resolved(family.stack(name), name=name), sample) for name in family.variants
    }
    return Layer(tree, {key: SHRINK for key, _ in leaves(tree)}, SHRUNK)


def _family_recipe(family: Family) -> Recipe:
    """Return the recipe itself; if it has variants, all of them are checked as well."""
    if not family.variants:
        return _resolved(family.stack())
    stacks = {name: family.stack(name) for name in family.variants}
    _check_variants(family, stacks)
    stack = family.stack()
    stack.tree["variants"] = {name: family.own_keys(variant) for name, variant in stacks.items()}
    recipe = _resolved(stack, spare_overrides=True)
    recipe._notes = tuple(dict.fromkeys(note for variant in stacks.values() for note in variant.all_notes()))
    return recipe


def _variant(family: Family, name: str, reference: str) -> Recipe:
    seeded = re.fullmatch(r"(.+)(-seed[0-9]+)", name)
    for shrunk in (shrunk_name(name), *([shrunk_name(seeded[1]) + seeded[2]] if seeded else [])):
        if name not in family.variants and shrunk in family.variants:
            name = shrunk
    if name not in family.variants:
        hint = nearest(name, family.variants) if family.variants else "The recipe has no variants."
        raise UsageError(f"{reference}: unknown variant '{name}'. {hint}")
    stack = family.stack(name)
    # `--set name=` renames the one release that is asked for, as it does in a recipe without variants.
    return _resolved(stack, name=None if stack.age("name") == SETS else name)


def _check_variants(family: Family, stacks: dict[str, Stack]) -> list[Recipe]:
    """Return every variant. An override needs to suit one of them, and is left out, with a note, of the others.

    Raises UsageError for an invalid variant, or for two that are the same.
    """
    recipes = [_resolved(stack, name=name, spare_overrides=True) for name, stack in stacks.items()]
    spared = [{key for key in stack.left_out if stack.age(key) == SETS} for stack in stacks.values()]
    if set.intersection(*spared):
        name = next(iter(stacks))
        _resolved(family.stack(name), name=name)  # raises
    known: dict[str, str] = {}
    for recipe in recipes:
        same = known.setdefault(recipe.fingerprint("model"), recipe.name)
        if same != recipe.name and not family.is_shrunk:
            raise UsageError(
                f"the variants '{same}' and '{recipe.name}' are the same: no key that decides the dataset or the "
                "model differs",
                f"Change a key of one only: `variants.{recipe.name}.KEY`. Null removes an inherited variant.",
            )
    return recipes


def _resolved(stack: Stack, *, name: str | None = None, spare_overrides: bool = False) -> Recipe:
    """Check merged layers, leaving out keys of earlier layers that do not go with keys of later ones.

    With `spare_overrides`, a `--set` that does not apply is left out too.
    """
    while True:
        if name is not None:
            stack.tree["name"] = name
        try:
            recipe = Recipe.model_validate_json(json.dumps(stack.tree, default=str))
        except ValidationError as error:
            if not _leave_out(stack, error, spare_overrides):
                raise _usage_error(error, stack.locations) from None
            continue
        recipe._locations.update(stack.locations)
        recipe._notes = stack.all_notes()
        return recipe


def _leave_out(stack: Stack, error: ValidationError, spare_overrides: bool) -> bool:
    """Leave out the keys of an error that give way to later layers. Return whether there are any."""
    before = len(stack.left_out)
    for problem in error.errors():
        cause = problem.get("ctx", {}).get("error")
        for key, other in cause.yields if isinstance(cause, DoesNotApplyError) else ():
            age, other_age = stack.age(key), stack.age(other)
            if age < other_age or (spare_overrides and age == SETS != other_age):
                stack.leave_out(key, other)
                break
    return len(stack.left_out) > before


def _find(reference: str | Path) -> Path:
    """Return a recipe file, given its path or the name of a bundled recipe."""
    path = Path(reference)
    if path.is_file():
        return path
    known = bundled_recipes()
    name = re.sub(r"\.ya?ml$", "", str(reference))
    if name in known:
        return known[name]
    raise UsageError(
        f"{reference}: no such recipe file. {nearest(path.stem, known)}",
        "Give the path of a YAML file, or the name of a bundled recipe (see `l2t recipes list`).",
    )


def _read_with_parents(path: Path, children: list[Path]) -> dict[Path, tuple[Tree, Locations]]:
    """Read a file and the files that it extends, oldest first; `children` are the files that extend this one.

    A file that is extended in several ways is read once, where it comes first.
    """
    file = path.resolve()
    if file in children:
        cycle = " -> ".join(p.name for p in [*children[children.index(file) :], file])
        raise UsageError(f"{path}: `extends` forms a cycle: {cycle}")
    tree, locations = yaml_tree.read(path)
    named = tree.pop("extends", None)
    location = locations.pop("extends", str(path))
    parents = [named] if isinstance(named, str) else [] if named is None else named
    if not isinstance(parents, list) or not all(isinstance(parent, str) for parent in parents):
        raise UsageError(
            f"{location}: `extends` must be the name of a recipe file or a list of names, not {named!r}"
        )
    older: dict[Path, tuple[Tree, Locations]] = {}
    for parent in parents:
        sibling = path.parent / parent
        try:
            older |= _read_with_parents(sibling if sibling.is_file() else _find(parent), [*children, file])
        except UsageError as error:
            raise UsageError(f"{location}: extends {parent}: {error.message}", error.hint) from None
    return {**older, file: (tree, locations)}


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
