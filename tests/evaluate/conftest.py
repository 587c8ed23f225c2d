"""Two tiny models, and the probe tasks as lm-eval loads them."""

from pathlib import Path

import pytest
from tiny_models import make_tiny_model

from l2t_hub.evaluate.harness import LoadedPart, load_tasks
from l2t_hub.evaluate.suites import SUITES


@pytest.fixture(scope="session")
def tiny_models(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("models")
    return make_tiny_model(folder / "raw", seed=1), make_tiny_model(folder / "l2t", seed=2)


@pytest.fixture(scope="session")
def probe_tasks() -> list[LoadedPart]:
    return load_tasks(SUITES["probes"])
