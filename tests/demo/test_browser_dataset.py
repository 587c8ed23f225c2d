"""The dataset tab in a real browser: paging, views, a shared link, files, and names that make no sense."""

import csv
import io
from collections.abc import Iterator
from pathlib import Path

import pytest
from browser_kit import BROWSER_MARKS, PHONE, keep_screenshot, serving, visiting
from page_checks import axe_findings, layout_findings
from playwright.sync_api import Browser, Page, expect

from l2t_hub.demo.dataset_page import read_page
from l2t_hub.demo.dataset_place import ShownDataset, find_dataset
from l2t_hub.demo.model_pool import ModelPool
from l2t_hub.demo.page import build_page
from l2t_hub.demo.page_context import PageContext

pytestmark = BROWSER_MARKS


@pytest.fixture(scope="module")
def address(tiny_dataset: Path) -> Iterator[str]:
    models = {"no model": "nowhere"}
    datasets = {"tiny-data": str(tiny_dataset)}
    context = PageContext(models, ModelPool(models, memory=1), datasets=datasets, guest_models=True)
    with serving(build_page(context)) as url:
        yield url


@pytest.fixture
def dataset(tiny_dataset: Path) -> ShownDataset:
    return find_dataset("tiny-data", {"tiny-data": str(tiny_dataset)}, guests=False)


def shown(page: Page, title: str) -> None:
    expect(page.locator("#dataset-rows .l2t-summary")).to_have_text(f"tiny-data: {title}", timeout=20_000)


def test_a_visitor_pages_through_a_dataset(
    browser: Browser, address: str, dataset: ShownDataset, tmp_path: Path
) -> None:
    with visiting(browser) as visit:
        page = visit.page
        page.goto(f"{address}?tab=dataset&dataset=tiny-data&task=typo&rows=5&number=2&split=nowhere")
        second = read_page(dataset, "examples", "typo", "train", 2, 5)
        shown(page, second.title)
        expect(page.locator("#notice")).to_contain_text("The link's split was dropped")
        assert page.locator("#dataset-rows article").count() == 5
        expect(page.locator("#dataset-rows mark").first).to_be_visible()
        expect(page.get_by_label("Code that loads these rows")).to_have_value(second.code)
        with page.expect_download() as download:
            page.get_by_role("link", name="CSV").click()
        download.value.save_as(tmp_path / "rows.csv")
        rows = list(csv.DictReader(io.StringIO((tmp_path / "rows.csv").read_text(encoding="utf-8-sig"))))
        assert [int(row["row"]) for row in rows] == [row.number for row in second.rows]
        page.get_by_role("button", name="Last").click()
        last = read_page(dataset, "examples", "typo", "train", -1, 5)
        shown(page, last.title)
        expect(page.get_by_label("Page", exact=True)).to_have_value(str(last.pages))
        expect(page.locator("#dataset-facts")).to_contain_text("It adds up")
        keep_screenshot(page, "dataset-desktop")
        assert axe_findings(page) == []
        page.get_by_label("Packed sequences").click()
        shown(page, read_page(dataset, "packed", "", "train", 1, 5).title)
        page.get_by_label("Page", exact=True).fill("3")
        page.keyboard.press("Enter")
        shown(page, read_page(dataset, "packed", "", "train", 3, 5).title)


def test_a_phone_shows_the_tab_and_what_is_wrong_with_a_name(browser: Browser, address: str) -> None:
    with visiting(browser, PHONE, "dark") as visit:
        page = visit.page
        page.goto(f"{address}?tab=dataset&rows=5")
        expect(page.locator("#dataset-rows article")).to_have_count(5, timeout=20_000)
        assert layout_findings(page) == []
        assert axe_findings(page) == []
        keep_screenshot(page, "dataset-phone")
        page.get_by_label("Dataset", exact=True).and_(page.locator("input")).fill("/etc/<img src=x>")
        page.keyboard.press("Enter")
        page.get_by_role("button", name="Show rows").click()
        message = page.locator("#dataset-rows .l2t-message")
        expect(message).to_contain_text("'/etc/<img src=x>' is not the name of a dataset")
        assert page.locator("#dataset-rows img").count() == 0
