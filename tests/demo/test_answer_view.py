"""The markup of answers: what it says, and that nothing typed in can be read as markup."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from page_markup import HOSTILE, OUR_TAGS, answer_of, pair_answer, parse, score

from l2t_hub.demo.answer_view import answer_page
from l2t_hub.demo.answers import ModelAnswers, ModelReading
from l2t_hub.demo.comparison import PairComparison
from l2t_hub.demo.pair_input import Question, pairs_question, sentence_question
from l2t_hub.demo.token_view import figure
from l2t_hub.demo.view import message_page, token_label, visible


def pair(good: str = " are", bad: str = " is", model: str = "m") -> ModelAnswers:
    return pair_answer(
        score((1, "The", 3.0), (2, " keys", 12.0), (3, good, 2.0), (4, " here", 4.0)),
        score((1, "The", 3.0), (2, " keys", 12.0), (5, bad, 6.0), (4, " here", 5.25)),
        [model],
    )


def comparison() -> PairComparison:
    return pair().comparisons[0]


def test_totals_summary_and_numbers_are_shown() -> None:
    found = parse(answer_page(pair()))
    assert "m prefers the grammatical sentence by 5.2 bits." in found.text
    assert "\u221221.0" in found.text
    assert "\u221226.2" in found.text
    assert "38 times as probable as the other" in found.text


def test_bars_are_aligned_by_token_and_the_first_difference_is_marked() -> None:
    found = parse(figure(comparison(), top=12.0))
    columns = [
        attributes["class"]
        for tag, attributes in found.tags
        if "l2t-column" in (attributes.get("class") or "")
    ]
    assert columns == [
        "l2t-column",
        "l2t-column",
        "l2t-column l2t-critical l2t-first l2t-last",
        "l2t-column",
    ]
    bars = [a["class"] for _, a in found.tags if (a.get("class") or "").startswith("l2t-bar ")]
    assert bars == ["l2t-bar l2t-both"] * 2 + ["l2t-bar l2t-good", "l2t-bar l2t-bad"] * 2
    heights = [a["style"] for _, a in found.tags if (a.get("class") or "").startswith("l2t-bar ")]
    assert heights[1] == "--s:1.0000"
    assert heights[3] == "--s:0.5000"


def test_pieces_of_a_word_are_joined() -> None:
    good, bad = (
        score((0, "The", 1.0), (1, " cab", 1.0), (2, "inet", 1.0), (ord(end), end, 1.0)) for end in ".!"
    )
    found = parse(figure(PairComparison("m", good, bad), top=1.0))
    joined = ["l2t-joined" in a["class"] for _, a in found.tags if "l2t-column" in (a.get("class") or "")]
    assert joined == [False, False, True, False]


@pytest.mark.parametrize("place", ["good", "bad", "model", "message"])
def test_hostile_text_stays_text(place: str) -> None:
    is_message = place == "message"
    page = message_page(HOSTILE, HOSTILE) if is_message else answer_page(pair(**{place: HOSTILE}))
    found = parse(page)
    assert {tag for tag, _ in found.tags} <= OUR_TAGS
    assert not [name for _, attributes in found.tags for name in attributes if name.startswith("on")]
    assert HOSTILE in found.text


@given(st.text(max_size=40), st.text(max_size=10))
def test_any_text_gives_well_formed_markup_of_our_own_tags(sentence: str, token: str) -> None:
    found = parse(answer_page(pair(good=token, bad=sentence, model=sentence)))
    assert {tag for tag, _ in found.tags} <= OUR_TAGS
    styles = [attributes["style"] for _, attributes in found.tags if "style" in attributes]
    assert all(set(style or "") <= set("-:.0123456789grids") for style in styles)


def test_control_and_direction_characters_are_shown_not_obeyed() -> None:
    assert visible("a\0b\nc\x7f") == "a\u2400b\u240ac\u2421"
    assert visible("x\u202ey") == "x[U+202E]y"
    assert visible("\ud800") == "[U+D800]"
    assert visible("👩\u200d🔬") == "👩\u200d🔬"


@pytest.mark.parametrize(("text", "label"), [(" dog", "dog"), ("ing", "ing"), (" ", "\u2423"), ("   ", "\u2423" * 3), ("", "\u2423"), (" <", "&lt;")])  # fmt: skip
def test_token_label(text: str, label: str) -> None:
    assert token_label(text) == label


def test_coloured_text_has_every_token_with_its_surprisal() -> None:
    found = parse(answer_page(pair()))
    pieces = [
        (a["title"], a["style"]) for a in found.of_class("l2t-piece") if "l2t-good" in (a["class"] or "")
    ]
    assert pieces == [
        ("'The': 3.00 bits", "--s:0.2500"),
        ("' keys': 12.00 bits", "--s:1.0000"),
        ("' are': 2.00 bits", "--s:0.1667"),
        ("' here': 4.00 bits", "--s:0.3333"),
    ]


def test_labels_of_bars_have_three_characters_at_most() -> None:
    good = score((1, "a", 9.94), (2, "b", 9.96), (3, "c", 123.4))
    found = parse(figure(PairComparison("m", good, good), top=123.4))
    assert found.text.startswith("9.9a10b123c")


def test_the_matrix_has_models_as_rows_and_marks_where_the_sentences_part() -> None:
    answer = pair_answer(*(reading for reading in pair().readings[0].scores), models=["raw", "l2t"])
    page = answer_page(answer)
    found = parse(page[page.index("l2t-words") - 20 : -len("</div>")])
    cells = found.of_class("l2t-tint")
    # Three columns are shared by both sentences of a model or not: The, keys once; are, here twice; two models.
    assert [cell.get("rowspan") for cell in cells] == ["2", "2", None, None, None, None] * 2
    assert [cell["class"] for cell in cells[2:4]] == ["l2t-tint l2t-good l2t-critical", "l2t-tint l2t-good"]
    for text in ("raw: grammatical", "l2t: ungrammatical", "21.0", "26.2"):
        assert text in found.text
    assert "differ most in the ungrammatical sentence at “is”: raw 6.0, l2t 6.0 bits" in found.text


def test_a_sentence_is_shown_under_each_model() -> None:
    page = answer_page(answer_of(sentence_question("The cat slept."), raw=1.0, l2t=0.5))
    found = parse(page)
    assert page.count("<article") == 2
    assert "l2t finds the sentence more probable: 6.0 bits, against 12.0 under raw." in found.text
    assert "grammatical" not in found.text
    assert [a["data-score"] for _, a in found.tags if "data-score" in a] == ["both", "both"]


def test_a_list_has_a_row_per_pair_and_marks_disagreement() -> None:
    question = pairs_question("cats sit\ncats sits\n\na\nab\n\nabc\nab")
    scores = answer_of(question, raw=1.0).readings[0].scores
    other = (scores[1], scores[0], *scores[2:])
    found = parse(
        answer_page(ModelAnswers(question, (ModelReading("raw", scores), ModelReading("l2t", other))))
    )
    assert (
        "preferred by raw in 2 of 3 pairs (66.7%) and l2t in 1 (33.3%). The models disagree on 1 pair."
        in found.text
    )
    assert [(a["class"] or "").split()[-1] for a in found.of_class("l2t-choice")] == [
        *("l2t-right", "l2t-wrong"), *("l2t-right", "l2t-right"), *("l2t-wrong", "l2t-wrong")
    ]  # fmt: skip
    assert len(found.of_class("l2t-split")) == 1
    opened = [a["href"] for tag, a in found.tags if tag == "a"]
    assert opened[0] == "?tab=compare&models=raw&models=l2t&good=cats+sit&bad=cats+sits"
    assert "mean preference, bits+0.3\u22120.3" in found.text


def test_what_was_changed_about_the_input_is_said_above_the_result() -> None:
    question = Question("sentence", ("cut",), ("The sentence <b> was cut.",))
    page = answer_page(answer_of(question, m=1.0))
    assert page.index("The sentence &lt;b&gt; was cut.") < page.index("l2t-summary")


@given(st.text(min_size=1, max_size=30), st.text(min_size=1, max_size=30))
def test_any_list_and_sentence_give_well_formed_markup(one: str, other: str) -> None:
    for question in (Question("pairs", (one, other)), Question("sentence", (one,))):
        found = parse(answer_page(answer_of(question, **{other: 1.0, "m": 2.0})))
        assert {tag for tag, _ in found.tags} <= OUR_TAGS


def test_text_colours_keep_their_contrast_on_the_deepest_tint() -> None:
    css = Path(__file__).parents[2].joinpath("l2t_hub", "demo", "page.css").read_text(encoding="utf-8")
    for block in (css[css.index(".l2t {") :], css[css.index(".dark .l2t {") :]):
        block = block[: block.index("}")]
        colours = dict(
            part.split(":") for part in block.replace("\n", "").split("{")[1].split(";") if "--" in part
        )
        colours = {name.strip(): value.strip() for name, value in colours.items() if "#" in value}
        for tint in ("--good-deep", "--bad-deep", "--both-deep", "--pale", "--card", "--faint"):
            assert contrast(colours["--ink"], colours[tint]) >= 4.5, tint
        assert contrast(colours["--soft"], colours["--card"]) >= 4.5
        for bar in ("--good", "--bad", "--both"):
            assert contrast(colours[bar], colours["--card"]) >= 3.0, bar


def contrast(one: str, other: str) -> float:
    """WCAG 2 contrast ratio of two #rrggbb colours."""
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def luminance(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
