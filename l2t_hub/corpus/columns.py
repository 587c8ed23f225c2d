"""The columns of a source, and how to find a column by its (dotted) name in Parquet and in JSON."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from l2t_hub.errors import UsageError, nearest


@dataclass(frozen=True)
class Columns:
    """Names of the columns to read; a dotted name refers to a nested column.

    `stop` says whether a record that cannot be read stops the build. `where` maps the recipe keys of the
    columns to their location in the recipe, for error messages. `languages` has the code of each language by the ways
    to write it in the column `language`.
    """

    text: str
    id: str | None
    token_count: str | None
    stop: bool
    where: dict[str, str]
    language: str | None = None
    languages: Mapping[str, str] = field(default_factory=dict)


def named_columns(columns: Columns) -> list[tuple[str, str]]:
    """Return (recipe key, column) for every column that the recipe names."""
    pairs = [
        ("text_column", columns.text),
        ("id_column", columns.id),
        ("token_count_column", columns.token_count),
        ("language_column", columns.language),
    ]
    return [(key, name) for key, name in pairs if name is not None]


def missing_column(where: str, key: str, name: str, known: list[str] | set[str]) -> UsageError:
    """Return the error for a column that is not in the source; `where` names the recipe's line and the file."""
    hint = (
        "Set source.id_column: null to number the documents by file and row." if key == "id_column" else None
    )
    return UsageError(f"{where} has no column '{name}'. {nearest(name, known)}", hint)


def field_of(schema: pa.Schema, name: str) -> pa.Field | None:
    """Return the column with a name, or the nested column with a dotted name; None if there is none."""
    if name in schema.names:
        return schema.field(name)
    head, *rest = name.split(".")
    field = schema.field(head) if rest and head in schema.names else None
    for part in rest:
        if field is None or not pa.types.is_struct(field.type) or field.type.get_field_index(part) < 0:
            return None
        field = field.type.field(part)
    return field


def field_names(fields: Any, prefix: str = "") -> list[str]:
    """Return the names of all columns of a schema, nested ones dotted."""
    names: list[str] = []
    for each in fields:
        names.append(prefix + each.name)
        if pa.types.is_struct(each.type):
            nested = [each.type.field(i) for i in range(each.type.num_fields)]
            names += field_names(nested, f"{names[-1]}.")
    return names


def is_text(kind: pa.DataType) -> bool:
    """Whether an Arrow type holds text, or bytes that may be text."""
    tests = (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view, pa.types.is_binary)
    return any(test(kind) for test in (*tests, pa.types.is_large_binary))


def array_of(batch: Any, name: str) -> pa.Array:
    """Return a (dotted) column of a record batch; the fields of a null struct are null."""
    if name in batch.schema.names:
        return batch.column(name)
    head, *rest = name.split(".")
    array = batch.column(head)
    for part in rest:
        index = array.type.get_field_index(part)
        array = array.flatten()[index]
    return array


def value_of(record: dict[str, Any], name: str) -> Any:
    """Return a (dotted) value of a JSON record, or None if it is missing."""
    if name in record:
        return record[name]
    value: Any = record
    for part in name.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return value


def key_names(record: Any, prefix: str = "") -> set[str]:
    """Return the dotted names of all keys of a JSON record."""
    names: set[str] = set()
    for key, value in record.items() if isinstance(record, dict) else ():
        names.add(prefix + key)
        names |= key_names(value, f"{prefix}{key}.")
    return names
