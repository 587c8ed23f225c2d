"""The checks of a page find what they look for: each has a page that breaks it, and one that does not."""

from collections.abc import Callable

import pytest
from browser_kit import BROWSER_MARKS
from page_checks import axe_findings, layout_findings, tab_through
from playwright.sync_api import Browser, Page

pytestmark = BROWSER_MARKS

GOOD = """<html lang="en"><title>t</title><main><h1>A page</h1><p>Some text.</p><button>Press</button>
<div style="width: 100px; overflow-x: auto" tabindex="0">Averylongwordthatscrollsinsideitsbox</div></main>"""


def focus_findings(page: Page) -> list[str]:
    return tab_through(page)[1]


@pytest.mark.parametrize(
    ("check", "broken", "said"),
    [
        (axe_findings, '<img src="data:,">', "image-alt"),
        (axe_findings, '<p style="color: #999; background: #fff">pale</p>', "color-contrast"),
        (axe_findings, "<input>", "label"),
        (layout_findings, '<div style="width: 5000px">wide</div>', "px wide on a screen of 800"),
        (
            layout_findings,
            '<p style="width: 30px; overflow: hidden; white-space: nowrap">is cut off</p>',
            "is cut",
        ),
        (
            layout_findings,
            '<i style="position: absolute; left: 8px; top: 30px">above the heading</i>',
            "overlap",
        ),
        (focus_findings, '<button style="outline: none">Unseen</button>', "'Unseen' (button) does not show"),
        (
            focus_findings,
            '<button style="opacity: 0; width: 0; padding: 0; border: 0">Gone</button>',
            "not to be seen",
        ),
    ],
)
def test_a_check_finds_what_is_wrong(
    browser: Browser, check: Callable[[Page], list[str]], broken: str, said: str
) -> None:
    page = browser.new_page(viewport={"width": 800, "height": 600})
    page.set_content(GOOD)
    assert check(page) == []
    page.set_content(GOOD.replace("</main>", f"{broken}</main>"))
    assert said in "\n".join(check(page))
    page.close()
