"""Text of others as HTML, and what several tabs show: marked text, messages, tables that scroll, downloads.

All text from users and models goes through `visible`, so that it is never read as markup, and control characters
cannot rearrange the page.
"""

import base64
import unicodedata
from collections.abc import Sequence
from html import escape

from l2t_hub.tasks.showcase import Span

JOINERS = frozenset("\u200c\u200d")


def visible(text: str) -> str:
    """Escape a text for HTML and replace control and direction characters by visible ones."""
    return escape("".join(_symbol(character) for character in text), quote=True)


def _symbol(character: str) -> str:
    code = ord(character)
    if code < 0x20:
        return chr(0x2400 + code)
    if code == 0x7F:
        return "\u2421"
    if unicodedata.category(character) in ("Cc", "Cf", "Cs", "Zl", "Zp") and character not in JOINERS:
        return f"[U+{code:04X}]"
    return character


def token_label(text: str) -> str:
    """Return the label of a token as HTML: no leading space, other spaces made visible."""
    stripped = text.removeprefix(" ")
    return visible(stripped) if stripped.strip(" ") else "\u2423" * max(len(text), 1)


def multiline(text: str) -> str:
    """Return a text as HTML in which line feeds stay."""
    return "\n".join(map(visible, text.split("\n")))


def marked(text: str, spans: Sequence[Span], tag: str) -> str:
    """Return a text as HTML with spans, in order, in an element. Spaces alone are shown as open boxes."""
    parts, place = [], 0
    for start, end in spans:
        inner = text[start:end]
        shown = multiline(inner) if inner.strip(" ") else "\u2423" * len(inner)
        parts += [multiline(text[place:start]), f"<{tag}>{shown}</{tag}>"]
        place = end
    return "".join((*parts, multiline(text[place:])))


def message_page(message: str, hint: str | None = None) -> str:
    """Return an error message in place of the figures: what is wrong, and what to do."""
    more = f"<p>{visible(hint)}</p>" if hint else ""
    return (
        '<div class="l2t"><div class="l2t-message" role="alert">'
        f"<p><b>{visible(message)}</b></p>{more}</div></div>"
    )


def notices(lines: Sequence[str]) -> str:
    """Return lines about what was changed or left out, above a result."""
    return "".join(f'<p class="l2t-notice">{visible(line)}</p>' for line in lines)


def scrolling(content: str, label: str) -> str:
    """Return content that may be wider than the screen in a box that scrolls, also with the keyboard."""
    return f'<div class="l2t-scroll" role="group" tabindex="0" aria-label="{visible(label)}">{content}</div>'


def download_link(content: bytes, kind: str, file: str, name: str) -> str:
    """Return a link that saves a small file. The file is in the link, so no other visitor can get at it."""
    data = base64.b64encode(content).decode()
    return f'<a class="l2t-download" download="{escape(file)}" href="data:{kind};base64,{data}">{visible(name)}</a>'


def signed(number: float, plus: bool = False) -> str:
    """Return a number with one digit after the point and a typographic minus; with `plus`, also a plus."""
    text = f"{number:+.1f}" if plus else f"{number:.1f}"
    return ("0.0" if float(text) == 0 else text).replace("-", "\u2212")
