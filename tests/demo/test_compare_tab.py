"""What the Compare tab does, without a browser: with tiny real models, and the functions for programs."""

import base64
import json
import shutil
from pathlib import Path
from typing import Any

import gradio as gr
import pytest

from l2t_hub.demo.compare_models import ask, compare_functions
from l2t_hub.demo.compare_tab import FILES, _file_maker, add_compare_tab, comparer, list_text, pair_choices
from l2t_hub.demo.examples import example_pairs
from l2t_hub.demo.links import read_link, write_link
from l2t_hub.demo.model_pool import ModelPool
from l2t_hub.demo.page_context import PageContext
from l2t_hub.demo.pair_input import pair_question, pairs_question
from l2t_hub.errors import UserError
from l2t_hub.scoring import load_scorer, score

PAIR = ("The cat was tired.", "The cat were tired.")
REST = ("", "")


@pytest.fixture(scope="module")
def context(tiny_models: tuple[str, str]) -> PageContext:
    names = {Path(model).name: model for model in tiny_models}
    return PageContext(names, ModelPool(names, memory=1 << 30))


def test_a_pair_gets_a_card_per_model_with_the_scorers_figures(
    context: PageContext, tiny_models: tuple[str, str]
) -> None:
    page = comparer(context)(["tiny-raw", "tiny-l2t"], "pair", *PAIR, *REST)
    assert page.count("<article") == 2
    for directory in tiny_models:
        for expected in score(load_scorer(directory), PAIR):
            assert f"\u2212{expected.bits:.1f}" in page


def test_a_list_and_a_sentence_are_read_from_their_boxes(context: PageContext) -> None:
    listed = comparer(context)(["tiny-raw"], "pairs", *PAIR, "a\tb\nc\td", "")
    assert "of 2 pairs" in listed
    sentence = comparer(context)(["tiny-raw"], "sentence", *PAIR, "", "A cat.")
    assert "The sentence has" in sentence
    assert PAIR[0] not in sentence + listed


@pytest.mark.parametrize(
    ("models", "message"),
    [
        ([], "No model selected."),
        (["", " "], "No model selected."),
        (["tiny-raw", "other"], "other: this page does not offer that model."),
        (["../etc/passwd"], "../etc/passwd: this page does not offer that model."),
        (["https://example.org/a/b"], "this page does not offer that model."),
        (["tiny-raw@v1"], "tiny-raw"),
        (["a", "b", "c", "d", "e"], "5 models selected; the page compares up to 4."),
    ],
)
def test_models_that_cannot_be_compared(context: PageContext, models: list[str], message: str) -> None:
    page = comparer(context)(models, "pair", *PAIR, *REST)
    assert message in page
    assert 'role="alert"' in page


def test_a_model_named_twice_reads_once(context: PageContext) -> None:
    answer = ask(context, ["tiny-raw", "tiny-raw"], pair_question(*PAIR))
    assert answer.models == ["tiny-raw"]


def test_a_sentence_the_model_cannot_read_gets_a_message(context: PageContext) -> None:
    page = comparer(context)(["tiny-raw"], "pair", "A " + "w" * 300, "b", *REST)
    assert "the model reads at most 128" in page


def test_two_hundred_pairs_are_scored_in_one_go(context: PageContext) -> None:
    pairs = [(f"The cat sat {n}.", f"The cat sit {n}.") for n in range(200)]
    answer = ask(context, ["tiny-raw"], pairs_question(list_text(pairs)))
    alone = ask(context, ["tiny-raw"], pair_question(*pairs[123]))
    preference = answer.readings[0].pairs[123].preference
    assert preference == pytest.approx(alone.comparisons[0].preference, abs=1e-4)


@pytest.mark.filterwarnings("ignore::ResourceWarning")  # Gradio leaves its loop to the collector
def test_the_tab_offers_its_state_and_checks_links(context: PageContext) -> None:
    with gr.Blocks():
        tab = add_compare_tab(context)
    assert set(tab.inputs) == set(tab.check)
    assert tab.check["models"]("tiny-raw") == "tiny-raw"
    assert tab.check["kind"]("pairs") == "pairs"
    for key, value in (("models", "/etc"), ("kind", "x"), ("good", "x" * 1001), ("pairs", "x" * 10**6)):
        with pytest.raises((ValueError, UserError)):
            tab.check[key](value)
    values = [component.value for component in tab.inputs.values()]
    state = dict(zip(tab.inputs, values, strict=True))
    found = read_link(write_link(tab, values), [tab]).values
    assert dict(found) == {key: state[key] for key in ("models", "kind", "good", "bad")}
    assert tab.show(*values).count("<article") == 2


