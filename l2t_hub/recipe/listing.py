"""Recipes for people: a listing, the resolved YAML, and the table of keys that the schema's docstrings make."""

import types
from inspect import getdoc
from typing import Any, Literal, Union, get_args, get_origin

import yaml
from pydantic import BaseModel
from rich.table import Table

from l2t_hub.errors import UsageError, nearest
from l2t_hub.recipe.loader import bundled_recipes, load_recipe
from l2t_hub.recipe.schema import Recipe

NAMES = {"NoneType": "null", "str": "text", "int": "integer", "float": "number", "bool": "true or false"}


def listing() -> list[dict[str, Any]]:
    """The bundled recipes: name, description, variants and file."""
    return [
        {
            "name": name,
            "description": recipe.description,
            "variants": list(recipe.variants),
            "file": str(path),
        }
        for name, path in bundled_recipes().items()
        for recipe in [load_recipe(path)]
    ]


def listing_table(rows: list[dict[str, Any]]) -> Table:
    """The listing as a table."""
    table = Table("recipe", "variants", "what it is", header_style="bold")
    for row in rows:
        table.add_row(row["name"], ", ".join(row["variants"]) or "-", row["description"])
    return table


def tree(recipe: Recipe) -> dict[str, Any]:
    """The resolved recipe, with what its builds may use on a cluster."""
    return {**recipe.resolved(), "cluster": recipe.cluster.model_dump(mode="json")}


def as_yaml(recipe: Recipe) -> str:
    """The resolved recipe as YAML that loads to the same recipe."""
    return yaml.safe_dump(tree(recipe), sort_keys=False, allow_unicode=True, width=100)


def keys(section: str | None = None) -> list[dict[str, Any]]:
    """Every key of the schema (or of one section): key, type, default, meaning."""
    rows = _rows(Recipe, "")
    if section is None:
        return rows
    chosen = [row for row in rows if row["key"] == section or row["key"].startswith(f"{section}.")]
    if not chosen:
        sections = [name for name, field in Recipe.model_fields.items() if _section(field.annotation)]
        raise UsageError(f"no section '{section}'. {nearest(section, sections)}")
    return chosen


def keys_table(rows: list[dict[str, Any]]) -> Table:
    """The keys as a table."""
    table = Table("key", "type", "default", "meaning", header_style="bold")
    for row in rows:
        table.add_row(row["key"], row["type"], row["default"], row["meaning"])
    return table


def keys_markdown() -> str:
    """`docs/recipe.md`: the same table for readers of the repository, a section at a time."""
    text = [
        "# Recipe keys",
        "",
        "Made from `l2t_hub/recipe/schema.py` by `python -m l2t_hub.recipe.listing`; do not edit.",
        "",
    ]
    last = None
    for row in keys():
        head, dot, _ = row["key"].partition(".")
        section = head if dot else ""
        if section != last:
            meaning = f"\n{getdoc(_section(Recipe.model_fields[section].annotation))}\n" if section else ""
            text += [
                f"\n## {section or 'A recipe'}\n{meaning}",
                "| key | type | default | meaning |",
                "|---|---|---|---|",
            ]
            last = section
        cells = (
            f"`{row['key']}`",
            f"`{row['type']}`".replace("|", "\\|"),
            f"`{row['default']}`",
            row["meaning"],
        )
        text.append("| " + " | ".join(cells) + " |")
    return "\n".join(text) + "\n"


def _rows(model: type[BaseModel], prefix: str) -> list[dict[str, Any]]:
    rows = []
    for name, field in model.model_fields.items():
        inner = _section(field.annotation)
        if inner is not None:
            rows += _rows(inner, f"{prefix}{name}.")
            continue
        default = "required" if field.is_required() else _plain(field.default)
        meaning = " ".join((field.description or "").split())
        rows.append(
            {"key": prefix + name, "type": _type(field.annotation), "default": default, "meaning": meaning}
        )
    return rows


def _section(annotation: Any) -> Any:
    return annotation if isinstance(annotation, type) and issubclass(annotation, BaseModel) else None


def _plain(value: Any) -> str:
    text: str = yaml.safe_dump(
        list(value) if isinstance(value, tuple) else value, default_flow_style=True, width=1000
    )
    return text.removesuffix("\n").removesuffix("\n...").strip()


def _type(annotation: Any) -> str:
    """A type as a recipe's author would say it."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        return " | ".join(str(value) for value in arguments)
    if origin in (Union, types.UnionType):
        return " | ".join(_type(argument) for argument in arguments)
    if origin is tuple:
        return f"list of {_type(arguments[0])}"
    if origin is dict:
        return "mapping"
    name: str = annotation.__name__
    return NAMES.get(name, name)


if __name__ == "__main__":
    print(keys_markdown(), end="")
