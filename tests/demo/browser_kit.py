"""The page in a real browser: serving it, opening it, and what is noted of every visit."""

import os
import re
import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, Response, sync_playwright

CHROMIUM = shutil.which("chromium") or "/usr/bin/chromium"
ARGUMENTS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"]
BROWSER_MARKS = [
    pytest.mark.browser,
    # Gradio's own use of pandas; nothing of ours.
    pytest.mark.filterwarnings("ignore::pandas.errors.Pandas4Warning"),
    pytest.mark.skipif(not Path(CHROMIUM).exists(), reason="chromium is not installed"),
]
"""`pytestmark` of a module that drives the browser."""
HERE = re.compile(r"(https?|wss?)://(127\.0\.0\.1|localhost)[:/]|data:|blob:")
GRADIO = re.compile(r"https?://[^/]+/(gradio_api/)?(assets|static)/")
"""Scripts, styles and pictures that come with Gradio."""
DESKTOP, PHONE = (1280, 900), (390, 844)
SCREENS = {"desktop": DESKTOP, "phone": PHONE}


@contextmanager
def chromium() -> Iterator[Browser]:
    """Start the system's Chromium. While it runs, this thread has an event loop: `asyncio.run` refuses to start."""
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        try:
            yield started
        finally:
            started.close()


@contextmanager
def serving(page: Any, **settings: Any) -> Iterator[str]:
    """Serve a Gradio page from this process on a free port; give its address, with a slash at the end."""
    from l2t_hub.demo.page import launch_settings

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    _, url, _ = page.launch(
        server_port=port, prevent_thread_lock=True, quiet=True, **{**launch_settings(), **settings}
    )
    try:
        yield url
    finally:
        page.close(verbose=False)


@contextmanager
def recorded_lookups() -> Iterator[set[str]]:
    """Note the hosts that this process, the page's server in it, looks up."""
    hosts: set[str] = set()
    look_up = socket.getaddrinfo

    def recorded(host: object, *rest: object, **more: object) -> object:
        hosts.add(host.decode() if isinstance(host, bytes) else str(host))
        return look_up(host, *rest, **more)  # type: ignore[arg-type]

    socket.getaddrinfo = recorded  # type: ignore[assignment]
    try:
        yield hosts
    finally:
        socket.getaddrinfo = look_up


@dataclass
class Visit:
    """A page in a browser of its own, and what happened in it."""

    page: Page
    elsewhere: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    responses: list[Response] = field(default_factory=list)
    """All but those that came with Gradio."""

    def __post_init__(self) -> None:
        self.page.on("request", lambda sent: HERE.match(sent.url) or self.elsewhere.append(sent.url))
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("response", self._keep)

    def _keep(self, response: Response) -> None:
        if not GRADIO.match(response.url):
            self.responses.append(response)

    def own_sizes(self) -> dict[str, int]:
        """Bytes by URL of what the page brought so far, uncompressed, besides Gradio's own. Streams have no end."""
        return {
            r.url: len(r.body())
            for r in self.responses
            if "event-stream" not in r.headers.get("content-type", "")
        }

    def show(self, screen: tuple[int, int], scheme: str) -> None:
        """Change the size of the screen and its theme, `light` or `dark`."""
        self.page.set_viewport_size({"width": screen[0], "height": screen[1]})
        self.page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]


@contextmanager
def visiting(browser: Browser, screen: tuple[int, int] = DESKTOP, scheme: str = "light") -> Iterator[Visit]:
    """Give an empty page. When it closes: it asked nothing of another host, and no script of it failed."""
    context = browser.new_context(
        viewport={"width": screen[0], "height": screen[1]},
        color_scheme=scheme,  # type: ignore[arg-type]
        reduced_motion="reduce",
    )
    visit = Visit(context.new_page())
    yield visit
    context.close()
    assert visit.elsewhere == []
    assert visit.errors == []


def keep_screenshot(page: Page, name: str) -> Path:
    """Take a picture of the whole page and keep it where the summary of the tests says."""
    path = Path(os.environ["L2T_SCREENSHOTS"]) / f"{name}.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=path, full_page=True)
    return path
