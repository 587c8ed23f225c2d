"""What a value must be, in words: pydantic's errors for the readers of recipes and records."""

from collections.abc import Mapping
from typing import Any

# By pydantic's type of error. Names in braces are the limits that its context holds.
_REQUIREMENTS = {
    "bool_type": "true or false",
    "dict_type": "a mapping of keys to values",
    "finite_number": "a finite number",
    "float_type": "a number",
    "greater_than": "greater than {gt:,}",
    "greater_than_equal": "at least {ge:,}",
    "int_from_float": "an integer",
    "int_type": "an integer",
    "less_than": "less than {lt:,}",
    "less_than_equal": "at most {le:,}",
    "list_type": "a list",
    "literal_error": "{expected}",
    "model_type": "a mapping of keys to values",
    "string_too_long": "text of at most {max_length:,} characters",
    "string_too_short": "text of at least {min_length:,} characters",
    "string_type": "text",
    "string_unicode": "valid Unicode text",
    "too_long": "a list or mapping with at most {max_length:,} items",
    "too_short": "a list with at least {min_length:,} items",
    "tuple_type": "a list",
}
_PATTERNS = {
    r"^[0-9a-f]{64}$": "64 hexadecimal digits",
    r"^[0-9a-f]{40}([0-9a-f]{24})?$": "a commit, 40 or 64 hexadecimal digits",
    r"^[A-Za-z0-9][A-Za-z0-9._-]{0,95}$": (
        "1 to 96 letters, digits, '.', '_' or '-', starting with a letter or digit"
    ),
    r"^[^\p{C}\p{Zl}\p{Zp}]{0,200}$": "text of at most 200 characters without control characters",
    r"^[^\p{C}\p{Zl}\p{Zp}]+$": "one line of text without control characters",
    r"^[A-Za-z0-9][\w.-]{0,59}$": "1 to 60 letters, digits, '.', '_' or '-', starting with a letter or digit",
    r"^[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}$": "the name of a repository, `namespace/name`",
    r"^(read|assign|document|block|make|fit|tokens|pack)$": "the name of a stage of the build",
    r"^[a-z][a-z0-9-]{0,63}$": "an option of sbatch without its dashes, in lower case",
    r"^[A-Za-z0-9][A-Za-z0-9._,:@+/=-]{0,199}$": "1 to 200 letters, digits or any of ._,:@+/=-",
    r"^[A-Za-z0-9._,:@+/=&|()\[\]*!%-]{0,300}$": "at most 300 letters, digits or any of ._,:@+/=&|()[]*!%-",
}


def requirement(problem: Mapping[str, Any]) -> str:
    """Return what the value of a problem (an item of `ValidationError.errors()`) must be: "at least 1"."""
    kind, limits = problem["type"], problem.get("ctx", {})
    if kind == "string_pattern_mismatch":
        return _PATTERNS.get(limits["pattern"], f"text of the form {limits['pattern']}")
    words = _REQUIREMENTS.get(kind)
    if words is None:
        return str(problem["msg"]).removeprefix("Input should be ").removeprefix("Value error, ")
    whole = {
        name: int(limit) if isinstance(limit, float) and limit.is_integer() else limit
        for name, limit in limits.items()
    }
    return words.format(**whole).replace("at least 1 items", "at least one item")
