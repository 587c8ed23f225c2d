"""A build on Ray, on an instance started here: the bytes of a local build, and failures that come back."""

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from dataset_helpers import RecordingReporter, hashes, make

from l2t_hub.dataset.build import build
from l2t_hub.dataset.verify import verify
from l2t_hub.errors import UserError
from l2t_hub.recipe import Recipe

Recipes = Callable[..., Recipe]
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
    """A Ray of two cores, as on a cluster: the build finds it there."""
    ray = pytest.importorskip("ray", reason="Ray is not installed (pip install 'l2t_hub[ray]')")
    ray.init("local", num_cpus=2, include_dashboard=False, log_to_driver=False)
    yield ray
    ray.shutdown()


def on_ray(recipe: Recipe, out: Path, workers: int | None = None) -> RecordingReporter:
    reporter = RecordingReporter()
    build(recipe, out, executor="ray", workers=workers, progress=reporter)
    return reporter


@pytest.mark.slow
def test_a_build_starts_a_ray_of_its_own_where_there_is_none(
    recipe: Recipes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "local")  # whatever else may run on this machine
    ray = pytest.importorskip("ray", reason="Ray is not installed (pip install 'l2t_hub[ray]')")
    reporter = on_ray(recipe(SMALL), tmp_path / "out", workers=1)
    assert "3 partitions on Ray (1 nodes), 1 at once" in reporter.text
    assert not ray.is_initialized()
    assert verify(tmp_path / "out").problems == []


@pytest.mark.slow
def test_a_build_on_ray_gives_the_bytes_of_a_local_one(ray: Any, recipe: Recipes, tmp_path: Path) -> None:
    five = recipe({"source.limit": 45, "build.partitions": 5})
    on_ray(five, tmp_path / "out")
    make(five, tmp_path / "here", workers=2)
    assert hashes(tmp_path / "out") == hashes(tmp_path / "here")
    assert ray.is_initialized(), "a Ray that was there before is left alone"


def documents(path: Path, last: str) -> Path:
    """Nine documents; the last of them says something else."""
    texts = ["She came home late. He had gone out before. " * 12] * 8 + [last]
    path.write_text("".join(json.dumps({"id": str(n), "text": t}) + "\n" for n, t in enumerate(texts)))
    return path


@pytest.mark.slow
def test_a_killed_task_is_named_and_only_its_partition_is_done_again(
    ray: Any, recipe: Recipes, tmp_path: Path
) -> None:
    flag, module = tmp_path / "fatal", tmp_path / "mine.py"
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
        on_ray(recipe(keys), tmp_path / "out")
    flag.unlink()
    reporter = on_ray(recipe(keys), tmp_path / "out")
    assert "2 of 3 partitions are already finished" in reporter.text
    make(recipe(keys), tmp_path / "here")
    assert hashes(tmp_path / "out") == hashes(tmp_path / "here")


@pytest.mark.slow
def test_a_lost_worker_of_ray_is_replaced(ray: Any, recipe: Recipes, tmp_path: Path) -> None:
    """The process that Ray started for a partition is killed once, as when its node is lost."""
    flag, module = tmp_path / "lose", tmp_path / "mine.py"
    flag.touch()
    module.write_text(LOSE.format(flag=str(flag)))
    keys = {
        "source.path": str(documents(tmp_path / "d.jsonl", "They sailed to Zanzibar. It was far. " * 12)),
        "mixture.scheme": "single",
        "mixture.task": "shout",
        "mixture.modules": [str(module)],
        "validation.near_duplicates": "keep",
    }
    on_ray(recipe(keys), tmp_path / "out")
    assert not flag.exists(), "it was killed"
    make(recipe(keys), tmp_path / "here")
    assert hashes(tmp_path / "out") == hashes(tmp_path / "here")


def test_without_ray_the_error_says_how_to_get_it(
    recipe: Recipes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(UserError, match="needs ray, which is not installed") as caught:
        on_ray(recipe(SMALL), tmp_path / "out")
    assert "l2t_hub[ray]" in str(caught.value.hint)
