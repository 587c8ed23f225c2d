"""Fixtures for tests of the client and of releases: a watched Hub, and toys to release. A conftest imports them."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from release_hub import WatchedHub
from release_toys import TOYS


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[WatchedHub]:
    """A fresh, watched Hub."""
    watched = WatchedHub(tmp_path / "hub")
    watched.start()
    yield watched
    watched.stop()


@pytest.fixture(scope="module")
def shared_hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WatchedHub]:
    """One watched Hub for a module; each test uses another repo."""
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
