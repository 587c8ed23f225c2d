"""The Gradio page: a title, the tabs, and the state that a link brings.

Both `l2t demo` and `spaces/compare/app.py` serve this page.
"""

from collections.abc import Callable
from dataclasses import dataclass

import gradio as gr

from l2t_hub.demo.api import add_functions
from l2t_hub.demo.compare_tab import add_compare_tab
from l2t_hub.demo.dataset_tab import add_dataset_tab, has_datasets
from l2t_hub.demo.links import add_link_button, restore_from_link
from l2t_hub.demo.look import launch_settings
from l2t_hub.demo.page_context import PageContext
from l2t_hub.demo.playground_tab import add_playground_tab
from l2t_hub.demo.scoreboard_tab import add_scoreboard_tab
from l2t_hub.demo.tab import Tab
from l2t_hub.demo.visitors import LimitedBlocks, Visitors

__all__ = ["build_page", "launch_settings", "show_progress"]

TITLE = "See what a model knows"
INTRODUCTION = f"""# {TITLE}
Two language models read the same sentence, and one of them trips. A *minimal pair* is two sentences that differ in
one point of grammar: a model that has learned this point finds the grammatical one more probable."""


@dataclass(frozen=True)
class TabRow:
    """A tab of `TABS`: its name in links, its title, what adds it, and whether the page has anything for it."""

    name: str
    title: str
    add: Callable[[PageContext], Tab]
    has_content: Callable[[PageContext], bool] = lambda context: True


TABS = (
    TabRow("compare", "Compare", add_compare_tab),
    TabRow("scoreboard", "Scoreboard", add_scoreboard_tab),
    TabRow("playground", "Task playground", add_playground_tab),
    TabRow("dataset", "Dataset", add_dataset_tab, has_datasets),
)


def build_page(context: PageContext, visitors: Visitors | None = None) -> gr.Blocks:
    """Return the page with a tab for each row of `TABS` that has something to show. It has at least one model.

    With `visitors`, what each of them may run is limited.
    """
    with LimitedBlocks(title=TITLE, analytics_enabled=False) as page:
        gr.Markdown(INTRODUCTION)
        notice = gr.HTML(elem_id="notice")
        made = []
        with gr.Tabs(overflow_behavior="wrap") as bar:
            for row in TABS:
                if row.has_content(context):
                    with gr.Tab(row.title, id=row.name):
                        made.append(row.add(context))
                        add_link_button(made[-1])
        restore_from_link(page, bar, notice, made)
        add_functions(made)
    page.visitors = visitors
    return page


def show_progress(line: str) -> None:
    """Show what the page is busy with, on the output that a visitor waits for."""
    gr.Progress()(0, desc=line)
