"""The package as it is published: what it declares, what the wheel and the sdist hold, and that they run elsewhere."""

import ast
import hashlib
import os
import re
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from test_run import TINY

from l2t_hub import __version__
from l2t_hub.errors import UserError
from l2t_hub.extras import LIBRARIES, installed, require

REPOSITORY = Path(__file__).resolve().parents[1]
PROJECT: dict[str, Any] = tomllib.loads((REPOSITORY / "pyproject.toml").read_text("utf-8"))["project"]
# Libraries whose package on PyPI has another name.
DISTRIBUTIONS = {"PIL": "pillow", "markdown_it": "markdown-it-py", "yaml": "pyyaml"}
# The rooms that run only with an extra. Anywhere else a library of an extra is imported inside the function that needs it.
EXTRA_ROOMS = {"local-hub": ("local_hub/",), "demo": ("demo/",), "plots": ("report/",)}


def imports(path: Path) -> Iterator[tuple[str, bool]]:
    """The libraries that a file imports, and whether at its top level."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom):
            names = [node.module or ""]
        for name in {name.partition(".")[0] for name in names}:
            # Type checkers bring _typeshed; nothing imports it when it runs.
            if name not in sys.stdlib_module_names and name not in ("l2t_hub", "_typeshed"):
                yield name, node in tree.body


def declared(requirements: list[str]) -> set[str]:
    return {canonicalize_name(Requirement(text).name) for text in requirements}


def distribution(library: str) -> str:
    return canonicalize_name(DISTRIBUTIONS.get(library, library))


def test_every_imported_library_is_declared() -> None:
    base = declared(PROJECT["dependencies"])
    extras = {name: {distribution(library) for library in libraries} for name, libraries in LIBRARIES.items()}
    wrong = []
    for path in sorted((REPOSITORY / "l2t_hub").rglob("*.py")):
        file = path.relative_to(REPOSITORY / "l2t_hub").as_posix()
        here = {name for name, rooms in EXTRA_ROOMS.items() if file.startswith(rooms)}
        for library, at_top in imports(path):
            name = distribution(library)
            allowed = [
                extra for extra, names in extras.items() if name in names and (extra in here or not at_top)
            ]
            if name not in base and not allowed:
                wrong.append(f"{file} imports {library}")
    assert not wrong


def test_every_library_that_the_tests_import_is_declared() -> None:
    known = declared(sum(PROJECT["optional-dependencies"].values(), PROJECT["dependencies"]))
    own = {path.stem for folder in ("tests", "benchmarks") for path in (REPOSITORY / folder).rglob("*.py")}
    used = {
        library
        for folder in ("tests", "benchmarks", "scripts", "spaces")
        for path in (REPOSITORY / folder).rglob("*.py")
        for library, _ in imports(path)
    }
    # scripts/make_languages.py is run once in years; its docstring says what to install.
    own |= {"stopwordsiso", "wordfreq"}
    assert {library for library in used - own if distribution(library) not in known} == set()


def test_the_extras_are_those_of_the_project() -> None:
    extras = PROJECT["optional-dependencies"]
    assert set(LIBRARIES) == set(extras) - {"all", "test", "lint"}
    for name, libraries in LIBRARIES.items():
        assert declared(extras[name]) == {distribution(library) for library in libraries}
    assert Requirement(extras["all"][0]).extras == set(LIBRARIES) - {"liger"}  # kernels for GPUs


def test_a_missing_extra_is_named_with_its_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    monkeypatch.setitem(sys.modules, "starlette", None)
    assert not installed("local-hub")
    with pytest.raises(
        UserError, match="the local Hub needs starlette, uvicorn, which are not installed"
    ) as caught:
        require("local-hub", "the local Hub")
    assert caught.value.hint == "Install the extra: pip install 'l2t_hub[local-hub]'"


@pytest.mark.parametrize(
    ("arguments", "extra"),
    [
        (("hub", "serve", "--dir", "hub"), "local-hub"),
        (("release", "data", "--repo", "org/data", "--hub", "local:hub"), "local-hub"),
        (("demo", "org/model"), "demo"),
    ],
)
def test_a_verb_without_its_extra_says_so(tmp_path: Path, arguments: tuple[str, ...], extra: str) -> None:
    hidden = "".join(f"sys.modules[{library!r}] = None; " for library in LIBRARIES[extra])
    code = f"import sys; {hidden}sys.argv = {['l2t', *arguments]!r}; from l2t_hub.cli.app import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 1
    assert f"pip install 'l2t_hub[{extra}]'" in done.stderr, done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.skipif(sys.version_info[:2] != (3, 11), reason="constraints.txt pins versions for Python 3.11")
def test_everything_that_gets_installed_is_pinned_as_installed_here() -> None:
    text = (REPOSITORY / "constraints.txt").read_text("utf-8")
    pins = {
        canonicalize_name(name): pin for name, pin in re.findall(r"^([\w.-]+)==(\S+)$", text, re.MULTILINE)
    }
    todo = {("l2t-hub", "all"), ("l2t-hub", "test"), ("l2t-hub", "lint"), ("l2t-hub", "")}
    done: set[tuple[str, str]] = set()
    needed: dict[str, str] = {}
    while todo:
        name, extra = todo.pop()
        done.add((name, extra))
        if name == "l2t-hub":
            lines = PROJECT["optional-dependencies"].get(extra, PROJECT["dependencies"])
        else:
            needed[name] = metadata.version(name).partition("+")[0]
            lines = metadata.requires(name) or []
        for requirement in map(Requirement, lines):
            if requirement.marker is None or requirement.marker.evaluate({"extra": extra}):
                target = canonicalize_name(requirement.name)
                todo |= {(target, wanted) for wanted in ("", *requirement.extras)} - done
    assert needed == pins


def test_the_citation_and_ci_name_the_versions_of_the_project() -> None:
    citation = yaml.safe_load((REPOSITORY / "CITATION.cff").read_text("utf-8"))
    assert citation["version"] == __version__
    authors = citation["preferred-citation"]["authors"]
    names = " and ".join(f"{author['family-names']}, {author['given-names']}" for author in authors)
    assert all(
        names in (REPOSITORY / page).read_text("utf-8")
        for page in ("README.md", "model_cards/citation.md.j2")
    )
    workflow = yaml.safe_load((REPOSITORY / ".github" / "workflows" / "ci.yml").read_text("utf-8"))
    versions = workflow["jobs"]["test"]["strategy"]["matrix"]["python"]
    assert PROJECT["requires-python"] == f">={versions[0]}"


def run(*command: str, cwd: Path, seconds: int = 120, **environment: str) -> str:
    done = subprocess.run(
        command,
        cwd=cwd,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=seconds,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_sdist_holds_what_the_project_lists_and_nothing_else(distributions: tuple[Path, Path]) -> None:
    with tarfile.open(distributions[1]) as archive:
        names = [member.name.partition("/")[2] for member in archive.getmembers()]
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    ).stdout.splitlines()
    assert {name.split("/")[0] for name in names} >= {
        "l2t_hub",
        "model_cards",
        "recipes",
        "spaces",
        "pyproject.toml",
    }
    if listed:
        assert set(names) - set(listed) <= {"PKG-INFO", ".gitignore"}


def test_the_sdist_builds_the_same_wheel(distributions: tuple[Path, Path], tmp_path: Path) -> None:
    wheel, sdist = distributions
    with tarfile.open(sdist) as archive:
        archive.extractall(tmp_path, filter="data")
    (source,) = tmp_path.iterdir()
    run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path), cwd=source)
    assert contents(tmp_path / wheel.name) == contents(wheel)


def contents(wheel: Path) -> dict[str, str]:
    with zipfile.ZipFile(wheel) as archive:
        return {name: hashlib.sha256(archive.read(name)).hexdigest() for name in archive.namelist()}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("plan", "nano"), ("nano-raw", "nano-l2t", "parameters")),
        (("recipes", "list"), ("nano",)),
        (("tasks", "typo", "--json"), ("completion",)),
    ],
)
def test_the_installed_command_runs_in_an_empty_folder(
    installed_wheel: Path, tmp_path: Path, arguments: tuple[str, ...], words: tuple[str, ...]
) -> None:
    output = run(
        str(installed_wheel / "bin" / "l2t"), *arguments, cwd=tmp_path, PYTHONPATH=str(installed_wheel)
    )
    assert all(word in output for word in words)
    assert not list(tmp_path.iterdir())


def test_the_installed_package_is_the_one_that_ran(installed_wheel: Path, tmp_path: Path) -> None:
    code = "import l2t_hub, l2t_hub.resources as r; print(l2t_hub.__file__, r.resource_folder('model_cards'))"
    files = run(sys.executable, "-c", code, cwd=tmp_path, PYTHONPATH=str(installed_wheel)).split()
    assert all(Path(file).is_relative_to(installed_wheel) for file in files)


@pytest.mark.slow
def test_the_installed_command_runs_the_whole_pipeline_in_an_empty_folder(
    installed_wheel: Path, tmp_path: Path
) -> None:
    program = installed_wheel / "bin" / "l2t"
    sets = [f"--set={key}={value}" for key, value in TINY.items()]
    path = {"PYTHONPATH": str(installed_wheel)}
    output = run(str(program), "run", "nano", *sets, cwd=tmp_path, seconds=600, **path)
    assert [path.name for path in tmp_path.iterdir()] == ["runs"]
    assert f"Compare the models yourself:  {program} demo runs/nano/models/nano-raw" in output
    assert f"`{program} hub serve --dir runs/nano/hub --port " in output
