"""Every state of the page as a link: `?tab=compare&first=...&good=...`.

A link is a stranger's text. Each value goes through the check of its tab; what makes no sense is dropped with a
notice.
"""

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, urlencode

import gradio as gr

from l2t_hub.demo.tab import Tab
from l2t_hub.demo.view import message_page
from l2t_hub.errors import UserError

MAX_LINK = 6000
"""Characters of a link's state; proxies refuse lines of 8,000."""
MAX_ADDRESS = 1000
"""Characters of the page's own address, which the browser sends along."""
MAX_VALUES = 64
TAB = "tab"
_COPY = """async (link) => {
  if (!link.startsWith('http')) return link;
  try { await navigator.clipboard.writeText(link); return 'Link copied.'; }
  catch (refused) { return 'The browser does not allow copying. The link is in the box.'; }
}"""
_ADDRESS = "(...values) => [...values.slice(0, -1), location.origin + location.pathname]"


@dataclass(frozen=True)
class LinkState:
    """What a link says: the tab, the values of its inputs, and what was dropped, in words."""

    tab: Tab | None
    values: Mapping[str, Any]
    dropped: tuple[str, ...] = ()


def takes_several(tab: Tab, key: str) -> bool:
    """Whether an input's value is a list, whose key a link repeats."""
    component = tab.inputs[key]
    return bool(getattr(component, "multiselect", False)) or isinstance(component, gr.CheckboxGroup)


def write_link(tab: Tab, values: Sequence[Any]) -> str:
    """Return the query of a link, `?tab=...`, for the values of a tab's inputs. Empty ones are left out.

    Raises UserError if the state is too long for a link.
    """
    state = dict(zip(tab.inputs, values, strict=True))
    left_out = tab.left_out(state)
    pairs = [(TAB, tab.name)]
    for key, value in state.items():
        if key in left_out:
            continue
        for each in value if isinstance(value, list | tuple) else [value]:
            if each is not None and each != "":
                pairs.append((key, str(each).lower() if isinstance(each, bool) else str(each)))
    query = "?" + urlencode(pairs)
    if len(query) > MAX_LINK or len(pairs) > MAX_VALUES:
        raise UserError(
            "This is too long for a link.", "Use fewer or shorter sentences, or download the result."
        )
    return query


def read_link(query: str, tabs: Sequence[Tab]) -> LinkState:
    """Return what a link's query says. Nothing in it is trusted: see `Tab.check`."""
    if len(query) > 2 * MAX_LINK:
        return LinkState(None, {}, ("The link is too long and was not read.",))
    try:
        pairs = parse_qsl(query.removeprefix("?"), keep_blank_values=True, max_num_fields=MAX_VALUES)
    except ValueError:
        return LinkState(None, {}, ("The link has too many values and was not read.",))
    names = [value for key, value in pairs if key == TAB]
    tab = next((tab for tab in tabs if names and tab.name == names[0]), None)
    if tab is None:
        unknown = (f"The link is for a tab that this page does not have: {names[0][:40]}.",) if names else ()
        return LinkState(None, {}, unknown)
    values: dict[str, Any] = {}
    dropped: list[str] = []
    for key, text in pairs:
        if key not in tab.inputs:
            continue  # a Hub adds parameters of its own, such as __theme
        try:
            value = tab.check[key](text)
        except (ValueError, UserError):
            dropped.append(f"The link's {key} was dropped: {text[:60]}")
            continue
        if takes_several(tab, key):
            values.setdefault(key, []).append(value)
        else:
            values.setdefault(key, value)
    return LinkState(tab, values, tuple(dropped))


def add_link_button(tab: Tab) -> None:
    """Add the control that copies the link of a tab's present state."""
    with gr.Row(elem_classes="l2t-share"):
        button = gr.Button("Copy link", size="sm", scale=0, min_width=140, elem_id=f"copy-link-{tab.name}")
        box = gr.Textbox(
            label="Link", visible=False, lines=1, max_lines=1, interactive=False, elem_id=f"link-{tab.name}"
        )
        said = gr.HTML(elem_classes="l2t-said", elem_id=f"said-{tab.name}")

    def link(*values: Any) -> Any:
        *state, address = values
        try:
            return gr.update(value=f"{str(address)[:MAX_ADDRESS]}{write_link(tab, state)}", visible=True)
        except UserError as error:
            return gr.update(value=str(error), visible=True)

    button.click(
        link,
        [*tab.inputs.values(), box],
        box,
        js=_ADDRESS,
        queue=False,
        show_progress="hidden",
        api_visibility="private",
    ).then(None, box, said, js=_COPY, api_visibility="private")


def restore_from_link(page: gr.Blocks, bar: gr.Tabs, notice: gr.HTML, tabs: Sequence[Tab]) -> None:
    """When the page is opened, show what its link says, or else the first tab, as its button would."""
    query = gr.Textbox(visible=False, label="Link of the page")
    go = [gr.State("") for _ in tabs]
    inputs = [component for tab in tabs for component in tab.inputs.values()]

    def restore(text: str) -> list[Any]:
        state = read_link(text or "", tabs)
        shown = state.tab or tabs[0]
        updates = [
            gr.update(value=state.values[key]) if tab is state.tab and key in state.values else gr.skip()
            for tab in tabs
            for key in tab.inputs
        ]
        starts = [secrets.token_hex(8) if tab is shown else gr.skip() for tab in tabs]
        said = (
            message_page("Part of the link was not used.", " ".join(state.dropped)) if state.dropped else ""
        )
        # Without a link, a visitor who was faster than this keeps the tab that they opened.
        return [gr.Tabs(selected=shown.name) if state.tab else gr.skip(), said, *updates, *starts]

    page.load(
        restore,
        query,
        [bar, notice, *inputs, *go],
        js="() => location.search",
        show_progress="hidden",
        api_visibility="private",
    )
    for tab, start in zip(tabs, go, strict=True):
        start.change(tab.show, [*tab.inputs.values()], [*tab.outputs], api_visibility="private", **tab.event)
