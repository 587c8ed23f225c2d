"""JSON that a stranger wrote: read with bounds on size, depth and numbers, then checked against a schema.

Whatever is wrong gives one UserError that names the file and the place in it, and quotes at most 60 characters.
"""

import json
import math
import os
import re
import stat
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, ClassVar, NoReturn, Self

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator
from pydantic_core import from_json

from l2t_hub.artifacts import write_bytes
from l2t_hub.errors import UserError, nearest
from l2t_hub.records.repo_path import inside
from l2t_hub.records.requirement import requirement

MAX_BYTES = 64_000_000
MAX_DEPTH = 100
# Bounds memory: an empty object takes 3 bytes of JSON and 70 of memory. The largest honest records have 3 million.
MAX_VALUES = 8_000_000
MAX_INTEGER = 2**64 - 1
# The one larger number that is let through: transformers writes it where a tokenizer has no maximum length.
NO_MAXIMUM_LENGTH = int(1e30)
_MAX_KEYS = 100
_SHOWN = 60


class Record(BaseModel):
    """A schema of this room: frozen, strict, and closed to keys it does not know.

    An unknown key is an error. A new key means a new `format`, so that a reader never skips what it does not know.
    """

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", use_attribute_docstrings=True)

    @model_validator(mode="before")
    @classmethod
    def _few_keys(cls, tree: Any) -> Any:
        # A million unknown keys would give a million errors.
        if isinstance(tree, dict) and len(tree) > _MAX_KEYS:
            raise ValueError(f"{len(tree):,} keys, where a record has at most {_MAX_KEYS}")
        return tree


class FileRecord(Record):
    """A record that is a separate file and has a `format`.

    `FILE` is its name, `WHAT` what a sentence calls it, `REMEDY` what to do about a broken one, `INDENT` its layout.
    """

    FILE: ClassVar[str]
    WHAT: ClassVar[str]
    REMEDY: ClassVar[str]
    FORMAT: ClassVar[int] = 1
    INDENT: ClassVar[int | None] = None

    @classmethod
    def parse(cls, content: bytes, where: str) -> Self:
        """Check the bytes of a record; `where` names their file. Raises UserError."""
        tree = parse_json(content, where, cls.WHAT, cls.REMEDY)
        if not isinstance(tree, dict):
            raise UserError(f"{where}: cannot be read as {cls.WHAT}: it is not a JSON object", cls.REMEDY)
        known, written = cls.FORMAT, tree.get("format", cls.FORMAT)
        if type(written) is int and written > known:
            raise UserError(f"{where}: format {written}; this version reads {known}", "Update l2t_hub.")
        try:
            return cls.model_validate(tree)
        except ValidationError as error:
            raise UserError(
                f"{where}: cannot be read as {cls.WHAT}: {explain(error, cls)}", cls.REMEDY
            ) from None

    @classmethod
    def read(cls, directory: Path, name: str | None = None) -> Self:
        """Read the record of a directory, which errors call `name` or else by its path.

        Raises UserError if the record is missing, malformed, or a symlink that leads out of the directory.
        """
        path = inside(directory, cls.FILE)
        return cls.parse(read_bounded(path), f"{name}: {cls.FILE}" if name else str(path))

    @classmethod
    def find(cls, directory: Path, name: str | None = None) -> Self | None:
        """Read the record of a directory as `read` does; None if there is none."""
        return cls.read(directory, name) if os.path.lexists(directory / cls.FILE) else None

    def as_dict(self) -> dict[str, Any]:
        """Return the JSON tree of the record, in the order of its file."""
        return self.model_dump(mode="json", exclude_unset=True)

    def content(self) -> bytes:
        """Return the bytes of the file."""
        return (json.dumps(self.as_dict(), indent=self.INDENT, ensure_ascii=False) + "\n").encode()

    def write(self, directory: Path) -> None:
        """Write the record of a directory. Raises UserError if it is too large to be read, or if writing fails."""
        content = self.content()
        if len(content) > MAX_BYTES:
            raise UserError(
                f"{directory / self.FILE}: it would be larger than {MAX_BYTES // 1_000_000} MB",
                "Use fewer partitions: `build.partitions`.",
            )
        write_bytes(directory / self.FILE, content)


def read_json(path: Path) -> Any:
    """Read a JSON file with the bounds of `parse_json`. Raises UserError."""
    return parse_json(read_bounded(path), str(path))


