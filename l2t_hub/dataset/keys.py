"""The keys of partitions, decided before a build starts, and the reasons why an earlier result is stale.

A partition's key is the hash of everything that decides its bytes: the data keys of the recipe, the digests of what
it reads, the tokenizer, the versions of the libraries, the package's code and a user's own task modules.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from l2t_hub.corpus.source import Source, digest
from l2t_hub.dataset.manifest import OWN_LANGUAGE, made_by
from l2t_hub.dataset.task_modules import TaskModules, read_task_modules
from l2t_hub.recipe import Recipe
from l2t_hub.recipe.schema import LOCATION_KEYS, SCOPES, UNFINGERPRINTED_KEYS, tree_fingerprint
from l2t_hub.records.dataset_manifest import Manifest
from l2t_hub.text import counted


@dataclass(frozen=True)
class BuildKeys:
    """The keys of a build. `inputs` are the digests of what each partition reads.

    `versions` and `modules` identify the code; `ingredients` spells out everything hashed.
    """

    fingerprint: str
    partition_keys: tuple[str, ...]
    inputs: tuple[str, ...]
    versions: dict[str, str]
    modules: TaskModules
    ingredients: dict[str, Any]


def build_keys(
    recipe: Recipe, source: Source, tokenizer_sha256: str, threshold: float | None = None
) -> BuildKeys:
    """Return the keys of a build. `threshold` is the solution of a raw share that counts tokens (`raw_share.py`)."""
    inputs = tuple(digest(source.inputs(rank)) for rank in range(recipe.build.partitions))
    versions = made_by(recipe)
    modules = read_task_modules(recipe.mixture.modules)
    tree, code = modules.recorded(recipe.resolved()), modules.digests
    fingerprint, partition_keys = hashed_keys(
        tree, source.contents, inputs, tokenizer_sha256, versions, code, threshold
    )
    spelled_out = ingredients(recipe, source.contents, tokenizer_sha256, versions, code)
    return BuildKeys(fingerprint, partition_keys, inputs, versions, modules, spelled_out)


def hashed_keys(
    tree: Mapping[str, Any],
    contents: Mapping[str, str],
    inputs: Sequence[str],
    tokenizer_sha256: str,
    versions: Mapping[str, str],
    modules: Mapping[str, str],
    threshold: float | None,
) -> tuple[str, tuple[str, ...]]:
    """Return the fingerprint of a dataset and the keys of its partitions, from facts that its manifest has."""
    code = code_contents([str(name) for name in tree["mixture"]["modules"]], modules)
    partition_keys = tuple(
        digest(
            {
                "recipe": tree_fingerprint(
                    tree, "data", source=input_digest, tokenizer=tokenizer_sha256, **code
                ),
                "partition": rank,
                "made by": dict(versions),
                **({} if threshold is None else {"threshold": threshold}),
            }
        )
        for rank, input_digest in enumerate(inputs)
    )
    own = {name: value for name, value in versions.items() if name.startswith(OWN_LANGUAGE)}
    code = {**code, **({"languages": digest(own)} if own else {})}
    whole = tree_fingerprint(tree, "data", source=digest(dict(contents)), tokenizer=tokenizer_sha256, **code)
    return whole, partition_keys


def key_problems(manifest: Manifest) -> list[str]:
    """Say where a manifest's fingerprint or keys do not follow from the recipe, source and code that it names."""
    solved = manifest.mixture["solved"]
    fingerprint, keys = hashed_keys(
        manifest.recipe,
        manifest.source["contents"],
        [partition.inputs for partition in manifest.partitions],
        manifest.tokenizer.sha256,
        manifest.made_by,
        manifest.modules,
        solved["threshold"] if solved else None,
    )
    problems = []
    if fingerprint != manifest.fingerprint:
        problems.append(
            f"fingerprint: it is {manifest.fingerprint[:12]}..., but recipe, source, tokenizer and modules give "
            f"{fingerprint[:12]}..."
        )
    wrong = [
        n for n, (part, key) in enumerate(zip(manifest.partitions, keys, strict=True)) if part.key != key
    ]
    if wrong:
        problems.append(
            f"partition {wrong[0]}: its key does not follow from the manifest ({counted(len(wrong), 'such key')})"
        )
    return problems


def code_contents(names: Sequence[str], digests: Mapping[str, str]) -> dict[str, str]:
    """Return what stands for the task modules in a fingerprint: {} without any, and of a file only its content."""
    identity = [["" if name.endswith(".py") else name, digests.get(name, "")] for name in names]
    return {"modules": digest(identity)} if identity else {}


def ingredients(
    recipe: Recipe,
    contents: Mapping[str, str],
    tokenizer_sha256: str,
    versions: Mapping[str, str],
    modules: Mapping[str, str],
) -> dict[str, Any]:
    """Return everything that a dataset is made from, in groups that `stale_reasons` compares."""
    return {
        "recipe": _data_keys(recipe),
        "source file": dict(contents),
        "tokenizer": {"contents": tokenizer_sha256},
        "version of": dict(versions),
        "task module": dict(modules),
    }


def stale_reasons(before: Mapping[str, Any] | None, now: Mapping[str, Any]) -> list[str]:
    """Return a line for each difference between two `ingredients`, with old and new values if they are short."""
    lines: list[str] = []
    for group in now if before else ():
        old_values, new_values = (before or {}).get(group, {}), now[group]
        for key in sorted({*old_values, *new_values}):
            old, new = old_values.get(key), new_values.get(key)
            if old != new:
                lines.append(_difference(group, key, old, new))
    return lines


def _data_keys(recipe: Recipe) -> dict[str, Any]:
    """Return the recipe's keys that decide data, dotted; of source and task modules, the content counts instead."""
    tree = recipe.resolved()
    keys: dict[str, Any] = {"seed": tree["seed"]}
    for section in SCOPES["data"]:
        for key, value in tree[section].items():
            if section == "source" and key in LOCATION_KEYS | UNFINGERPRINTED_KEYS["source"]:
                continue
            if (section, key) == ("mixture", "modules"):
                continue
            keys[f"{section}.{key}"] = value
    return keys


def _difference(group: str, key: str, old: Any, new: Any) -> str:
    name = key if group == "recipe" else f"{group} {key}"
    if old is None and group != "recipe":
        return f"{name} was added"
    if new is None and group != "recipe":
        return f"{name} was removed"
    if group in ("recipe", "version of"):
        return f"{name} changed from {old} to {new}"
    return f"{name} changed"
