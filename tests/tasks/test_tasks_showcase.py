"""`l2t tasks`: every task shows itself on the bundled passage, and says so where it has no example."""

import pytest
from rich.console import Console

from l2t_hub.corpus.sentences import splitter
from l2t_hub.errors import UserError
from l2t_hub.tasks.base import Example
from l2t_hub.tasks.registry import TASKS
from l2t_hub.tasks.showcase import list_tasks, show_task, tasks_table


def printed(renderable: object) -> str:
    console = Console(width=100, record=True, force_terminal=True, color_system="truecolor")
    with console.capture() as capture:
        console.print(renderable)
    return capture.get()


def test_the_list_names_every_task_with_level_and_description() -> None:
    rows = list_tasks()
    assert [row["name"] for row in rows] == list(TASKS)
    text = printed(tasks_table(rows))
    assert all(row["name"] in text and row["level"] in text for row in rows)


@pytest.mark.parametrize("name", sorted(TASKS))
def test_every_task_makes_an_example_of_the_passage(name: str) -> None:
    showing = show_task(name, None, 1, splitter("sentencex"))
    assert isinstance(showing.shown.made, Example)
    assert showing.as_dict()["text"].startswith(showing.shown.made.prompt)
    assert "completion" in printed(showing.panel())


def test_what_a_typo_changed_is_highlighted() -> None:
    showing = show_task("typo", "The quick brown fox jumps over the lazy dog.", 3, splitter("sentencex"))
    assert showing.shown.added
    assert "\x1b[1;4;32m" in printed(showing.panel())


def test_a_text_that_gives_no_example_says_why() -> None:
    showing = show_task("space", "Hello.", 1, splitter("sentencex"))
    assert showing.as_dict()["dropped"] == "no_space"
    assert "no U+0020 space" in printed(showing.panel())


def test_a_blank_text_is_an_error_with_an_example() -> None:
    with pytest.raises(UserError, match="no words"):
        show_task("typo", "  \n ", 1, splitter("sentencex"))
