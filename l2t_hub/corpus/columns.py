"""Which columns of a record hold what, and how a (dotted) column is found in Parquet and in JSON."""

from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from l2t_hub.errors import UsageError, nearest


@dataclass(frozen=True)
class Columns:
    """Which columns hold what (dotted for nested ones), and what a record that cannot be read does.

    `where` maps each of the recipe keys text_column, id_column and token_count_column to its place in the recipe.
    """

    text: str
    id: str | None
    token_count: str | None
    stop: bool
    where: dict[str, str]


def named(columns: Columns) -> list[tuple[str, str]]:
    """The columns a recipe names, as (recipe key, column)."""
    pairs = [
        ("text_column", columns.text),
        ("id_column", columns.id),
        ("token_count_column", columns.token_count),
    ]
    return [(key, name) for key, name in pairs if name is not None]


def no_id(key: str) -> str | None:
    """What to do about a missing id column."""
    return (
        "Set source.id_column: null to number the documents by file and row." if key == "id_column" else None
    )


def field_of(schema: pa.Schema, name: str, where: str) -> pa.Field:
    """Find a column by its name, or a nested one by its dotted name."""
    if name in schema.names:
        return schema.field(name)
    head, *rest = name.split(".")
    field = schema.field(head) if head in schema.names else None
    for part in rest if field is not None else ():
        inner = field.type if field is not None else None
        known = inner is not None and pa.types.is_struct(inner) and inner.get_field_index(part) >= 0
        field = inner.field(part) if known and inner is not None else None
    if field is None or (not rest and head not in schema.names):
        key = where.rpartition("id_column")[1]
        raise UsageError(
            f"{where} has no column '{name}'. {nearest(name, _schema_paths(schema))}", no_id(key)
        )
    return field


def _schema_paths(fields: Any, prefix: str = "") -> list[str]:
    names: list[str] = []
    for field in fields:
        names.append(prefix + field.name)
        if pa.types.is_struct(field.type):
            names += _schema_paths(
                [field.type.field(i) for i in range(field.type.num_fields)], f"{names[-1]}."
            )
    return names


def is_text(kind: pa.DataType) -> bool:
    """Whether an Arrow type holds text, or bytes that may be text."""
    tests = (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view, pa.types.is_binary)
    return any(test(kind) for test in (*tests, pa.types.is_large_binary))


def values(batch: Any, name: str) -> pa.Array:
    """A column of a batch by its (dotted) name; a null struct has null fields."""
    if name in batch.schema.names:
        return batch.column(name)
    head, *rest = name.split(".")
    array = batch.column(head)
    for part in rest:
        index = array.type.get_field_index(part)
        array = array.flatten()[index]
    return array


def get(record: dict[str, Any], name: str) -> Any:
    """A value of a JSON record by its (dotted) name; None where it is missing."""
    if name in record:
        return record[name]
    value: Any = record
    for part in name.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return value


def paths(record: Any, prefix: str = "") -> set[str]:
    """The dotted names of everything in a JSON record."""
    names: set[str] = set()
    for key, value in record.items() if isinstance(record, dict) else ():
        names.add(prefix + key)
        names |= paths(value, f"{prefix}{key}.")
    return names
