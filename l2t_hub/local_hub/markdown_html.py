"""Card Markdown as HTML that is safe to show: HTML tags are escaped, links and images limited to harmless ones."""

from collections.abc import Iterable
from urllib.parse import urlsplit

from markdown_it import MarkdownIt
from markdown_it.rules_block import StateBlock
from markdown_it.token import Token

from l2t_hub.local_hub.hub_request import quoted


def _comment(state: StateBlock, start: int, end: int, silent: bool) -> bool:
    """Skip a line that is an HTML comment, which a browser does not show."""
    line = state.src[state.bMarks[start] + state.tShift[start] : state.eMarks[start]].rstrip()
    if state.is_code_block(start) or not line.startswith("<!--") or line.find("-->", 4) != len(line) - 3:
        return False
    if not silent:
        state.line = start + 1
    return True


_markdown = MarkdownIt("commonmark", {"html": False}).enable(["table", "strikethrough"])
_markdown.block.ruler.before("paragraph", "comment", _comment, {"alt": ["paragraph"]})


def render_markdown(text: str, blob: str, raw: str) -> str:
    """Return `text` as HTML. `blob` and `raw` are the base URLs of relative links and images.

    An image on another host is replaced by its address.
    """
    tokens = _markdown.parse(text)
    for token in tokens:
        alignment = token.attrs.pop("style", None)  # the page's policy allows no inline style
        if alignment == "text-align:right":
            token.attrSet("class", "number")
    for token in _inline(tokens):
        if token.type == "image":
            _resolve(token, "src", raw)
        elif token.type == "link_open":
            _resolve(token, "href", blob)
            token.attrSet("rel", "nofollow noopener noreferrer")
    rendered: str = _markdown.renderer.render(tokens, _markdown.options, {})
    return rendered


def _inline(tokens: Iterable[Token]) -> Iterable[Token]:
    for token in tokens:
        yield from token.children or ()


def _resolve(token: Token, attribute: str, base: str) -> None:
    target = str(token.attrGet(attribute) or "")
    try:
        parts = urlsplit(target)
    except ValueError:  # http://[
        parts = urlsplit("invalid:")
    external = bool(parts.scheme or parts.netloc)
    if attribute == "src" and external:
        # The page may load nothing from other hosts: show the address instead.
        token.type, token.tag, token.content, token.children = "text", "", f"[image at {target}]", None
    elif attribute == "href" and parts.scheme not in ("", "http", "https", "mailto"):
        token.attrSet(attribute, "#")
    elif not external and parts.path and not target.startswith("/"):
        path = "/".join(part for part in parts.path.split("/") if part not in ("", ".", ".."))
        token.attrSet(attribute, f"{base}/{path}" + (f"#{quoted(parts.fragment)}" if parts.fragment else ""))


def size_text(size: int) -> str:
    """Return a number of bytes for people to read: 1.2 MB."""
    amount = float(size)
    for unit in ("B", "kB", "MB", "GB"):
        if amount < 1000:
            return f"{amount:.0f} {unit}" if unit == "B" or amount >= 100 else f"{amount:.1f} {unit}"
        amount /= 1000
    return f"{amount:.1f} TB"
