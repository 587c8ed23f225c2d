"""The registry of tasks: the fourteen, and your own from modules, files and entry points."""

import random
import sys
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from l2t_hub.errors import UsageError
from l2t_hub.tasks import LEVELS, TASKS, Block, Example, eligible, get, tasks_for
from l2t_hub.tasks import registry as registry_module

LEVEL_OF = {
    "character": ("char_count", "masked_char", "space", "typo"),
    "word": ("last", "masked_word", "random", "shuffle", "token_type"),
    "sentence": ("deletion", "reordering"),
    "discourse": ("fill_middle", "half", "one"),
}

MINE = """
from dataclasses import dataclass
from l2t_hub.tasks import Example, Task

@dataclass
class Helper:
    \"\"\"Dataclasses look up their module in sys.modules.\"\"\"
    reach: "int" = 1

def backwards(block, other, rng):
    return Example(block.text[::-1], block.text)

TASKS = [Task("backwards", "character", "Turn the text round.", backwards)]
"""


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    path = tmp_path / "my_tasks.py"
    path.write_text(MINE)
    return path


def test_the_fourteen_in_the_papers_order() -> None:
    assert list(TASKS) == [name for level in LEVELS for name in LEVEL_OF[level]]
    assert all(
        task.level == level for level, names in LEVEL_OF.items() for task in map(TASKS.get, names) if task
    )
    assert all(task.name == name for name, task in TASKS.items())
    assert {name for name, task in TASKS.items() if task.needs_other} == {"last", "deletion"}
    assert {name for name, task in TASKS.items() if task.blocks_per_unit != 1} == {"fill_middle"}
    assert TASKS["fill_middle"].blocks_per_unit == 2
    for task in TASKS.values():
        assert task.description.endswith(".")
        assert "\n" not in task.description


def test_eligible_by_sentences() -> None:
    names = set(TASKS)
    assert eligible(TASKS, 3) == tuple(TASKS)
    assert eligible(TASKS, 99) == tuple(TASKS)
    assert set(eligible(TASKS, 2)) == names - {"fill_middle", "reordering"}
    assert set(eligible(TASKS, 1)) == names - {"fill_middle", "reordering", "last", "deletion"}
    assert eligible(TASKS, 0) == ()


def test_get_suggests_the_nearest_name() -> None:
    assert get("typo", TASKS) is TASKS["typo"]
    with pytest.raises(UsageError, match="Did you mean 'typo'") as raised:
        get("tpyo", TASKS)
    assert raised.value.exit_code == 2
    assert "unknown task 'tpyo'" in raised.value.message


def test_without_modules_a_copy_of_the_fourteen() -> None:
    tasks = tasks_for()
    assert tasks == TASKS
    tasks.clear()
    assert len(TASKS) == 14


def test_a_file_adds_a_task(mine: Path) -> None:
    tasks = tasks_for((str(mine),))
    assert list(tasks) == [*TASKS, "backwards"]
    assert tasks["backwards"].make(Block(("abc",)), (), random.Random(0)) == Example("cba", "abc")
    assert tasks_for((str(mine),))["backwards"] == tasks["backwards"]


def test_a_changed_file_is_read_again(mine: Path) -> None:
    tasks_for((str(mine),))
    mine.write_text(MINE.replace("backwards", "mirrored"))
    assert list(tasks_for((str(mine),))) == [*TASKS, "mirrored"]


def test_a_relative_path_is_relative_to_the_working_directory(
    mine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(mine.parent)
    assert "backwards" in tasks_for(("my_tasks.py",))


@pytest.mark.parametrize("listing", ["TASKS = TASKS[0]", 'TASKS = {"x": TASKS[0]}', "TASKS = tuple(TASKS)"])
def test_tasks_may_be_a_task_a_mapping_or_a_sequence(
    mine: Path, monkeypatch: pytest.MonkeyPatch, listing: str
) -> None:
    name = f"l2t_listing_{len(listing)}"
    mine.with_name(f"{name}.py").write_text(f"{MINE}\n{listing}\n")
    monkeypatch.syspath_prepend(str(mine.parent))
    try:
        assert "backwards" in tasks_for((name,))
    finally:
        sys.modules.pop(name, None)


def test_an_entry_point_may_refer_to_a_task_or_a_module(mine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mine.rename(mine.with_name("l2t_pointed.py"))
    monkeypatch.syspath_prepend(str(mine.parent))
    group = registry_module.ENTRY_POINTS
    points = [EntryPoint("whole", "l2t_pointed", group), EntryPoint("single", "l2t_pointed:TASKS", group)]
    monkeypatch.setattr(registry_module, "entry_points", lambda group: points)
    try:
        assert list(tasks_for(())) == list(
            TASKS
        )  # an installed entry point counts only if the recipe names it
        assert "backwards" in tasks_for(("whole",))
        assert "backwards" in tasks_for(("single",))
        with pytest.raises(UsageError, match="Did you mean 'whole'"):
            tasks_for(("whol",))
    finally:
        sys.modules.pop("l2t_pointed", None)


def error_of(*modules: str) -> str:
    with pytest.raises(UsageError) as raised:
        tasks_for(modules)
    assert raised.value.exit_code == 2
    return str(raised.value)


def test_a_missing_module() -> None:
    assert "no task module 'no_such_tasks'" in error_of("no_such_tasks")
    assert "no task module 'no_such.tasks'" in error_of("no_such.tasks")


def test_a_missing_file(tmp_path: Path) -> None:
    assert "no task module nowhere/mine.py" in error_of("nowhere/mine.py")
    (tmp_path / "folder.py").mkdir()
    assert "no task module" in error_of(str(tmp_path / "folder.py"))


def test_a_name_that_is_used_twice(mine: Path) -> None:
    second = mine.with_name("second.py")
    second.write_text(MINE + "# another file\n")
    message = error_of(str(mine), str(second))
    assert "task 'backwards'" in message
    assert str(mine) in message
    assert str(second) in message
    second.write_text(MINE.replace('"backwards"', '"typo"'))
    assert "already defined by the built-in tasks" in error_of(str(second))
    assert "already defined by" in error_of(str(mine), str(mine))


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("", "has no `TASKS`"),
        ("TASKS = []", "lists no tasks"),
        ("TASKS = 'typo'", "are 'typo' (str)"),
        ("TASKS = 3", "are 3 (int)"),
        ("TASKS = None", "are None (NoneType)"),
        ("TASKS = [len]", "include <built-in function len>"),
        ("TASKS = [", "SyntaxError"),
        ("import no_such_library", "No module named 'no_such_library'"),
        ("1 / 0", "ZeroDivisionError"),
        ("from l2t_hub.tasks import Task\nTASKS = [Task('x', 'wrod', 'd', len)]", "Did you mean 'word'?"),
        ("from l2t_hub.tasks import Task\nTASKS = [Task('x')]", "TypeError"),
        ("TASKS = '\xff'", "SyntaxError"),
    ],
)
def test_a_module_without_usable_tasks(tmp_path: Path, code: str, expected: str) -> None:
    path = tmp_path / "bad.py"
    path.write_text(code, encoding="latin-1")
    assert expected in error_of(str(path))
    assert expected in error_of(str(path))  # a module that failed to load is not kept in sys.modules


def test_an_importable_module_that_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "l2t_failing.py").write_text("raise RuntimeError('not today')")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert "'l2t_failing' fails to load: RuntimeError: not today" in error_of("l2t_failing")
