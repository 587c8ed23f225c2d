"""The rules that docs/architecture.md promises: imports point downwards, a name means one thing, files are short."""

import ast
import re
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "l2t_hub"
# From the ground up: a room imports itself and the rooms of the lines before it. docs/architecture.md has the same table.
ROOMS = (
    (
        "text",
        "console",
        "errors",
        "extras",
        "resources",
        "artifacts",
        "templates",
        "interruption",
        "clean_environment",
        "side_by_side",
    ),
    ("records",),
    ("hub",),
    ("recipe",),
    ("tasks",),
    ("corpus",),
    ("mixture",),
    ("tokens",),
    ("dataset",),
    ("train",),
    ("scoring",),
    ("generate",),
    ("evaluate",),
    ("publish",),
    ("local_hub", "report", "launch"),
    ("demo", "reproduce", "plan"),
    ("run",),
    ("cli",),
)
FLOOR = {room: floor for floor, rooms in enumerate(ROOMS) for room in rooms}
# The local Hub needs nothing of L2T itself: only errors, the address it shares with clients, and safe text for its pages.
LOCAL_HUB_MAY_IMPORT = {"l2t_hub.errors", "l2t_hub.hub.endpoint", "l2t_hub.text"}
MAX_FILE_LINES, MAX_FUNCTION_LINES = 400, 60


@cache
def _modules() -> dict[str, Path]:
    """Every module of the package, by its dotted name."""
    return {
        ".".join(("l2t_hub", *path.relative_to(PACKAGE).with_suffix("").parts)).removesuffix(
            ".__init__"
        ): path
        for path in sorted(PACKAGE.rglob("*.py"))
    }


@cache
def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


@cache
def _imports(path: Path) -> tuple[str, ...]:
    """The modules of this package that a file imports, also inside functions."""
    return tuple(_imported(path))


def _imported(path: Path) -> Iterator[str]:
    modules = _modules()
    for node in ast.walk(_tree(path)):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "l2t_hub":
            for alias in node.names:
                full = f"{node.module}.{alias.name}"
                yield full if full in modules else node.module
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.split(".")[0] == "l2t_hub")


def _room(module: str) -> str:
    return module.split(".")[1] if "." in module else ""


def test_every_room_has_a_place_in_the_order() -> None:
    rooms = {_room(module) for module in _modules()} - {""}
    assert rooms == set(FLOOR)


def test_the_rooms_are_those_of_the_documentation() -> None:
    page = (PACKAGE.parent / "docs" / "architecture.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (\d+) \| (.+) \|$", page, re.MULTILINE)
    assert [int(number) for number, _ in rows] == list(range(1, len(ROOMS) + 1))
    assert tuple(tuple(re.findall(r"`(\w+)`", rooms)) for _, rooms in rows) == ROOMS
    described = set(re.findall(r"\*\*`(\w+)`\*\*", page))
    assert described == set(FLOOR), "a paragraph for each room"


def test_imports_point_downwards() -> None:
    wrong = [
        f"{module} imports {used}"
        for module, path in _modules().items()
        for used in _imports(path)
        if _room(used)
        and _room(used) != _room(module)
        and FLOOR[_room(used)] >= FLOOR[_room(module)]
        and not (FLOOR[_room(module)] == 0 and FLOOR[_room(used)] == 0)
    ]
    assert not wrong


def test_no_imports_form_a_cycle() -> None:
    graph = {module: set(_imports(path)) - {module} for module, path in _modules().items()}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))


def test_the_local_hub_knows_nothing_of_l2t() -> None:
    used = {
        name
        for module, path in _modules().items()
        if _room(module) == "local_hub"
        for name in _imports(path)
        if _room(name) != "local_hub"
    }
    assert used <= LOCAL_HUB_MAY_IMPORT


# Modules that choose the Hub, or are imported before it is chosen.
BEFORE_THE_HUB = (
    "cli.app",
    "cli.releases",
    "hub.connect",
    "hub.download",
    "publish.release",
)


@pytest.mark.parametrize("module", BEFORE_THE_HUB)
def test_what_chooses_the_hub_does_not_import_its_clients(module: str) -> None:
    """They read endpoint, token and cache folder once, when they are imported."""
    code = f"import sys, l2t_hub.{module}; print(*({{'huggingface_hub', 'datasets', 'transformers'}} & set(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.split() == []


def test_no_two_modules_share_a_name() -> None:
    modules = defaultdict(list)
    for module, path in _modules().items():
        if path.stem not in ("__init__", "__main__"):
            modules[path.stem].append(module)
    packages = {path.parent.name for path in _modules().values() if path.stem == "__init__"}
    assert not {name: same for name, same in modules.items() if len(same) > 1 or name in packages}


def test_no_two_classes_share_a_name() -> None:
    modules = defaultdict(list)
    for module, path in _modules().items():
        for node in ast.walk(_tree(path)):
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                modules[node.name].append(module)
    assert not {name: same for name, same in modules.items() if len(same) > 1}


def test_files_and_functions_are_short() -> None:
    long = []
    for module, path in _modules().items():
        lines = path.read_text(encoding="utf-8").count("\n")
        if lines > MAX_FILE_LINES:
            long.append(f"{module}: {lines} lines")
        for node in ast.walk(_tree(path)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                length = (node.end_lineno or node.lineno) - node.lineno + 1
                if length > MAX_FUNCTION_LINES:
                    long.append(f"{module}.{node.name}: {length} lines")
    assert not long
