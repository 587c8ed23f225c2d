"""YAML as a plain tree plus the place of every key, so that an error can name file and line."""

import re
from pathlib import Path
from typing import Any

import yaml

from l2t_hub.errors import UsageError

Tree = dict[str, Any]
Places = dict[str, str]


class _Loader(yaml.SafeLoader):
    """YAML 1.1 as PyYAML reads it, except that `3e-4` is the number everybody means by it."""


_Loader.yaml_implicit_resolvers = {k: list(v) for k, v in yaml.SafeLoader.yaml_implicit_resolvers.items()}
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"^[-+]?\d+(\.\d*)?[eE][-+]?\d+$"), list("-+0123456789")
)


def parse(text: str, origin: str) -> tuple[Tree, Places]:
    """Parse one YAML mapping; `places` maps each dotted key to "origin:line".

    Raises UsageError for text that is no YAML, no mapping, or that sets a key twice.
    """
    loader = _Loader(text)
    try:
        node = loader.get_single_node()
        if node is None:
            raise UsageError(f"{origin}: the file is empty", "A recipe needs at least `name` and `source`.")
        if not isinstance(node, yaml.MappingNode):
            raise UsageError(f"{origin}:{node.start_mark.line + 1}: a recipe is a mapping of keys to values")
        places: Places = {}
        _walk(node, "", origin, places)
        return loader.construct_document(node), places
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise UsageError(f"{origin}:{line}: not valid YAML: {error.problem}") from None
    except yaml.YAMLError as error:
        raise UsageError(f"{origin}: not valid YAML: {error}") from None
    finally:
        loader.dispose()


def read(path: Path) -> tuple[Tree, Places]:
    """Parse a YAML file; UsageError if it cannot be read, with the places of its keys otherwise."""
    try:
        return parse(path.read_text(encoding="utf-8"), str(path))
    except UnicodeDecodeError as error:
        raise UsageError(f"{path}: not UTF-8 at byte {error.start}") from None
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}") from None


def merge(base: Tree, top: Tree) -> Tree:
    """Lay `top` over `base`: mappings key by key, everything else as a whole."""
    merged = dict(base)
    for key, value in top.items():
        below = merged.get(key)
        merged[key] = merge(below, value) if isinstance(below, dict) and isinstance(value, dict) else value
    return merged


def _walk(node: yaml.MappingNode, prefix: str, origin: str, places: Places) -> None:
    for key_node, value_node in node.value:
        key = f"{prefix}{key_node.value}"
        place = f"{origin}:{key_node.start_mark.line + 1}"
        if key in places:
            raise UsageError(f"{place}: `{key}` is set twice (first at {places[key]})", "Keep one of them.")
        places[key] = place
        if isinstance(value_node, yaml.MappingNode):
            _walk(value_node, f"{key}.", origin, places)
