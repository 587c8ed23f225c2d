"""Links: what is written is read again, and nothing of a stranger's link is trusted."""

from urllib.parse import urlencode

import gradio as gr
import pytest
from hypothesis import given
from hypothesis import strategies as st

from l2t_hub.demo.links import MAX_LINK, MAX_VALUES, read_link, write_link
from l2t_hub.demo.tab import Tab
from l2t_hub.errors import UserError


def number(text: str) -> int:
    value = int(text)
    if not 0 <= value <= 9:
        raise UserError("out of range")
    return value


def short(text: str) -> str:
    if len(text) > 50:
        raise ValueError("too long")
    return text


@pytest.fixture(scope="module")
def tabs() -> list[Tab]:
    with gr.Blocks():
        inputs = {
            "model": gr.Dropdown(["a"], multiselect=True),
            "text": gr.Textbox(),
            "seed": gr.Number(),
        }
        checks = {"model": short, "text": short, "seed": number}
        first = Tab("first", inputs, print, [], checks)
        return [first, Tab("second", {"on": gr.Checkbox()}, print, [], {"on": lambda text: text == "true"})]


words = st.text(st.characters(exclude_categories=["Cs"]), max_size=20).filter(bool)


@given(st.lists(words, min_size=1, max_size=4), words, st.integers(0, 9))
def test_a_state_survives_its_link(tabs: list[Tab], models: list[str], text: str, seed: int) -> None:
    found = read_link(write_link(tabs[0], [models, text, seed]), tabs)
    assert found.tab is tabs[0]
    assert dict(found.values) == {"model": models, "text": text, "seed": seed}
    assert found.dropped == ()


def test_empty_values_are_left_out_and_truth_is_a_word(tabs: list[Tab]) -> None:
    assert write_link(tabs[0], [[], "", None]) == "?tab=first"
    assert write_link(tabs[1], [True]) == "?tab=second&on=true"
    assert read_link("?tab=second&on=false", tabs).values == {"on": False}


def test_no_link_is_no_state(tabs: list[Tab]) -> None:
    for query in ("", "?", "?__theme=dark&text=x"):
        found = read_link(query, tabs)
        assert (found.tab, found.values, found.dropped) == (None, {}, ())


@pytest.mark.parametrize("seed", ["10", "-1", "x", "1e400", "9" * 5000, "\u0663\u0663", ""])
def test_a_value_that_makes_no_sense_is_dropped_with_a_notice(tabs: list[Tab], seed: str) -> None:
    found = read_link("?" + urlencode({"tab": "first", "text": "stays", "seed": seed, "__sign": "x"}), tabs)
    assert found.tab is tabs[0]
    assert dict(found.values) == {"text": "stays"}
    assert len(found.dropped) == 1
    assert "seed" in found.dropped[0]


def test_links_that_are_too_much_are_not_read(tabs: list[Tab]) -> None:
    assert read_link("?tab=first&text=" + "x" * 10_000_000, tabs).dropped == (
        "The link is too long and was not read.",
    )
    many = read_link("?tab=first" + "&model=a" * (MAX_VALUES + 1), tabs)
    assert (many.tab, many.dropped) == (None, ("The link has too many values and was not read.",))
    assert "does not have" in read_link("?tab=../../etc/passwd", tabs).dropped[0]


@given(st.text(max_size=300))
def test_any_query_is_read_without_an_error(tabs: list[Tab], query: str) -> None:
    read_link(query, tabs)
    found = read_link(f"?tab=first&{query}", tabs)
    assert found.tab is tabs[0] or found.dropped
    assert set(found.values) <= set(tabs[0].inputs)


def test_a_state_that_does_not_fit_in_a_link_is_refused_in_words(tabs: list[Tab]) -> None:
    with pytest.raises(UserError, match="too long for a link"):
        write_link(tabs[0], [["a"], "\u4e2d" * MAX_LINK, 1])
    with pytest.raises(UserError, match="too long for a link"):
        write_link(tabs[0], [["a"] * (MAX_VALUES + 1), "", 1])
