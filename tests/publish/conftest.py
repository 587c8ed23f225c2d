"""Fixtures of the release's tests: a watched Hub, toys, and a small release made by the real build and trainer."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from release_fixtures import hub, shared_hub, toy
from tiny_release import TinyRelease, make_dataset, make_model, tiny_recipe

__all__ = ["copied", "hub", "shared_hub", "tiny", "toy"]


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> TinyRelease:
    """A dataset, two models of it and their scores."""
    from l2t_hub.evaluate import evaluate

    folder = tmp_path_factory.mktemp("release")
    recipe = tiny_recipe("tiny-l2t")
    dataset = make_dataset(recipe, folder / "data")
    baseline = make_model(recipe, dataset, folder / "tiny-raw")
    other = tiny_recipe("tiny-l2t", train={"learning_rate": 0.02})
    model = make_model(other, dataset, folder / "tiny-l2t")
    scores = folder / "scores" / "probes.json"
    evaluate([str(baseline), str(model)], "probes", scores, limit=3)
    return TinyRelease(dataset, baseline, model, scores)


@pytest.fixture
def copied(tmp_path: Path) -> Callable[[Path], Path]:
    """Copy a directory, for a test to change. Its last two parts look like a repo name, `lab/NAME`."""

    def copy(directory: Path) -> Path:
        return Path(shutil.copytree(directory, tmp_path / "lab" / directory.name))

    return copy
