"""The tab that compares models on a minimal pair: inputs, examples, and what the button does."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import gradio as gr

from l2t_hub.demo.comparison import PairComparison
from l2t_hub.demo.examples import example_pairs
from l2t_hub.demo.model_pool import score_with
from l2t_hub.demo.page_context import PageContext
from l2t_hub.demo.tab import SCORING, Tab
from l2t_hub.demo.view import comparison_page, message_page
from l2t_hub.errors import UserError
from l2t_hub.scoring import Score

Pair = tuple[str, str]
ScoreFunction = Callable[[str, Sequence[str]], Sequence[Score]]
"""(model as chosen, sentences) -> scores of the sentences. Raises UserError."""

MAX_CHARACTERS = 1000


def add_compare_tab(context: PageContext) -> Tab:
    """Add the inputs and the answer to the page that is being built."""
    names, examples = list(context.models), example_pairs()
    compare = comparer(lambda name, sentences: score_with(context.pool, context.resolve(name), sentences))
    start = _first_example(examples)
    with gr.Row():
        first = gr.Dropdown(names, value=names[0], label="First model", elem_id="first-model")
        second = gr.Dropdown(
            names, value=names[min(1, len(names) - 1)], label="Second model", elem_id="second-model"
        )
    with gr.Row():
        good = _sentence_box("Grammatical sentence", start[0], "good-sentence")
        bad = _sentence_box("Ungrammatical sentence", start[1], "bad-sentence")
    picker = _example_pickers(examples)
    button = gr.Button("Compare", variant="primary", elem_id="compare")
    answer = gr.HTML(elem_id="answer")
    inputs = {"first": first, "second": second, "good": good, "bad": bad}
    scoring: dict[str, Any] = {
        "fn": compare,
        "inputs": [*inputs.values()],
        "outputs": answer,
        "api_visibility": "private",
        **SCORING,
    }
    gr.on([button.click, good.submit, bad.submit, first.input, second.input], **scoring)
    if picker:
        _wire_examples(picker, (good, bad), examples, scoring)

    def offered(name: str) -> str:
        if name not in context.models:
            raise ValueError(name)
        return name

    check = {"first": offered, "second": offered, "good": _short, "bad": _short}
    return Tab("compare", inputs, compare, [answer], check)


def _short(sentence: str) -> str:
    if len(sentence) > MAX_CHARACTERS:
        raise ValueError("too long")
    return sentence


def comparer(score: ScoreFunction) -> Callable[[str, str, str, str], str]:
    """Return the function behind the button: it turns two models and two sentences into HTML, errors included."""

    def compare(first: str, second: str, good: str, bad: str) -> str:
        try:
            sentences = check_pair(good, bad)
            comparisons = []
            for name in dict.fromkeys(name for name in (first, second) if name):
                comparisons.append(PairComparison(name, *score(name, sentences)))
            if not comparisons:
                raise UserError("No model selected.", "Select one or two models above.")
        except UserError as error:
            return message_page(error.message, error.hint)
        return comparison_page(comparisons)

    return compare


def check_pair(good: str | None, bad: str | None) -> Pair:
    """Return the two sentences as they will be scored, without surrounding whitespace.

    Raises UserError if one is empty or too long to show, or if they are equal.
    """
    pair = (_clean(good), _clean(bad))
    for sentence, kind in zip(pair, ("grammatical", "ungrammatical"), strict=True):
        if not sentence:
            raise UserError(
                f"The {kind} sentence is empty.", "Type both sentences of the pair, or pick an example."
            )
        if len(sentence) > MAX_CHARACTERS:
            raise UserError(
                f"The {kind} sentence has {len(sentence):,} characters; the limit is {MAX_CHARACTERS:,}.",
                "Minimal pairs are short. Use a single sentence.",
            )
    if pair[0] == pair[1]:
        raise UserError(
            "The two sentences are the same.",
            "Change one of them: a minimal pair differs in one point of grammar.",
        )
    return pair


def _clean(text: str | None) -> str:
    # Pasting can leave a lone surrogate (half an emoji), which tokenizers refuse.
    return (text or "").encode("utf-16", "surrogatepass").decode("utf-16", "replace").strip()


def _sentence_box(label: str, value: str, elem_id: str) -> gr.Textbox:
    return gr.Textbox(value=value, label=label, lines=1, max_lines=4, min_width=280, elem_id=elem_id)


def _first_example(examples: Mapping[str, Sequence[Pair]]) -> Pair:
    return next((pairs[0] for pairs in examples.values() if pairs), ("", ""))


def _example_pickers(examples: Mapping[str, Sequence[Pair]]) -> tuple[gr.Dropdown, gr.Dropdown] | None:
    if not examples:
        return None
    phenomena = list(examples)
    with gr.Row():
        phenomenon = gr.Dropdown(
            phenomena, value=phenomena[0], label="Examples of", min_width=200, scale=1, elem_id="phenomenon"
        )
        pair = gr.Dropdown(
            pair_choices(examples[phenomena[0]]),
            value=0,
            label="Pair",
            min_width=280,
            scale=3,
            elem_id="pair",
        )
    return phenomenon, pair


def pair_choices(pairs: Sequence[Pair]) -> list[tuple[str, str | int | float]]:
    """Return the choices of the pair menu: (text shown, number of the pair)."""
    return [(f"{good}  ↔  {bad}", number) for number, (good, bad) in enumerate(pairs)]


def _wire_examples(
    picker: tuple[gr.Dropdown, gr.Dropdown],
    boxes: tuple[gr.Textbox, gr.Textbox],
    examples: Mapping[str, Sequence[Pair]],
    scoring: dict[str, Any],
) -> None:
    """Show and score the first pair of a phenomenon when it is chosen, and a pair when it is chosen."""
    phenomenon, pair = picker

    def of_phenomenon(name: str) -> tuple[Any, str, str]:
        return gr.update(choices=pair_choices(examples[name]), value=0), *examples[name][0]

    def of_pair(name: str, number: int) -> Pair:
        return examples[name][number]

    phenomenon.input(
        of_phenomenon, phenomenon, [pair, *boxes], show_progress="hidden", api_visibility="private"
    ).success(**scoring)
    pair.input(
        of_pair, [phenomenon, pair], [*boxes], show_progress="hidden", api_visibility="private"
    ).success(**scoring)
