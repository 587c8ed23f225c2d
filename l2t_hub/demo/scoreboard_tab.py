"""The tab with the models' scores side by side: what can be chosen, and what the buttons in its table do."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr

from l2t_hub.demo.choice import MAX_NAME, display_names
from l2t_hub.demo.page_context import PageContext
from l2t_hub.demo.pairs_behind import CellPairs, cell_reader, score_cell
from l2t_hub.demo.score_files import board_downloads, board_plots, pairs_download, plot_note
from l2t_hub.demo.score_reading import MAX_SOURCES, Scoreboard, api_functions
from l2t_hub.demo.score_sources import source_reader
from l2t_hub.demo.scoreboard import Board, ScoresBySuite, board
from l2t_hub.demo.scoreboard_view import board_page, cell_page
from l2t_hub.demo.tab import SCORING, Tab, up_to
from l2t_hub.demo.view import message_page
from l2t_hub.errors import UserError
from l2t_hub.evaluate.consistency import MAX_LABEL

READING: dict[str, Any] = {"concurrency_id": "results", "concurrency_limit": 2}
NOTHING = "Choose models, then press Show scores."
SCRIPT = Path(__file__).with_name("scoreboard.js")
# Only who pressed a score is taken to its pairs, not who opened a link.
FOCUS = """watch('value', () => {
  const head = element.querySelector('h3');
  if (head && document.body.dataset.opened) head.focus();
  delete document.body.dataset.opened;
});"""


@dataclass(frozen=True)
class BoardState:
    """What a visitor chose, as the inputs of the tab have it; what was not chosen is None or empty."""

    models: list[str] | None
    suite: str | None
    columns: list[str] | None
    baseline: str | None
    sort: str | None
    model: str | None
    phenomenon: str | None

    def board(self, scores: ScoresBySuite) -> Board:
        """Return the board that was chosen. Models of another suite, chosen before, count as not chosen."""
        suite = scores.suite(self.suite)
        columns = [label for label in self.columns or [] if label in suite.labels]
        return board(suite, columns, self.baseline if self.baseline in suite.labels else None)


def add_scoreboard_tab(context: PageContext) -> Tab:
    """Add the scoreboard to the page that is being built."""
    names = display_names(context.results)
    tool = Scoreboard(context, names, source_reader(), cell_reader())
    inputs = _inputs([*context.models, *names], guests=context.guest_models)
    button = gr.Button("Show scores", variant="primary", elem_id="show-scores")
    table = gr.HTML(message_page(NOTHING), js_on_load=SCRIPT.read_text(encoding="utf-8"), elem_id="scores")
    files = gr.HTML(elem_id="score-files")
    pairs = gr.HTML(js_on_load=FOCUS, elem_id="behind")
    ask = gr.Button("Score these pairs here", visible=False, elem_id="score-pairs")
    outputs = [inputs["suite"], inputs["columns"], inputs["baseline"], table, files, pairs, ask]
    state, show = [*inputs.values()], _shower(tool)
    event: dict[str, Any] = {"api_visibility": "private", **READING}
    changes = [inputs[name].input for name in ("suite", "baseline", "columns")]
    gr.on([button.click, *changes], show, state, outputs, **event)
    table.sort_by(
        _sorted_by, None, inputs["sort"], queue=False, show_progress="hidden", api_visibility="private"
    )
    opened = [inputs["model"], inputs["phenomenon"], pairs, ask]
    table.open_cell(_opener(tool), state, opened, **event)
    ask.click(_scorer(tool), state, [pairs, ask], api_visibility="private", **SCORING)
    check: dict[str, Callable[[str], Any]] = dict.fromkeys(inputs, up_to(MAX_LABEL + MAX_NAME))
    return Tab("scoreboard", inputs, show, outputs, check, functions=api_functions(tool), event=READING)


def _inputs(offered: list[str], *, guests: bool) -> dict[str, Any]:
    """Add the inputs, in the order of `BoardState`. What there is to choose is known when the results are read."""

    def choice(label: str, elem_id: str) -> gr.Dropdown:
        return gr.Dropdown(
            [], value=None, allow_custom_value=True, label=label, min_width=160, elem_id=elem_id
        )

    with gr.Row():
        models = gr.Dropdown(
            offered,
            value=offered[:MAX_SOURCES],
            multiselect=True,
            allow_custom_value=guests,
            label="Models and results",
            info="Type ORG/NAME for another model on the Hub." if guests else None,
            scale=3,
            elem_id="score-models",
        )
        suite = choice("Suite", "score-suite")
        baseline = choice("Compare with", "score-baseline")
    columns = gr.Dropdown(
        [],
        value=[],
        multiselect=True,
        allow_custom_value=True,
        label="Columns",
        info="Leave it empty for the last checkpoint of each run.",
        elem_id="score-columns",
    )
    sort, model, phenomenon = (
        gr.Textbox(label=name, visible=False) for name in ("Sorted by", "Open model", "Open phenomenon")
    )
    return {
        "models": models,
        "suite": suite,
        "columns": columns,
        "baseline": baseline,
        "sort": sort,
        "model": model,
        "phenomenon": phenomenon,
    }


def _shower(tool: Scoreboard) -> Callable[..., list[Any]]:
    """Return the function behind the button: from the choices to the table, files and pairs, or what is wrong."""

    def show(*values: Any) -> list[Any]:
        state = BoardState(*values)
        scores = tool.scores(state.models or [])
        try:
            shown = state.board(scores)
        except UserError as error:
            page = message_page(" ".join([error.message, *scores.notes]), error.hint)
            return [gr.skip(), gr.skip(), gr.skip(), page, "", "", gr.update(visible=False)]
        plots = board_plots(shown)
        labels = list(shown.suite.labels)
        columns = [label for label in state.columns or [] if label in labels]
        return [
            gr.update(choices=[suite.name for suite in scores.suites], value=shown.suite.name),
            gr.update(choices=labels, value=columns),
            gr.update(choices=labels, value=shown.labels[0]),
            board_page(shown, [*scores.notes, *plot_note()], parse_sort(state.sort or ""), plots),
            board_downloads(shown, plots),
            *_behind(tool, scores, shown, state.model or "", state.phenomenon or ""),
        ]

    return show


def _behind(
    tool: Scoreboard, scores: ScoresBySuite, shown: Board, model: str, phenomenon: str
) -> tuple[str, Any]:
    """Return the pairs behind a score as HTML, and the button that scores them if the page can only do that."""
    if not model or not phenomenon:
        return "", gr.update(visible=False)
    try:
        cell = tool.read_cell(shown.suite, scores.later, model, phenomenon)
        can_score = cell.can_score and tool.page_model(shown.suite.entry(model)) is not None
    except UserError as error:
        return message_page(error.message, error.hint), gr.update(visible=False)
    return _cell_html(tool, shown, cell, can_score=can_score), gr.update(visible=can_score)


def _cell_html(tool: Scoreboard, shown: Board, cell: CellPairs, *, can_score: bool = False) -> str:
    download = pairs_download(cell) if cell.rows else ""
    return cell_page(cell, tool.compare_link(shown, cell.model), download, can_score=can_score)


def _opener(tool: Scoreboard) -> Callable[..., list[Any]]:
    """Return the function that shows the pairs of a score that was pressed."""

    def opened(event: gr.EventData, *values: Any) -> list[Any]:
        state, model, phenomenon = BoardState(*values), _sent(event, "model"), _sent(event, "phenomenon")
        scores = tool.scores(state.models or [])
        try:
            behind, ask = _behind(tool, scores, state.board(scores), model, phenomenon)
        except UserError as error:
            behind, ask = message_page(error.message, error.hint), gr.update(visible=False)
        return [model, phenomenon, behind, ask]

    return opened


def _sent(event: gr.EventData, name: str) -> str:
    """Return a text that the page's script sent: anything can be in its place."""
    value = event._data.get(name) if isinstance(event._data, dict) else None
    return value[:MAX_LABEL] if isinstance(value, str) else ""


