"""What a build will make, decided before it starts: a key per partition, and the reasons why an old one is stale.

A partition's key is the hash of everything that decides its bytes: the recipe's keys for data, the digests of what it
reads, the tokenizer, the versions of the libraries, the package's code and a user's own task modules.
"""

import hashlib
import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from l2t_hub.corpus.source import Source, digest
from l2t_hub.dataset.manifest import made_by
from l2t_hub.recipe import Recipe
from l2t_hub.recipe.schema import LOCATION_KEYS, SCOPES, UNFINGERPRINTED_KEYS
from l2t_hub.tasks.registry import ENTRY_POINTS


@dataclass(frozen=True)
class BuildKeys:
    """`keys` by partition, of `inputs`, `tools` and `modules`; `made_from` spells out what they hash."""

    fingerprint: str
    keys: tuple[str, ...]
    inputs: tuple[str, ...]
    tools: dict[str, str]
    modules: dict[str, str]
    made_from: dict[str, Any]


def build_keys(
    recipe: Recipe, source: Source, tokenizer_sha256: str, threshold: float | None = None
) -> BuildKeys:
    """Decide the keys of a build. `threshold` is what a raw share in tokens came to (`share.py`)."""
    count = recipe.build.partitions
    inputs = tuple(digest(source.inputs(n)) for n in range(count))
    tools = made_by(recipe.blocks.sentences)
    modules = module_digests(recipe.mixture.modules)
    keys = tuple(
        digest(
            {
                "recipe": recipe.fingerprint("data", source=one, tokenizer=tokenizer_sha256),
                "partition": n,
                "made by": tools,
                "modules": modules,
                **({} if threshold is None else {"threshold": threshold}),
            }
        )
        for n, one in enumerate(inputs)
    )
    whole = recipe.fingerprint(
        "data",
        source=digest(source.contents),
        tokenizer=tokenizer_sha256,
        **{"modules": digest(modules)} if modules else {},
    )
    told = made_from(recipe, source.contents, tokenizer_sha256, tools, modules)
    return BuildKeys(whole, keys, inputs, tools, modules, told)


def made_from(
    recipe: Recipe,
    contents: Mapping[str, str],
    tokenizer: str,
    tools: Mapping[str, str],
    modules: Mapping[str, str],
) -> dict[str, Any]:
    """What a dataset is made from, spelled out in groups that `reasons` compares."""
    return {
        "recipe": _data_keys(recipe),
        "source file": dict(contents),
        "tokenizer": {"contents": tokenizer},
        "version of": dict(tools),
        "task module": dict(modules),
    }


def reasons(before: Mapping[str, Any] | None, now: Mapping[str, Any]) -> list[str]:
    """Say what differs between two `made_from`: one line each, the old value and the new where they are short."""
    lines: list[str] = []
    for group in now if before else ():
        old, new = (before or {}).get(group, {}), now[group]
        for key in sorted({*old, *new}):
            a, b = old.get(key), new.get(key)
            if a != b:
                lines.append(_difference(group, key, a, b))
    return lines


def module_digests(modules: tuple[str, ...]) -> dict[str, str]:
    """SHA-256 of the files of a user's task modules (known to load), by the name the recipe gives them."""
    digests: dict[str, str] = {}
    for module in modules:
        path = Path(module)
        if not module.endswith(".py"):
            points = {point.name: point.module for point in entry_points(group=ENTRY_POINTS)}
            spec = importlib.util.find_spec(points.get(module, module))
            path = Path(spec.origin) if spec is not None and spec.origin else path
        if path.is_file():
            digests[module] = hashlib.sha256(path.read_bytes()).hexdigest()
    return digests


def _data_keys(recipe: Recipe) -> dict[str, Any]:
    """The recipe's keys that decide data, dotted; where the source lies is known by its content."""
    tree = recipe.resolved()
    keys: dict[str, Any] = {"seed": tree["seed"]}
    for section in SCOPES["data"]:
        for key, value in tree[section].items():
            if section == "source" and key in LOCATION_KEYS | UNFINGERPRINTED_KEYS["source"]:
                continue
            keys[f"{section}.{key}"] = value
    return keys


def _difference(group: str, key: str, old: Any, new: Any) -> str:
    name = key if group == "recipe" else f"{group} {key}"
    if old is None and group != "recipe":
        return f"{name} is new"
    if new is None and group != "recipe":
        return f"{name} is gone"
    if group in ("recipe", "version of"):
        return f"{name} was {old}, is {new}"
    return f"{name} changed"
