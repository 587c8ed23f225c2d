"""All tasks by name: the paper's fourteen, and your own from modules that a recipe names.

`mixture.modules` of a recipe names an entry point of the group `l2t_hub.tasks`, an importable module, or the path of
a `.py` file. A module lists its tasks as `TASKS`; an entry point may also be a task or a list of tasks. A worker
process must call `tasks_for` itself, because functions from a `.py` file cannot be pickled.
"""

import importlib
import importlib.util
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from hashlib import blake2b
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import ModuleType
from typing import Final

from l2t_hub.clean_environment import adopted, without_secrets
from l2t_hub.errors import UsageError, nearest
from l2t_hub.tasks import character, discourse, sentence, word
from l2t_hub.tasks.base import Task
from l2t_hub.tasks.languages import Language

ENTRY_POINTS: Final = "l2t_hub.tasks"

TASKS: Final[dict[str, Task]] = {
    task.name: task for level in (character, word, sentence, discourse) for task in level.TASKS
}
"""The fourteen built-in tasks, in the order of `docs/method.md`."""


def get(name: str, tasks: Mapping[str, Task]) -> Task:
    """Return the task with a name. Raises UsageError that suggests the nearest name."""
    if name not in tasks:
        raise UsageError(f"unknown task '{name}'. {nearest(name, tasks)}", "See `l2t tasks`.")
    return tasks[name]


def eligible(tasks: Mapping[str, Task], n_sentences: int) -> tuple[str, ...]:
    """Return the names of the tasks for a document of `n_sentences` sentences, in the order of `tasks`."""
    return tuple(name for name, task in tasks.items() if n_sentences >= task.min_sentences)


def available(tasks: Mapping[str, Task], language: Language) -> dict[str, Task]:
    """Return the tasks whose data the language has, in the order of `tasks`."""
    return {name: task for name, task in tasks.items() if language.data.issuperset(task.needs)}


def left_out(tasks: Mapping[str, Task], language: Language) -> dict[str, list[str]]:
    """Return what a language lacks for each of the other tasks: {"random": ["dictionary words"]}."""
    lacking = {
        name: [str(what) for what in task.needs if what not in language.data] for name, task in tasks.items()
    }
    return {name: lacks for name, lacks in lacking.items() if lacks}


def get_for(name: str, tasks: Mapping[str, Task], language: Language) -> Task:
    """Return the task with a name. Raises UsageError if there is none, or if the language leaves it out."""
    task = get(name, tasks)
    if lacks := left_out({name: task}, language).get(name):
        raise UsageError(
            f"task '{name}' needs {' and '.join(lacks)}, which {language.name} does not have here",
            f"Tasks for {language.name}: {', '.join(available(tasks, language))}.",
        )
    return task


def tasks_for(modules: Sequence[str] = ()) -> dict[str, Task]:
    """Return the fourteen built-in tasks, then the tasks of `modules` in order.

    Relative paths are relative to the working directory. Raises UsageError that names the module if it is missing,
    fails to load, lists something other than a Task, or uses a name twice.
    """
    tasks = dict(TASKS)
    origins = dict.fromkeys(tasks, "the built-in tasks")
    for module in modules:
        for task in _tasks_in(module, _load(module)):
            if task.name in tasks:
                raise UsageError(
                    f"task '{task.name}' of '{module}' is already defined by {origins[task.name]}",
                    "Rename one of the two tasks, or list the module only once in `mixture.modules`.",
                )
            tasks[task.name] = task
            origins[task.name] = f"'{module}'"
    return tasks


def _tasks_in(module: str, content: object) -> list[Task]:
    """Return the tasks of a module, or of the object that an entry point refers to."""
    if isinstance(content, ModuleType):
        if not hasattr(content, "TASKS"):
            raise UsageError(
                f"task module '{module}' has no `TASKS`", "Add TASKS = [Task(...), ...] at its end."
            )
        content = content.TASKS
    if isinstance(content, Task):
        return [content]
    if isinstance(content, Mapping):
        content = content.values()
    if not isinstance(content, Iterable) or isinstance(content, str):
        raise UsageError(
            f"the tasks of '{module}' are {_shown(content)}", "They must be a Task or a list of Tasks."
        )
    tasks = list(content)
    for item in tasks:
        if not isinstance(item, Task):
            raise UsageError(
                f"the tasks of '{module}' include {_shown(item)}", "Each must be an l2t_hub.tasks.Task."
            )
    if not tasks:
        raise UsageError(
            f"'{module}' lists no tasks", "Add one, or remove the module from `mixture.modules`."
        )
    return tasks


def _shown(value: object) -> str:
    return f"{value!r} ({type(value).__name__})"


def _load(module: str) -> object:
    """Import an entry point, a `.py` file or a module that a recipe names, without secrets in the environment."""
    points = {point.name: point for point in entry_points(group=ENTRY_POINTS)}
    try:
        with adopted(without_secrets(os.environ)):
            if module in points:
                return points[module].load()
            if module.endswith(".py"):
                return _load_file(Path(module))
            return importlib.import_module(module)
    except UsageError:
        raise
    except Exception as error:  # a user's module may raise anything
        if isinstance(error, ModuleNotFoundError) and _is_missing(module, error, points):
            raise UsageError(
                f"there is no task module '{module}'",
                "Name an importable module, a .py file, or an entry point of the group "
                f"{ENTRY_POINTS}. {nearest(module, points)}",
            ) from error
        code = f"import runpy; runpy.run_path({module!r})" if module.endswith(".py") else f"import {module}"
        raise UsageError(
            f"task module '{module}' fails to load: {type(error).__name__}: {error}",
            f'For the traceback, run: python -c "{code}"',
        ) from error


def _is_missing(module: str, error: ModuleNotFoundError, points: Mapping[str, EntryPoint]) -> bool:
    """Whether the module itself is missing, rather than a module that it imports."""
    return module not in points and error.name is not None and f"{module}.".startswith(f"{error.name}.")


def _load_file(path: Path) -> ModuleType:
    """Import a `.py` file under a name derived from its content, so that a changed file is a new module."""
    if not path.is_file():
        raise UsageError(
            f"there is no task module {path}",
            f"Check `mixture.modules` of the recipe. Relative paths are relative to {Path.cwd()}.",
        )
    digest = blake2b(path.read_bytes(), digest_size=8).hexdigest()
    name = f"l2t_user_tasks_{digest}"
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None  # a .py path always has a source loader
    assert spec.loader is not None
    loaded = importlib.util.module_from_spec(spec)
    sys.modules[name] = loaded  # before it runs, because dataclasses look up their module there
    try:
        spec.loader.exec_module(loaded)
    except BaseException:
        del sys.modules[name]
        raise
    return loaded
