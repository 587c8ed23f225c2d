"""Cards from the Jinja templates in `model_cards/`, through huggingface_hub's card classes."""

import re
from typing import Any

from huggingface_hub import CardData, RepoCard

from l2t_hub.resources import resource_folder


def render_card(template: str, metadata: CardData, values: dict[str, Any]) -> str:
    """Fill a template of `model_cards/` (its file name); `metadata` becomes the YAML block at its top.

    Templates may use the filter-like functions `fence(text)` (a code block that no text can break out of) and
    `cell(text)` (one cell of a table).
    """
    path = resource_folder("model_cards") / template
    card = RepoCard.from_template(metadata, template_path=str(path), fence=fence, cell=cell, **values)
    return re.sub(r"\n{3,}", "\n\n", str(card.content)).rstrip() + "\n"


def fence(text: str, language: str = "text") -> str:
    """A code block around any text: its fence is longer than every run of backticks inside."""
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    marks = "`" * max(3, longest + 1)
    return f"{marks}{language}\n{text}\n{marks}"


def cell(text: object) -> str:
    """Text for one cell of a Markdown table."""
    return str(text).replace("|", "\\|").replace("\n", " ")
