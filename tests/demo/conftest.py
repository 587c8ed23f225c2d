"""What the tests of the page share: two tiny random models, a small dataset, and a browser for each file."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from browser_kit import chromium, serving
from playwright.sync_api import Browser
from saved_scores import save
from tiny_models import make_tiny_model
from tiny_release import make_dataset, tiny_recipe


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


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as started:
        yield started


@pytest.fixture(scope="session")
def tiny_dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dataset of the bundled sample: examples of all tasks, raw text and packed sequences, in two splits."""
    return make_dataset(tiny_recipe("tiny-data"), tmp_path_factory.mktemp("dataset") / "tiny-data")


@pytest.fixture(scope="session")
def page_address(tiny_dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a page with all tabs, two tiny models with scores and a dataset. Tests change nothing about it."""
    from l2t_hub.demo.model_pool import ModelPool
    from l2t_hub.demo.page import build_page
    from l2t_hub.demo.page_context import PageContext

    folder = tmp_path_factory.mktemp("page")
    models = {
        name: str(make_tiny_model(folder / name, seed, positions=1024))
        for seed, name in enumerate(("tiny-raw", "tiny-l2t"))
    }
    for (name, place), share in zip(models.items(), (0.5, 0.8), strict=True):
        save(Path(place) / "eval" / "probes.json", {name: share})
    pool = ModelPool(models, memory=1 << 30, guests=True)
    with serving(
        build_page(PageContext(models, pool, {"tiny-data": str(tiny_dataset)}, (), True))
    ) as address:
        yield address
