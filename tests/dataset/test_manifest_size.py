"""A build whose manifest nobody could read is refused before it begins, by an estimate that is never too low."""

import json
from pathlib import Path

import pytest
from dataset_helpers import RecipeFactory, build_silently

from l2t_hub.corpus.source import open_source
from l2t_hub.dataset.manifest_size import check_manifest_size, partition_bytes
from l2t_hub.errors import UsageError
from l2t_hub.recipe import load_recipe
from l2t_hub.records.dataset_manifest import Manifest
from l2t_hub.records.reading import MAX_BYTES
from l2t_hub.tasks.registry import TASKS


@pytest.mark.parametrize(
    "keys",
    [
        {},
        {"mixture.scheme": "raw"},
        {"mixture.scheme": "shared", "build.raw": "ids"},
        {"validation.share": 0.0, "build.examples": "none"},
    ],
)
def test_the_estimate_is_a_bound(make_recipe: RecipeFactory, tmp_path: Path, keys: dict[str, object]) -> None:
    recipe = make_recipe({"build.partitions": 2, **keys})
    build_silently(recipe, tmp_path / "out")
    size = (tmp_path / "out" / "l2t_manifest.json").stat().st_size
    tasks = () if recipe.mixture.scheme == "raw" else tuple(TASKS)
    source = open_source(recipe)
    check_manifest_size(recipe, tasks, source, limit=size + 2 * partition_bytes(recipe, tasks) + 200_000)
    with pytest.raises(UsageError):
        check_manifest_size(recipe, tasks, source, limit=size - 1)


def test_an_entry_is_not_estimated_far_too_high(make_recipe: RecipeFactory, tmp_path: Path) -> None:
    """With every task in both splits, a partition takes more than half of what is reserved for it."""
    recipe = make_recipe({"mixture.scheme": "shared", "validation.share": 0.4})
    build_silently(recipe, tmp_path / "out")
    tree = json.loads((tmp_path / "out" / "l2t_manifest.json").read_text(encoding="utf-8"))
    text = json.dumps([tree["partitions"], tree["shards"]], indent=Manifest.INDENT)
    each = len(text) / recipe.build.partitions
    assert partition_bytes(recipe, TASKS) / 2 < each < partition_bytes(recipe, TASKS)


def test_too_many_partitions_are_refused_before_anything_is_written(tmp_path: Path) -> None:
    recipe = load_recipe("nano", ["build.partitions=100000"], "nano-l2t")
    with pytest.raises(
        UsageError, match=r"build\.partitions is 100,000: the manifest would take about"
    ) as caught:
        build_silently(recipe, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    allowed = int(str(caught.value.hint).split("at most ")[1].split()[0].replace(",", ""))
    assert 1_000 < allowed < 5_000
    good = load_recipe("nano", [f"build.partitions={allowed}"], "nano-l2t")
    check_manifest_size(good, TASKS, open_source(good))
    assert MAX_BYTES == 64_000_000, "the bound that the estimate compares with is the reader's"


def test_too_many_files_are_refused(make_recipe: RecipeFactory) -> None:
    recipe = make_recipe({})
    with pytest.raises(UsageError, match="because the source has") as caught:
        check_manifest_size(recipe, TASKS, open_source(recipe), limit=100_000)
    assert caught.value.hint == "Join small files into larger ones."
