"""Two tiny models, the probe tasks as lm-eval loads them, and an evaluation of the models on the probes."""

from pathlib import Path

import pytest
from tiny_models import make_tiny_model

from l2t_hub.evaluate import Evaluation, evaluate
from l2t_hub.evaluate.harness import LoadedPart, load_tasks
from l2t_hub.evaluate.psychometric import measure_models
from l2t_hub.evaluate.suites import SUITES


@pytest.fixture(scope="session")
def tiny_models(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("models")
    return make_tiny_model(folder / "raw", seed=1), make_tiny_model(folder / "l2t", seed=2)


@pytest.fixture(scope="session")
def probe_tasks() -> list[LoadedPart]:
    return load_tasks(SUITES["probes"])


@pytest.fixture(scope="session")
def evaluated(
    tiny_models: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Evaluation, Path]:
    """The evaluation and the file it was written to. Tests must not change the file."""
    out = tmp_path_factory.mktemp("scores") / "new folder" / "scores.json"
    return evaluate([str(model) for model in tiny_models], "probes", out, device="cpu"), out


@pytest.fixture(scope="session")
def psychometric_file(tiny_models: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Figures of one model. Tests must not change the file."""
    out = tmp_path_factory.mktemp("figures") / "psychometric.json"
    measure_models([str(tiny_models[0])], out, device="cpu")
    return out
