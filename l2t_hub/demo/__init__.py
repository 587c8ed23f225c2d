"""The page that shows what models know: `l2t demo` on this machine, `spaces/compare` on the Hub.

`page` is the Gradio page. Each of its tabs is a module `*_tab`, which is given a `page_context` and returns a `tab`.
`model_pool` keeps models in memory, `links` writes and restores the page's state, and `view` renders HTML. This
module puts them together.
"""

import os
import socket
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from l2t_hub.demo.choice import chosen_models, display_names
from l2t_hub.errors import UserError
from l2t_hub.extras import require

# Gradio reads this when a module of this package imports it. The page sends no usage data.
os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")


def demo(
    models: Sequence[str],
    *,
    port: int | None = None,
    share: bool = False,
    open_browser: bool = True,
    readme: Path | None = None,
    say: Callable[[str], None] = print,
) -> None:
    """Serve the page until Ctrl-C, which raises KeyboardInterrupt.

    `models` are directories or Hub names. If there are none, the page offers those of the environment variable
    `L2T_DEMO_MODELS` or of the front matter of `readme`. `port` 0 picks a free port; None leaves the choice to the
    environment (a Space) or Gradio. `share` opens Gradio's tunnel to the internet. Without it, only this machine is
    served, unless `GRADIO_SERVER_NAME` is set.

    Raises UsageError if there are no models, UserError if Gradio is missing or the port is taken.
    """
    require("demo", "the page")
    from l2t_hub.demo.model_pool import ModelPool
    from l2t_hub.demo.page import build_page, launch_settings, show_progress
    from l2t_hub.demo.page_context import PageContext

    names = display_names(chosen_models(models, os.environ, readme))
    page = build_page(PageContext(names, ModelPool(names, memory=4 << 30, say=show_progress)))
    try:
        _, local, public = page.queue(max_size=32).launch(
            server_port=_free_port() if port == 0 else port,
            share=share,
            inbrowser=open_browser,
            prevent_thread_lock=True,
            quiet=True,
            **launch_settings(),
        )
        say(f"The page is at {public or local} (press Ctrl-C to stop)")
        threading.Event().wait()
    except OSError as error:
        raise UserError(
            f"the page cannot be served: {error}", "Choose another --port, or 0 for a free one."
        ) from error
    finally:
        page.close(verbose=False)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
