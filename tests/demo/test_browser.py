"""The page in a real browser: what a person types, presses and sees, on a desktop and on a phone."""

import json
from collections.abc import Iterator
from pathlib import Path

import gradio as gr
import httpx
import pytest
from browser_kit import BROWSER_MARKS, DESKTOP, PHONE, recorded_lookups, serving, visiting
from playwright.sync_api import Browser, Page, expect

from l2t_hub.demo.choice import display_names
from l2t_hub.demo.examples import example_pairs
from l2t_hub.demo.model_pool import ModelPool
from l2t_hub.demo.page import build_page
from l2t_hub.demo.page_context import PageContext
from l2t_hub.scoring import load_scorer, score

PAIR = ("The cat was tired that evening.", "The cat were tired that evening.")
HOSTILE = "<img src=x onerror='window.hacked=1'><script>window.hacked=2</script> ${window.hacked=3} {{constructor.constructor('window.hacked=4')()}}"

pytestmark = BROWSER_MARKS


@pytest.fixture(scope="module")
def address(tiny_models: tuple[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Serve the page with two tiny models and one that cannot be loaded; nothing but this machine is asked for."""
    nothing = tmp_path_factory.mktemp("gone") / "no-model"
    nothing.mkdir()
    names = display_names([*tiny_models, str(nothing)])
    page = build_page(PageContext(names, ModelPool(names, memory=1 << 30)))
    with recorded_lookups() as asked_for, serving(page) as url:
        yield url
    assert "127.0.0.1" in asked_for
    assert asked_for <= {"127.0.0.1", "localhost"}


SCREENS = ((DESKTOP, "light"), (PHONE, "dark"))
both_screens = pytest.mark.parametrize("page", SCREENS, ids=["desktop", "phone"], indirect=True)


@pytest.fixture
def page(request: pytest.FixtureRequest, browser: Browser, address: str) -> Iterator[Page]:
    """The page, loaded and with its first example compared; fails on any request that leaves this machine."""
    screen, scheme = getattr(request, "param", SCREENS[0])
    with visiting(browser, screen, scheme) as visit:
        visit.page.goto(address)
        expect(visit.page.locator("#answer article")).to_have_count(2, timeout=30_000)
        yield visit.page


def type_pair(page: Page, good: str, bad: str) -> None:
    page.get_by_label("Grammatical sentence", exact=True).fill(good)
    page.get_by_label("Ungrammatical sentence", exact=True).fill(bad)
    page.get_by_role("button", name="Compare").click()


@both_screens
def test_a_typed_pair_shows_both_models_scores(page: Page, tiny_models: tuple[str, str]) -> None:
    type_pair(page, *PAIR)
    expect(page.locator("#answer tr.l2t-bad bdi").first).to_have_text(PAIR[1])
    for directory in tiny_models:
        name = Path(directory).name
        card = page.locator(f'article[data-model="{name}"]')
        for kind, expected in zip(("good", "bad"), score(load_scorer(directory), PAIR), strict=True):
            shown = card.locator(f'[data-score="{kind}"]').inner_text().replace("\u2212", "-")
            assert float(shown) == pytest.approx(-expected.bits, abs=0.051)
            chips = card.locator(f".l2t-token.l2t-both, .l2t-token.l2t-{kind}:not(.l2t-absent)").all()
            assert len(chips) == len(expected.tokens)
            for chip, token in zip(chips, expected.tokens, strict=True):
                title = chip.get_attribute("title") or ""
                assert float(title.rsplit(": ", 1)[1].removesuffix(" bits")) == pytest.approx(
                    token.bits, abs=0.0051
                )
        assert card.locator(".l2t-first").count() == 1
    summary = page.locator(".l2t-summary").inner_text()
    assert "tiny-raw" in summary
    assert "tiny-l2t" in summary


@both_screens
def test_the_page_fits_its_screen(page: Page) -> None:
    type_pair(page, "A " + "w" * 300 + " b.", "A " + "w" * 60 + " c.")
    expect(page.locator(".l2t-message")).to_contain_text("the model reads at most 128")
    type_pair(page, PAIR[0] + "x" * 60, PAIR[1])
    expect(page.locator("#answer article")).to_have_count(2)
    width, scroll = page.evaluate("[innerWidth, document.documentElement.scrollWidth]")
    assert scroll <= width
    dark = page.evaluate("matchMedia('(prefers-color-scheme: dark)').matches")
    background = page.locator("article").first.evaluate("e => getComputedStyle(e).backgroundColor")
    assert background == ("rgb(24, 32, 45)" if dark else "rgb(255, 255, 255)")


@both_screens
def test_what_is_typed_in_never_runs(page: Page) -> None:
    type_pair(page, HOSTILE[:90] + " a.", HOSTILE[90:] + " b.")
    expect(page.locator("#answer tr.l2t-good bdi").first).to_have_text(HOSTILE[:90] + " a.")
    expect(page.locator("#answer tr.l2t-bad bdi").first).to_have_text(HOSTILE[90:] + " b.")
    type_pair(page, HOSTILE * 2, "b")
    expect(page.locator(".l2t-message")).to_contain_text("<img src=x onerror")
    assert page.evaluate("window.hacked") is None
    assert page.locator("#answer img, #answer script").count() == 0


def test_picking_an_example_compares_it(page: Page) -> None:
    title, pairs = list(example_pairs().items())[-1]
    page.get_by_label("Examples of").click()
    page.get_by_role("option", name=title).click()
    expect(page.get_by_label("Grammatical sentence", exact=True)).to_have_value(pairs[0][0])
    expect(page.locator("#answer tr.l2t-good bdi").first).to_have_text(pairs[0][0])
    page.get_by_label("Pair", exact=True).click()
    page.get_by_role("option").nth(2).click()
    expect(page.get_by_label("Ungrammatical sentence", exact=True)).to_have_value(pairs[2][1])
    expect(page.locator("#answer tr.l2t-bad bdi").first).to_have_text(pairs[2][1])


def test_mistakes_get_friendly_messages(page: Page) -> None:
    type_pair(page, "", "b")
    expect(page.locator(".l2t-message")).to_contain_text("The grammatical sentence is empty.")
    type_pair(page, "same", "same")
    expect(page.locator(".l2t-message")).to_contain_text("The two sentences are the same.")
    type_pair(page, *PAIR)
    expect(page.locator("#answer article")).to_have_count(2)
    page.get_by_label("Models").click()
    page.get_by_role("option", name="no-model").click()
    expect(page.locator(".l2t-message")).to_contain_text("no-model")
    expect(page.locator(".l2t-message")).to_contain_text("config.json")


def test_a_model_that_is_not_offered_is_never_opened(address: str) -> None:
    # Past the browser, straight at the server: the list of choices is all that a visitor may open.
    config = httpx.get(f"{address}config", timeout=30).json()
    shown = next(c["id"] for c in config["components"] if c["props"].get("elem_id") == "answer")
    number = next(f["id"] for f in config["dependencies"] if shown in f["outputs"])
    for model, accepted in (("tiny-raw", True), ("/etc", False)):
        session = f"session-{number}-{accepted}"
        data = [[model], "pair", *PAIR, "", ""]
        request = {"data": data, "fn_index": number, "session_hash": session}
        httpx.post(f"{address}gradio_api/queue/join", json=request).raise_for_status()
        with httpx.stream(
            "GET", f"{address}gradio_api/queue/data", params={"session_hash": session}
        ) as events:
            messages = [json.loads(line[5:]) for line in events.iter_lines() if line.startswith("data:")]
        finished = next(message for message in messages if message["msg"] == "process_completed")
        shown = finished["output"]["data"][0]
        assert ("<article" in shown) is accepted, finished
        assert ("/etc: this page does not offer that model." in shown) is not accepted


def test_gradio_is_not_told_to_report() -> None:
    assert gr.analytics.analytics_enabled() is False
