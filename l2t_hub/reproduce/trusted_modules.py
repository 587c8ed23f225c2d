"""Task modules of a published dataset: run only if the user trusts their hash, from a copy that has this hash."""

import re
from collections.abc import Callable, Collection, Sequence
from hashlib import sha256
from pathlib import Path

from l2t_hub.artifacts import MODULES, write_bytes
from l2t_hub.dataset.task_modules import MAX_MODULE_BYTES
from l2t_hub.errors import UsageError, UserError
from l2t_hub.records.dataset_manifest import Manifest
from l2t_hub.records.reading import read_bounded
from l2t_hub.records.repo_path import inside

Fetch = Callable[[Sequence[str]], Path]
"""Fetches files of a dataset by path, and returns the directory they are in."""


def check_trust(trusted: Sequence[str]) -> None:
    """Raise UsageError if what the user trusts is not the SHA-256 of files."""
    for digest in trusted:
        if not re.fullmatch(r"[0-9a-f]{64}", digest):
            raise UsageError(
                f"--trust-modules {digest}: not a SHA-256", "Give the 64 hex digits that the refusal names."
            )


def trusted_modules(
    manifest: Manifest, trusted: Collection[str] | None, fetch: Fetch, folder: Path
) -> list[str]:
    """Return a dataset's task modules as a recipe here names them; files of the dataset are copied into `folder`.

    `trusted` holds the hashes that the user trusts; None is for a dataset that this process built itself. Raises
    UserError, before anything is fetched, for a module that is no file of the dataset or is not trusted, and for a
    file that does not have its hash. Raises UsageError for a trusted hash that no module has.
    """
    names = [str(name) for name in manifest.recipe["mixture"]["modules"]]
    if trusted is not None:
        _check_modules(manifest, names, trusted)
    files = [name for name in names if name in manifest.files]
    copies = _copies(manifest, files, fetch, folder / MODULES) if files else {}
    return [copies.get(name, name) for name in names]


def _check_modules(manifest: Manifest, names: Sequence[str], trusted: Collection[str]) -> None:
    for name in dict.fromkeys([*names, *manifest.modules]):
        if name not in manifest.files or name not in names:
            raise UserError(
                f"this dataset was made with the task module {name!r}, which is not a file of the dataset, so "
                "there is nothing to read and trust",
                "If you trust the package that it is from, install it and build the recipe on the dataset's card: "
                "l2t build RECIPE.yaml --out DIR",
            )
        if manifest.modules[name] not in trusted:
            raise UserError(
                f"this dataset was made with the task module {name} (SHA-256 {manifest.modules[name]}), whose code "
                "would run here with your rights",
                f"Read {name} in the dataset. If you trust it, add --trust-modules {manifest.modules[name]}",
            )
    for digest in trusted:
        if digest not in manifest.modules.values():
            raise UsageError(
                f"--trust-modules {digest}: this dataset has no task module with this SHA-256",
                f"Its modules: {', '.join(names) or 'none'}.",
            )


def _copies(manifest: Manifest, names: Sequence[str], fetch: Fetch, folder: Path) -> dict[str, str]:
    """Copy modules into a new `folder`; return the copies by name. What runs is the content that was hashed."""
    directory = fetch(names)
    folder.mkdir(parents=True)
    copies = {}
    for name in names:
        content = read_bounded(inside(directory, name), MAX_MODULE_BYTES)
        if sha256(content).hexdigest() != manifest.modules[name]:
            raise UserError(f"{directory}: {name} does not have the SHA-256 that the manifest names")
        write_bytes(folder / Path(name).name, content)
        copies[name] = str(folder / Path(name).name)
    return copies
