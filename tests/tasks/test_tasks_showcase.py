"""`l2t tasks`: every task makes an example from the default passage, and a drop shows its reason."""

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
def test_every_task_makes_an_example_from_the_passage(name: str) -> None:
    showing = show_task(name, None, 1, splitter("sentencex"))
    assert isinstance(showing.result, Example)
    assert showing.as_dict()["text"].startswith(showing.result.prompt)
    assert "completion" in printed(showing.panel())


def test_typos_are_highlighted() -> None:
    showing = show_task("typo", "The quick brown fox jumps over the lazy dog.", 3, splitter("sentencex"))
    assert showing.added
    assert "\x1b[1;4;32m" in printed(showing.panel())


def test_a_drop_shows_its_reason() -> None:
    showing = show_task("space", "Hello.", 1, splitter("sentencex"))
    assert showing.as_dict()["dropped"] == "no_space"
    assert "no U+0020 space" in printed(showing.panel())


def test_a_blank_text_is_an_error_with_an_example() -> None:
    with pytest.raises(UserError, match="no words"):
        show_task("typo", "  \n ", 1, splitter("sentencex"))
