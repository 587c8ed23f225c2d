"""The tab that compares models on what a visitor types or picks: inputs, examples, buttons, and what they do."""

import base64
import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr

from l2t_hub.demo.answer_files import as_csv, as_markdown
from l2t_hub.demo.answer_plot import as_png
from l2t_hub.demo.answer_view import answer_page
from l2t_hub.demo.answers import ModelAnswers
from l2t_hub.demo.compare_models import MAX_MODELS, ask, compare_functions
from l2t_hub.demo.examples import Examples, blimp_pairs, blimp_source, example_pairs
from l2t_hub.demo.page_context import PageContext
from l2t_hub.demo.pair_input import (
    MAX_CHARACTERS,
    MAX_LIST_CHARACTERS,
    MAX_PAIRS,
    Pair,
    Question,
    pair_question,
    pairs_question,
    sentence_question,
)
from l2t_hub.demo.tab import SCORING, Tab, up_to
from l2t_hub.demo.view import message_page, visible
from l2t_hub.errors import UserError
from l2t_hub.extras import installed
from l2t_hub.text import SPREADSHEET_ENCODING

KINDS = {"pair": "A pair", "pairs": "A list of pairs", "sentence": "One sentence"}
BOXES = {"pair": ("good", "bad"), "pairs": ("pairs",), "sentence": ("sentence",)}
"""What a visitor can compare models on, and the boxes of each."""
PROBES, BLIMP = "the probes", "BLiMP"
FILES: dict[str, tuple[str, str, Callable[[ModelAnswers], bytes]]] = {
    "PNG": ("comparison.png", "image/png", as_png),
    "CSV": (
        "comparison.csv",
        "text/csv;charset=utf-8",
        lambda answer: as_csv(answer).encode(SPREADSHEET_ENCODING),
    ),
    "Markdown": ("comparison.md", "text/markdown;charset=utf-8", lambda answer: as_markdown(answer).encode()),
}
"""What can be downloaded: file name, type and content."""
_RUN = "() => String(Math.random())"
_SAVE = """(file) => {
  if (!file) return;
  const {name, type, data} = JSON.parse(file), link = document.createElement('a');
  link.href = `data:${type};base64,${data}`; link.download = name;
  document.body.append(link); link.click(); link.remove();
}"""


@dataclass(frozen=True)
class _Inputs:
    """The components whose values are the state of the tab."""

    models: gr.Dropdown
    kind: gr.Radio
    good: gr.Textbox
    bad: gr.Textbox
    pairs: gr.Textbox
    sentence: gr.Textbox

    @property
    def boxes(self) -> list[gr.Textbox]:
        """Where text is typed in, in the order of `_fill`."""
        return [self.good, self.bad, self.pairs, self.sentence]

    @property
    def lines(self) -> list[gr.Textbox]:
        """The boxes where Enter ends the input."""
        return [self.good, self.bad, self.sentence]


@dataclass(frozen=True)
class _Picker:
    """The menus of examples."""

    source: gr.Radio
    phenomenon: gr.Dropdown
    pair: gr.Dropdown


def add_compare_tab(context: PageContext) -> Tab:
    """Add the inputs and the answer to the page that is being built."""
    probes = example_pairs()
    inputs, groups = _add_inputs(context, next(iter(probes.values()), []))
    picker = _add_picker(probes)
    button = gr.Button("Compare", variant="primary", elem_id="compare")
    answer = gr.HTML(elem_id="answer")
    state = vars(inputs)
    show = comparer(context)
    run = gr.Textbox(visible="hidden", label="Run")
    # One event shows answers. Of what a visitor does while it runs, only the last is run after it, so that an answer
    # that took longer never replaces a later one.
    run.change(
        show, [*state.values()], answer, trigger_mode="always_last", api_visibility="private", **SCORING
    )
    now: dict[str, Any] = {"fn": None, "outputs": run, "js": _RUN, "api_visibility": "private"}
    gr.on([button.click, inputs.models.select, *(box.submit for box in inputs.lines)], **now)
    _wire_kind(inputs, groups, picker, now)
    _wire_picker(inputs, picker, probes, now)
    _add_downloads(context, [*state.values()])
    check = {
        "models": lambda text: context.resolve(text).label,
        "kind": _kind,
        **dict.fromkeys(("good", "bad", "sentence"), up_to(MAX_CHARACTERS)),
        "pairs": up_to(MAX_LIST_CHARACTERS),
    }
    return Tab("compare", state, show, [answer], check, compare_functions(context), left_out=_out_of_sight)


