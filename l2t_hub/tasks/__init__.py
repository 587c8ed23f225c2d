"""The fourteen language learning tasks of the paper, and how to add your own.

A task is a pure function that turns a block of text into an example. Each linguistic level has a module. `base`
defines tasks, blocks and examples, `languages` has the words and questions of each language, `registry` holds the
tasks by name, `showcase` shows what a task does to a text.
"""

from l2t_hub.tasks.base import DROPS, LEVELS, Block, Drop, Example, Level, Make, Task, render
from l2t_hub.tasks.languages import Language, language
from l2t_hub.tasks.registry import TASKS, eligible, get, tasks_for

__all__ = [
    "DROPS",
    "LEVELS",
    "TASKS",
    "Block",
    "Drop",
    "Example",
    "Language",
    "Level",
    "Make",
    "Task",
    "eligible",
    "get",
    "language",
    "render",
    "tasks_for",
]
