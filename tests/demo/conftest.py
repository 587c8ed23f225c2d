"""Two tiny random models, made once and shared by the tests of the page."""

from pathlib import Path

import pytest
from tiny_models import make_tiny_model


@pytest.fixture(scope="session")
def tiny_models(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """Directories of two Qwen2 models that differ in their random weights; they read at most 128 tokens."""
    folder = tmp_path_factory.mktemp("models")
    raw, l2t = (make_tiny_model(folder / name, seed) for seed, name in enumerate(("tiny-raw", "tiny-l2t")))
    return str(raw), str(l2t)


@pytest.fixture
def broken_copy(tiny_models: tuple[str, str], tmp_path: Path) -> Path:
    """A copy of the first model, for a test to break."""
    copy = tmp_path / "broken"
    copy.mkdir()
    for file in Path(tiny_models[0]).iterdir():
        (copy / file.name).write_bytes(file.read_bytes())
    return copy
