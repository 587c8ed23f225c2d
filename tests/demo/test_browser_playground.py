"""The task playground in a real browser: drawing, answering, stopping, and its link."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from browser_kit import BROWSER_MARKS, DESKTOP, PHONE, serving, visiting
from page_checks import axe_findings, layout_findings
from playwright.sync_api import Browser, Page, expect
from tiny_models import make_tiny_model

from l2t_hub.demo.model_pool import ModelPool
from l2t_hub.demo.page import build_page
from l2t_hub.demo.page_context import PageContext
from l2t_hub.demo.playground import draw_example

pytestmark = BROWSER_MARKS

TEXT = "The children sat near the old river. The <b>cat</b> was tired that evening. Nobody saw it."
OTHER = "A comet came."


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Serve the page with two models that read 1,024 tokens."""
    folder: Path = tmp_path_factory.mktemp("answering")
    models = {
        name: str(make_tiny_model(folder / name, seed, positions=1024))
        for seed, name in enumerate(("tiny-raw", "tiny-l2t"))
    }
    with serving(build_page(PageContext(models, ModelPool(models, memory=1 << 30)))) as url:
        yield url


def link(address: str, **state: Any) -> str:
    return f"{address}?{urlencode({'tab': 'playground', 'text': TEXT, **state}, doseq=True)}"


def expect_prompt(page: Page, task: str, seed: int, other: str = "") -> None:
    row = draw_example(task, TEXT, seed, other).row
    expect(page.locator("[data-part=prompt]")).to_have_text(f"{row.prompt}\n\n{row.anchor or '(no anchor)'}")


def test_an_example_is_drawn_answered_and_drawn_again(browser: Browser, address: str) -> None:
    with visiting(browser, PHONE) as visit:
        page = visit.page
        page.goto(link(address, task="deletion", other=OTHER, seed=7, model=["tiny-raw", "tiny-l2t"]))
        done = page.locator("#play-answers article[data-state=finished]")
        expect(done).to_have_count(2, timeout=30_000)
        expect(page.get_by_label("Other text")).to_have_value(OTHER)
        expect_prompt(page, "deletion", 7, OTHER)
        expect(page.locator("[data-part=prompt] ins")).to_contain_text(OTHER)
        expect(done.first.locator("[data-score='exact match']")).to_have_text("0")
        page.add_style_tag(content="* { transition: none !important; }")  # else colours change slowly
        for screen, scheme in ((PHONE, "dark"), (DESKTOP, "light")):
            visit.show(screen, scheme)
            expect(page.locator("body.dark")).to_have_count(int(scheme == "dark"))
            assert layout_findings(page) == []
            assert axe_findings(page) == []
        page.get_by_role("button", name="New draw").click()
        expect_prompt(page, "deletion", 8, OTHER)
        expect(page.get_by_label("Seed", exact=True)).to_have_value("8")
        expect(done).to_have_count(2, timeout=30_000)
        page.locator("#play-task input").click()
        page.get_by_role("option", name="typo (character)").click()
        expect_prompt(page, "typo", 8)
        expect(page.get_by_label("Other text")).to_have_count(0)
        expect(done).to_have_count(2, timeout=30_000)
        page.locator("#copy-link-playground").click()
        copied = page.locator("#link-playground").get_by_role("textbox").input_value()
        page.goto(copied)
        expect_prompt(page, "typo", 8)


def test_an_answer_can_be_stopped_and_a_new_one_takes_its_place(
    browser: Browser, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from l2t_hub.generate import decoding

    choices = decoding._Reader.choices

    def slowly(self: Any, states: Any) -> Any:
        time.sleep(0.1)
        return choices(self, states)

    monkeypatch.setattr(decoding._Reader, "choices", slowly)
    state = '#play-answers article[data-model="tiny-raw"]'
    with visiting(browser) as one, visiting(browser) as two:
        for visit, seed in ((one, 1), (two, 2)):
            visit.page.goto(link(address, task="typo", seed=seed, model="tiny-raw"))
            expect(visit.page.locator(f"{state}[data-state=writing] [data-part=answer]")).not_to_have_text(
                "▍", timeout=30_000
            )
        one.page.get_by_role("button", name="Stop").click()
        expect(one.page.locator(f"{state}[data-state=stopped]")).to_be_visible()
        two.page.get_by_role("button", name="New draw").click()
        expect_prompt(two.page, "typo", 3)
        expect(two.page.locator(f"{state}[data-state=writing]")).to_be_visible(timeout=30_000)
        monkeypatch.undo()
        expect(two.page.locator(f"{state}[data-state=finished]")).to_be_visible(timeout=30_000)
        expect_prompt(two.page, "typo", 3)
        expect_prompt(one.page, "typo", 1)


def test_a_text_without_an_example_gets_a_sentence(browser: Browser, address: str) -> None:
    with visiting(browser) as visit:
        visit.page.goto(link(address, task="reordering", text="Only one.", model="tiny-raw"))
        expect(visit.page.locator("#play-example [role=alert]")).to_contain_text("at least 3 sentences")