def read_bounded(path: Path, limit: int = MAX_BYTES) -> bytes:
    """Read a plain file of at most `limit` bytes. Raises UserError for anything else, without waiting on a pipe."""
    try:
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise UserError(f"{path}: cannot be read: not a plain file")
            content = file.read(limit + 1)
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror or error}") from None
    if len(content) > limit:
        raise UserError(f"{path}: larger than the {limit // 1_000_000} MB that a record may have")
    return content


def parse_json(content: bytes, where: str, what: str | None = None, hint: str | None = None) -> Any:
    """Parse JSON: UTF-8 without lone surrogates, at most 64 MB, 100 levels and 8 million values, no key twice.

    Numbers are finite; whole ones fit 64 bits. `where` names the file in errors, `what` what it should be. Raises
    UserError.
    """

    def refuse(problem: str) -> NoReturn:
        raise UserError(f"{where}: cannot be read{f' as {what}' if what else ''}: {problem}", hint)

    if len(content) > MAX_BYTES:
        refuse(f"it is larger than {MAX_BYTES // 1_000_000} MB")
    if sum(content.count(mark) for mark in (b",", b"[", b"{")) > MAX_VALUES:
        refuse(f"it has more than {MAX_VALUES:,} values")
    try:
        # Refuses bad UTF-8, lone surrogates, NaN, Infinity and more than 200 levels, and says where.
        from_json(content, allow_inf_nan=False, cache_strings=False)
    except ValueError as error:
        refuse(f"not valid JSON: {error}")
    tree = json.loads(
        content.decode(),
        object_pairs_hook=lambda pairs: _object(pairs, refuse),
        parse_int=lambda text: _integer(text, refuse),
        parse_float=lambda text: _number(text, refuse),
    )
    if _is_deep(tree):
        refuse(f"it is nested more than {MAX_DEPTH} deep")
    return tree


def _object(pairs: list[tuple[str, Any]], refuse: Callable[[str], NoReturn]) -> dict[str, Any]:
    tree: dict[str, Any] = {}
    for key, value in pairs:
        if key in tree:
            refuse(f"the key {quoted(key)} is there twice")
        tree[key] = value
    return tree


def _integer(text: str, refuse: Callable[[str], NoReturn]) -> int:
    if len(text) > 31 or (abs(int(text)) > MAX_INTEGER and int(text) != NO_MAXIMUM_LENGTH):
        refuse(f"the number {quoted(text)} is too large")
    return int(text)


def _number(text: str, refuse: Callable[[str], NoReturn]) -> float:
    if not math.isfinite(float(text)):
        refuse(f"the number {quoted(text)} is too large")
    return float(text)


def _is_deep(tree: Any) -> bool:
    level = [tree]
    for _ in range(MAX_DEPTH):
        level = [child for node in level for child in _children(node) if isinstance(child, dict | list)]
        if not level:
            return False
    return True


def _children(node: Any) -> Iterable[Any]:
    if isinstance(node, dict):
        return node.values()
    return node if isinstance(node, list) else ()


def explain(error: ValidationError, model: type[BaseModel]) -> str:
    """Say in one sentence what the first problem of a record is, and where: "shards[3].rows: ..."."""
    problem = error.errors(include_url=False)[0]
    place = re.sub(r"\.\[", "[", ".".join(_step(part) for part in problem["loc"])) or "the record"
    kind = problem["type"]
    if kind == "missing":
        return f"{place} is missing"
    if kind == "extra_forbidden":
        guess = nearest(str(problem["loc"][-1]), model.model_fields) if len(problem["loc"]) == 1 else ""
        return f"unknown key {place}{f'. {guess}' if guess.startswith('Did') else ''}"
    if kind == "value_error":
        return f"{place}: {problem['ctx']['error']}"
    value = problem["input"]
    given = "" if isinstance(value, dict | list) else f", not {quoted(value)}"
    return f"{place} must be {requirement(problem)}{given}"


def _step(part: int | str) -> str:
    if isinstance(part, int):
        return f"[{part}]"
    return part if re.fullmatch(r"[\w./-]{1,60}", part) else quoted(part)


def quoted(value: object) -> str:
    """Show a value of a record in a sentence: escaped, and cut off after 60 characters."""
    text = repr(value[: _SHOWN + 1] if isinstance(value, str) else value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
