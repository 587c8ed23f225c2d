"""The Compare tab in a real browser: long pairs on one axis, lists, links and downloads, on a desktop and on a phone."""

import csv
from collections.abc import Iterator
from pathlib import Path

import pytest
from browser_kit import BROWSER_MARKS, SCREENS, Visit, keep_screenshot, visiting
from playwright.sync_api import Browser, Page, expect

pytestmark = BROWSER_MARKS
LONG = (
    "The keys that the children of the tired neighbour had left beside the heavy cabinet near the river were cold.",
    "The keys that the children of the tired neighbour had left beside the heavy cabinet near the river was cold.",
)
OVERLAPS = """() => [...document.querySelectorAll('.l2t-figure')].flatMap(figure => {
  const boxes = [...figure.querySelectorAll('.l2t-bar i')].map(label => label.getBoundingClientRect());
  return boxes.slice(1).filter((box, i) => box.left < boxes[i].right && box.top < boxes[i].bottom
    && boxes[i].top < box.bottom).map(box => box.left);
})"""
AXES = """() => [...document.querySelectorAll('.l2t-figure')].map(figure => new Set(
  [...figure.querySelectorAll('.l2t-bars')].map(bars => Math.round(bars.getBoundingClientRect().bottom))).size)"""


@pytest.fixture
def visit(request: pytest.FixtureRequest, browser: Browser, page_address: str) -> Iterator[Visit]:
    """The page on the screen that the test names, with its first pair compared."""
    scheme = {"desktop": "light", "phone": "dark"}[request.param]
    with visiting(browser, SCREENS[request.param], scheme) as opened:
        opened.page.goto(page_address)
        expect(opened.page.locator("#answer article")).to_have_count(2, timeout=30_000)
        yield opened


def compare(page: Page, good: str, bad: str) -> None:
    page.get_by_label("Grammatical sentence", exact=True).fill(good)
    page.get_by_label("Ungrammatical sentence", exact=True).fill(bad)
    page.get_by_role("button", name="Compare", exact=True).click()
    expect(page.locator("#answer tr.l2t-bad bdi").first).to_have_text(bad)


@pytest.mark.parametrize("visit", list(SCREENS), indirect=True)
def test_a_long_pair_has_one_axis_and_labels_that_do_not_overlap(
    visit: Visit, request: pytest.FixtureRequest
) -> None:
    page = visit.page
    compare(page, *LONG)
    assert page.locator(".l2t-bar i").count() > 100
    assert page.evaluate(OVERLAPS) == []
    assert page.evaluate(AXES) == [1, 1]
    width, scroll = page.evaluate("[innerWidth, document.documentElement.scrollWidth]")
    assert scroll <= width
    # Where the sentences part is in sight, although it is at their end.
    for first in (".l2t-figure .l2t-first", ".l2t-matrix thead .l2t-critical"):
        left, right = page.locator(first).first.evaluate(
            "e => [e.getBoundingClientRect().left, e.getBoundingClientRect().right]"
        )
        assert 0 <= left < right <= width
    keep_screenshot(page, f"compare-long-{request.node.callspec.id}")


@pytest.mark.parametrize("visit", ["phone"], indirect=True)
def test_a_list_is_scored_downloaded_and_opened_pair_by_pair(visit: Visit, tmp_path: Path) -> None:
    page = visit.page
    page.get_by_label("A list of pairs").click()
    expect(page.locator("#pairs textarea")).to_be_visible()
    expect(page.get_by_label("Grammatical sentence", exact=True)).to_be_hidden()
    page.locator("#pairs textarea").fill("A cat sat.\nA cats sat.\n\n=1+1\n<b>bold</b>")
    page.get_by_role("button", name="Compare", exact=True).click()
    expect(page.locator(".l2t-pairs tbody tr")).to_have_count(2)
    keep_screenshot(page, "compare-list-phone")
    for title, start in (("PNG", b"\x89PNG"), ("Markdown", b"**The grammatical")):
        with page.expect_download() as started:
            page.get_by_role("button", name=f"Download {title}").click()
        assert Path(started.value.path()).read_bytes().startswith(start)
    with page.expect_download() as started:
        page.get_by_role("button", name="Download CSV").click()
    with Path(started.value.path()).open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["grammatical"] for row in rows] == ["A cat sat."] * 2 + ["'=1+1"] * 2
    page.locator(".l2t-pairs tbody a").nth(1).click()
    expect(page.locator("#answer article")).to_have_count(2, timeout=30_000)
    expect(page.locator("#answer tr.l2t-bad bdi").first).to_have_text("<b>bold</b>")


@pytest.mark.parametrize("visit", ["desktop"], indirect=True)
def test_a_link_restores_a_sentence_and_its_models(visit: Visit, page_address: str) -> None:
    page = visit.page
    page.goto(
        f"{page_address}?tab=compare&models=tiny-l2t&models=/etc&kind=sentence&sentence=A+%E2%80%AEcat."
    )
    expect(page.locator("#notice")).to_contain_text("/etc")
    expect(page.locator("#answer article")).to_have_count(1, timeout=30_000)
    expect(page.get_by_label("Sentence", exact=True)).to_be_visible()
    expect(page.locator("#answer bdi").first).to_have_text("A [U+202E]cat.")
    page.get_by_label("Models").focus()
    page.keyboard.type("tiny-raw")
    page.keyboard.press("Enter")
    expect(page.locator("#answer article")).to_have_count(2)
    keep_screenshot(page, "compare-sentence-desktop")
