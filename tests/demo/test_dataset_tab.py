"""The dataset tab without a browser: what a link, an API call or a forged request may say."""

import json
from pathlib import Path
from typing import Any

import gradio as gr
import pytest

from l2t_hub.demo.api import in_words
from l2t_hub.demo.dataset_tab import add_dataset_tab, has_datasets
from l2t_hub.demo.links import read_link, write_link
from l2t_hub.demo.model_pool import ModelPool
from l2t_hub.demo.page_context import PageContext
from l2t_hub.demo.tab import Tab

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")  # Gradio leaves its loop to the collector


def context(datasets: dict[str, str], *, guests: bool = False) -> PageContext:
    return PageContext({}, ModelPool({}, memory=1), datasets=datasets, guest_models=guests)


@pytest.fixture
def tab(tiny_dataset: Path) -> Tab:
    with gr.Blocks():
        return add_dataset_tab(context({"tiny-data": str(tiny_dataset)}, guests=True))


def test_a_state_survives_its_link(tab: Tab) -> None:
    state = ["tiny-data", "examples", "typo", "validation", 12, 20]
    link = read_link(write_link(tab, state), [tab])
    assert [link.values[key] for key in tab.inputs] == state
    assert link.dropped == ()
    query = f"?tab=dataset&dataset=/etc&kind=all&task={'x' * 201}&split=test&number=-1&rows=7"
    forged = read_link(query, [tab])
    assert forged.values == {}
    assert len(forged.dropped) == 6
    assert read_link("?tab=dataset&dataset=org/name@v1", [tab]).values == {"dataset": "org/name@v1"}


def test_a_page_without_datasets_has_the_tab_only_for_guests(tiny_dataset: Path) -> None:
    assert has_datasets(context({"a": str(tiny_dataset)}))
    assert has_datasets(context({}, guests=True))
    assert not has_datasets(context({}))


ODD: list[Any] = [
    None,
    True,
    -1,
    10**30,
    float("nan"),
    "",
    "\0\u202e<b>",
    {},
    {"a": [1]},
    [["x"]],
    "x" * 100_000,
]


@pytest.mark.parametrize("place", range(6))
def test_values_of_any_type_are_shown_as_text_or_refused(tab: Tab, tiny_dataset: Path, place: int) -> None:
    for value in ODD:
        sent: list[Any] = ["tiny-data", "examples", "", "train", 1, 5]
        sent[place] = value
        html = str(tab.show(*sent)[0])
        assert "<b>\0" not in html
        assert "\u202e" not in html
        assert str(tiny_dataset.parent) not in html
        assert len(html) < 100_000


def test_the_functions_for_the_api_give_plain_json(tab: Tab) -> None:
    page, mixture = (in_words(function) for function in tab.functions)
    rows = page("tiny-data", task="typo", rows=3)
    assert [row["task"] for row in rows["rows"]] == ["typo"] * 3
    assert json.loads(json.dumps(rows)) == rows
    parts = mixture("tiny-data")["parts"]
    assert sum(part["token_share"] for part in parts) == pytest.approx(1)
    for wrong in (
        {"dataset": "../x"},
        {"dataset": "tiny-data", "task": "x"},
        {"dataset": "tiny-data", "rows": "many"},
    ):
        with pytest.raises(gr.Error):
            page(**wrong)
