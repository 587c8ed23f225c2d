"""What the README and the docs tell people to type works, and what they name exists."""

import importlib
import re
import shlex
import subprocess
import sys
import tomllib
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import typer

from l2t_hub.cli.app import app
from l2t_hub.extras import LIBRARIES
from l2t_hub.recipe import load_releases

REPOSITORY = Path(__file__).resolve().parents[1]
PAGES = [
    REPOSITORY / "README.md",
    REPOSITORY / "CONTRIBUTING.md",
    *sorted((REPOSITORY / "docs").glob("*.md")),
    *sorted((REPOSITORY / "recipes").rglob("*.md")),
]
# What the pages tell people to run. Lines of an indented block that start with anything else are no commands.
PROGRAMS = (".ci/run", "l2t", "make", "pip", "pipx", "python", "ray")


def text_of(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def fenced(page: Path, language: str) -> list[str]:
    """The contents of the fenced blocks of a page in one language."""
    return re.findall(rf"^```{language}\n(.*?)^```", text_of(page), re.DOTALL | re.MULTILINE)


def words_of(line: str) -> list[str]:
    """The words of a shell command, without variables in front, comment and the path of the environment."""
    words = [word.removeprefix(".venv/bin/") for word in shlex.split(line, comments=True)]
    while words and re.match(r"[A-Z][A-Z0-9_]*=", words[0]):
        words.pop(0)
    return words


def commands() -> list[tuple[str, str]]:
    """Every command on the pages, as (page, line): all of bash blocks, and of indented blocks what looks like one."""
    shown = []
    for page in PAGES:
        indented = "\n".join(
            re.findall(r"^ {4}(.*)$", re.sub(r"^```.*?^```", "", text_of(page), flags=re.S | re.M), re.M)
        )
        for block, sure in [*((block, True) for block in fenced(page, "bash")), (indented, False)]:
            for line in block.replace("\\\n", " ").splitlines():
                words = line.split()
                if words and not line.startswith("#") and (sure or looks_like_a_command(line)):
                    shown.append((page.name, line.strip()))
    return shown


def looks_like_a_command(line: str) -> bool:
    try:
        return words_of(line)[:1] != [] and words_of(line)[0] in PROGRAMS
    except ValueError:  # an apostrophe in a sentence
        return False


def parse(words: list[str]) -> None:
    """Let the command's own parser read the words, verb by verb, without running anything."""
    command: Any = typer.main.get_command(app)
    while True:
        context = command.make_context(words[0], words[1:])
        if not hasattr(command, "commands"):
            return
        words = [*context._protected_args, *context.args]
        command = command.commands[words[0]]


def test_the_readme_shows_every_verb() -> None:
    shown = {tuple(line.split()[1:3]) for page, line in commands() if page == "README.md"}
    verbs: Any = typer.main.get_command(app)
    for name, command in verbs.commands.items():
        below = getattr(command, "commands", None)
        wanted = [(name, verb) for verb in below] if below else [(name,)]
        for path in wanted:
            assert any(words[: len(path)] == path for words in shown), (
                f"l2t {' '.join(path)} is not in the README"
            )


@pytest.mark.parametrize(("page", "line"), commands())
def test_every_command_in_the_docs_parses(page: str, line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    words = words_of(line)
    if words[0] == "l2t":
        parse(words)
    elif words[0] == "make":
        targets = re.findall(r"^([a-z-]+):", text_of(REPOSITORY / "Makefile"), re.MULTILINE)
        assert words[1] in targets
    elif words[0] == "python" and words[1] == "-m":
        assert find_spec(words[2]) is not None
    elif words[0] == "python" and words[1] == "-c":
        compile(words[2], line, "exec")
    elif words[0] == "python":
        script = REPOSITORY / words[1]
        monkeypatch.syspath_prepend(str(script.parent))
        monkeypatch.setattr(sys, "argv", [part.strip("'") for part in words[1:]])
        importlib.import_module(script.stem).parse()
    elif words[:2] == ["pip", "install"]:
        extras = re.findall(r"\[([\w,-]+)\]", line)
        assert set(LIBRARIES) | {"all"} >= {name for names in extras for name in names.split(",")}
    else:
        assert words[0] in PROGRAMS
        assert not words[0].startswith(".") or (REPOSITORY / words[0]).is_file()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", text_of(page)):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        assert file.exists(), target
        if anchor:
            headings = re.findall(r"^#+ (.*)$", text_of(file), re.MULTILINE)
            assert anchor in {
                re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings
            }, target


def test_the_readme_links_every_page() -> None:
    linked = set(re.findall(r"\]\(([\w/.-]+\.md)\)", text_of(PAGES[0])))
    assert {page.relative_to(REPOSITORY).as_posix() for page in PAGES[1:]} <= linked


def test_the_recipes_in_the_docs_are_valid(tmp_path: Path) -> None:
    for page in PAGES:
        for number, block in enumerate(fenced(page, "yaml")):
            recipe = tmp_path / f"{page.stem}-{number}.yaml"
            recipe.write_text(block, encoding="utf-8")
            assert load_releases(str(recipe))


def test_the_package_names_only_docs_that_exist() -> None:
    for file in sorted((REPOSITORY / "l2t_hub").rglob("*.py")):
        for name in re.findall(r"\bdocs/[\w-]+\.md\b", text_of(file)):
            assert (REPOSITORY / name).is_file(), f"{file}: {name}"


def test_the_tree_in_the_readme_is_the_tree() -> None:
    """The rooms of the package are in docs/architecture.md, which tests/test_architecture.py checks."""
    tree = text_of(REPOSITORY / "README.md").partition("## The tree")[2].partition("\n## ")[0]
    project = tomllib.loads(text_of(REPOSITORY / "pyproject.toml"))
    shipped = project["tool"]["hatch"]["build"]["targets"]["sdist"]["only-include"]
    assert re.findall(r"^    ([\w/]+)/ ", tree, re.MULTILINE) == [
        folder for folder in shipped if (REPOSITORY / folder).is_dir()
    ]


def test_the_task_in_the_docs_works(tmp_path: Path) -> None:
    page = (REPOSITORY / "docs" / "own-task.md").read_text(encoding="utf-8")
    code = re.search(r"```python\n(.*?)```", page, re.DOTALL)
    assert code is not None
    (tmp_path / "my_tasks.py").write_text(code[1], encoding="utf-8")
    command = [
        sys.executable,
        "-m",
        "l2t_hub.cli",
        "tasks",
        "reversed_word",
        "--module",
        "my_tasks.py",
        "--json",
    ]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, timeout=60)
    assert done.returncode == 0, done.stderr
    assert '"completion"' in done.stdout


def test_the_commands_of_own_recipe(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    page = REPOSITORY / "docs" / "own-recipe.md"
    (recipe,), (commands_shown,) = fenced(page, "yaml"), fenced(page, "bash")
    (tmp_path / "mine.yaml").write_text(recipe, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    for line in commands_shown.splitlines():
        app(words_of(line)[1:], standalone_mode=False)
    said = capsys.readouterr()
    assert "mine.yaml: ok (mine-raw, mine-shared)" in said.out
    assert "max_steps: 600" in said.out
    assert "`tokenizer.vocab_size`" in said.err
    assert "left out, because mine.yaml:5 sets `tokenizer.name`." in said.err


def every_command() -> list[Any]:
    """The commands of `l2t`, with those of its groups."""
    command: Any = typer.main.get_command(app)
    groups = [command, *(c for c in command.commands.values() if hasattr(c, "commands"))]
    return [c for group in groups for c in group.commands.values()]


def test_usage_shows_the_dots_of_a_list_once() -> None:
    """Typer adds them to an argument that takes several values, so its metavar has none."""
    several = [p for verb in every_command() for p in verb.params if p.nargs == -1]
    assert len(several) >= 5
    assert not [p.metavar for p in several if "." in (p.metavar or "")]


def test_no_help_text_has_what_markdown_would_swallow() -> None:
    """Help is Markdown: `<name>` outside of code would be read as HTML and vanish."""
    for verb in every_command():
        texts = [verb.help, verb.epilog, *(getattr(p, "help", "") for p in verb.params)]
        for text in texts:
            assert not re.search(r"<\w[^>]*>", re.sub(r"`[^`]*`", "", text or "")), (verb.name, text)
