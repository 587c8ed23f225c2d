"""A model is trained on the dataset of its own recipe; where another is wanted, the record says so."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from l2t_hub.errors import UsageError
from l2t_hub.recipe import Recipe, load_recipe
from l2t_hub.train.agreement import agreed
from l2t_hub.train.locate import DatasetLocation


def dataset_of(recipe: Recipe, **changes: Any) -> DatasetLocation:
    tree = recipe.resolved()
    for key, value in changes.items():
        section, name = key.split("__")
        tree[section] = {**tree[section], name: value}
    manifest: Any = SimpleNamespace(recipe=tree)
    return DatasetLocation(Path("data/nano"), manifest)


def nano(*overrides: str, variant: str = "nano-l2t") -> Recipe:
    return load_recipe("nano", overrides, variant)


@pytest.mark.parametrize(
    ("recipe", "changes", "difference"),
    [
        (nano(variant="nano-raw"), {}, ") and 'disjoint' in the dataset"),
        (nano("mixture.raw_share=0.25"), {}, "`mixture.raw_share` is 0.25 in the recipe (--set mixture.raw_share) "),
        (nano("source.path=mine.parquet"), {}, "`source.path` is 'mine.parquet' in the recipe"),
        (nano("tokenizer.name=org/name"), {}, "`tokenizer.name` is 'org/name' in the recipe (--set tokenizer.name) and"),
        (nano("tokenizer.vocab_size=400"), {}, "`tokenizer.vocab_size` is 400 in the recipe (--set tokenizer.vocab_size)"),
        (nano("packing.sequence_length=256"), {}, "`packing.sequence_length` is 256 in the recipe"),
        (nano(), {"validation__share": 0.2}, "(recipe nano-l2t, default) and 0.2 in the dataset"),
        (nano(), {"source__limit": 9}, "`source.limit` is null in the recipe"),
    ],
)  # fmt: skip
def test_a_recipe_of_another_dataset_is_refused(
    recipe: Recipe, changes: dict[str, Any], difference: str
) -> None:
    with pytest.raises(UsageError) as caught:
        agreed(recipe, dataset_of(nano(), **changes))
    message, hint = caught.value.message, caught.value.hint
    assert message.startswith(f"data/nano was not built from the recipe {recipe.name}: ")
    assert difference in message
    assert hint is not None
    assert "--follow-data" in hint


def test_many_differences_are_not_all_listed() -> None:
    keys = ("blocks.min_words=9", "blocks.tokens_per_block=99", "tokenizer.bos=false", "packing.scheme=paper")
    with pytest.raises(UsageError, match=r"; and 2 more\n"):
        agreed(nano(*keys, "validation.share=0.3", "tokenizer.vocab_size=500"), dataset_of(nano()))


@pytest.mark.parametrize(
    "override",
    [
        "seed=7",
        "build.partitions=9",
        "build.raw=none",
        "source.title=Mine",
        "train.max_steps=999",
        "cluster.hours=1",
        "name=other",
    ],
)
def test_what_the_dataset_does_not_say_may_differ(override: str) -> None:
    recipe = nano(override)
    assert agreed(recipe, dataset_of(nano())) is recipe


def test_text_in_another_folder_and_an_open_revision_agree() -> None:
    built = nano("source.path=/there/mine.parquet")
    assert agreed(nano("source.path=mine.parquet"), dataset_of(built))
    hub = "source.dataset=org/text"
    assert agreed(nano(hub), dataset_of(nano(hub, f"source.revision={'a' * 40}")))
    with pytest.raises(UsageError, match=r"`source\.revision` is 'b"):
        agreed(nano(hub, f"source.revision={'b' * 40}"), dataset_of(nano(hub, f"source.revision={'a' * 40}")))


def test_following_the_data_puts_its_keys_on_record() -> None:
    recipe = nano("train.max_steps=77", "seed=5", variant="nano-raw")
    followed = agreed(recipe, dataset_of(nano()), follow_data=True)
    assert (followed.name, followed.seed, followed.train.max_steps) == ("nano-raw", 5, 77)
    assert followed.mixture == nano().mixture
    assert agreed(followed, dataset_of(nano())) is followed


def test_keys_of_another_version_do_not_count() -> None:
    dataset = dataset_of(nano(), mixture__invented="x")
    del dataset.manifest.recipe["validation"]
    recipe = nano()
    assert agreed(recipe, dataset) is recipe
    assert agreed(recipe, replace(dataset, repository="a/b")) is recipe
