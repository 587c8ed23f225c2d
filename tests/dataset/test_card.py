"""The dataset card: its size category, and front matter that points at existing files."""

import json
from pathlib import Path

import pytest
from dataset_helpers import RecipeFactory, build_silently

from l2t_hub.dataset.card import configs, size_category


@pytest.mark.parametrize(("rows", "name"), [(999, "n<1K"), (1000, "1K<n<10K"), (10**12, "n>1T")])
def test_size_categories_are_the_hubs(rows: int, name: str) -> None:
    assert size_category(rows) == name


def test_the_front_matter_points_at_files_that_exist(make_recipe: RecipeFactory, tmp_path: Path) -> None:

    manifest = build_silently(make_recipe({"source.limit": 60}), tmp_path / "out")
    names = [c["config_name"] for c in configs(manifest)]
    assert names[0] == "examples"
    assert [c.get("default") for c in configs(manifest)][:2] == [True, None]
    for config in configs(manifest):
        for files in config["data_files"]:
            assert list((tmp_path / "out").glob(files["path"])), files
    tree = json.loads((tmp_path / "out" / "l2t_manifest.json").read_text())
    assert tree == manifest.as_dict()
    assert not [key for key in ("time", "workers", "date", "hostname") if f'"{key}"' in json.dumps(tree)]
