"""Markdown from Jinja templates: cards from `model_cards/`, and the report of a run.

Cards quote text from recipes, file names and evaluations. So every `{{ value }}` is escaped for Markdown, unless its
type is `Markdown`. A template that uses a name without a value is an error.
"""

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import jinja2
from huggingface_hub import CardData

from l2t_hub.resources import resource_folder
from l2t_hub.text import counted, visible

UNKNOWN = "not recorded"
# The characters with a meaning inside a line of GitHub's Markdown; `_` has one only at the edge of a word.
_SPECIAL = re.compile(r"[\\`*\[\]|~$]|(?<![^\W_])_|_(?![^\W_])")
_AT_START = re.compile(r"^(?:(\d+)(?=[.)](?:\s|$))|(?=[#+=-]+(?:\s|$)))")
_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}


class Markdown(str):
    """Text that is Markdown already and is not escaped."""

    __slots__ = ()


def render_card(template: str, metadata: CardData, values: dict[str, Any]) -> str:
    """Return a card: `metadata` as its YAML front matter, then the rendered template."""
    return f"---\n{metadata.to_yaml()}\n---\n\n{render(template, values)}"


def render(template: str, values: Mapping[str, Any], folder: Path | None = None) -> str:
    """Render the template of that file name in `folder` (default: `model_cards/`).

    Templates may use the functions `code`, `fence`, `link`, `number`, `percent`, `plain` and `counted`.
    """
    text = _environment(folder or resource_folder("model_cards")).get_template(template).render(**values)
    return re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"


def escape(value: object) -> Markdown:
    """Return any value as one line that Markdown shows character by character; None is "not recorded"."""
    if isinstance(value, Markdown):
        return value
    text = _one_line(UNKNOWN if value is None else str(value))
    text = re.sub(r"[&<>]", lambda match: _ENTITIES[match[0]], text)
    text = _SPECIAL.sub(lambda match: f"\\{match[0]}", text)
    return Markdown(_AT_START.sub(lambda match: f"{match[1] or ''}\\", text))


def code(value: object) -> Markdown:
    """Return text as inline code. Bars are escaped too, since a bar ends a table cell even inside code."""
    if value is None:
        return escape(None)
    text = _one_line(str(value))
    if not text:
        return Markdown("(empty)")
    marks = "`" * (1 + max((len(run) for run in re.findall(r"`+", text)), default=0))
    space = " " if text.startswith("`") or text.endswith("`") else ""
    return Markdown(f"{marks}{space}{text}{space}{marks}".replace("|", r"\|"))


def fence(text: str, language: str = "text") -> Markdown:
    """Return a code block. Its fence is longer than any run of backticks in the text."""
    marks = "`" * max(3, 1 + max((len(run) for run in re.findall(r"`+", text)), default=0))
    return Markdown(f"{marks}{language}\n{visible(text)}\n{marks}")


def link(text: object, url: str | None) -> Markdown:
    """Return a link, or only the text if the URL is not an http(s) URL."""
    parts = urlsplit(url or "")
    if parts.scheme not in ("http", "https") or not parts.netloc:
        return escape(text)
    return Markdown(f"[{escape(text)}]({quote(str(url), safe=':/?#@!$&*+,;=%~-._')})")


def number(value: float | None) -> Markdown:
    """Return an integer with thousands separators, or another number with up to six significant digits."""
    if value is None:
        return escape(None)
    return Markdown(f"{value:,}" if isinstance(value, int) else f"{value:.6g}")


def percent(value: float | None, digits: int = 1) -> Markdown:
    """Return a fraction from 0 to 1 as a percentage."""
    return escape(None) if value is None else Markdown(f"{100 * value:.{digits}f}%")


def plain(value: object) -> Markdown:
    """Return text for a place that does not render Markdown, such as a collection's note."""
    return Markdown(_one_line(UNKNOWN if value is None else str(value)))


def _one_line(text: str) -> str:
    return " ".join(visible(text).split())


def _environment(folder: Path) -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(folder),
        undefined=jinja2.StrictUndefined,
        finalize=escape,
        trim_blocks=True,
        lstrip_blocks=True,
        autoescape=False,  # would escape for HTML; `finalize` escapes for Markdown
    )
    helpers: list[Callable[..., str]] = [code, counted, fence, link, number, percent, plain]
    environment.globals.update({helper.__name__: helper for helper in helpers})
    environment.filters.update({helper.__name__: helper for helper in helpers})
    return environment
