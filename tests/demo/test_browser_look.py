"""How every tab looks and can be used: on a desktop and a phone, light and dark, by keyboard, with a screen reader.

The pictures that these tests take stay in runs/screenshots (or L2T_SCREENSHOTS).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import urlencode

import pytest
from browser_kit import BROWSER_MARKS, SCREENS, Visit, keep_screenshot, visiting
from page_checks import axe_findings, layout_findings, tab_through
from playwright.sync_api import Browser, expect

from l2t_hub.demo.page import TABS

pytestmark = BROWSER_MARKS

OWN_WEIGHT = 2_000_000


@dataclass(frozen=True)
class Shown:
    """A state of the page: its link, what is there when it is shown, and the button that shows it again."""

    link: dict[str, str]
    answer: str
    button: str


STATES = {
    "compare": Shown({"tab": "compare"}, "#answer article", "Compare"),
    "playground": Shown(
        {"tab": "playground", "task": "typo", "seed": "7"},
        "#play-answers article[data-state=finished]",
        "New draw",
    ),
    "scoreboard": Shown(
        {"tab": "scoreboard", "model": "tiny-raw", "phenomenon": "ellipsis"},
        "#scores tbody tr",
        "Show scores",
    ),
    "dataset": Shown({"tab": "dataset", "rows": "5"}, "#dataset-rows article", "Show rows"),
}
TITLES = [row.title for row in TABS]


@pytest.fixture(scope="module", params=STATES)
def shown(request: pytest.FixtureRequest, browser: Browser, page_address: str) -> Iterator[tuple[str, Visit]]:
    """A tab whose link was opened, and its name. All tests of a tab use the one page."""
    state = STATES[request.param]
    with visiting(browser) as visit:
        visit.page.goto(f"{page_address}?{urlencode(state.link)}")
        expect(visit.page.locator(state.answer).first).to_be_visible(timeout=30_000)
        yield request.param, visit


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("screen", SCREENS)
def test_a_tab_fits_every_screen_in_both_themes(shown: tuple[str, Visit], screen: str, scheme: str) -> None:
    name, visit = shown
    visit.show(SCREENS[screen], scheme)
    expect(visit.page.locator("body.dark")).to_have_count(int(scheme == "dark"))
    keep_screenshot(visit.page, f"{name}-{screen}-{scheme}")
    found = layout_findings(visit.page)
    if (screen, scheme) in (("desktop", "light"), ("phone", "dark")):
        found += axe_findings(visit.page)
    assert not found, "\n".join(found)


def test_the_keyboard_reaches_everything_and_shows_where_it_is(shown: tuple[str, Visit]) -> None:
    name, visit = shown
    visit.show(SCREENS["desktop"], "light")
    labels, unseen = tab_through(visit.page)
    assert unseen == []
    assert labels[0] == TITLES[0]  # arrow keys lead from one tab to the next
    assert STATES[name].button in labels, ", ".join(labels)
    visit.page.locator(STATES[name].answer).first.evaluate("e => e.remove()")
    visit.page.get_by_role("button", name=STATES[name].button, exact=True).focus()
    visit.page.keyboard.press("Enter")
    expect(visit.page.locator(STATES[name].answer).first).to_be_visible(timeout=30_000)


def test_a_screen_reader_is_told_the_result(shown: tuple[str, Visit]) -> None:
    shown[1].page.wait_for_function(
        """() => [...document.querySelectorAll('.l2t-summary')].some(line => line.checkVisibility()
            && line.textContent === document.querySelector('#l2t-announced[role=status]').textContent)""",
        timeout=30_000,
    )


def test_the_page_is_light(browser: Browser, page_address: str) -> None:
    """All tabs together, besides what comes with Gradio."""
    with visiting(browser) as visit:
        visit.page.goto(page_address)
        for title in TITLES:
            visit.page.get_by_role("tab", name=title).click()
            visit.page.wait_for_timeout(200)
        sizes = visit.own_sizes()
        assert 10_000 < sum(sizes.values()) < OWN_WEIGHT, sizes