def _sorted_by(event: gr.EventData) -> str:
    return json.dumps([_sent(event, "column"), _sent(event, "order")], ensure_ascii=False)


def parse_sort(text: str) -> tuple[str, bool]:
    """Return the column that a table is sorted by, and whether it is descending; ("", False) for anything else."""
    try:
        column, order = json.loads(text[: 2 * MAX_LABEL])
    except (ValueError, TypeError):
        return "", False
    return (column, order == "descending") if isinstance(column, str) else ("", False)


def _scorer(tool: Scoreboard) -> Callable[..., list[Any]]:
    """Return the function that scores the pairs of the open cell with its model."""

    def scored(*values: Any) -> list[Any]:
        state = BoardState(*values)
        model, phenomenon = state.model or "", state.phenomenon or ""
        try:
            shown = state.board(tool.scores(state.models or []))
            name = tool.page_model(shown.suite.entry(model))
            if name is None:
                raise UserError(f"{model[:80]}: this page has the scores of the model, not the model itself.")
            with tool.context.pool.use(tool.context.resolve(name)) as scorer:
                cell = score_cell(shown.suite, model, phenomenon, scorer, name)
        except UserError as error:
            return [message_page(error.message, error.hint), gr.update(visible=False)]
        return [_cell_html(tool, shown, cell), gr.update(visible=False)]

    return scored
