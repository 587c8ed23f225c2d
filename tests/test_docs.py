"""What the README and docs tell people to type is what the command understands."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from l2t_hub.cli.app import app

REPOSITORY = Path(__file__).resolve().parents[1]
PAGES = [REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").glob("*.md"))]


def commands() -> list[tuple[str, str]]:
    found = []
    for page in PAGES:
        for block in re.findall(r"```bash\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL):
            lines = block.replace("\\\n", " ").splitlines()
            found += [(page.name, line.strip()) for line in lines if line.strip().startswith("l2t ")]
    return found


def parse(words: list[str]) -> None:
    """Let the command's own parser read the words, verb by verb, without running anything."""
    command = typer.main.get_command(app)
    while True:
        context = command.make_context(words[0], words[1:])
        if not hasattr(command, "commands"):
            return
        words = [*context._protected_args, *context.args]
        command = command.commands[words[0]]


def test_the_readme_shows_every_verb() -> None:
    shown = {tuple(line.split()[1:3]) for page, line in commands() if page == "README.md"}
    for name, command in typer.main.get_command(app).commands.items():
        below = getattr(command, "commands", None)
        wanted = [(name, verb) for verb in below] if below else [(name,)]
        for path in wanted:
            assert any(words[: len(path)] == path for words in shown), (
                f"l2t {' '.join(path)} is not in the README"
            )


@pytest.mark.parametrize(("page", "line"), commands())
def test_every_command_in_the_docs_parses(page: str, line: str) -> None:
    words = shlex.split(line, comments=True)
    parse(words)
    assert words[0] == "l2t"


def test_the_tree_in_the_readme_is_the_tree() -> None:
    tree = (REPOSITORY / "README.md").read_text(encoding="utf-8").partition("## The tree")[2]
    for room in sorted((REPOSITORY / "l2t_hub").iterdir()):
        if room.name not in ("__init__.py", "__pycache__", "_data") and not room.name.startswith("."):
            assert room.name in tree, f"{room.name} is not in the README's tree"


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
