"""Models' answers as they are written: the same as those of the suite, stopped and bounded, without blocking others."""

from collections.abc import Iterator
from pathlib import Path
from threading import Thread
from types import SimpleNamespace
from typing import Any

import pytest
from tiny_models import make_tiny_model

from l2t_hub.demo import task_answers
from l2t_hub.demo.choice import ModelChoice
from l2t_hub.demo.model_pool import ModelPool
from l2t_hub.demo.page_context import PageContext
from l2t_hub.demo.playground import draw_example
from l2t_hub.demo.playground_tab import VisitorRuns, _checks, _functions, next_seed, shower
from l2t_hub.demo.task_answers import stream_answer
from l2t_hub.errors import UserError
from l2t_hub.evaluate.task_suite import _answers, encode_examples, judge
from l2t_hub.scoring import load_scorer

TEXT = "The children sat near the old river. The cat was tired that evening. Nobody saw it."
NAMES = ("tiny-a", "tiny-b", "tiny-short")


@pytest.fixture(scope="module")
def context(tmp_path_factory: pytest.TempPathFactory) -> PageContext:
    """Two models that read 1,024 tokens, and one that reads 32."""
    folder = tmp_path_factory.mktemp("answering")
    models = {
        name: str(make_tiny_model(folder / name, seed, positions=positions))
        for seed, (name, positions) in enumerate(zip(NAMES, (1024, 1024, 32), strict=True))
    }
    return PageContext(models, ModelPool(models, memory=1 << 30))


