"""The tiny packed dataset, its recipe as a file, and a cluster."""

import sys
from pathlib import Path

import pytest
import yaml
from training_cluster import TrainingCluster, install

sys.path.append(str(Path(__file__).parents[1] / "train"))

from tiny_run import tiny_recipe, write_packed


@pytest.fixture(scope="session")
def packed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dataset directory. Tests read it and must not change it."""
    return write_packed(tmp_path_factory.mktemp("packed"), {"train": 24, "validation": 5})


@pytest.fixture
def workplace(tmp_path: Path, packed: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with `tiny.yaml` and `data`. Its name has what a shell would take for commands."""
    folder = tmp_path / "it's a $(touch hacked) place"
    folder.mkdir()
    (folder / "data").symlink_to(packed)
    (folder / "tiny.yaml").write_text(yaml.safe_dump(tiny_recipe(max_steps=400, save_steps=20).resolved()))
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TrainingCluster:
    """A machine with a stand-in for Slurm."""
    stand_in = install(tmp_path / "slurm")
    monkeypatch.setenv("PATH", f"{stand_in.home / 'bin'}:/usr/bin:/bin")
    return stand_in
