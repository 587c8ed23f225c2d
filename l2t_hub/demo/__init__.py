"""The page that shows what models know: `l2t demo` on this machine, `spaces/compare` on the Hub.

`page` is the Gradio page. Each of its tabs is a module `*_tab`, which is given a `page_context` and returns a `tab`.
`model_pool` keeps models in memory, `links` writes and restores the page's state, and `view` renders HTML. This
module puts them together.
"""

import io
import os
import socket
import threading
from collections.abc import Callable, Mapping
from contextlib import redirect_stdout, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from l2t_hub.demo.choice import Offer, chosen_offer, display_names, guests_allowed
from l2t_hub.errors import UsageError, UserError
from l2t_hub.extras import require
from l2t_hub.hub.endpoint import LOOPBACK
from l2t_hub.records.bounds import is_repo

if TYPE_CHECKING:
    from l2t_hub.demo.page_context import PageContext

MAX_WAITING = 64
"""Requests that wait at once; the next one is told that the page is busy."""

WARM_UP_AFTER = 3.0
"""Seconds from the start to the loading of the first models. A browser that is there before gets the page first."""

# Gradio reads this when a module of this package imports it. The page sends no usage data.
os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")


def demo(
    offer: Offer,
    *,
    guest_models: bool | None = None,
    memory: str | None = None,
    port: int | None = None,
    share: bool = False,
    open_browser: bool = True,
    readme: Path | None = None,
    say: Callable[[str], None] = print,
) -> None:
    """Serve the page until Ctrl-C, which raises KeyboardInterrupt.

    What `offer` leaves out comes from environment variables or the front matter of `readme`: see `chosen_offer`.
    Visitors may name other models on the Hub unless `guest_models` is false. `memory` is what models may take, such
    as 4GB (default: half of the machine's). `port` 0 picks a free one; None leaves the choice to the environment (a
    Space) or Gradio. `share` opens Gradio's tunnel to the internet. Without it, only this machine is served, unless
    `GRADIO_SERVER_NAME` is set. Where strangers may come, each of them has a limit of requests per minute.

    Raises UsageError for an invalid offer or size, UserError if Gradio is missing or the port is taken.
    """
    require("demo", "the page")
    from l2t_hub.demo.quick_gradio import import_gradio

    import_gradio()
    from l2t_hub.demo.page import build_page, launch_settings
    from l2t_hub.demo.visitors import Visitors

    context = context_for(
        chosen_offer(offer, os.environ, readme), os.environ, guest_models=guest_models, memory=memory
    )
    page = build_page(context, Visitors() if share or _is_public(os.environ) else None)
    try:
        with redirect_stdout(io.StringIO()):  # Gradio announces MCP even when it is to be quiet
            _, local, public = page.queue(max_size=MAX_WAITING).launch(
                server_port=_free_port() if port == 0 else port,
                share=share,
                inbrowser=open_browser,
                prevent_thread_lock=True,
                quiet=True,
                mcp_server=True,
                **launch_settings(),
            )
        say(f"The page is at {public or local} (press Ctrl-C to stop)")
        warm_up = threading.Timer(WARM_UP_AFTER, _warm_up, (context,))
        warm_up.daemon = True
        warm_up.start()
        threading.Event().wait()
    except OSError as error:
        raise UserError(
            f"the page cannot be served: {error}", "Choose another --port, or 0 for a free one."
        ) from error
    finally:
        page.close(verbose=False)


def context_for(
    offer: Offer,
    environment: Mapping[str, str],
    *,
    guest_models: bool | None = None,
    memory: str | None = None,
) -> "PageContext":
    """Return what the tabs are given for an offer. A collection among the models is replaced by its models.

    On a Space, everything is a name on the Hub: nothing there may read the Space's own files. Raises UsageError for a
    path there.
    """
    from l2t_hub.demo.memory_budget import memory_budget
    from l2t_hub.demo.model_pool import ModelPool
    from l2t_hub.demo.page import show_progress
    from l2t_hub.demo.page_context import PageContext
    from l2t_hub.hub.collection_items import with_collections

    on_space = "SPACE_ID" in environment
    models = display_names(with_collections(offer.models))
    guests = guests_allowed(guest_models, environment)
    for name in (*models.values(), *offer.datasets, *offer.results):
        if on_space and not is_repo(name.partition("@")[0]):
            raise UsageError(f"{name}: a Space offers only what is on the Hub", "Write it as ORG/NAME.")
    pool = ModelPool(
        models,
        memory=memory_budget(memory, environment),
        guests=guests,
        hub_only=on_space,
        say=show_progress,
    )
    return PageContext(models, pool, display_names(offer.datasets), offer.results, guests)


def _warm_up(context: "PageContext") -> None:
    """Load the models that the page shows first, so that the first visitor of a Space does not wait for them."""
    for name in list(context.models)[:2]:
        with suppress(UserError), context.pool.use(context.resolve(name)):
            pass  # an error is said where the model is used


def _is_public(environment: Mapping[str, str]) -> bool:
    """Whether others than the users of this machine can open the page."""
    return "SPACE_ID" in environment or environment.get("GRADIO_SERVER_NAME", "127.0.0.1") not in LOOPBACK


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
