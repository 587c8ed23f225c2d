"""Examples of tasks on a visitor's text: what is drawn, what is said where nothing can be, and how it is shown."""

import re

import pytest

from l2t_hub.demo import playground
from l2t_hub.demo.playground import (
    EXAMPLE_IDS,
    MAX_CHARACTERS,
    MAX_SEED,
    OTHER_ID,
    draw_example,
    languages_offered,
    texts_offered,
)
from l2t_hub.demo.playground_view import answers_html, example_html, text_direction
from l2t_hub.demo.task_answers import TaskAnswer
from l2t_hub.demo.view import marked
from l2t_hub.errors import UserError
from l2t_hub.tasks.languages import language
from l2t_hub.tasks.registry import TASKS, available

TEXT = "The old ferry leaves at seven. My sister missed it because of 3 pears. Nobody was late again."
HOSTILE = "<img src=x onerror=alert(1)> sat. \u202eThe <script> was here. Nobody saw </div> it.\x1b"


@pytest.mark.parametrize("title", list(texts_offered()))
def test_every_text_offered_gives_examples(title: str) -> None:
    code, text = texts_offered()[title]
    assert len(text) <= MAX_CHARACTERS
    tasks = available(TASKS, language(code))
    for name in tasks:
        drawn = draw_example(name, text, 42, code=code)
        assert drawn.row.text.endswith(drawn.row.completion)
        assert drawn.notes == ()


def test_the_seed_decides_the_example() -> None:
    assert draw_example("typo", TEXT, 3) == draw_example("typo", TEXT, 3)
    assert len({draw_example("typo", TEXT, seed).row.prompt for seed in range(8)}) == 8
    assert draw_example("typo", TEXT, MAX_SEED).as_dict()["completion"] == TEXT


def test_the_other_document_is_the_visitors_or_another_one_of_ours() -> None:
    typed = draw_example("deletion", TEXT, 1, "A comet came.")
    assert typed.partner == OTHER_ID
    assert [typed.row.prompt[start:end].strip() for start, end in typed.added] == ["A comet came."]
    _, ours = next(iter(texts_offered().values()))
    partners = {draw_example("last", ours, seed).partner for seed in range(40)}
    assert len(partners) > 20
    assert EXAMPLE_IDS[0] not in partners
    assert draw_example("typo", TEXT, 1, "A comet came.").partner == ""
    german = draw_example("deletion", "Es regnet. Niemand kommt.", 1, code="de")
    assert german.partner == "the bundled passage"


@pytest.mark.parametrize(
    ("task", "text", "why"),
    [
        ("typo", "", "There is no text."),
        ("typo", " \n\t ", "There is no text."),
        ("typo", "!!! ???", "the text has no letter or digit to mistype"),
        ("deletion", "Only one sentence.", "needs a text of at least 2 sentences, and this one has 1"),
        ("reordering", "One came. Two went.", "at least 3 sentences, and this one has 2"),
        ("reordering", "Go on. Go on. Go on.", "the sentences read the same in any order"),
        ("fill_middle", "A cat came. A dog went. A cow sat.", "a third of the block has fewer than 20 words"),
        ("one", "word", "the block has only one word"),
        ("tpyo", TEXT, "Did you mean 'typo'"),
    ],
)
def test_a_text_without_an_example_gets_a_reason(task: str, text: str, why: str) -> None:
    with pytest.raises(UserError) as raised:
        draw_example(task, text, 1)
    assert why in str(raised.value)


def test_languages_and_seeds_are_checked() -> None:
    assert next(iter(languages_offered().values())) == "en"
    for code in ("/etc", "../en", "tlh"):
        with pytest.raises(UserError, match="no language"):
            draw_example("typo", TEXT, 1, code=code)
    for seed in (-1, MAX_SEED + 1):
        with pytest.raises(UserError, match="The seed must be"):
            draw_example("typo", TEXT, seed)


def test_languages_whose_words_cannot_be_found_are_not_offered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(playground, "installed", lambda extra: False)
    playground._about.cache_clear()
    try:
        assert list(languages_offered().values()) == ["en", "ar", "fr", "de", "hi", "ru", "es"]
        assert not {code for code, _ in texts_offered().values()} & {"ja", "zh"}
        with pytest.raises(UserError, match="no language"):
            draw_example("typo", TEXT, 1, code="zh")
    finally:
        playground._about.cache_clear()


def test_a_huge_text_is_cut_with_a_notice_and_a_short_one_noted() -> None:
    drawn = draw_example("typo", "The cat sat on the mat. " * 450_000, 1, "x" * 10_000_000)
    assert len(drawn.block.text) <= MAX_CHARACTERS
    assert drawn.notes[0].startswith("The text was cut to its first 9")
    (note,) = draw_example("half", "The cat sat.", 1).notes
    assert note.startswith("The text has 3 words.")


def test_what_is_shown_is_escaped_and_changes_are_marked() -> None:
    page = example_html(draw_example("deletion", HOSTILE, 5, "<b>Bold</b> \u202eone."))
    for raw in ("<img", "<script", "<b>Bold", "\u202e", "\x1b", "</div> it"):
        assert raw not in page
    assert re.search("<ins> ?&lt;b&gt;Bold", page)
    assert marked("a  b", [(1, 3)], "del") == "a<del>\u2423\u2423</del>b"
    assert marked("a\nb", [], "del") == "a\nb"


def test_answers_show_their_state_scores_and_what_is_wrong() -> None:
    drawn = draw_example("typo", TEXT, 1)
    wrong = TEXT.replace("ferry", "<i>fury</i>")
    answers = [
        TaskAnswer("<raw>", "finished", wrong, 30, 1.25, False, 0.9),
        TaskAnswer("l2t", "finished", TEXT, 29, 0.5, True, 1.0),
    ]
    page = answers_html(drawn, answers)
    assert "&lt;raw&gt; is wrong; l2t is right." in page
    assert page.count("<ins>") == 2  # the key, and the wrong word
    assert "<ins>&lt;i&gt;fury&lt;/i&gt;</ins>" in page
    assert 'data-score="loss">1.250<' in page
    assert 'aria-busy="false"' in page
    states = [
        TaskAnswer("a"),
        TaskAnswer("b", "writing", "The"),
        TaskAnswer("c", "cut", "x", 320),
        TaskAnswer("d", "stopped", "x", 1),
        TaskAnswer("e", "failed", problem="<no> model"),
    ]
    page = answers_html(drawn, states)
    assert "a is loading; b is answering; c was cut off; d was stopped; e cannot answer." in page
    assert 'aria-busy="true"' in page
    assert "&lt;no&gt; model" in page
    assert "at most 320 tokens" in page
    page = answers_html(drawn, [])
    assert "Choose a model" in page
    assert f'data-part="completion">{TEXT}<' in page
    assert [text_direction(text) for text in ("", "12 a", "1 \u0627 a")] == ["ltr", "ltr", "rtl"]
