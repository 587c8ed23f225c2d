"""The Gradio page: inputs, examples, and what the button does.

Both `l2t demo` and `spaces/compare/app.py` serve this page. It is given the function that scores sentences.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

# Gradio reads this at import. The page sends no usage data.
os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")

import gradio as gr

from l2t_hub.demo.comparison import PairComparison
from l2t_hub.demo.view import comparison_page, message_page
from l2t_hub.errors import UserError
from l2t_hub.scoring import Score

Pair = tuple[str, str]
ScoreFunction = Callable[[str, Sequence[str]], Sequence[Score]]
"""(name of a model on the page, sentences) -> scores of the sentences. Raises UserError."""

TITLE = "Which sentence does the model believe?"
INTRODUCTION = f"""# {TITLE}
A *minimal pair* is two sentences that differ in one point of grammar. A model that has learned this point finds the
grammatical sentence more probable. Type a pair or pick an example, and compare two models."""
MAX_CHARACTERS = 1000
CSS = Path(__file__).with_name("page.css")
SYSTEM_FONTS = ("system-ui", "-apple-system", "Segoe UI", "Roboto", "sans-serif")


def build_page(
    names: Sequence[str], score: ScoreFunction, examples: Mapping[str, Sequence[Pair]]
) -> gr.Blocks:
    """Return the page for the models called `names` (at least one), with `examples` by phenomenon."""
    compare = comparer(score)
    start = _first_example(examples)
    with gr.Blocks(title=TITLE, analytics_enabled=False) as page:
        gr.Markdown(INTRODUCTION)
        with gr.Row():
            first = gr.Dropdown(list(names), value=names[0], label="First model", elem_id="first-model")
            second = gr.Dropdown(
                list(names), value=names[min(1, len(names) - 1)], label="Second model", elem_id="second-model"
            )
        with gr.Row():
            good = _sentence_box("Grammatical sentence", start[0], "good-sentence")
            bad = _sentence_box("Ungrammatical sentence", start[1], "bad-sentence")
        picker = _example_pickers(examples)
        button = gr.Button("Compare", variant="primary", elem_id="compare")
        answer = gr.HTML(elem_id="answer")
        inputs = [first, second, good, bad]
        scoring: dict[str, Any] = {
            "fn": compare,
            "inputs": inputs,
            "outputs": answer,
            "concurrency_id": "scoring",
            "concurrency_limit": 1,
            "api_visibility": "private",
        }
        gr.on([button.click, good.submit, bad.submit, first.input, second.input], **scoring)
        if picker:
            _wire_examples(picker, (good, bad), examples, scoring)
            page.load(**scoring)
    return page


def launch_settings() -> dict[str, Any]:
    """Return the arguments of `launch()` for the look of the page. Gradio 6 takes theme and CSS there."""
    theme = gr.themes.Default(
        primary_hue=gr.themes.colors.blue,
        font=SYSTEM_FONTS,
        font_mono=("ui-monospace", "Consolas", "monospace"),
    )
    return {"theme": theme, "css_paths": CSS, "footer_links": [], "ssr_mode": False}


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
