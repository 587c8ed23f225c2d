"""The checks before a release: a valid card, no files that could run code, intact weights, a Space that can build.

All problems are reported together, each with its file. `check_dataset.py` and `check_model.py` hold the checks that
only concern datasets or models.
"""

import re
from collections.abc import Mapping
from typing import Any

from l2t_hub.artifacts import CARD
from l2t_hub.errors import UserError
from l2t_hub.hub.front_matter import load_front_matter
from l2t_hub.hub.unsafe_files import PICKLE_SUFFIXES
from l2t_hub.publish.check_dataset import dataset_problems
from l2t_hub.publish.check_model import model_problems, tensor_problems
from l2t_hub.publish.stage import StagedFile, StagedRelease
from l2t_hub.text import counted

# The metadata that readers, the Hub's search and its dataset viewer rely on.
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
MAX_SHORT_DESCRIPTION = 60
_FRONT_MATTER = re.compile(r"---\r?\n(.*?\n)---\s*(\r?\n|$)", re.DOTALL)
_PICKLE_START = re.compile(rb"\x80[\x02-\x05]")
_SHOWN = 12


def validate(staged: StagedRelease) -> dict[str, Any]:
    """Check a staged release and return its card's metadata. Raises UserError listing the problems."""
    card, problems = _check_card(staged)
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
        count = counted(len(problems), "problem")
        raise UserError(
            f"{staged.directory}: this {staged.kind} cannot be released ({count})\n" + "\n".join(shown),
            "Nothing was sent. Fix what is listed above.",
        )
    return card


def _check_card(staged: StagedRelease) -> tuple[dict[str, Any], list[str]]:
    """Return the card's front matter ({} if unusable), and what is wrong with it."""
    file = staged.file(CARD)
    if file is None or file.source is None:
        return {}, [f"{CARD}: missing; every release needs a card"]
    try:
        card = load_front_matter(file.source, CARD)
    except UserError as error:
        return {}, [error.message]
    if not _FRONT_MATTER.match(file.read().decode()):
        return {}, [f"{CARD}: no front matter; the file must begin with metadata between two lines of ---"]
    problems = [
        f"{CARD}: `{key}` is missing" for key in REQUIRED[staged.kind] if card.get(key) in (None, "", [])
    ]
    if "licence" in card:
        problems.append(f"{CARD}: unknown key `licence`; the Hub's spelling is `license`")
    return card, problems


def _unsafe(file: StagedFile) -> list[str]:
    """Return why a file must not be released: loading a pickle runs code, whatever the file is called."""
    if file.path.lower().endswith(PICKLE_SUFFIXES):
        return [
            f"{file.path}: this format can contain a pickle, which runs code when loaded; use safetensors or parquet"
        ]
    head = file.head(2)
    if _PICKLE_START.match(head) or (head == b"PK" and _is_torch_archive(file)):
        return [f"{file.path}: the content is a pickle, which runs code when loaded"]
    return tensor_problems(file) if file.path.endswith(".safetensors") else []


def _is_torch_archive(file: StagedFile) -> bool:
    return not file.path.endswith(".whl") and b"data.pkl" in file.head(1 << 16)


def _space_problems(staged: StagedRelease, card: Mapping[str, Any]) -> list[str]:
    problems = []
    if card.get("sdk") not in (None, "gradio"):
        problems.append(f"{CARD}: `sdk` is {card['sdk']}; only gradio Spaces are supported")
    app = card.get("app_file")
    if app and staged.file(str(app)) is None:
        problems.append(f"{CARD}: `app_file` is {app}, which does not exist")
    for key in ("colorFrom", "colorTo"):
        if key in card and card[key] not in SPACE_COLOURS:
            problems.append(f"{CARD}: `{key}` must be one of {', '.join(SPACE_COLOURS)}")
    if len(str(card.get("short_description", ""))) > MAX_SHORT_DESCRIPTION:
        problems.append(f"{CARD}: `short_description` exceeds {MAX_SHORT_DESCRIPTION} characters")
    requirements = staged.file("requirements.txt")
    for line in requirements.read().decode(errors="replace").splitlines() if requirements else []:
        wheel = line.split("#")[0].split(";")[0].strip().removeprefix("./")
        if wheel.endswith(".whl") and "://" not in wheel and staged.file(wheel) is None:
            problems.append(f"requirements.txt: {wheel} is not in the directory, so the Space cannot build")
    return problems
