"""Builds on a local Ray: the bytes of a local build, and failures that are raised in the build."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from dataset_helpers import RecipeFactory, RecordingReporter, build_silently, hashes

from l2t_hub.dataset.build import build
from l2t_hub.dataset.verify import verify
from l2t_hub.errors import UserError
from l2t_hub.recipe import Recipe

SMALL = {"source.limit": 45, "validation.near_duplicates": "keep"}


MODULE = (
    "import os, signal\n"
    "from l2t_hub.tasks import Example, Task\n"
    "def fatal(block, other, rng):\n"
    "    if 'Zanzibar' in block.text and os.path.exists({flag!r}):\n        os.kill(os.getpid(), signal.SIGKILL)\n"
    "    return Example(block.text.upper(), block.text)\n"
    "TASKS = [Task('shout', 'word', 'Lower the case.', fatal)]\n"
)


LOSE = (
    "import os, psutil, signal\n"
    "from l2t_hub.tasks import Example, Task\n"
    "def lose(block, other, rng):\n"
    "    if 'Zanzibar' in block.text and os.path.exists({flag!r}):\n"
    "        os.unlink({flag!r})\n"
    "        actors = [p for p in psutil.Process().parents() if p.name().startswith('ray::')]\n"
    "        actors[-1].send_signal(signal.SIGKILL)\n"
    "    return Example(block.text.upper(), block.text)\n"
    "TASKS = [Task('shout', 'word', 'Lower the case.', lose)]\n"
)


@pytest.fixture(scope="module")
def ray() -> Iterator[Any]:
    """A running Ray with two cores, as on a cluster."""
    ray = pytest.importorskip("ray", reason="Ray is not installed (pip install 'l2t_hub[ray]')")
    ray.init("local", num_cpus=2, include_dashboard=False, log_to_driver=False)
    yield ray
    ray.shutdown()


def on_ray(recipe: Recipe, out: Path, workers: int | None = None) -> RecordingReporter:
    reporter = RecordingReporter()
    build(recipe, out, executor="ray", workers=workers, progress=reporter)
    return reporter


@pytest.mark.slow
def test_a_build_starts_ray_if_none_is_running(
    make_recipe: RecipeFactory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "local")  # ignore any Ray on this machine
    ray = pytest.importorskip("ray", reason="Ray is not installed (pip install 'l2t_hub[ray]')")
    reporter = on_ray(make_recipe(SMALL), tmp_path / "out", workers=1)
    assert "3 partitions on Ray (1 nodes), 1 at once" in reporter.text
    assert not ray.is_initialized()
    assert verify(tmp_path / "out").problems == []


@pytest.mark.slow
def test_a_build_on_ray_gives_the_bytes_of_a_local_one(
    ray: Any, make_recipe: RecipeFactory, tmp_path: Path
) -> None:
    five = make_recipe({"source.limit": 45, "build.partitions": 5})
    on_ray(five, tmp_path / "out")
    build_silently(five, tmp_path / "here", workers=2)
    assert hashes(tmp_path / "out") == hashes(tmp_path / "here")
    assert ray.is_initialized(), "a Ray that was running before keeps running"


def documents(path: Path, last: str) -> Path:
    """Write nine documents, of which the last has another text."""
    texts = ["She came home late. He had gone out before. " * 12] * 8 + [last]
    path.write_text("".join(json.dumps({"id": str(n), "text": t}) + "\n" for n, t in enumerate(texts)))
    return path


@pytest.mark.slow
def test_a_killed_task_is_named_and_only_its_partition_is_repeated(
    ray: Any, make_recipe: RecipeFactory, tmp_path: Path
) -> None:
    flag, module = tmp_path / "fatal", tmp_path / "own_task.py"
    flag.touch()
    module.write_text(MODULE.format(flag=str(flag)))
    keys = {
        "source.path": str(documents(tmp_path / "d.jsonl", "They sailed to Zanzibar. It was far. " * 12)),
        "mixture.scheme": "single",
        "mixture.task": "shout",
        "mixture.modules": [str(module)],
        "validation.near_duplicates": "keep",
    }
    with pytest.raises(
        UserError, match=r"killed by the system.*\(1 of 3 partitions failed, this is partition 2"
    ):
        on_ray(make_recipe(keys), tmp_path / "out")
    flag.unlink()
    reporter = on_ray(make_recipe(keys), tmp_path / "out")
    assert "2 of 3 partitions are already finished" in reporter.text
    build_silently(make_recipe(keys), tmp_path / "here")
    assert hashes(tmp_path / "out") == hashes(tmp_path / "here")


@pytest.mark.slow
def test_a_lost_worker_of_ray_is_replaced(ray: Any, make_recipe: RecipeFactory, tmp_path: Path) -> None:
    """The process that Ray started for a partition is killed once, as if its node were lost."""
    flag, module = tmp_path / "lose", tmp_path / "own_task.py"
    flag.touch()
    module.write_text(LOSE.format(flag=str(flag)))
    keys = {
        "source.path": str(documents(tmp_path / "d.jsonl", "They sailed to Zanzibar. It was far. " * 12)),
        "mixture.scheme": "single",
        "mixture.task": "shout",
        "mixture.modules": [str(module)],
        "validation.near_duplicates": "keep",
    }
    on_ray(make_recipe(keys), tmp_path / "out")
    assert not flag.exists(), "the actor was killed"
    build_silently(make_recipe(keys), tmp_path / "here")
    assert hashes(tmp_path / "out") == hashes(tmp_path / "here")


def test_without_ray_the_error_says_how_to_install_it(
    make_recipe: RecipeFactory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(UserError, match="needs ray, which is not installed") as caught:
        on_ray(make_recipe(SMALL), tmp_path / "out")
    assert "l2t_hub[ray]" in str(caught.value.hint)
