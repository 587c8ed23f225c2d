"""A recipe as it may be published: without the paths of the machine that it was used on."""

import re
from collections.abc import Mapping
from pathlib import PurePath
from typing import Any

BUNDLED = "bundled:"


def public_recipe(tree: Mapping[str, Any]) -> dict[str, Any]:
    """Return a resolved recipe in which a local source, tokenizer, language or suite has only its file name.

    None of these keys counts in a fingerprint. Task modules keep their names, which do.
    """
    source, tokenizer = dict(tree["source"]), dict(tree["tokenizer"])
    if source["path"] is not None and not source["path"].startswith(BUNDLED):
        source["path"] = _file_name(source["path"])
    for section, key in ((source, "dataset"), (tokenizer, "name")):
        if str(section[key] or "").startswith((".", "/", "~")):
            section[key] = _file_name(section[key])
    if "language" in source:
        names = [f"./{_file_name(name)}" if "/" in name else name for name in language_names(source)]
        source["language"] = names[0] if len(names) == 1 else names
    public = {**tree, "source": source, "tokenizer": tokenizer}
    if "pairs" in tree.get("evaluation", {}):
        public["evaluation"] = {**tree["evaluation"], "pairs": _file_name(tree["evaluation"]["pairs"])}
    return public


def language_names(source: Mapping[str, Any]) -> list[str]:
    """Return the codes or folders of the languages of a recorded source; records of the first version have none."""
    names = source.get("language", "en")
    return [names] if isinstance(names, str) else [str(name) for name in names]


def language_codes(tree: Mapping[str, Any]) -> list[str]:
    """Return the codes of the languages of a recorded recipe, for cards. A folder's name is its code."""
    codes = [_file_name(name) for name in language_names(tree["source"])]
    return [code for code in codes if re.fullmatch("[a-z]{2,3}", code)] or ["und"]


def source_title(tree: Mapping[str, Any]) -> str:
    """Return what a card calls the source: its title or Hub name, or "a local text" with the file name."""
    source = public_recipe(tree)["source"]
    if source.get("title") or source["dataset"]:
        return str(source.get("title") or source["dataset"])
    path = str(source["path"])
    return path if path.startswith(BUNDLED) else f"a local text, {path}"


def _file_name(path: str) -> str:
    return PurePath(path.replace("\\", "/")).name or "text"
