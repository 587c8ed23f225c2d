"""The fourteen language learning tasks of the paper, and the way to add more.

A task is a pure function that turns a block of text into an example. Each level has its module; `base` has the
nouns, `registry` the table of tasks by name, `show` one task at work with its changes marked.
"""

from l2t_hub.tasks.base import ANCHORS, DROPS, LEVELS, Block, Drop, Example, Level, Make, Task, render
from l2t_hub.tasks.registry import TASKS, eligible, get, tasks_for

__all__ = [
    "ANCHORS",
    "DROPS",
    "LEVELS",
    "TASKS",
    "Block",
    "Drop",
    "Example",
    "Level",
    "Make",
    "Task",
    "eligible",
    "get",
    "render",
    "tasks_for",
]
