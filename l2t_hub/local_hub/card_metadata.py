"""README front matter: reading it for the API and the pages, and checking it before an upload.

The rules are those the Hub documents for the fields we use, not the real Hub's full set: a rehearsal shows that a
card parses and has the right shape, no more.
"""

from functools import lru_cache
from typing import Any

import yaml
from starlette.responses import JSONResponse, Response

from l2t_hub.local_hub import identifiers as names
from l2t_hub.local_hub.file_content import read_text
from l2t_hub.local_hub.git_objects import TreeEntry
from l2t_hub.local_hub.http_errors import HubError
from l2t_hub.local_hub.hub_request import Hub, HubRequest

SPACE_COLOURS = ("red", "yellow", "green", "blue", "indigo", "purple", "pink", "gray")
_LISTS_OF_TEXT = (
    "tags",
    "datasets",
    "task_categories",
    "task_ids",
    "size_categories",
    "annotations_creators",
    "models",
)


class CardError(ValueError):
    """Front matter that is not what a card needs."""


class _PlainLoader(yaml.SafeLoader):
    """YAML without anchors (a few bytes of them can unfold to gigabytes) and with dates left as text."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.events.AliasEvent):
            raise yaml.YAMLError("anchors and aliases are not used in cards")
        return super().compose_node(parent, index)


_PlainLoader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in rules if tag != "tag:yaml.org,2002:timestamp"]
    for first, rules in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def split_card(text: str) -> tuple[str, str]:
    """The YAML between the two `---` lines at a card's start ('' if it has none) and the Markdown after them."""
    lines = text.removeprefix("\ufeff").splitlines(keepends=True)
    if lines and lines[0].strip() == "---":
        for number, line in enumerate(lines[1:], start=1):
            if line.strip() == "---":
                return "".join(lines[1:number]), "".join(lines[number + 1 :])
    return "", text


@lru_cache(maxsize=256)
def parse_metadata(front: str) -> dict[str, Any]:
    """The front matter as a dictionary. Shared: read only. Raises `CardError`."""
    try:
        value = yaml.load(front, Loader=_PlainLoader)  # a SafeLoader, narrowed further
        card = _as_json({} if value is None else value)
    except yaml.YAMLError as error:
        raise CardError(f"the metadata is not YAML: {str(error).splitlines()[0]}") from error
    except (ValueError, RecursionError) as error:
        raise CardError("the metadata cannot be read: a number or a nesting beyond all measure") from error
    if not isinstance(card, dict):
        raise CardError("the front matter must be a mapping")
    return card


def _as_json(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _as_json(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_as_json(item) for item in value]
    if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):
        return str(value)
    return value if isinstance(value, str | int | float | bool | None) else str(value)


def read_card(hub: Hub, readme: TreeEntry | None) -> dict[str, Any]:
    """The metadata of a repo's README; {} if it has none or it does not parse."""
    text = read_text(hub, readme, hub.limits.card_bytes)
    try:
        return parse_metadata(split_card(text)[0]) if text else {}
    except CardError:
        return {}


def card_tags(card: dict[str, Any]) -> list[str]:
    """The tags the Hub derives from a card, for its filters."""
    tags = _listed(card.get("tags"))
    for key, prefix in (
        ("license", "license:"),
        ("language", "language:"),
        ("datasets", "dataset:"),
        ("task_categories", "task_categories:"),
        ("size_categories", "size_categories:"),
    ):
        tags += [prefix + item for item in _listed(card.get(key))]
    if isinstance(card.get("library_name"), str):
        tags.append(card["library_name"])
    return list(dict.fromkeys(tags))


def _listed(value: object) -> list[str]:
    if isinstance(value, str):
        return [value]
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []


def validate(call: HubRequest) -> Response:
    """POST /api/validate-yaml {content, repoType} -> {errors, warnings}; 400 if there are errors."""
    body = call.json()
    content, kind = body.get("content"), names.kind_of(body.get("repoType"))
    if not isinstance(content, str):
        raise HubError(400, "content must be a string")
    errors, warnings = problems_of(content, kind)
    found = {
        "errors": [{"message": text} for text in errors],
        "warnings": [{"message": text} for text in warnings],
        "rehearsal": True,
    }
    return JSONResponse(found, status_code=400 if errors else 200)


def problems_of(content: str, kind: str) -> tuple[list[str], list[str]]:
    """What is wrong with a README of a repo of this kind, and what is merely missing."""
    front, _ = split_card(content)
    if not front.strip():
        return [], ["empty or missing yaml metadata in repo card"]
    try:
        card = parse_metadata(front)
    except CardError as error:
        return [str(error)], []
    errors = [f'"{key}" must be a list of strings' for key in _LISTS_OF_TEXT if not _texts(card.get(key, []))]
    errors += [
        f'"{key}" must be a string or a list of strings'
        for key in ("license", "language")
        if not _texts(card.get(key, ""))
    ]
    if kind == "dataset":
        errors += _config_problems(card.get("configs", []))
    if kind == "model" and not isinstance(card.get("model-index", []), list):
        errors.append('"model-index" must be a list')
    if kind == "space":
        errors += _space_problems(card)
    warnings = [] if kind == "space" or "license" in card else ['"license" is missing']
    return errors, warnings


def _texts(value: object) -> bool:
    return isinstance(value, str) or (
        isinstance(value, list) and all(isinstance(item, str) for item in value)
    )


def _config_problems(configs: object) -> list[str]:
    if not isinstance(configs, list) or not all(isinstance(c, dict) for c in configs):
        return ['"configs" must be a list of mappings']
    found = []
    named = [config.get("config_name") for config in configs]
    if not all(isinstance(name, str) and name for name in named):
        found.append('every one of "configs" needs a "config_name"')
    elif len(set(named)) != len(named):
        found.append('two of "configs" have the same "config_name"')
    if sum(1 for config in configs if config.get("default") is True) > 1:
        found.append('only one of "configs" may be the default')
    for config in configs:
        files = config.get("data_files")
        rows = files if isinstance(files, list) else []
        if any(isinstance(row, dict) and not {"split", "path"} <= row.keys() for row in rows):
            found.append(f'"data_files" of config {config.get("config_name")} need "split" and "path"')
    return found


def _space_problems(card: dict[str, Any]) -> list[str]:
    found = (
        [] if isinstance(card.get("sdk"), str) else ['"sdk" is needed: gradio, streamlit, docker or static']
    )
    for key in ("colorFrom", "colorTo"):
        if key in card and card[key] not in SPACE_COLOURS:
            found.append(f'"{key}" must be one of {", ".join(SPACE_COLOURS)}')
    if len(str(card.get("short_description", ""))) > 60:
        found.append('"short_description" is longer than 60 characters')
    return found