def test_the_api_returns_the_scorers_figures(context: PageContext, tiny_models: tuple[str, str]) -> None:
    compare_sentences, compare_pairs, read_sentence = compare_functions(context)
    found = compare_sentences(["tiny-raw", "tiny-l2t"], *PAIR)
    assert json.loads(json.dumps(found)) == found
    good, bad = score(load_scorer(tiny_models[0]), PAIR)
    first = found["models"][0]
    assert first["model"] == "tiny-raw"
    assert first["preference_bits"] == pytest.approx(bad.bits - good.bits, abs=1e-3)
    for kind, expected in (("grammatical", good), ("ungrammatical", bad)):
        assert first[kind]["log2_p"] == pytest.approx(-expected.bits, abs=1e-3)
        for unit in ("tokens", "words"):
            assert sum(part["bits"] for part in first[kind][unit]) == pytest.approx(expected.bits, abs=0.01)
    listed = compare_pairs(["tiny-raw"], f"{PAIR[0]}\t{PAIR[1]}\n{PAIR[1]}\t{PAIR[0]}")
    assert [pair["preference_bits"] for pair in listed["models"][0]["preferences"]] == [
        pytest.approx(first["preference_bits"], abs=1e-3),
        pytest.approx(-first["preference_bits"], abs=1e-3),
    ]
    assert read_sentence(["tiny-raw"], PAIR[0])["models"][0]["log2_p"] == first["grammatical"]["log2_p"]
    with pytest.raises(UserError, match="pairs; the limit is 200"):
        compare_pairs(["tiny-raw"], "a\tb\n" * 1000)


@pytest.mark.parametrize("title", list(FILES))
def test_a_download_is_the_file_of_the_inputs(context: PageContext, title: str) -> None:
    made = json.loads(_file_maker(context, *FILES[title])(["tiny-raw"], "pair", *PAIR, *REST))
    content = base64.b64decode(made["data"])
    assert made["name"] == FILES[title][0]
    assert content.startswith(
        {"PNG": b"\x89PNG", "CSV": b"\xef\xbb\xbfmodel,", "Markdown": b"**tiny-raw "}[title]
    )


def test_a_download_of_nothing_is_an_error_in_a_sentence(context: PageContext) -> None:
    with pytest.raises(gr.Error, match="The grammatical sentence is empty"):
        _file_maker(context, *FILES["CSV"])(["tiny-raw"], "pair", "", "b", *REST)


def test_pairs_are_offered_by_number_and_as_a_list() -> None:
    assert pair_choices([("x", "y"), ("p", "q")]) == [("x  ↔  y", 0), ("p  ↔  q", 1)]
    pairs = example_pairs()["Binding"]
    assert pairs_question(list_text(pairs)).pairs == tuple(pairs)


@pytest.fixture
def picking(context: PageContext) -> dict[str, Any]:
    """The functions behind the menus of examples, by name."""
    with gr.Blocks() as page:
        add_compare_tab(context)
    return {function.name: function.fn for function in page.fns.values() if function.fn is not None}


@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_a_picked_example_fills_the_boxes_in_sight(picking: dict[str, Any]) -> None:
    name, pairs = list(example_pairs().items())[-1]
    skipped = gr.skip()
    assert picking["of_phenomenon"]("the probes", "pair", name)[1:] == [*pairs[0], skipped, skipped]
    assert picking["of_phenomenon"]("the probes", "pairs", name)[1:] == [
        *(skipped, skipped, list_text(pairs), skipped)
    ]
    assert picking["of_pair"]("the probes", "sentence", name, 2) == [*[skipped] * 3, pairs[2][0]]


@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_blimp_is_offered_where_it_can_be_had(
    picking: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.jsonl").write_text(
        json.dumps(
            {"sentence_good": "a", "sentence_bad": "b", "linguistics_term": "s-selection", "UID": "animate"}
        )
    )
    monkeypatch.setenv("L2T_DEMO_BLIMP", str(tmp_path / "*.jsonl"))
    shown = picking["of_source"]("BLiMP", "pair")
    assert shown[0] == "BLiMP"
    assert shown[1]["choices"] == ["Argument structure"]
    assert shown[3:5] == ["a", "b"]
    shutil.rmtree(tmp_path)
    monkeypatch.setenv("L2T_DEMO_BLIMP", str(tmp_path / "gone.jsonl"))
    warned: list[str] = []
    monkeypatch.setattr(gr, "Warning", warned.append)
    assert picking["of_source"]("BLiMP", "pair")[0] == "the probes"
    assert "BLiMP cannot be loaded" in warned[0]
