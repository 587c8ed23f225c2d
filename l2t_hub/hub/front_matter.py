"""The front matter of a card: the YAML metadata between two `---` lines at the top of a README.md."""

from pathlib import Path
from typing import Any

import yaml

from l2t_hub.errors import UserError
from l2t_hub.records.reading import read_bounded

# PyYAML reads about 100 kB a second. Aliases can make a small file expand to billions of nodes.
MAX_CARD_BYTES = 10_000_000
MAX_BYTES = 256_000
MAX_NODES = 200_000
RESULTS_KEY = "l2t_results"
"""Key of a Space's card for the results datasets that its page shows; a Hub keeps keys that it does not know."""


def load_front_matter(card: Path, name: str | None = None) -> dict[str, Any]:
    """Return the front matter of a card, {} if it has none. `name` is what errors call the file (default: its path).

    Raises UserError if the file cannot be read, the front matter is not a YAML mapping, or it is too large to load.
    """
    from huggingface_hub import metadata_load

    name = name or str(card)
    try:
        _check_size(card)
        metadata: dict[str, Any] | None = metadata_load(card)
    except UnicodeDecodeError:
        raise UserError(f"{name}: not UTF-8") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f":{mark.line + 2}" if mark else ""
        problem = getattr(error, "problem", None) or error
        raise UserError(f"{name}{line}: the front matter is not valid YAML: {problem}") from None
    except RecursionError:
        raise UserError(f"{name}: the front matter is nested too deeply") from None
    except ValueError as error:
        problem = "it must be a mapping of keys to values" if "be a dict" in str(error) else str(error)
        raise UserError(f"{name}: the front matter is not valid: {problem}") from None
    return metadata or {}


def _check_size(card: Path) -> None:
    """Raise ValueError if loading the front matter could take long: it is large, or its aliases expand to much."""
    from huggingface_hub.repocard import REGEX_YAML_BLOCK

    match = REGEX_YAML_BLOCK.search(read_bounded(card, MAX_CARD_BYTES).decode("utf-8-sig"))
    text = match.group(2) if match else ""
    if len(text.encode()) > MAX_BYTES:
        raise ValueError(f"it is larger than {MAX_BYTES // 1000} kB")
    if "&" in text and "*" in text and _expanded_nodes(yaml.compose(text), {}) > MAX_NODES:
        raise ValueError(f"its aliases expand to more than {MAX_NODES:,} values")


def _expanded_nodes(node: yaml.Node | None, known: dict[int, int]) -> int:
    """Return the number of nodes under `node` with aliases replaced; a node that contains itself has too many."""
    if not isinstance(node, yaml.CollectionNode):
        return 1
    if id(node) not in known:
        known[id(node)] = MAX_NODES + 1  # stays while the node's children are counted: finds cycles
        children = [child for item in node.value for child in (item if isinstance(item, tuple) else (item,))]
        known[id(node)] = 1 + sum(_expanded_nodes(child, known) for child in children)
    return known[id(node)]
