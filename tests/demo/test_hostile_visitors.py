"""Visitors who send what no browser would: to every function of the page, past the browser.

Whatever they send is shown as text or refused in a sentence. The server opens no file of theirs to choose, connects to
nothing, and says no path of its own.
"""

import json
import shutil
import socket
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from gradio_calls import Answer, Function, call, page_functions

pytestmark = [
    # Gradio's own use of pandas, and the loop that it leaves to the collector; nothing of ours.
    pytest.mark.filterwarnings("ignore::pandas.errors.Pandas4Warning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]
LONGEST_ANSWER = 2_000_000
"""Bytes. The longest pair that is not cut, read letter by letter, takes about half."""
MARKUP = "<img src=x onerror='window.hacked=1'><script>window.hacked=2</script>${window.hacked=3}{{hacked}}"
CONTROLS = "a\x00b\x1b[31mc\u202ed\u2066e\u200bf\ud83dg\r\nh"


@dataclass
class Trap:
    """What must stay unread and unasked: a model directory that would load, and an address that would answer."""

    directory: Path
    address: str
    opened: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)

    @property
    def file_data(self) -> dict[str, Any]:
        """What Gradio's own clients send for a file that was uploaded."""
        return {"path": str(self.directory / "config.json"), "meta": {"_type": "gradio.FileData"}}

    def names(self) -> list[Any]:
        """Names that are no name of a model or a data set."""
        up = "../" * 20
        return [
            str(self.directory),
            f"{up}{str(self.directory).lstrip('/')}",
            f"file://{self.directory}",
            f"{self.address}/model",
            f"tiny-raw@{up}etc/passwd",
            "/proc/self/environ",
            "./pyproject.toml",
            "~/.netrc",
            self.file_data,
            {"url": f"{self.address}/model", "path": f"{self.address}/model"}
            | {"meta": {"_type": "gradio.FileData"}},
        ]


@pytest.fixture(scope="module")
def trap(tiny_models: tuple[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trap]:
    directory = tmp_path_factory.mktemp("trap") / "org" / "model"
    shutil.copytree(tiny_models[0], directory)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        trap = Trap(directory, f"http://127.0.0.1:{listener.getsockname()[1]}")
        armed = True

        def listen() -> None:
            while True:
                try:
                    connection, peer = listener.accept()
                except OSError:
                    return
                trap.asked.append(str(peer))
                connection.close()

        def watch(event: str, arguments: tuple[Any, ...]) -> None:
            if (
                armed
                and event in ("open", "os.listdir", "os.scandir")
                and str(directory.parent) in str(arguments[0])
            ):
                trap.opened.append(f"{event} {arguments[0]}")

        threading.Thread(target=listen, daemon=True).start()
        sys.addaudithook(watch)
        yield trap
        armed = False
    assert trap.opened == []
    assert trap.asked == []


@pytest.fixture(scope="module")
def own_paths(tiny_models: tuple[str, str], repository: Path) -> list[str]:
    """Paths of the server that no visitor needs to know."""
    return [
        str(Path(tiny_models[0]).parent),
        str(repository),
        str(Path(json.__file__).parents[1]),
        "site-packages",
    ]


def check_answer(
    answer: Answer, function: Function, kinds: dict[int, str], own_paths: list[str], sent: str
) -> None:
    for mark in ("Traceback", 'File "', *own_paths):
        assert mark not in answer.text or mark in sent, (function, sent[:200], answer.text[:2000])
    if not answer.success:
        return
    for component, value in zip(function.outputs, answer.output["data"], strict=False):
        shown = value.get("value") if isinstance(value, dict) and "value" in value else value
        if kinds[component] in ("html", "markdown") and isinstance(shown, str):
            assert "<img src=x" not in shown, (function, sent[:200])
            assert "<script>window" not in shown, (function, sent[:200])


def attack(address: str, values: list[Any], own_paths: list[str], *, one_by_one: bool) -> int:
    """Put each value into all inputs of each function of the page, or into one after the other. Give the calls made."""
    config, functions = page_functions(address)
    kinds = {c["id"]: c["type"] for c in config["components"]}
    defaults = {c["id"]: c["props"].get("value") for c in config["components"]}
    count = 0
    for function in functions:
        every = range(len(function.inputs))
        for changed in [{place} for place in every] if one_by_one else [set(every)]:
            for value in values:
                data = [value if place in changed else defaults[i] for place, i in enumerate(function.inputs)]
                answer = call(address, function.number, data)
                check_answer(answer, function, kinds, own_paths, json.dumps(value))
                count += 1
    return count


def test_no_visitor_makes_the_server_read_or_ask_or_run_anything(
    page_address: str, trap: Trap, own_paths: list[str]
) -> None:
    values = [MARKUP + CONTROLS, trap.names()[0], trap.file_data, [[]]]
    assert attack(page_address, values, own_paths, one_by_one=False) > 20


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_every_hostile_value_in_every_input(page_address: str, trap: Trap, own_paths: list[str]) -> None:
    odd = [
        None,
        True,
        -1,
        1e308,
        10**30,
        "",
        " ",
        {},
        {"a": [1]},
        ["a"] * 1000,
        [[MARKUP] * 3] * 3,
        "x" * 10_000,
    ]
    attack(page_address, [MARKUP, CONTROLS, *trap.names(), *odd], own_paths, one_by_one=False)
    few = [MARKUP + CONTROLS, trap.names()[0], trap.file_data, odd[3]]
    attack(page_address, few, own_paths, one_by_one=True)


def test_ten_megabytes_are_refused_or_cut_by_every_function(page_address: str, own_paths: list[str]) -> None:
    config, functions = page_functions(page_address)
    kinds = {c["id"]: c["type"] for c in config["components"]}
    defaults = {c["id"]: c["props"].get("value") for c in config["components"]}
    long = "word " * 2_000_000
    texts = 0
    for function in functions:
        if any(kinds[i] == "textbox" for i in function.inputs):
            data = [long if kinds[i] == "textbox" else defaults[i] for i in function.inputs]
            if sum(value is long for value in data) > 1:
                places = [place for place, value in enumerate(data) if value is long]
                data = [defaults[i] if n in places[1:] else data[n] for n, i in enumerate(function.inputs)]
            answer = call(page_address, function.number, data)
            check_answer(answer, function, kinds, own_paths, "")
            assert len(answer.text) < LONGEST_ANSWER, function
            texts += 1
    assert texts


def test_a_request_larger_than_any_text_is_refused(page_address: str) -> None:
    answer = call(page_address, 0, ["x" * (17 << 20)])
    assert not answer.success
    assert "at most 16 MB" in answer.text


@pytest.mark.parametrize(
    "prefix", ["gradio_api/file=", "file=", "gradio_api/file/", "static/", "assets/", "svelte/"]
)
def test_no_file_of_the_server_is_served(
    page_address: str, trap: Trap, prefix: str, tiny_models: tuple[str, str]
) -> None:
    files = [
        f"{tiny_models[0]}/config.json",
        "pyproject.toml",
        f"{Path.cwd()}/pyproject.toml",
        "/etc/passwd",
        "/proc/self/environ",
        f"{Path.home()}/.bashrc",
        str(trap.directory / "config.json"),
        "..%2f" * 20 + "etc/passwd",
        "%2e%2e/" * 20 + "etc/passwd",
        "file:///etc/passwd",
    ]
    with httpx.Client(base_url=page_address, timeout=30, follow_redirects=True) as client:
        for file in files:
            answer = client.get(f"/{prefix}{file}")
            assert answer.status_code in (403, 404) or "gradio_config" in answer.text, (
                file,
                answer.text[:300],
            )
            assert "root:" not in answer.text
            assert "hidden_size" not in answer.text
