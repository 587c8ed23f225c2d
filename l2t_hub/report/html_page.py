"""One self-contained HTML page from Markdown, with its plots as inline SVG. It needs no other file and no network."""

import html
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from markdown_it import MarkdownIt

if TYPE_CHECKING:
    from l2t_hub.report.figures import Plot

TEMPLATE = Path(__file__).with_name("page.html")


def html_page(title: str, markdown: str, plots: "Mapping[str, Plot]") -> str:
    """Return the page of some Markdown. HTML in it is shown as text; `plots` has the plots of images by path."""
    body = MarkdownIt("commonmark", {"html": False}).enable("table").render(markdown)
    for path, plot in plots.items():
        start = body.index(f'<img src="{path}"')
        end = body.index("/>", start) + 2
        body = f'{body[:start]}<span class="figure">{plot.svg}</span>{body[end:]}'
    page = TEMPLATE.read_text(encoding="utf-8")
    return page.replace("{{ title }}", html.escape(title)).replace("{{ body }}", body)
