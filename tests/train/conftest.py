"""The tiny packed dataset that the training tests share."""

from pathlib import Path

import pytest
from tiny_run import write_packed


@pytest.fixture(scope="session")
def packed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dataset directory. Tests read it and must not change it."""
    return write_packed(tmp_path_factory.mktemp("packed"), {"train": 24, "validation": 5})
