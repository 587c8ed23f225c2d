"""Names and texts that are markup, in a real browser: every tab shows them as text, and nothing of them runs."""

import json
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlencode

import pytest
from browser_kit import BROWSER_MARKS, PHONE, keep_screenshot, serving, visiting
from page_checks import layout_findings
from playwright.sync_api import Browser, expect
from saved_scores import save
from tiny_models import make_tiny_model
from tiny_release import make_dataset, tiny_recipe

from l2t_hub.demo.model_pool import ModelPool
from l2t_hub.demo.page import build_page
from l2t_hub.demo.page_context import PageContext

pytestmark = BROWSER_MARKS

MARKUP = "<img src=x onerror='window.hacked=1'><script>window.hacked=2</script>"
TEMPLATE = (
    "${window.hacked=3} {{constructor.constructor('window.hacked=4')()}} [a](javascript:window.hacked=5)"
)
CONTROLS = "\u202eright\u2066 to\u2069 left\u200b\x1b[31m\x07"
HOSTILE = f"{MARKUP} {TEMPLATE} {CONTROLS}"


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("hostile")
    with (folder / "text.jsonl").open("w") as file:
        for number in range(40):
            text = f"The {number}th document starts here. {HOSTILE} is in it. Nobody reads it. It ends after that."
            file.write(json.dumps({"id": f"{MARKUP}{number}", "text": text}) + "\n")
    source = {
        "path": str(folder / "text.jsonl"),
        "title": HOSTILE,
        "license": "cc0-1.0",
        "url": "https://example.org",
    }
    recipe = tiny_recipe(
        "hostile", source=source, build={"partitions": 1}, validation={"near_duplicates": "keep"}
    )
    dataset = make_dataset(recipe, folder / "dataset")
    models = {
        name: str(make_tiny_model(folder / str(seed), seed, positions=1024))
        for seed, name in enumerate((f"{MARKUP}raw", f"{TEMPLATE}l2t"))
    }
    for name, place in models.items():
        save(Path(place) / "eval" / "probes.json", {name: 0.5})
    pool = ModelPool(models, memory=1 << 30, guests=True)
    with serving(build_page(PageContext(models, pool, {f"{MARKUP}data": str(dataset)}, (), True))) as url:
        yield url


@pytest.mark.parametrize(
    ("state", "shown"),
    [
        ({"tab": "compare", "good": f"a {HOSTILE}", "bad": f"b {HOSTILE}"}, "#answer article"),
        (
            {"tab": "playground", "task": "typo", "text": HOSTILE},
            "#play-answers article[data-state=finished]",
        ),
        ({"tab": "dataset", "rows": "5", "kind": "raw"}, "#dataset-rows article"),
        ({"tab": "scoreboard"}, "#scores .l2t-scores"),
        ({"tab": HOSTILE, "good": HOSTILE}, "#notice .l2t-message"),
        ({"tab": "compare", "model": HOSTILE, "kind": HOSTILE}, "#notice .l2t-message"),
    ],
    ids=["compare", "playground", "dataset", "scoreboard", "no-tab", "no-model"],
)
def test_markup_is_text(
    request: pytest.FixtureRequest, browser: Browser, address: str, state: dict[str, str], shown: str
) -> None:
    with visiting(browser, PHONE) as visit:
        visit.page.goto(f"{address}?{urlencode(state)}")
        expect(visit.page.locator(shown).first).to_be_visible(timeout=30_000)
        expect(visit.page.locator(f"{shown}:has-text('<img src=x')").first).to_be_visible()
        assert visit.page.evaluate("window.hacked") is None
        assert visit.page.locator("img[src=x], .l2t script, .l2t a[href^='javascript']").count() == 0
        assert not [c for c in "\u202e\u2066\x1b\x07" if c in visit.page.locator(shown).first.inner_text()]
        assert layout_findings(visit.page) == []
        keep_screenshot(visit.page, f"hostile-{request.node.callspec.id}")
