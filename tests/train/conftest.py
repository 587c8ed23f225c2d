"""The tiny packed dataset of these tests."""

from pathlib import Path

import pytest
from tiny_run import write_packed


@pytest.fixture(scope="session")
def packed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny dataset, read by many tests and changed by none."""
    return write_packed(tmp_path_factory.mktemp("packed"), {"train": 24, "validation": 5})
