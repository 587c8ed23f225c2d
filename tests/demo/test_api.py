"""The page's functions over HTTP, as the real clients call them: gradio_client, and an MCP client."""

import asyncio
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import gradio as gr
import pytest
from gradio_client import Client
from gradio_client.exceptions import AppError
from mcp import ClientSession
from mcp.client.streamable_http import streamablehttp_client

from l2t_hub.demo import page as pages
from l2t_hub.demo.model_pool import ModelPool, score_with
from l2t_hub.demo.page import TabRow, build_page
from l2t_hub.demo.page_context import PageContext
from l2t_hub.demo.tab import Tab
from l2t_hub.demo.visitors import Visitors

pytestmark = [
    pytest.mark.filterwarnings(
        "ignore::ResourceWarning"
    ),  # Gradio leaves its loop and sockets to the collector
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]
SENTENCE = "The cats sleep."
LIMIT = 25


@dataclass(frozen=True)
class Surprise:
    model: str
    bits: list[float]


def add_surprise_tab(context: PageContext) -> Tab:
    def surprise(model: str, sentence: str, times: int = 1) -> Surprise:
        """Return the surprisal of each token of a sentence.

        Args:
            model: The name of a model.
            sentence: A sentence of English.
            times: How often to add it up.
        """
        (scored,) = score_with(context.pool, context.resolve(model), [sentence])
        return Surprise(model, [times * token.bits for token in scored.tokens])

    box = gr.Textbox(label="Sentence")
    box.submit(str.upper, box, box, api_visibility="private")
    return Tab("surprise", {"text": box}, str.upper, [box], {"text": str}, (surprise,))


@pytest.fixture(scope="module")
def context(tiny_models: tuple[str, str]) -> PageContext:
    models = {"raw": tiny_models[0]}
    return PageContext(models, ModelPool(models, memory=1 << 30))


@pytest.fixture(scope="module")
def address(context: PageContext) -> Iterator[str]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pages, "TABS", (TabRow("surprise", "Surprise", add_surprise_tab),))
        page = build_page(context, Visitors(per_minute=LIMIT))
    _, url, _ = page.launch(prevent_thread_lock=True, quiet=True, mcp_server=True, **pages.launch_settings())
    yield url
    page.close(verbose=False)


@pytest.fixture
def client(address: str) -> Iterator[Client]:
    with_session = Client(address, verbose=False)
    yield with_session
    with_session.close()


def test_the_api_is_the_functions_of_the_tabs_with_their_types(client: Client) -> None:
    api: Any = client.view_api(return_format="dict", print_info=False)
    assert set(api["named_endpoints"]) == {"/surprise"}
    assert api["unnamed_endpoints"] == {}
    described = api["named_endpoints"]["/surprise"]
    assert [p["parameter_name"] for p in described["parameters"]] == ["model", "sentence", "times"]
    assert [p["python_type"]["type"] for p in described["parameters"]] == ["str", "str", "int"]
    assert described["parameters"][2]["parameter_default"] == 1


def test_a_call_gives_the_scores_of_the_model(client: Client, context: PageContext) -> None:
    (scored,) = score_with(context.pool, context.resolve("raw"), [SENTENCE])
    answer = client.predict("raw", SENTENCE, 2, api_name="/surprise")
    assert answer == {"model": "raw", "bits": [2 * token.bits for token in scored.tokens]}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("nobody/has-this", SENTENCE), "this page does not offer that model"),
        (("../../etc/passwd", SENTENCE), "this page does not offer that model"),
        (("raw", "q" * 5000), "the model reads at most 128"),
        (("raw", {"path": "/etc/passwd"}), "surprise: sentence: Input should be a valid string"),
        (("raw", SENTENCE, "many"), "surprise: times: Input should be a valid integer"),
    ],
)
def test_errors_come_as_sentences(client: Client, arguments: tuple[Any, ...], said: str) -> None:
    with pytest.raises(AppError, match=said):
        client.predict(*arguments, api_name="/surprise")


def test_the_functions_are_tools_for_language_models(address: str, context: PageContext) -> None:
    async def use() -> None:
        async with (
            streamablehttp_client(f"{address}gradio_api/mcp/") as (read, write, _),
            ClientSession(read, write) as session,
        ):
            await session.initialize()
            (tool,) = (await session.list_tools()).tools
            assert tool.name == "surprise"
            assert "surprisal of each token" in (tool.description or "")
            assert set(tool.inputSchema["properties"]) == {"model", "sentence", "times"}
            assert tool.inputSchema["properties"]["model"]["description"] == "The name of a model."
            done = await session.call_tool("surprise", {"model": "raw", "sentence": SENTENCE})
            assert not done.isError
            (scored,) = score_with(context.pool, context.resolve("raw"), [SENTENCE])
            answer = json.loads(done.content[0].text)  # type: ignore[union-attr]
            assert answer == {"model": "raw", "bits": [token.bits for token in scored.tokens]}
            failed = await session.call_tool("surprise", {"model": "/etc", "sentence": SENTENCE})
            assert failed.isError
            assert "this page does not offer that model" in failed.content[0].text  # type: ignore[union-attr]

    with ThreadPoolExecutor(1) as elsewhere:  # a browser test of before leaves a loop in this thread
        elsewhere.submit(asyncio.run, use()).result()


def test_who_asks_too_often_is_told_so_and_others_are_served(address: str, client: Client) -> None:
    said = ""
    for _ in range(LIMIT + 1):
        try:
            client.predict("raw", SENTENCE, api_name="/surprise")
        except AppError as error:
            said = str(error)
    assert f"{LIMIT} requests in a minute" in said
    assert Client(address, verbose=False).predict("raw", SENTENCE, api_name="/surprise")["model"] == "raw"
