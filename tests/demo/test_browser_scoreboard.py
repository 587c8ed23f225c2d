"""The scoreboard in a real browser: sorted by keyboard, a score opened, a pair taken to Compare, a shared link."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlencode

import pytest
from browser_kit import BROWSER_MARKS, PHONE, keep_screenshot, serving, visiting
from playwright.sync_api import Browser, Page, expect
from saved_scores import PHENOMENA, save

from l2t_hub.demo.choice import display_names
from l2t_hub.demo.model_pool import ModelPool
from l2t_hub.demo.page import build_page
from l2t_hub.demo.page_context import PageContext

pytestmark = BROWSER_MARKS


@pytest.fixture(scope="module")
def address(tiny_models: tuple[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Serve the page with two tiny models that have results on the probes, and one whose results are broken."""
    folder = tmp_path_factory.mktemp("scored")
    for directory, share in zip(tiny_models, (0.5, 0.8), strict=True):
        own = folder / Path(directory).name
        shutil.copytree(directory, own)
        save(own / "eval" / "probes.json", {own.name: share})
    (folder / "broken" / "eval").mkdir(parents=True)
    (folder / "broken" / "eval" / "probes.json").write_text('{"schema": 2, "protocol": 1, "models": []}')
    names = display_names([str(folder / name) for name in ("tiny-raw", "tiny-l2t", "broken")])
    with serving(build_page(PageContext(names, ModelPool(names, memory=1 << 30)))) as url:
        yield url


def column(page: Page, place: int) -> list[float]:
    """Return the values of a column of the table, in the order on the page."""
    cells = page.locator(f".l2t-scores tbody tr td:nth-of-type({place})").all()
    return [float(cell.get_attribute("data-value") or "nan") for cell in cells]


def test_scores_are_sorted_by_keyboard_and_open_their_pairs_which_compare_reads(
    browser: Browser, address: str
) -> None:
    with visiting(browser) as visit:
        page = visit.page
        page.goto(address)
        page.get_by_role("tab", name="Scoreboard").click()
        page.get_by_role("button", name="Show scores").click()
        expect(page.locator("#scores .l2t-summary")).to_have_text("probes: 2 models", timeout=30_000)
        expect(page.locator("#scores .l2t-notes")).to_contain_text(
            "broken: probes.json: these are not the scores"
        )
        header = page.locator(".l2t-scores thead th").nth(3)
        header.get_by_role("button").focus()
        page.keyboard.press("Enter")
        expect(header).to_have_attribute("aria-sort", "ascending")
        assert column(page, 3) == sorted(column(page, 3))
        page.keyboard.press("Enter")  # the focus is where it was
        expect(header).to_have_attribute("aria-sort", "descending")
        assert column(page, 3) == sorted(column(page, 3), reverse=True)
        expect(page.locator("#scores [data-sorted]")).to_have_text("Sorted by tiny-l2t, descending")
        page.locator(f'#scores button[data-model="tiny-raw"][data-phenomenon="{PHENOMENA[1]}"]').click()
        head = page.locator("#behind h3")
        expect(head).to_contain_text("tiny-raw on Ellipsis")
        expect(head).to_be_focused()
        expect(page.locator("#behind tbody tr").first).to_contain_text("wrong")
        keep_screenshot(page, "scoreboard-desktop")
        good = page.locator("#behind tbody bdi").first.inner_text()
        page.locator("#behind tbody a").first.click()
        expect(page.get_by_label("Grammatical sentence", exact=True)).to_have_value(good)
        expect(page.locator("#answer article")).to_have_count(2, timeout=30_000)


def test_a_link_shows_the_same_order_and_the_same_pairs_on_a_phone(browser: Browser, address: str) -> None:
    state = {"tab": "scoreboard", "models": "tiny-l2t", "sort": '["tiny-l2t", "ascending"]'}
    with visiting(browser, PHONE, "dark") as visit:
        page = visit.page
        page.goto(f"{address}?{urlencode(state | {'model': 'tiny-l2t', 'phenomenon': PHENOMENA[0]})}")
        expect(page.locator("#behind h3")).to_contain_text("tiny-l2t on Anaphor agreement", timeout=30_000)
        expect(page.locator("#scores .l2t-summary")).to_have_text("probes: 1 model")
        assert column(page, 2) == sorted(column(page, 2))
        keep_screenshot(page, "scoreboard-phone")
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
