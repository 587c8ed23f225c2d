"""The tab that pages through a published dataset: its rows, its mixture and ledger, and the code that loads them."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import gradio as gr

from l2t_hub.demo.dataset_export import page_csv, page_markdown
from l2t_hub.demo.dataset_facts import dataset_facts
from l2t_hub.demo.dataset_page import MAX_PAGE, ROWS_PER_PAGE, DatasetPage, read_page, settled
from l2t_hub.demo.dataset_place import VIEWS, ShownDataset, find_dataset
from l2t_hub.demo.dataset_view import facts_html, rows_html
from l2t_hub.demo.page_context import PageContext
from l2t_hub.demo.tab import Tab, up_to
from l2t_hub.demo.view import download_link, message_page
from l2t_hub.errors import UserError
from l2t_hub.records.bounds import is_repo
from l2t_hub.text import SPREADSHEET_ENCODING

READING: dict[str, Any] = {"concurrency_id": "datasets", "concurrency_limit": 2}
"""Arguments of every event that reads a dataset: that many run at once, the others queue."""
SPLITS = ("train", "validation")
MAX_TASK = 200
VIEW_CHOICES = [("Examples", "examples"), ("Raw text", "raw"), ("Packed sequences", "packed")]
ALL_TASKS = ("all tasks", "")
_COPY = """async (code) => {
  try { await navigator.clipboard.writeText(code); return 'Code copied.'; }
  catch (refused) { return 'The browser does not allow copying. Select the code in the box.'; }
}"""
STEPS: dict[str, Callable[[int], int]] = {
    "First": lambda page: 1,
    "Previous": lambda page: max(page - 1, 1),
    "Next": lambda page: page + 1,
    "Last": lambda page: -1,
}


def has_datasets(context: PageContext) -> bool:
    """Whether the page has a dataset to show, or lets visitors name one."""
    return bool(context.datasets) or context.guest_models


def add_dataset_tab(context: PageContext) -> Tab:
    """Add the choices, the rows and the facts to the page that is being built."""
    inputs = _add_inputs(context)
    page = inputs["number"]
    button = gr.Button("Show rows", variant="primary", elem_id="show-rows")
    with gr.Row(elem_classes="l2t-pager"):
        buttons = {
            label: gr.Button(label, size="sm", min_width=60, elem_id=f"dataset-{label.lower()}")
            for label in STEPS
        }
    answer = gr.HTML(elem_id="dataset-rows")
    downloads = gr.HTML(elem_id="dataset-downloads")
    code = gr.Textbox(
        label="Code that loads these rows", lines=8, max_lines=20, interactive=False, elem_id="dataset-code"
    )
    with gr.Row(elem_classes="l2t-share"):
        copy = gr.Button("Copy code", size="sm", scale=0, min_width=140, elem_id="copy-code")
        said = gr.HTML(elem_classes="l2t-said", elem_id="said-code")
    copy.click(None, code, said, js=_COPY, api_visibility="private")
    facts = gr.HTML(elem_id="dataset-facts")
    outputs = [answer, downloads, code, facts, inputs["kind"], inputs["task"], inputs["split"], page]

    def show(name: str, view: str, task: str, split: str, number: float | None, rows: int) -> tuple[Any, ...]:
        # Past the browser, a visitor can send values of any type.
        wanted = rows if rows in ROWS_PER_PAGE else ROWS_PER_PAGE[1]
        try:
            dataset = find_dataset(str(name or ""), context.datasets, guests=context.guest_models)
            view, task, split, notices = settled(dataset, view or "", task or "", split or "")
            shown = read_page(dataset, view, task, split, _whole(number), wanted)
        except UserError as error:
            return message_page(error.message, error.hint), "", "", "", *[gr.skip()] * 4
        shown = replace(shown, notices=(*notices, *shown.notices))
        return (
            rows_html(shown),
            _downloads(shown),
            shown.code,
            _facts(dataset),
            view,
            gr.update(choices=[ALL_TASKS, *((task, task) for task in dataset.tasks)], value=task),
            split,
            shown.page,
        )

    event: dict[str, Any] = {"outputs": outputs, "api_visibility": "private", **READING}
    values = [*inputs.values()]
    # Another view starts at its first page; a visitor who stays in it goes on from the page shown.
    first = [inputs[name].input for name in ("dataset", "kind", "task", "split", "rows")]
    gr.on(first, _stepped(show, STEPS["First"]), values, **event)
    gr.on([button.click, page.submit], show, values, **event)
    for label, step in STEPS.items():
        buttons[label].click(_stepped(show, step), values, **event)
    return Tab(
        "dataset", inputs, show, outputs, _checks(context), functions=api_functions(context), event=READING
    )


def _add_inputs(context: PageContext) -> dict[str, Any]:
    names = list(context.datasets)
    hint = (
        "Or type a dataset on the Hub that l2t made: ORG/NAME or ORG/NAME@REVISION."
        if context.guest_models
        else None
    )
    with gr.Row():
        dataset = gr.Dropdown(
            names,
            value=names[0] if names else "",
            label="Dataset",
            info=hint,
            allow_custom_value=context.guest_models,
            min_width=280,
            scale=2,
            elem_id="dataset-name",
        )
        view = gr.Radio(
            VIEW_CHOICES, value="examples", label="View", min_width=280, scale=2, elem_id="dataset-view"
        )
        split = gr.Radio(SPLITS, value="train", label="Split", min_width=200, elem_id="dataset-split")
    with gr.Row():
        # Its choices are those of the dataset on the page, so any text may come back.
        task = gr.Dropdown(
            [ALL_TASKS],
            value="",
            label="Task",
            allow_custom_value=True,
            min_width=200,
            elem_id="dataset-task",
        )
        page = gr.Number(1, label="Page", precision=0, min_width=120, elem_id="dataset-page")
        rows = gr.Dropdown(
            ROWS_PER_PAGE, value=10, label="Rows per page", min_width=120, elem_id="dataset-rows-per-page"
        )
    return {"dataset": dataset, "kind": view, "task": task, "split": split, "number": page, "rows": rows}


def _stepped(show: Callable[..., Any], step: Callable[[int], int]) -> Callable[..., Any]:
    """Return a function that shows another page than the one whose number it is given."""

    def stepped(*given: Any) -> Any:
        *where, number, rows = given
        return show(*where, step(_whole(number)), rows)

    return stepped


def _whole(number: object) -> int:
    """Return a page number as typed; -1 stands for the last page, and what is no page number for the first."""
    if not isinstance(number, int | float) or not -MAX_PAGE < number < MAX_PAGE:
        return 1
    return max(int(number), -1) or 1


def _downloads(shown: DatasetPage) -> str:
    name = f"{shown.view}-{shown.split}-page-{shown.page}"
    links = [
        download_link(page_csv(shown).encode(SPREADSHEET_ENCODING), "text/csv", f"{name}.csv", "CSV"),
        download_link(page_markdown(shown).encode(), "text/markdown", f"{name}.md", "Markdown"),
    ]
    return f'<p class="l2t l2t-downloads">Download these rows: {" ".join(links)}</p>'


def _facts(dataset: ShownDataset) -> str:
    try:
        return facts_html(dataset_facts(dataset))
    except UserError as error:
        return message_page(error.message, error.hint)


def _checks(context: PageContext) -> dict[str, Callable[[str], Any]]:
    def name(text: str) -> str:
        if text not in context.datasets and not (context.guest_models and is_repo(text.partition("@")[0])):
            raise ValueError(text)
        return text

    def one_of(*known: Any) -> Callable[[str], Any]:
        return lambda text: known[[str(value) for value in known].index(text)]

    def number(text: str) -> int:
        if not 1 <= (page := int(text)) <= MAX_PAGE:
            raise ValueError(text)
        return page

    return {
        "dataset": name,
        "kind": one_of(*VIEWS),
        "task": up_to(MAX_TASK),
        "split": one_of(*SPLITS),
        "number": number,
        "rows": one_of(*ROWS_PER_PAGE),
    }


def api_functions(context: PageContext) -> tuple[Callable[..., Any], ...]:
    """Return the functions of this tab for the API and MCP."""

    def dataset_page(
        dataset: str,
        view: str = "examples",
        task: str = "",
        split: str = "train",
        page: int = 1,
        rows: int = 10,
    ) -> dict[str, Any]:
        """Return a page of rows of an L2T dataset, and the Python code that loads them. Long texts are cut.

        Args:
            dataset: A dataset of this page, or if it takes guests ORG/NAME or ORG/NAME@REVISION on the Hub.
            view: "examples" (prompts and answers of tasks), "raw" (documents) or "packed" (training sequences).
            task: A task whose examples are wanted, such as "typo"; "" for all tasks.
            split: "train" or "validation".
            page: The number of the page, from 1; -1 for the last page.
            rows: Rows per page, at most 50.
        """
        found = find_dataset(dataset, context.datasets, guests=context.guest_models)
        return read_page(found, view, task, split, _whole(page), rows).as_dict()

    def dataset_mixture(dataset: str) -> dict[str, Any]:
        """Return the mixture and the ledger of an L2T dataset: what became raw text and examples, what was dropped.

        Args:
            dataset: A dataset of this page, or if it takes guests ORG/NAME or ORG/NAME@REVISION on the Hub.
        """
        found = find_dataset(dataset, context.datasets, guests=context.guest_models)
        return dataset_facts(found).as_dict()

    return dataset_page, dataset_mixture
