"""The README in a fresh clone: its two set-up-free commands aside, every command as it is shown, in its order.

A clone gets an environment whose programs run the clone's own code with the libraries of this one. huggingface.co is a
second local Hub, Slurm a stand-in.
"""

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent / "dataset"))

from fake_slurm import install
from german_text import german_documents
from test_docs import fenced, text_of, words_of

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3000)]


class Clone:
    """A clone with its environment, its working directory and the output of the last command."""

    def __init__(self, folder: Path, repository: Path) -> None:
        self.folder = folder / "l2t_hub"
        subprocess.run(["git", "clone", "-q", str(repository), str(self.folder)], check=True)
        programs = self.folder / ".venv" / "bin"
        programs.mkdir(parents=True)
        for name, arguments in {"l2t": "-m l2t_hub.cli", "python": ""}.items():
            (programs / name).write_text(
                f'#!/bin/sh\nexec {sys.executable} {arguments} "$@"\n', encoding="utf-8"
            )
            (programs / name).chmod(0o755)
        for stamp in (".installed-run", ".installed-dev"):
            (programs.parent / stamp).touch()
        kept = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
        self.environment = kept | {
            "PATH": f"{programs}:{install(folder / 'slurm').bin}:{os.environ['PATH']}",
            "PYTHONPATH": str(self.folder),
            "HOME": str(folder),
            "BROWSER": "true",
            "OMP_NUM_THREADS": "1",  # also fast where other processes use the cores
        }

    def run(self, line: str, **environment: str) -> str:
        """Run a shell command, which must succeed; its standard output."""
        done = subprocess.run(
            line, shell=True, cwd=self.folder, env=self.environment | environment,
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, f"{line}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
        return done.stdout

    @contextmanager
    def serving(self, line: str) -> Iterator[str]:
        """Run a command that serves until Ctrl-C; the URL that it prints."""
        log = self.folder.parent / "serving.log"
        with log.open("wb") as out:
            server = subprocess.Popen(
                ["bash", "-c", f"exec {line}"], cwd=self.folder, env=self.environment, stdout=out, stderr=out
            )
        try:
            for _ in range(600):
                if found := re.search(r"http://127\.0\.0\.1:\d+\S*", log.read_text("utf-8")):
                    break
                assert server.poll() is None, log.read_text("utf-8")
                time.sleep(0.1)
            assert found, log.read_text("utf-8")
            with urllib.request.urlopen(found[0], timeout=60) as page:
                assert page.status == 200
            yield found[0]
            server.send_signal(signal.SIGINT)
            assert server.wait(60) == 130, log.read_text("utf-8")
        finally:
            server.kill()
            server.wait()


@pytest.fixture(scope="module")
def clone(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Clone:
    return Clone(tmp_path_factory.mktemp("fresh"), repository)


@pytest.fixture
def public(clone: Clone) -> Iterator[dict[str, str]]:
    """A Hub that stands for huggingface.co: the environment that leads clients there."""
    with clone.serving(f"l2t hub serve --dir {clone.folder.parent / 'public'} --port 0") as url:
        tokens = json.loads((clone.folder.parent / "public" / "tokens.json").read_text("utf-8"))
        yield {"HF_ENDPOINT": url.rstrip("/"), "HF_TOKEN": tokens["write"]}


def test_the_commands_of_the_readme(clone: Clone, public: dict[str, str]) -> None:
    rows = [{"text": text} for text in german_documents(200)]
    (clone.folder / "rows.json").write_text(json.dumps(rows), encoding="utf-8")
    clone.run("python -c \"import pandas; pandas.read_json('rows.json').to_parquet('my.parquet')\"")
    printed = clone.run("make run")
    type_the_printed_commands(clone, printed, public)

    (block,) = fenced(clone.folder / "README.md", "bash")
    lines = [line for line in block.replace("\\\n", " ").splitlines() if line and not line.startswith("#")]
    assert len(lines) > 20
    for line in lines:
        words = words_of(line)
        if words[:2] == ["l2t", "demo"] or words[:3] == ["l2t", "hub", "serve"]:
            with clone.serving(line):
                pass
        elif words[:2] == ["l2t", "release"] and "--hub" not in words:
            clone.run(line, **public)
        else:
            clone.run(line)
    (code,) = fenced(clone.folder / "README.md", "python")
    (clone.folder / "load.py").write_text(code, encoding="utf-8")
    clone.run("python load.py", HF_HUB_OFFLINE="1")
    assert clone.run("git status --porcelain").split() == [
        "??",
        "load.py",
        "??",
        "my.parquet",
        "??",
        "rows.json",
    ]


def type_the_printed_commands(clone: Clone, printed: str, public: dict[str, str]) -> None:
    """The commands after a colon in the last lines of a run: two that serve, and one that publishes."""
    shown = re.findall(r"^.*?: +((?:HF_TOKEN=\S+ )?\S+ -m l2t_hub\.cli .*)$", printed, re.MULTILINE)
    assert len(shown) == 3, printed[-2000:]
    for line in shown:
        if line.startswith("HF_TOKEN="):
            line = line.removeprefix("HF_TOKEN=... ").replace("https://huggingface.co", public["HF_ENDPOINT"])
            clone.run(line.replace("ORG", "my-org"), HF_TOKEN=public["HF_TOKEN"])
        else:
            with clone.serving(line):
                pass


def test_the_commands_of_own_task(clone: Clone) -> None:
    page = clone.folder / "docs" / "own-task.md"
    code = re.search(r"```python\n(.*?)```", text_of(page), re.DOTALL)
    assert code
    (clone.folder / "my_tasks.py").write_text(code[1], encoding="utf-8")
    for block in fenced(page, "bash"):
        for line in block.replace("\\\n", " ").splitlines():
            assert shlex.split(line)[0] == "l2t"
            clone.run(line)
