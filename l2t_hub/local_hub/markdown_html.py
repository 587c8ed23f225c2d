"""Cards as HTML that is safe to show: Markdown only, tags in it escaped, links and pictures kept to harmless ones."""

from collections.abc import Iterable
from urllib.parse import urlsplit

from markdown_it import MarkdownIt
from markdown_it.token import Token

from l2t_hub.local_hub.hub_request import quoted

_markdown = MarkdownIt("commonmark", {"html": False}).enable(["table", "strikethrough"])


def render_markdown(text: str, blob: str, raw: str) -> str:
    """`text` as HTML. Relative links lead below `blob`, pictures below `raw`; pictures elsewhere are only named."""
    tokens = _markdown.parse(text)
    for token in tokens:
        alignment = token.attrs.pop("style", None)  # the page's policy allows no inline style
        if alignment == "text-align:right":
            token.attrSet("class", "number")
    for token in _inline(tokens):
        if token.type == "image":
            _aim(token, "src", raw)
        elif token.type == "link_open":
            _aim(token, "href", blob)
            token.attrSet("rel", "nofollow noopener noreferrer")
    rendered: str = _markdown.renderer.render(tokens, _markdown.options, {})
    return rendered


def _inline(tokens: Iterable[Token]) -> Iterable[Token]:
    for token in tokens:
        yield from token.children or ()


def _aim(token: Token, attribute: str, below: str) -> None:
    target = str(token.attrGet(attribute) or "")
    parts = urlsplit(target)
    elsewhere = bool(parts.scheme or parts.netloc)
    if attribute == "src" and elsewhere:
        # The page may load nothing from other hosts: say what would be here.
        token.type, token.tag, token.content, token.children = "text", "", f"[picture at {target}]", None
    elif attribute == "href" and parts.scheme not in ("", "http", "https", "mailto"):
        token.attrSet(attribute, "#")
    elif not elsewhere and parts.path and not target.startswith("/"):
        inside = "/".join(part for part in parts.path.split("/") if part not in ("", ".", ".."))
        token.attrSet(
            attribute, f"{below}/{inside}" + (f"#{quoted(parts.fragment)}" if parts.fragment else "")
        )


def size_text(size: int) -> str:
    """Bytes as people read them: 1.2 MB."""
    amount = float(size)
    for unit in ("B", "kB", "MB", "GB"):
        if amount < 1000:
            return f"{amount:.0f} {unit}" if unit == "B" or amount >= 100 else f"{amount:.1f} {unit}"
        amount /= 1000
    return f"{amount:.1f} TB"