@pytest.mark.parametrize("task", ["typo", "char_count", "last", "half"])
@pytest.mark.parametrize("held", [0.0, 60.0])
def test_an_answer_is_that_of_the_suite(
    task: str, held: float, context: PageContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With no time to hold the model, it is borrowed anew for each token."""
    monkeypatch.setattr(task_answers, "HELD_SECONDS", held)
    drawn = draw_example(task, TEXT, 7)
    *_, answer = stream_answer(context.pool, ModelChoice("tiny-a"), drawn.example)
    scorer = load_scorer(context.models["tiny-a"])
    encoded = encode_examples(scorer.tokenizer, [drawn.example])
    (expected,) = _answers(scorer, encoded)
    assert (answer.state, answer.text) == ("finished", expected)
    assert answer.loss is not None
    right, measures = judge(drawn.example, expected, answer.loss)
    assert (answer.right, answer.similarity) == (right, measures.get("edit similarity"))
    assert (answer.similarity is None) == (task in ("char_count", "last"))


def test_an_answer_grows_and_can_be_stopped_and_leaves_the_model_free(context: PageContext) -> None:
    drawn, choice = draw_example("typo", TEXT, 7), ModelChoice("tiny-b")
    seen: list[Any] = []
    for answer in stream_answer(context.pool, choice, drawn.example, lambda: len(seen) == 6):
        seen.append(answer)
    assert [answer.state for answer in seen] == ["waiting", *["writing"] * 5, "stopped"]
    assert [answer.tokens for answer in seen[1:]] == [0, 1, 2, 3, 4, 5]
    given_up = stream_answer(context.pool, choice, drawn.example)
    for _ in range(4):
        next(given_up)
    given_up.close()  # what Gradio does when a visitor leaves
    *_, again = stream_answer(context.pool, choice, drawn.example)
    assert again.state == "finished"


def test_others_use_the_model_between_two_moments(
    context: PageContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(task_answers, "HELD_SECONDS", 0.0)
    drawn, choice = draw_example("typo", TEXT, 7), ModelChoice("tiny-a")
    alone = [*stream_answer(context.pool, choice, drawn.example)][-1]
    one, two = (stream_answer(context.pool, choice, drawn.example) for _ in range(2))
    assert [*alternating(one, two)][-2:] == [alone, alone]


def test_who_waits_for_a_model_gets_it_before_an_answer_ends(
    context: PageContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(task_answers, "HELD_SECONDS", 0.02)
    drawn, choice = draw_example("typo", TEXT, 7), ModelChoice("tiny-a")
    seen: list[int] = []
    lent: list[int] = []

    def borrow() -> None:
        with context.pool.use(choice):
            lent.append(seen[-1])

    waiting = Thread(target=borrow)
    for answer in stream_answer(context.pool, choice, drawn.example):
        seen.append(answer.tokens)
        if answer.tokens == 1 and not waiting.ident:
            waiting.start()
    waiting.join()
    assert lent[0] < seen[-1]


def alternating(*iterators: Iterator[Any]) -> Iterator[Any]:
    """Yield from each in turn; an iterator that holds the model for longer than a step would block the others."""
    for values in zip(*iterators, strict=True):
        yield from values


def test_what_a_model_cannot_answer_says_why(
    context: PageContext, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn = draw_example("typo", TEXT, 7)
    *_, failed = stream_answer(context.pool, ModelChoice("tiny-short"), drawn.example)
    assert failed.state == "failed"
    assert "the model reads at most 32" in failed.problem
    *_, unknown = stream_answer(context.pool, ModelChoice("/etc"), drawn.example)
    assert "does not offer that model" in unknown.problem
    monkeypatch.setattr(task_answers, "MAX_ANSWER_TOKENS", 5)
    *_, cut = stream_answer(context.pool, ModelChoice("tiny-a"), drawn.example)
    assert (cut.state, cut.tokens, cut.right, cut.similarity) == ("cut", 5, None, None)
    assert cut.loss is not None


def test_the_button_shows_the_example_then_each_answer(context: PageContext) -> None:
    show = shower(context, VisitorRuns())
    pages = [*show("typo", ["tiny-a", "tiny-short"], "en", TEXT, "", 7)]
    assert "seed 7" in pages[0][0]
    assert "tiny-a is loading; tiny-short is loading." in pages[0][1]
    assert "tiny-short cannot answer." in pages[-1][1]
    assert "tiny-a is wrong" in pages[-1][1]
    (problem,) = show("deletion", ["tiny-a"], "en", "One.", "", 7)
    assert "at least 2 sentences" in problem[0]
    (refused,) = show("typo", ["/etc/passwd"], "en", TEXT, "", 7)
    assert "does not offer that model" in refused[0]
    ((_, answers),) = show("typo", None, "en", TEXT, None, None)
    assert "Choose a model" in answers


def test_stop_ends_the_run_of_one_visitor_and_a_new_run_replaces_the_old(context: PageContext) -> None:
    runs = VisitorRuns()
    show = shower(context, runs)
    ann, ben = (SimpleNamespace(session_hash=name) for name in ("ann", "ben"))
    of_ann, of_ben = (show("typo", ["tiny-a"], "en", TEXT, "", 7, visitor) for visitor in (ann, ben))
    next(of_ann), next(of_ben)
    runs.stop("ann")
    assert "tiny-a was stopped." in [*of_ann][-1][1]
    newer = show("typo", ["tiny-a"], "en", TEXT, "", 8, ben)
    next(newer)
    assert [*of_ben] == []
    assert "tiny-a is wrong" in [*newer][-1][1]
    assert not runs._current


def test_the_functions_of_the_api(context: PageContext) -> None:
    make_example, answer_task = _functions(context)
    made = make_example("masked_word", TEXT, 3)
    answered = answer_task("tiny-b", "masked_word", TEXT, 3)
    assert made.items() <= answered.items()
    assert answered["right"] is False
    assert 0 <= answered["edit_similarity"] < 1
    with pytest.raises(UserError, match="does not offer"):
        answer_task("someone/model", "typo", TEXT)
    with pytest.raises(UserError, match="reads at most 32"):
        answer_task("tiny-short", "typo", TEXT)


def test_values_of_a_link_are_checked(context: PageContext) -> None:
    check = _checks(context)
    assert check["task"]("half") == "half"
    assert check["seed"]("17") == 17
    assert check["model"](" tiny-a ") == "tiny-a"
    assert check["language"]("de") == "de"
    bad = {"task": "tpyo", "model": "/etc", "language": "/etc", "text": "x" * 1001, "seed": "-1"}
    for key, value in [*bad.items(), ("seed", "one"), ("seed", "9" * 40)]:
        with pytest.raises((ValueError, UserError)):
            check[key](value)
    assert [next_seed(seed) for seed in (None, 4, 2**31 - 1)] == [0, 5, 0]
