"""Over a hundred hostile repos: none is taken for a good one, runs code, or touches a file outside its directory."""

import shutil
import time
from hashlib import sha256
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hostile_repos import DATASETS, MODELS, Target
from tiny_release import make_dataset, make_model, tiny_recipe

from l2t_hub.dataset.progress import SilentReporter
from l2t_hub.dataset.verify import verify
from l2t_hub.errors import UserError
from l2t_hub.reproduce import reproduce
from l2t_hub.scoring import load_scorer, score

SECONDS = 20
PRIVATE = "a private sentence"
# What `verify` cannot know from the directory alone: it does not open the source, and runs no module.
AGREE_WITH_THEMSELVES = {
    "module-standard-library",
    "module-dotted",
    "source-secret",
    "source-glob",
    "source-root",
    "source-relative",
    "source-local-dataset",
    "tokenizer-local",
    "recipe-unknown-key",
    "replaced-shard",
}
# Changes of the training record, its log or the card: loading the weights does not read them.
NOT_READ_BY_SCORING = {
    name for name in MODELS if name.startswith(("log-", "record-", "recipe-", "dataset-"))
} | {
    "steps-huge",
    "threads-huge",
    "processor-foreign",
    "model-card-bomb",
    "auto-map-tokenizer",
    "auto-map-generation",
}
IGNORED_SWITCHES = {"attention-from-the-hub", "attention-private-key", "experts-from-the-hub"}


@pytest.fixture(scope="module")
def good_dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    recipe = tiny_recipe("good", source={"limit": 30}, validation={"near_duplicates": "keep"})
    return make_dataset(recipe, tmp_path_factory.mktemp("good") / "dataset")


@pytest.fixture(scope="module")
def good_model(tmp_path_factory: pytest.TempPathFactory, good_dataset: Path) -> Path:
    recipe = tiny_recipe("good", source={"limit": 30}, validation={"near_duplicates": "keep"})
    return make_model(recipe, good_dataset, tmp_path_factory.mktemp("good") / "model")


@pytest.fixture
def target(tmp_path: Path) -> Target:
    private = tmp_path / "private"
    private.mkdir()
    pq.write_table(pa.table({"id": ["1"], "text": [PRIVATE]}), private / "secret.parquet")
    (private / "victim").write_text("mine", encoding="utf-8")
    return Target(private / "secret.parquet", private / "victim", tmp_path / "marker")


def snapshot(folder: Path) -> dict[str, str]:
    return {
        str(p): sha256(p.read_bytes()).hexdigest()
        for p in folder.rglob("*")
        if p.is_file() and not p.is_symlink()
    }


def assert_unharmed(target: Target, before: dict[str, str], started: float, message: str) -> None:
    assert not target.marker.exists(), "its code ran"
    assert snapshot(target.secret.parent) == before
    assert PRIVATE not in message
    assert "\x1b" not in message
    assert time.monotonic() - started < SECONDS


def test_the_good_ones_are_good(good_dataset: Path, good_model: Path) -> None:
    assert not verify(good_dataset).problems
    assert reproduce(good_dataset, workers=1, progress=SilentReporter()).equal
    assert score(load_scorer(str(good_model)), ["The cat sleeps."])


@pytest.mark.parametrize("name", DATASETS)
def test_no_hostile_dataset_is_verified_or_reproduced(
    good_dataset: Path, tmp_path: Path, target: Target, name: str
) -> None:
    directory = Path(shutil.copytree(good_dataset, tmp_path / name))
    DATASETS[name](directory, target)
    before, started = snapshot(target.secret.parent), time.monotonic()
    try:
        report = verify(directory)
        message = report.summary()
        assert report.problems or name in AGREE_WITH_THEMSELVES
    except UserError as error:
        message = str(error)
    assert_unharmed(target, before, started, message)
    started = time.monotonic()
    try:
        result = reproduce(directory, workers=1, progress=SilentReporter(), out=tmp_path / "out")
        message = result.summary()
        assert not result.equal
    except UserError as error:
        message = str(error)
    assert_unharmed(target, before, started, message)


@pytest.mark.parametrize("name", MODELS)
def test_no_hostile_model_is_scored(good_model: Path, tmp_path: Path, target: Target, name: str) -> None:
    directory = Path(shutil.copytree(good_model, tmp_path / name))
    MODELS[name](directory, target)
    before, started = snapshot(target.secret.parent), time.monotonic()
    try:
        score(load_scorer(str(directory)), ["The cat sleeps."])
        message = ""
        assert name in NOT_READ_BY_SCORING | IGNORED_SWITCHES
    except UserError as error:
        message = str(error)
    assert_unharmed(target, before, started, message)
