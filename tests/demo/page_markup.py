"""Reads the page's HTML as a browser's parser would, and makes scores of sentences without a model."""

from collections.abc import Sequence
from html.parser import HTMLParser

from l2t_hub.demo.answers import ModelAnswers, ModelReading
from l2t_hub.demo.pair_input import Question
from l2t_hub.scoring import Score, Token

HOSTILE = "<img src=x onerror=alert(1)>\"'><script>alert(2)</script>&amp;${alert(3)}{{4}}"
OUR_TAGS = {"div", "p", "ul", "li", "span", "i", "b", "h3", "article", "bdi", "details", "summary"} | {
    "table", "thead", "tbody", "tfoot", "tr", "th", "td", "section", "abbr", "a"
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

    def of_class(self, name: str) -> list[dict[str, str | None]]:
        return [attributes for _, attributes in self.tags if name in (attributes.get("class") or "").split()]


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


def by_word(sentence: str, factor: float = 1.0) -> Score:
    """Score a sentence whose tokens are its words: a word's surprisal is its length times `factor`."""
    words = [f"{' ' if i else ''}{word}" for i, word in enumerate(sentence.split(" "))]
    return score(*((sum(map(ord, word)), word, factor * len(word.strip())) for word in words))


def answer_of(question: Question, **models: float) -> ModelAnswers:
    """Answer a question as `by_word` does, with a factor for each model."""
    readings = [
        ModelReading(name, tuple(by_word(sentence, factor) for sentence in question.sentences))
        for name, factor in models.items()
    ]
    return ModelAnswers(question, tuple(readings))


def pair_answer(good: Score, bad: Score, models: Sequence[str] = ("m",)) -> ModelAnswers:
    """Answer a pair with the same two scores under each model."""
    return ModelAnswers(
        Question("pair", (good.sentence, bad.sentence)),
        tuple(ModelReading(name, (good, bad)) for name in models),
    )
