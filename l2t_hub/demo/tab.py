"""What a tab hands to the page, so that the page can restore it from a link and offer its functions as an API."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from gradio.components import Component

SCORING: dict[str, Any] = {"concurrency_id": "scoring", "concurrency_limit": 2}
"""Arguments of every event that runs a model: that many run at once, the others queue."""


def up_to(limit: int) -> Callable[[str], str]:
    """Return a check for `Tab.check` of texts of at most `limit` characters."""

    def check(text: str) -> str:
        if len(text) > limit:
            raise ValueError("too long")
        return text

    return check


@dataclass(frozen=True)
class Tab:
    """A tab of the page.

    `name` is the tab in a link, and `inputs` maps a key of the link to the component whose value is the state; the
    keys `page` and `view` are Gradio's own. A component that takes several values (`multiselect`) has its key several
    times in the link. `check` has a function for each key that parses one value of a link, which is a stranger's
    text: it raises ValueError or UserError for one that makes no sense. `show` is the function behind the main
    button, from the values of `inputs` to `outputs`, and `event` has the arguments of its event; the page calls it
    after a link was restored. `functions` are the tab's functions for the API: typed, documented, and with
    everything but their arguments bound. `left_out` returns the keys that a link of this state does not need, such as
    those of boxes out of sight.
    """

    name: str
    inputs: Mapping[str, Component]
    show: Callable[..., Any]
    outputs: Sequence[Component]
    check: Mapping[str, Callable[[str], Any]]
    functions: Sequence[Callable[..., Any]] = ()
    event: Mapping[str, Any] = field(default_factory=lambda: SCORING)
    left_out: Callable[[Mapping[str, Any]], Collection[str]] = lambda values: ()
