"""What must hold before anything is sent: a card that parses, files that are what they say, no code in disguise.

Every problem found is reported at once; each names its file. `check_dataset.py` and `check_model.py` hold the rest.
"""

import json
import re
import struct
from collections.abc import Mapping
from typing import Any

import yaml

from l2t_hub.artifacts import CARD
from l2t_hub.errors import UserError
from l2t_hub.hub.unsafe_files import PICKLE_SUFFIXES
from l2t_hub.publish.check_dataset import dataset_problems
from l2t_hub.publish.check_model import model_problems
from l2t_hub.publish.stage import StagedFile, StagedRelease

# What a reader, the Hub's filters and its viewer need of a card; the conventions are the Hub's.
REQUIRED: Mapping[str, tuple[str, ...]] = {
    "dataset": (
        "language",
        "license",
        "pretty_name",
        "tags",
        "task_categories",
        "size_categories",
        "configs",
    ),
    "model": ("language", "license", "library_name", "pipeline_tag", "tags"),
    "space": ("title", "sdk", "sdk_version", "app_file", "license"),
}
SPACE_COLOURS = ("red", "yellow", "green", "blue", "indigo", "purple", "pink", "gray")
_PICKLE_START = re.compile(rb"\x80[\x02-\x05]")
_SHOWN = 12


def validate(staged: StagedRelease) -> dict[str, Any]:
    """Check a staged release; its card's metadata. Raises UserError with all that is wrong."""
    card, problems = _card(staged)
    for file in staged.files:
        problems += _unsafe(file)
    if staged.kind == "dataset":
        problems += dataset_problems(staged, card)
    elif staged.kind == "model":
        problems += model_problems(staged)
    else:
        problems += _space_problems(staged, card)
    if problems:
        shown = [f"  {problem}" for problem in problems[:_SHOWN]]
        if len(problems) > _SHOWN:
            shown.append(f"  and {len(problems) - _SHOWN} more")
        count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
        raise UserError(
            f"{staged.directory}: this {staged.kind} is not fit for release ({count})\n" + "\n".join(shown),
            "Nothing was sent.",
        )
    return card


def _card(staged: StagedRelease) -> tuple[dict[str, Any], list[str]]:
    file = staged.file(CARD)
    if file is None:
        return {}, [f"{CARD}: missing; every release has a card"]
    try:
        text = file.read().decode()
    except UnicodeDecodeError:
        return {}, [f"{CARD}: not UTF-8"]
    match = re.match(r"---\r?\n(.*?\n)---\s*(\r?\n|$)", text, re.DOTALL)
    if match is None:
        return {}, [f"{CARD}: no front matter: it must begin with metadata between two lines of ---"]
    try:
        card = yaml.safe_load(match[1])
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f":{mark.line + 2}" if mark else ""
        return {}, [f"{CARD}{line}: the front matter is not YAML: {getattr(error, 'problem', None) or error}"]
    if not isinstance(card, dict):
        return {}, [f"{CARD}: the front matter must be a mapping of keys to values"]
    problems = [
        f"{CARD}: `{key}` is missing" for key in REQUIRED[staged.kind] if card.get(key) in (None, "", [])
    ]
    if "licence" in card:
        problems.append(f"{CARD}: `licence` is not a key the Hub knows: write `license`")
    return card, problems


def _unsafe(file: StagedFile) -> list[str]:
    """Pickles run code when they are loaded, whatever they are called; only formats that cannot are released."""
    if file.path.lower().endswith(PICKLE_SUFFIXES):
        return [
            f"{file.path}: a format that can hold a pickle, and loading one runs code; publish safetensors or parquet"
        ]
    head = file.head(2)
    if _PICKLE_START.match(head) or (head == b"PK" and _is_torch_archive(file)):
        return [f"{file.path}: its content is a pickle, and loading one runs code"]
    if file.path.endswith(".safetensors"):
        return _tensor_problems(file)
    return []


def _is_torch_archive(file: StagedFile) -> bool:
    return not file.path.endswith(".whl") and b"data.pkl" in file.head(1 << 16)


def _tensor_problems(file: StagedFile) -> list[str]:
    head = file.head(8)
    length = struct.unpack("<Q", head)[0] if len(head) == 8 else file.size
    if length + 8 > file.size or length > 100 << 20:
        return [f"{file.path}: not a safetensors file, or cut off"]
    try:
        table = json.loads(file.head(8 + length)[8:])
        end = max(
            (int(t["data_offsets"][1]) for name, t in table.items() if name != "__metadata__"), default=0
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        return [f"{file.path}: not a safetensors file: its header does not parse"]
    if 8 + length + end != file.size:
        return [f"{file.path}: cut off or padded: {file.size} bytes, and its header says {8 + length + end}"]
    return []


def _space_problems(staged: StagedRelease, card: Mapping[str, Any]) -> list[str]:
    problems = []
    if card.get("sdk") not in (None, "gradio"):
        problems.append(f"{CARD}: sdk is {card['sdk']}, and this releases gradio Spaces")
    app = card.get("app_file")
    if app and staged.file(str(app)) is None:
        problems.append(f"{CARD}: app_file is {app}, and there is no such file")
    for key in ("colorFrom", "colorTo"):
        if key in card and card[key] not in SPACE_COLOURS:
            problems.append(f"{CARD}: {key} must be one of {', '.join(SPACE_COLOURS)}")
    if len(str(card.get("short_description", ""))) > 60:
        problems.append(f"{CARD}: short_description is longer than the 60 characters the Hub shows")
    requirements = staged.file("requirements.txt")
    for line in requirements.read().decode(errors="replace").splitlines() if requirements else []:
        wheel = line.split("#")[0].split(";")[0].strip().removeprefix("./")
        if wheel.endswith(".whl") and "://" not in wheel and staged.file(wheel) is None:
            problems.append(
                f"requirements.txt: {wheel} is not in the directory, so the Space would not build"
            )
    return problems
