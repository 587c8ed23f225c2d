"""Fixtures of the release's tests: a watched Hub, and toys to release."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from release_hub import WatchedHub
from release_toys import TOYS
from tiny_release import Made, make_dataset, make_model, tiny_recipe


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[WatchedHub]:
    """A fresh, watched Hub."""
    watched = WatchedHub(tmp_path / "hub")
    watched.start()
    yield watched
    watched.stop()


@pytest.fixture(scope="module")
def shared_hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WatchedHub]:
    """One watched Hub for a module; each test takes a repo of its own."""
    watched = WatchedHub(tmp_path_factory.mktemp("hub"))
    watched.start()
    yield watched
    watched.stop()


@pytest.fixture
def toy(tmp_path: Path) -> Callable[..., Path]:
    """Make a toy dataset, model or Space: toy("dataset", seed=1)."""

    def make(kind: str = "dataset", name: str | None = None, **how: Any) -> Path:
        return TOYS[kind](tmp_path / (name or f"{kind}-{how.get('seed', 0)}"), **how)

    return make


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    from l2t_hub.evaluate import evaluate

    folder = tmp_path_factory.mktemp("release")
    recipe = tiny_recipe("tiny-l2t")
    dataset = make_dataset(recipe, folder / "data")
    baseline = make_model(recipe, dataset, folder / "tiny-raw")
    other = tiny_recipe("tiny-l2t", train={"learning_rate": 0.02})
    model = make_model(other, dataset, folder / "tiny-l2t")
    scores = folder / "scores" / "probes.json"
    evaluate([str(baseline), str(model)], "probes", scores, limit=3)
    return Made(dataset, baseline, model, scores)


@pytest.fixture
def copied(tmp_path: Path) -> Callable[[Path], Path]:
    """Copy a directory, for a test to write into; its name and place are those of a repository, `lab/NAME`."""

    def copy(directory: Path) -> Path:
        return Path(shutil.copytree(directory, tmp_path / "lab" / directory.name))

    return copy
