"""Cards from the Jinja templates in `model_cards/`: every value is escaped, unless it says that it is Markdown.

A card quotes what a recipe, a file name or a report says. So the safe way is the default: `{{ value }}` shows the
value's characters and nothing else, whatever they are; a name that a template uses and nobody gave is an error.
"""

import re
import unicodedata
from collections.abc import Callable
from typing import Any
from urllib.parse import quote, urlsplit

import jinja2
from huggingface_hub import CardData

from l2t_hub.resources import resource_folder

UNKNOWN = "not recorded"
# Everything that means something in GitHub's Markdown within a line; `_` only does at a word's edge.
_SPECIAL = re.compile(r"[\\`*\[\]|~$]|(?<![^\W_])_|_(?![^\W_])")
_AT_START = re.compile(r"^(?:(\d+)(?=[.)](?:\s|$))|(?=[#+=-]+(?:\s|$)))")
_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}


class Markdown(str):
    """Text that is Markdown already: it goes into a card as it is."""

    __slots__ = ()


def render_card(template: str, metadata: CardData, values: dict[str, Any]) -> str:
    """A whole card: `metadata` as its YAML block, then a template of `model_cards/` (its file name), filled."""
    return f"---\n{metadata.to_yaml()}\n---\n\n{render(template, values)}"


def render(template: str, values: dict[str, Any]) -> str:
    """Fill a template of `model_cards/`; it may use `code`, `fence`, `link`, `number`, `percent` and `plain`."""
    filled = _environment().get_template(template).render(**values)
    return re.sub(r"\n{3,}", "\n\n", filled).strip() + "\n"


def escape(value: object) -> Markdown:
    """Any value as one line of text that Markdown shows as it is; None is said to be not recorded."""
    if isinstance(value, Markdown):
        return value
    text = _one_line(UNKNOWN if value is None else str(value))
    text = re.sub(r"[&<>]", lambda found: _ENTITIES[found[0]], text)
    text = _SPECIAL.sub(lambda found: f"\\{found[0]}", text)
    return Markdown(_AT_START.sub(lambda found: f"{found[1] or ''}\\", text))


def cell(value: object) -> Markdown:
    """A value for a template that does not escape by itself."""
    return escape(value)


def code(value: object) -> Markdown:
    """Text as inline code, also in a cell of a table, where a bar has to be escaped even in code."""
    if value is None:
        return escape(None)
    text = _one_line(str(value))
    if not text:
        return Markdown("(empty)")
    marks = "`" * (1 + max((len(run) for run in re.findall(r"`+", text)), default=0))
    room = " " if text.startswith("`") or text.endswith("`") else ""
    return Markdown(f"{marks}{room}{text}{room}{marks}".replace("|", r"\|"))


def fence(text: str, language: str = "text") -> Markdown:
    """A code block around any text: its fence is longer than every run of backticks inside."""
    marks = "`" * max(3, 1 + max((len(run) for run in re.findall(r"`+", text)), default=0))
    return Markdown(f"{marks}{language}\n{_visible(text)}\n{marks}")


def link(text: object, url: str | None) -> Markdown:
    """A link, if the URL is one that a page may link to (http or https); else the text alone."""
    parts = urlsplit(url or "")
    if parts.scheme not in ("http", "https") or not parts.netloc:
        return escape(text)
    return Markdown(f"[{escape(text)}]({quote(str(url), safe=':/?#@!$&*+,;=%~-._')})")


def number(value: float | None) -> Markdown:
    """A count with thousands separated, or a number in at most six significant digits."""
    if value is None:
        return escape(None)
    return Markdown(f"{value:,}" if isinstance(value, int) else f"{value:.6g}")


def percent(value: float | None, digits: int = 1) -> Markdown:
    """A share as a percentage."""
    return escape(None) if value is None else Markdown(f"{100 * value:.{digits}f}%")


def plain(value: object) -> Markdown:
    """Text for a place that shows no Markdown, such as a collection's note."""
    return Markdown(_one_line(UNKNOWN if value is None else str(value)))


def _one_line(text: str) -> str:
    return " ".join(_visible(text).split())


def _visible(text: str) -> str:
    """Control characters, and those that turn the direction of text around, made visible."""
    return "".join("\ufffd" if _hides(character) else character for character in text)


def _hides(character: str) -> bool:
    if character in "\n\t\r":
        return False
    return (
        unicodedata.category(character) == "Cc"
        or character in "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
    )


def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(resource_folder("model_cards")),
        undefined=jinja2.StrictUndefined,
        finalize=escape,
        trim_blocks=True,
        lstrip_blocks=True,
        autoescape=False,  # for HTML; `finalize` escapes for Markdown
    )
    helpers: list[Callable[..., Markdown]] = [code, fence, link, number, percent, plain]
    environment.globals.update({helper.__name__: helper for helper in helpers})
    environment.filters.update({helper.__name__: helper for helper in helpers})
    return environment
