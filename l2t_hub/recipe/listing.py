"""Recipes as text: a resolved recipe as YAML, its mixture in words, and the table of recipe keys."""

import types
from inspect import getdoc
from typing import Any, Literal, Union, get_args, get_origin

import yaml
from pydantic import BaseModel
from rich.table import Table

from l2t_hub.console import WholeTable
from l2t_hub.errors import UsageError, nearest
from l2t_hub.recipe.schema import MixtureSection, Recipe
from l2t_hub.recipe.section import section_of

_TYPE_NAMES = {
    "NoneType": "null",
    "str": "text",
    "int": "integer",
    "float": "number",
    "bool": "true or false",
}


def scheme_text(mixture: MixtureSection) -> str:
    """Return a mixture in a few words, such as "disjoint, 50% of documents raw"."""
    if mixture.scheme == "disjoint":
        return f"disjoint, {mixture.raw_share:.0%} of {mixture.unit} raw"
    return f"single: {mixture.task}" if mixture.scheme == "single" else mixture.scheme


def tree(recipe: Recipe) -> dict[str, Any]:
    """Return the resolved recipe, including its sections `cluster` and `data`."""
    return {**recipe.resolved(), **recipe.model_dump(mode="json", include={"cluster", "data"})}


def as_yaml(recipe: Recipe) -> str:
    """Return the resolved recipe as YAML, which loads as the same recipe."""
    return yaml.safe_dump(tree(recipe), sort_keys=False, allow_unicode=True, width=100)


def keys(section: str | None = None) -> list[dict[str, Any]]:
    """Return key, type, default and meaning of every key of the schema, or of one section.

    Raises UsageError for an unknown section.
    """
    rows = _rows(Recipe, "")
    if section is None:
        return rows
    chosen = [row for row in rows if row["key"] == section or row["key"].startswith(f"{section}.")]
    if not chosen:
        sections = [name for name, field in Recipe.model_fields.items() if section_of(field.annotation)]
        raise UsageError(f"unknown section '{section}'. {nearest(section, sections)}")
    return chosen


def keys_table(rows: list[dict[str, Any]]) -> Table:
    """Return the keys as a table."""
    table = WholeTable("key", "type", "default", "meaning", header_style="bold")
    for row in rows:
        table.add_row(row["key"], row["type"], row["default"], row["meaning"])
    return table


def keys_markdown() -> str:
    """Return `docs/recipe.md`: the keys in one table per section."""
    text = [
        "# Recipe keys",
        "",
        "Generated from `l2t_hub/recipe/schema.py` by `python -m l2t_hub.recipe.listing`. Do not edit.",
    ]
    previous = None
    for row in sorted(keys(), key=lambda row: "." in row["key"]):
        section = row["key"].rpartition(".")[0]
        if section != previous:
            model = section_of(Recipe.model_fields[section].annotation) if section else Recipe
            text += [
                f"\n## {section or 'Top level'}\n\n{getdoc(model)}\n",
                "| key | type | default | meaning |",
                "|---|---|---|---|",
            ]
            previous = section
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
        section = section_of(field.annotation)
        if section is not None:
            rows += _rows(section, f"{prefix}{name}.")
            continue
        default = "required" if field.is_required() else _yaml(field.default)
        meaning = " ".join((field.description or "").split())
        rows.append(
            {"key": prefix + name, "type": _type(field.annotation), "default": default, "meaning": meaning}
        )
    return rows


def _yaml(value: Any) -> str:
    """Return a value as YAML on one line."""
    text: str = yaml.safe_dump(
        list(value) if isinstance(value, tuple) else value, default_flow_style=True, width=1000
    )
    return text.removesuffix("\n").removesuffix("\n...").strip()


def _type(annotation: Any) -> str:
    """Return a type in words, such as "list of text | null"."""
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
    return _TYPE_NAMES.get(name, name)


if __name__ == "__main__":
    print(keys_markdown(), end="")
