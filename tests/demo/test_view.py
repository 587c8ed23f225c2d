"""The markup of the page: what it says, and that nothing typed in can be read as markup."""

from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from l2t_hub.demo.comparison import PairComparison
from l2t_hub.demo.view import comparison_page, figure, message_page, token_label, visible
from l2t_hub.scoring import Score, Token

HOSTILE = "<img src=x onerror=alert(1)>\"'><script>alert(2)</script>&amp;${alert(3)}{{4}}"
OUR_TAGS = {"div", "p", "ul", "li", "span", "i", "b", "h3", "article", "bdi", "details", "summary"} | {
    "table", "thead", "tbody", "tr", "th", "td"
}  # fmt: skip


class Markup(HTMLParser):
    """Collect tags, attributes and text as a browser's parser would find them."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def parse(markup: str) -> Markup:
    parser = Markup()
    parser.feed(markup)
    parser.close()
    assert parser.open == []
    return parser


def score(*tokens: tuple[int, str, float]) -> Score:
    """Make a sentence of (id, text, bits), the texts one after another."""
    made, start = [], 0
    for token_id, text, bits in tokens:
        made.append(Token(token_id, text, start, start + len(text), bits))
        start += len(text)
    return Score("".join(text for _, text, _ in tokens), tuple(made))


def comparison(good: str = " are", bad: str = " is", model: str = "m") -> PairComparison:
    return PairComparison(
        model,
        score((1, "The", 3.0), (2, " keys", 12.0), (3, good, 2.0), (4, " here", 4.0)),
        score((1, "The", 3.0), (2, " keys", 12.0), (5, bad, 6.0), (4, " here", 5.25)),
    )


def test_totals_summary_and_numbers_are_shown() -> None:
    found = parse(comparison_page([comparison()]))
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
    page = message_page(HOSTILE, HOSTILE) if is_message else comparison_page([comparison(**{place: HOSTILE})])
    found = parse(page)
    assert {tag for tag, _ in found.tags} <= OUR_TAGS
    assert not [name for _, attributes in found.tags for name in attributes if name.startswith("on")]
    assert HOSTILE in found.text


@given(st.text(max_size=40), st.text(max_size=10))
def test_any_text_gives_well_formed_markup_of_our_own_tags(sentence: str, token: str) -> None:
    found = parse(comparison_page([comparison(good=token, bad=sentence, model=sentence)]))
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
