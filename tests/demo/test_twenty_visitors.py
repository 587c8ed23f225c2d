"""Twenty visitors at once: every request is answered, each with its own visitor's result."""

import re
import secrets
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from browser_kit import serving
from gradio_calls import call, page_functions

from l2t_hub.demo import MAX_WAITING
from l2t_hub.demo.choice import display_names
from l2t_hub.demo.model_pool import ModelPool
from l2t_hub.demo.page import build_page
from l2t_hub.demo.page_context import PageContext
from l2t_hub.demo.visitors import Visitors

VISITORS = 20
pytestmark = [
    # Gradio's own use of pandas, and the loop that it leaves to the collector; nothing of ours.
    pytest.mark.filterwarnings("ignore::pandas.errors.Pandas4Warning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]


@pytest.fixture(scope="module")
def public_address(tiny_models: tuple[str, str]) -> Iterator[str]:
    """The address of a page with the limits of a public one. Everybody here has the same address."""
    names = display_names(tiny_models)
    page = build_page(PageContext(names, ModelPool(names, memory=1 << 30)), Visitors())
    with serving(page.queue(max_size=MAX_WAITING)) as address:
        yield address


def compare_at_once(address: str, rounds: int) -> None:
    config, functions = page_functions(address)
    shown = next(c["id"] for c in config["components"] if c["props"].get("elem_id") == "answer")
    function = next(f for f in functions if shown in f.outputs)
    values = {c["id"]: c["props"].get("value") for c in config["components"]}
    boxes = {c["props"].get("elem_id"): c["id"] for c in config["components"]}

    def visit(number: int) -> list[str]:
        session, words, answers = secrets.token_hex(8), [], []
        for turn in range(rounds):
            word = f"visitor{number}turn{turn}"
            words.append(word)
            mine = {
                boxes["good-sentence"]: f"The {word} was here.",
                boxes["bad-sentence"]: f"The {word} were here.",
            }
            answer = call(
                address, function.number, [mine.get(i, values[i]) for i in function.inputs], session=session
            )
            assert answer.success, answer.text
            answers.append(re.sub(r"<[^<>]*>", "", answer.text))  # a sentence is shown token by token
        for word, text in zip(words, answers, strict=True):
            assert f"The {word} was here." in text
            others = [f"visitor{n}turn" for n in range(VISITORS) if n != number]
            assert not [other for other in others if other in text]
        return answers

    with ThreadPoolExecutor(VISITORS) as pool:
        answered = [len(answers) for answers in pool.map(visit, range(VISITORS))]
    assert answered == [rounds] * VISITORS


def test_twenty_visitors_at_once_each_get_their_own_answer(public_address: str) -> None:
    compare_at_once(public_address, rounds=1)


@pytest.mark.slow
def test_twenty_visitors_at_once_for_a_while(public_address: str) -> None:
    compare_at_once(public_address, rounds=15)
    assert httpx.get(public_address, timeout=30).status_code == 200
