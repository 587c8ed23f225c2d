"""The YAML front matter of a README: read for the API and the pages, checked before an upload.

The rules are those that huggingface.co documents for the fields L2T uses, not all of its rules: a card that passes
here parses and has the right shape.
"""

import re
from functools import lru_cache
from typing import Any

import yaml
from starlette.responses import JSONResponse, Response

from l2t_hub.local_hub import identifiers
from l2t_hub.local_hub.file_content import read_text
from l2t_hub.local_hub.git_objects import TreeEntry
from l2t_hub.local_hub.http_errors import HubError
from l2t_hub.local_hub.hub_request import Hub, HubRequest

MAX_METADATA_CHARS = 256 * 1024
MAX_NODES = 50_000
MAX_DEPTH = 50
MAX_DIGITS = 300
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
_LONG_NUMBER = re.compile(rf"[-+.0-9].{{{MAX_DIGITS}}}")
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")
_FastLoader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # libyaml, ten times as fast, where PyYAML has it


class CardError(Exception):
    """Front matter that a card cannot have."""


class NotUnicodeError(CardError):
    r"""Front matter with a string that cannot be sent: `\ud800` is half of a surrogate pair."""

    def __init__(self) -> None:
        super().__init__("The metadata is not Unicode: a string has half of a surrogate pair.")


class _CardLoader(_FastLoader):  # type: ignore[misc, valid-type]
    """Safe YAML that leaves dates as text."""


_CardLoader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in rules if tag != "tag:yaml.org,2002:timestamp"]
    for first, rules in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def split_card(text: str) -> tuple[str, str]:
    """Return the YAML between the two `---` lines at the start of a card ('' without any) and the Markdown."""
    lines = text.removeprefix("\ufeff").splitlines(keepends=True)
    if lines and lines[0].strip() == "---":
        for number, line in enumerate(lines[1:], start=1):
            if line.strip() == "---":
                return "".join(lines[1:number]), "".join(lines[number + 1 :])
    return "", text


@lru_cache(maxsize=256)
def parse_metadata(front: str) -> dict[str, Any]:
    """Return the front matter as JSON types. The result is shared: read only. Raises CardError."""
    if len(front) > MAX_METADATA_CHARS:
        raise CardError(f"The metadata is longer than {MAX_METADATA_CHARS} characters.")
    try:
        _check_size(front)
        value = yaml.load(front, Loader=_CardLoader)  # a SafeLoader
        card = _as_json({} if value is None else value)
    except yaml.YAMLError as error:
        if _SURROGATE.search(front):
            raise NotUnicodeError from error
        raise CardError(f"The metadata is not YAML: {str(error).splitlines()[0]}.") from error
    except UnicodeEncodeError as error:
        raise NotUnicodeError from error
    except (ValueError, RecursionError, OverflowError) as error:
        raise CardError("The metadata has a value that cannot be read.") from error
    if not isinstance(card, dict):
        raise CardError("The metadata must be a mapping.")
    return card


def _check_size(front: str) -> None:
    """Refuse what takes long to load. An alias of a few bytes can stand for gigabytes."""
    depth = 0
    for count, event in enumerate(yaml.parse(front, Loader=_FastLoader)):
        if isinstance(event, yaml.AliasEvent):
            raise CardError("The metadata must not use YAML aliases.")
        if isinstance(event, yaml.ScalarEvent) and event.implicit[0] and _LONG_NUMBER.match(event.value):
            raise CardError(f"The metadata has a number of more than {MAX_DIGITS} characters.")
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if count > MAX_NODES or depth > MAX_DEPTH:
            raise CardError(
                f"The metadata has more than {MAX_NODES} values, or is nested more than {MAX_DEPTH} deep."
            )


def _as_json(value: Any) -> Any:
    if isinstance(value, dict):
        return {_as_text(key): _as_json(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_as_json(item) for item in value]
    if isinstance(value, bool | None):
        return value
    if isinstance(value, int):
        return value
    if isinstance(value, float) and value == value and value not in (float("inf"), float("-inf")):
        return value
    return _as_text(value)


def _as_text(value: Any) -> str:
    text = str(value)
    text.encode()  # raises UnicodeEncodeError
    return text


def check_unicode(readme: bytes) -> None:
    """Raise HubError 400 if the front matter of a README has a string that is not Unicode."""
    try:
        parse_metadata(split_card(readme.decode(errors="replace"))[0])
    except NotUnicodeError as error:
        raise HubError(400, f"README.md: {error}") from None
    except CardError:
        return


def read_card(hub: Hub, readme: TreeEntry | None) -> dict[str, Any]:
    """Return the metadata of a README, {} if it has none or it does not parse."""
    text = read_text(hub, readme, hub.limits.card_bytes)
    try:
        return parse_metadata(split_card(text)[0]) if text else {}
    except CardError:
        return {}


def card_tags(card: dict[str, Any]) -> list[str]:
    """Return the tags that huggingface.co derives from a card for its filters."""
    tags = _listed(card.get("tags"))
    for key in ("license", "language", "datasets", "task_categories", "size_categories"):
        prefix = "dataset" if key == "datasets" else key
        tags += [f"{prefix}:{item}" for item in _listed(card.get(key))]
    if isinstance(card.get("library_name"), str):
        tags.append(card["library_name"])
    return list(dict.fromkeys(tags))


def _listed(value: object) -> list[str]:
    if isinstance(value, str):
        return [value]
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []


def validate(request: HubRequest) -> Response:
    """POST /api/validate-yaml {content, repoType} -> {errors, warnings}. 400 if there are errors."""
    body = request.json()
    content, kind = body.get("content"), identifiers.repo_kind(body.get("repoType"))
    if not isinstance(content, str):
        raise HubError(400, "content must be a string.")
    if len(content) > request.limits.card_bytes:
        raise HubError(413, f"A card has at most {request.limits.card_bytes} bytes.")
    errors, warnings = problems_of(content, kind)
    answer = {
        "errors": [{"message": text} for text in errors],
        "warnings": [{"message": text} for text in warnings],
        "rehearsal": True,
    }
    return JSONResponse(answer, status_code=400 if errors else 200)


def problems_of(content: str, kind: str) -> tuple[list[str], list[str]]:
    """Return the errors and the warnings about the README of a repo of this kind."""
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
    problems = []
    names = [config.get("config_name") for config in configs]
    if not all(isinstance(name, str) and name for name in names):
        problems.append('each of "configs" needs a "config_name"')
    elif len(set(names)) != len(names):
        problems.append('two of "configs" have the same "config_name"')
    if sum(1 for config in configs if config.get("default") is True) > 1:
        problems.append('only one of "configs" can be the default')
    for config in configs:
        files = config.get("data_files")
        rows = files if isinstance(files, list) else []
        if any(isinstance(row, dict) and not {"split", "path"} <= row.keys() for row in rows):
            problems.append(f'"data_files" of config {config.get("config_name")} need "split" and "path"')
    return problems


def _space_problems(card: dict[str, Any]) -> list[str]:
    problems = []
    if not isinstance(card.get("sdk"), str):
        problems.append('"sdk" must be gradio, streamlit, docker or static')
    for key in ("colorFrom", "colorTo"):
        if key in card and card[key] not in SPACE_COLOURS:
            problems.append(f'"{key}" must be one of {", ".join(SPACE_COLOURS)}')
    if len(str(card.get("short_description", ""))) > 60:
        problems.append('"short_description" is longer than 60 characters')
    return problems