def comparer(context: PageContext) -> Callable[..., str]:
    """Return the function behind the button: it turns the values of the inputs into HTML, errors included."""

    def compare(models: list[str], kind: str, good: str, bad: str, pairs: str, sentence: str) -> str:
        try:
            return answer_page(ask(context, models, question_of(kind, good, bad, pairs, sentence)))
        except UserError as error:
            return message_page(error.message, error.hint)

    return compare


def question_of(
    kind: str, good: str | None, bad: str | None, pairs: str | None, sentence: str | None
) -> Question:
    """Return what is to be read, of the boxes for that kind of question. Raises UserError if it makes no sense."""
    if kind == "pairs":
        return pairs_question(pairs)
    return sentence_question(sentence) if kind == "sentence" else pair_question(good, bad)


def _out_of_sight(values: Mapping[str, Any]) -> set[str]:
    return {"good", "bad", "pairs", "sentence"} - set(BOXES.get(values["kind"], ()))


def _kind(text: str) -> str:
    if text not in KINDS:
        raise ValueError(text)
    return text


def _add_inputs(context: PageContext, examples: Sequence[Pair]) -> tuple[_Inputs, list[gr.Column]]:
    names, first = list(context.models), examples[0] if examples else ("", "")
    others = " You can also type the name of a model on the Hub, ORG/NAME." if context.guest_models else ""
    models = gr.Dropdown(
        names,
        value=names[:2],
        multiselect=True,
        max_choices=MAX_MODELS,
        allow_custom_value=True,
        label="Models",
        info=f"Up to {MAX_MODELS}. For another revision, type NAME@REVISION and press Enter.{others}",
        elem_id="models",
    )
    kind = gr.Radio(
        [(title, value) for value, title in KINDS.items()],
        value="pair",
        label="Compare them on",
        elem_id="kind",
    )
    with gr.Column() as pair_group, gr.Row():
        good = _sentence_box("Grammatical sentence", first[0], "good-sentence")
        bad = _sentence_box("Ungrammatical sentence", first[1], "bad-sentence")
    with gr.Column(visible=False) as list_group:
        pairs = gr.Textbox(
            value=list_text(examples),
            label="Pairs",
            info=f"Up to {MAX_PAIRS}. Two lines each, the grammatical sentence first, or one line with a tab.",
            lines=6,
            max_lines=12,
            elem_id="pairs",
        )
    with gr.Column(visible=False) as sentence_group:
        sentence = _sentence_box("Sentence", first[0], "sentence")
    return _Inputs(models, kind, good, bad, pairs, sentence), [pair_group, list_group, sentence_group]


def _sentence_box(label: str, value: str, elem_id: str) -> gr.Textbox:
    return gr.Textbox(value=value, label=label, lines=1, max_lines=4, min_width=280, elem_id=elem_id)


def list_text(pairs: Sequence[Pair]) -> str:
    """Return pairs as the box of a list shows them: two lines each, with a blank line in between."""
    return "\n\n".join(f"{good}\n{bad}" for good, bad in pairs)


def _add_picker(examples: Examples) -> _Picker:
    phenomena = list(examples)
    with gr.Row():
        source = gr.Radio(
            [PROBES, BLIMP],
            value=PROBES,
            label="Examples from",
            visible=blimp_source(os.environ) is not None,
            min_width=230,
            scale=1,
            elem_id="source",
        )
        phenomenon = gr.Dropdown(
            phenomena,
            value=phenomena[0] if phenomena else None,
            label="Examples of",
            visible=bool(phenomena),
            min_width=230,
            scale=1,
            elem_id="phenomenon",
        )
        pair = gr.Dropdown(
            pair_choices(examples[phenomena[0]]) if phenomena else [],
            value=0 if phenomena else None,
            label="Pair",
            visible=bool(phenomena),
            min_width=280,
            scale=2,
            elem_id="pair",
        )
    return _Picker(source, phenomenon, pair)


def pair_choices(pairs: Sequence[Pair]) -> list[tuple[str, str | int | float]]:
    """Return the choices of the pair menu: (text shown, number of the pair)."""
    return [(f"{good}  ↔  {bad}", number) for number, (good, bad) in enumerate(pairs)]


