"""A task module sees no secret of the builder, on any executor; workers that read a Hub source see the Hub's token."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from fake_slurm import install

TOKEN = "hf_the_token_of_the_user"
SECRETS = {
    "HF_TOKEN": TOKEN,
    "AWS_SECRET_ACCESS_KEY": "the-secret-of-aws",
    "MY_API_KEY": "the-key-of-mine",
    "DATABASE_URL": "postgres://me:the-password@host/db",
    "COPY": f"Bearer {TOKEN}",
}
MODULE = """
import json, os, pathlib
from l2t_hub.tasks import Example, Task
SEEN = pathlib.Path({seen!r})
def look(when):
    from huggingface_hub import get_token
    file = pathlib.Path("/proc/self/environ")
    start = file.read_text(errors="replace") if when == "make" and file.exists() else ""
    found = {{"environ": dict(os.environ), "start": start, "token": get_token() if when == "make" else None}}
    (SEEN / f"{{when}}-{{os.getpid()}}.json").write_text(json.dumps(found))
def make(block, other, rng):
    look("make")
    return Example(block.text.upper(), block.text)
look("import")
TASKS = [Task("shout", "word", "Restore the case.", make)]
"""
BUILD = """
import sys
from tiny_release import tiny_recipe
from l2t_hub.dataset.build import build
from l2t_hub.dataset.progress import SilentReporter
module, out, workers, executor = sys.argv[1:]
mixture = {"modules": [module], "tasks": ["shout"]}
recipe = tiny_recipe("own", source={"limit": 12}, mixture=mixture, validation={"near_duplicates": "keep"})
build(recipe, out, workers=int(workers), executor=executor, progress=SilentReporter())
"""


def build(tmp_path: Path, workers: int, executor: str) -> None:
    """Build in a process that was started with secrets, with a stored token."""
    tests = Path(__file__).parents[1]
    (tmp_path / "hf").mkdir()
    (tmp_path / "hf" / "token").write_text("hf_the_stored_token", encoding="utf-8")
    module = tmp_path / "own_task.py"
    module.write_text(MODULE.format(seen=str(tmp_path / "seen")), encoding="utf-8")
    (tmp_path / "seen").mkdir()
    environment = {n: v for n, v in os.environ.items() if not n.startswith("HF_")} | SECRETS
    environment |= {"HARMLESS": "kept", "HF_HOME": str(tmp_path / "hf"), "RAY_ADDRESS": "local"}
    environment["PYTHONPATH"] = os.pathsep.join(map(str, (tests.parent, tests, tests / "dataset")))
    if executor == "slurm":
        environment["PATH"] = f"{install(tmp_path / 'cluster').bin}:{environment['PATH']}"
    command = [sys.executable, "-c", BUILD, str(module), str(tmp_path / "out"), str(workers), executor]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]


@pytest.mark.parametrize(
    ("workers", "executor"),
    [(1, "local"), (2, "local"), (1, "slurm"), pytest.param(1, "ray", marks=pytest.mark.slow)],
)
def test_a_task_module_sees_no_secret(tmp_path: Path, workers: int, executor: str) -> None:
    build(tmp_path, workers, executor)
    seen = {path.name: json.loads(path.read_text(encoding="utf-8")) for path in (tmp_path / "seen").iterdir()}
    assert {name.split("-")[0] for name in seen} == {"import", "make"}
    for name, found in seen.items():
        assert found["environ"]["HARMLESS"] == "kept"
        assert not SECRETS.keys() & found["environ"].keys(), name
        assert found["token"] is None, "the stored token"
        # What the process was started with. A Slurm job's shell knows secrets by their names only.
        for secret in ("HF_TOKEN", "AWS_SECRET_ACCESS_KEY", "MY_API_KEY"):
            assert f"{secret}=" not in found["start"], name
        if executor != "slurm":
            assert "the-password" not in found["start"]
            assert TOKEN not in found["start"]
