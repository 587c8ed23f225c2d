"""Turn the errors that pydantic finds in a recipe into sentences: where, which key, what is wrong, what was meant."""

import json
import re
from typing import Any

from pydantic import ValidationError

from l2t_hub.errors import nearest
from l2t_hub.recipe.schema import Recipe
from l2t_hub.recipe.section import DoesNotApplyError, section_of
from l2t_hub.recipe.yaml_tree import Locations
from l2t_hub.records.requirement import requirement

_SHOWN_CHARACTERS = 60


def explain(error: ValidationError, locations: Locations) -> list[str]:
    """Return one sentence for each wrong key or section."""
    sentences: list[str] = []
    expected: dict[tuple[str, str], list[str]] = {}
    for problem in error.errors():
        # pydantic adds the union member that it tried to the path: "int" or "literal['all','none']".
        path = [str(part) for part in problem["loc"] if part != "int" and "[" not in str(part)]
        key, location = re.sub(r"\.(\d+)", r"[\1]", ".".join(path)), _location(path, locations)
        if problem["type"] == "value_error":
            cause = problem["ctx"]["error"]
            at = _location_of_named_key(str(cause), locations) or location
            sentences.append(f"{at}: {cause}{_other_location(cause, at, locations)}")
        elif problem["type"] == "extra_forbidden":
            sentences.append(f"{location}: unknown key `{key}`. {_similar_key(path)}")
        elif problem["type"] == "missing":
            sentences.append(f"{location}: `{key}` is required")
        else:
            subject = location if location == f"--set {key}" else f"{location}: `{key}`"
            expected.setdefault((subject, _shown(problem["input"])), []).append(requirement(problem))
    for (subject, value), requirements in expected.items():
        *first, last = requirements
        wanted = " or ".join([*(text.replace(" or ", ", ") for text in first), last])
        suggestion = nearest(value.strip("'"), re.findall(r"'(\w+)'", wanted))
        similar = f". {suggestion}" if suggestion.startswith("Did you mean") else ""
        sentences.append(f"{subject} must be {wanted}, not {value}{similar}")
    return sentences


def _shown(value: Any) -> str:
    """Return a value as it may be written in YAML, shortened."""
    text = repr(value) if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}..."


def _location(path: list[str], locations: Locations) -> str:
    """Return the file and line of a key, or of the nearest section around it."""
    for end in range(len(path), 0, -1):
        if location := locations.get(".".join(path[:end])):
            return location
    return next(iter(locations.values()), "recipe").rpartition(":")[0] or "recipe"


def _other_location(cause: ValueError, at: str, locations: Locations) -> str:
    """Return, in parentheses, where the other key is set that an error is about, '' if it says so already."""
    other = cause.yields[0][1] if isinstance(cause, DoesNotApplyError) else ""
    location = locations.get(other, at)
    if location == at:
        return ""
    return f" (see {location})" if location.startswith("--set") else f" (`{other}` is set at {location})"


def _location_of_named_key(message: str, locations: Locations) -> str | None:
    """Return the file and line of the first key that a message names in backticks and that the recipe sets."""
    keys = re.findall(r"`([\w.]+)`", message)
    return next((locations[key] for key in keys if key in locations), None)


def _similar_key(path: list[str]) -> str:
    """Suggest a key of the same section, else a key of this name in another section, else list the section's keys."""
    model: Any = Recipe
    for part in path[:-1]:
        model = section_of(model.model_fields[part].annotation)
    suggestion = nearest(path[-1], model.model_fields)
    elsewhere = [
        f"{name}.{path[-1]}"
        for name, field in Recipe.model_fields.items()
        if (section := section_of(field.annotation)) and path[-1] in section.model_fields
    ]
    if elsewhere and not suggestion.startswith("Did you mean"):
        return f"Did you mean '{elsewhere[0]}'?"
    return suggestion