def _wire_kind(inputs: _Inputs, groups: Sequence[gr.Column], picker: _Picker, now: dict[str, Any]) -> None:
    """Show the boxes of the kind of question; `change` also fires when a link sets it."""

    def boxes_of(kind: str) -> list[Any]:
        return [*(gr.update(visible=kind == name) for name in KINDS), gr.update(visible=kind != "pairs")]

    inputs.kind.change(
        boxes_of,
        inputs.kind,
        [*groups, picker.pair],
        queue=False,
        show_progress="hidden",
        api_visibility="private",
    )
    inputs.kind.input(**now)


def _wire_picker(inputs: _Inputs, picker: _Picker, probes: Examples, now: dict[str, Any]) -> None:
    """Fill the boxes in sight with what is chosen, and compare it. A list gets all pairs of a phenomenon."""
    quiet: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
    menus = [picker.source, picker.phenomenon, picker.pair]

    def of_source(source: str, kind: str) -> list[Any]:
        examples = _examples(source, probes)
        phenomenon = next(iter(examples))
        shown = source if examples is not probes else PROBES
        menu = gr.update(choices=list(examples), value=phenomenon)
        return [shown, menu, *of_phenomenon(shown, kind, phenomenon)]

    def of_phenomenon(source: str, kind: str, phenomenon: str) -> list[Any]:
        pairs = _pairs_of(_examples(source, probes), phenomenon)
        return [gr.update(choices=pair_choices(pairs), value=0), *_fill(kind, pairs, 0)]

    def of_pair(source: str, kind: str, phenomenon: str, number: int) -> list[Any]:
        return _fill(kind, _pairs_of(_examples(source, probes), phenomenon), number)

    picker.source.input(
        of_source, [picker.source, inputs.kind], [*menus, *inputs.boxes], api_visibility="private"
    ).success(**now)
    choice = [picker.source, inputs.kind, picker.phenomenon]
    picker.phenomenon.input(of_phenomenon, choice, [picker.pair, *inputs.boxes], **quiet).success(**now)
    picker.pair.input(of_pair, [*choice, picker.pair], inputs.boxes, **quiet).success(**now)


def _examples(source: str, probes: Examples) -> Examples:
    """Return the examples of a source. If BLiMP cannot be had, say so and return the probes."""
    where = blimp_source(os.environ) if source == BLIMP else None
    try:
        return blimp_pairs(where) if where else probes
    except UserError as error:
        gr.Warning(visible(f"BLiMP cannot be loaded: {error.message}"))
        return probes


def _pairs_of(examples: Examples, phenomenon: str) -> Sequence[Pair]:
    # The menu may still show a phenomenon of BLiMP after the page fell back to the probes.
    return examples.get(phenomenon) or next(iter(examples.values()))


def _fill(kind: str, pairs: Sequence[Pair], number: int) -> list[Any]:
    """Return the new contents of the boxes `_Inputs.boxes`: only those in sight change."""
    good, bad = pairs[min(number or 0, len(pairs) - 1)]
    values = {"pair": (good, bad, None, None), "pairs": (None, None, list_text(pairs), None)}
    return [gr.skip() if value is None else value for value in values.get(kind, (None, None, None, good))]


def _add_downloads(context: PageContext, state: list[Any]) -> None:
    """Add a button per format. A click makes the file from the inputs: the server keeps nothing of a visitor."""
    with gr.Row(elem_classes="l2t-share"):
        for title, (name, kind, content) in FILES.items():
            button = gr.Button(
                f"Download {title}",
                size="sm",
                scale=0,
                min_width=140,
                visible=title != "PNG" or installed("plots"),
                elem_id=f"download-{title.lower()}",
            )
            file = gr.Textbox(visible=False, label=f"{title} file")
            button.click(
                _file_maker(context, name, kind, content), state, file, api_visibility="private", **SCORING
            ).success(None, file, None, js=_SAVE, api_visibility="private")


def _file_maker(
    context: PageContext, name: str, kind: str, content: Callable[[ModelAnswers], bytes]
) -> Callable[..., str]:
    def make(models: list[str], *boxes: str) -> str:
        try:
            made = content(ask(context, models, question_of(*boxes)))
        except UserError as error:
            raise gr.Error(visible(str(error)), print_exception=False) from None
        return json.dumps({"name": name, "type": kind, "data": base64.b64encode(made).decode()})

    return make
