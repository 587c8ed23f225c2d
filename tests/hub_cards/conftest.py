"""One dataset, two models of it and their scores on a few probes, made once and copied by whoever changes them."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from tiny_release import make_dataset, make_model, tiny_recipe


@dataclass(frozen=True)
class Made:
    dataset: Path
    baseline: Path
    model: Path
    scores: Path


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
