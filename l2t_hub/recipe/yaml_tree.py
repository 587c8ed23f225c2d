"""Read YAML as a tree of dicts together with the file and line of every key, for error messages."""

import re
from pathlib import Path
from typing import Any

import yaml

from l2t_hub.errors import UsageError

Tree = dict[str, Any]
Locations = dict[str, str]
"""Dotted key -> "file:line"."""


class _Loader(yaml.SafeLoader):
    """YAML 1.1 as PyYAML reads it, except that `3e-4` is a number."""


_Loader.yaml_implicit_resolvers = {k: list(v) for k, v in yaml.SafeLoader.yaml_implicit_resolvers.items()}
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"^[-+]?\d+(\.\d*)?[eE][-+]?\d+$"), list("-+0123456789")
)


def parse(text: str, origin: str) -> tuple[Tree, Locations]:
    """Parse a YAML mapping. Returns it with the location of each key, as "origin:line".

    Raises UsageError if the text is not YAML, is not a mapping, or sets a key twice.
    """
    loader = _Loader(text)
    try:
        node = loader.get_single_node()
        if node is None:
            raise UsageError(f"{origin}: the file is empty", "A recipe needs at least `name` and `source`.")
        if not isinstance(node, yaml.MappingNode):
            raise UsageError(
                f"{origin}:{node.start_mark.line + 1}: a recipe must be a mapping of keys to values"
            )
        locations: Locations = {}
        _locate(node, "", origin, locations)
        return loader.construct_document(node), locations
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise UsageError(f"{origin}:{line}: not valid YAML: {error.problem}") from None
    except yaml.YAMLError as error:
        raise UsageError(f"{origin}: not valid YAML: {error}") from None
    finally:
        loader.dispose()


def parse_value(text: str, origin: str) -> Any:
    """Parse any YAML value. Raises UsageError if the text is not YAML."""
    try:
        return yaml.load(text, _Loader)
    except yaml.YAMLError as error:
        raise UsageError(f"{origin}: not valid YAML: {getattr(error, 'problem', error)}") from None


def read(path: Path) -> tuple[Tree, Locations]:
    """Parse a YAML file as `parse` does. Raises UsageError if it cannot be read."""
    try:
        return parse(path.read_text(encoding="utf-8"), str(path))
    except UnicodeDecodeError as error:
        raise UsageError(f"{path}: not UTF-8 at byte {error.start}") from None
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}") from None


def merge(base: Tree, top: Tree) -> Tree:
    """Merge `top` into `base`: mappings key by key; any other value of `top` replaces that of `base`."""
    merged = dict(base)
    for key, value in top.items():
        old = merged.get(key)
        merged[key] = merge(old, value) if isinstance(old, dict) and isinstance(value, dict) else value
    return merged


def _locate(node: yaml.MappingNode, prefix: str, origin: str, locations: Locations) -> None:
    """Add the locations of a mapping's keys to `locations`. Raises UsageError for a key that is set twice."""
    for key_node, value_node in node.value:
        key = f"{prefix}{key_node.value}"
        location = f"{origin}:{key_node.start_mark.line + 1}"
        if key in locations:
            raise UsageError(
                f"{location}: `{key}` is set twice (first at {locations[key]})", "Keep one of them."
            )
        locations[key] = location
        if isinstance(value_node, yaml.MappingNode):
            _locate(value_node, f"{key}.", origin, locations)
