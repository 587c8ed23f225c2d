"""Every task by its name: the paper's fourteen, and a user's own from modules that a recipe names.

A user's task is a `Task` of their own making. It comes from what `mixture.modules` of the recipe names, which is
one of: an entry point of the group `l2t_hub.tasks`, an importable module, or the path of a `.py` file. A module
lists its tasks as `TASKS`; an entry point may also name a task, or a list of tasks, itself. A worker process that
needs the tasks calls `tasks_for` itself: functions from a `.py` file do not travel between processes.
"""

import importlib
import importlib.util
import sys
from collections.abc import Iterable, Mapping, Sequence
from hashlib import blake2b
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import ModuleType
from typing import Final

from l2t_hub.errors import UsageError, nearest
from l2t_hub.tasks import character, discourse, sentence, word
from l2t_hub.tasks.base import Task

ENTRY_POINTS: Final = "l2t_hub.tasks"

TASKS: Final[dict[str, Task]] = {
    task.name: task for room in (character, word, sentence, discourse) for task in room.TASKS
}
"""The fourteen, in the order of method.md section 2."""


def get(name: str, tasks: Mapping[str, Task]) -> Task:
    """Return the task of that name. Raises UsageError with the nearest name."""
    if name not in tasks:
        raise UsageError(f"there is no task '{name}'", nearest(name, tasks))
    return tasks[name]


def eligible(tasks: Mapping[str, Task], n_sentences: int) -> tuple[str, ...]:
    """Return the names of the tasks that a document of so many sentences may become, in the order of `tasks`."""
    return tuple(name for name, task in tasks.items() if n_sentences >= task.min_sentences)


def tasks_for(modules: Sequence[str] = ()) -> dict[str, Task]:
    """Return the fourteen, then the tasks of `modules` in the order given.

    A relative path is taken from the working directory. Raises UsageError, naming the module, if it is missing,
    fails while loading, lists something that is no Task, or gives a name that is taken.
    """
    tasks = dict(TASKS)
    givers = dict.fromkeys(tasks, "the built-in tasks")
    for module in modules:
        for task in _listed(module, _load(module)):
            if task.name in tasks:
                raise UsageError(
                    f"task '{task.name}' of '{module}' is already given by {givers[task.name]}",
                    "rename one of the two, or name the module once in `mixture.modules`",
                )
            tasks[task.name] = task
            givers[task.name] = f"'{module}'"
    return tasks


def _listed(module: str, found: object) -> list[Task]:
    """Return the tasks that a module or an entry point's object lists."""
    if isinstance(found, ModuleType):
        if not hasattr(found, "TASKS"):
            raise UsageError(
                f"task module '{module}' has no `TASKS`", "add TASKS = [Task(...), ...] at its end"
            )
        found = found.TASKS
    if isinstance(found, Task):
        return [found]
    if isinstance(found, Mapping):
        found = found.values()
    if not isinstance(found, Iterable) or isinstance(found, str):
        raise UsageError(f"'{module}' gives {_kind(found)} for tasks", "give a Task, or a list of them")
    tasks = list(found)
    for item in tasks:
        if not isinstance(item, Task):
            raise UsageError(
                f"'{module}' lists {_kind(item)} among its tasks", "each must be an l2t_hub.tasks.Task"
            )
    if not tasks:
        raise UsageError(
            f"'{module}' lists no task", "give at least one, or take it out of `mixture.modules`"
        )
    return tasks


def _kind(thing: object) -> str:
    return f"{thing!r} ({type(thing).__name__})"


def _load(module: str) -> object:
    """Import what a recipe names: an entry point, a `.py` file or a module."""
    points = {point.name: point for point in entry_points(group=ENTRY_POINTS)}
    try:
        if module in points:
            return points[module].load()
        if module.endswith(".py"):
            return _load_file(Path(module))
        return importlib.import_module(module)
    except UsageError:
        raise
    except Exception as error:  # whatever a user's module does while it loads is told, not thrown
        if isinstance(error, ModuleNotFoundError) and _is_missing(module, error, points):
            raise UsageError(
                f"there is no task module '{module}'",
                "name an importable module, a .py file, or an entry point of the group "
                f"{ENTRY_POINTS}. {nearest(module, points)}",
            ) from error
        raise UsageError(
            f"task module '{module}' fails while loading: {type(error).__name__}: {error}",
            f'see all of it with: python -c "import runpy; runpy.run_path({module!r})"'
            if module.endswith(".py")
            else f'see all of it with: python -c "import {module}"',
        ) from error


def _is_missing(module: str, error: ModuleNotFoundError, points: Mapping[str, EntryPoint]) -> bool:
    """Whether it is the module itself that is missing, not something that it imports."""
    return module not in points and error.name is not None and f"{module}.".startswith(f"{error.name}.")


def _load_file(path: Path) -> ModuleType:
    """Import a `.py` file under a name made of its content, so that a changed file is a new module."""
    if not path.is_file():
        raise UsageError(
            f"there is no task module {path}",
            f"a relative path is taken from {Path.cwd()}; check `mixture.modules` of the recipe",
        )
    digest = blake2b(path.read_bytes(), digest_size=8).hexdigest()
    name = f"l2t_user_tasks_{digest}"
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None  # a .py path always has a source loader
    assert spec.loader is not None
    loaded = importlib.util.module_from_spec(spec)
    sys.modules[name] = loaded  # before it runs, as dataclasses look their module up there
    try:
        spec.loader.exec_module(loaded)
    except BaseException:
        del sys.modules[name]
        raise
    return loaded
