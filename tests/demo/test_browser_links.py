"""A shared link in a real browser: copied with the keyboard, opened by somebody else, and made up by a stranger."""

from browser_kit import BROWSER_MARKS, visiting
from playwright.sync_api import Browser, expect

pytestmark = BROWSER_MARKS
GOOD, BAD = "The old cat was <b>tired</b> & wet.", "The old cat were <b>tired</b> & wet."


def test_a_state_is_copied_with_the_keyboard_and_restored_elsewhere(
    browser: Browser, page_address: str
) -> None:
    with visiting(browser) as visit:
        page = visit.page
        page.goto(page_address)
        expect(page.locator("#answer article").first).to_be_visible(timeout=30_000)
        page.get_by_label("Grammatical sentence", exact=True).fill(GOOD)
        page.get_by_label("Ungrammatical sentence", exact=True).fill(BAD)
        page.get_by_role("button", name="Copy link").first.focus()
        page.keyboard.press("Enter")
        box = page.locator("#link-compare textarea, #link-compare input")
        expect(page.locator("#said-compare")).to_contain_text("ink")  # copied, or where to find it
        link = box.input_value()
    assert link.startswith(f"{page_address}?tab=compare&")
    assert "<" not in link
    with visiting(browser) as visit:
        page = visit.page
        page.goto(link)
        expect(page.get_by_label("Grammatical sentence", exact=True)).to_have_value(GOOD)
        expect(page.locator("#answer")).to_contain_text(BAD, timeout=30_000)
        assert page.locator("#answer b:text-is('tired')").count() == 0


def test_what_a_stranger_wrote_into_a_link_is_dropped_with_a_notice(
    browser: Browser, page_address: str
) -> None:
    with visiting(browser) as visit:
        page = visit.page
        page.goto(f"{page_address}?tab=<img src=x onerror=document.title=1>&good=x")
        expect(page.locator("#notice")).to_contain_text("<img src=x", timeout=30_000)
        expect(page.locator("#answer article").first).to_be_visible(timeout=30_000)
        assert page.locator("#notice img").count() == 0
