"""The local Hub as a fixture."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from hub_clients import SMALL_PARTS

from l2t_hub.local_hub.server import LocalHub, running


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[LocalHub]:
    """A new local Hub that takes parts of one megabyte."""
    with running(tmp_path / "hub", limits=SMALL_PARTS) as hub:
        yield hub
