"""A recipe is checked at the door: every error names its place and the nearest valid name."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from l2t_hub.errors import UsageError
from l2t_hub.recipe import Recipe, bundled_recipes, load_recipe, recipe_from_tree
from l2t_hub.recipe.listing import as_yaml, tree
from l2t_hub.recipe.yaml_tree import merge, parse

MINIMAL = "name: tiny\nsource:\n  path: bundled:sample\n"


def write(folder: Path, text: str, name: str = "recipe.yaml") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ("mixtur:\n  scheme: raw\n", 4, "Did you mean 'mixture'?"),
        ("train:\n  max_step: 3\n", 5, "Did you mean 'max_steps'?"),
        ("train:\n  max_steps: many\n", 5, "should be a valid integer"),
        ("train:\n  max_steps: 1.5\n", 5, "`train.max_steps` is 1.5"),
        ("seed: '3'\n", 4, "should be a valid integer"),
        ("seed: true\n", 4, "should be a valid integer"),
        ("mixture:\n  scheme: share\n", 5, "Did you mean 'shared'?"),
        ("mixture:\n  scheme: raw\n  raw_share: 0.5\n", 4, "only disjoint has one"),
        ("mixture:\n  scheme: single\n", 4, "`task` names the one task"),
        ("mixture:\n  scheme: disjoint\n  raw_share: 1.5\n", 6, "less than or equal to 1"),
        ("seed: 1\nseed: 2\n", 5, "set twice"),
        ("train:\n  max_steps: 10\n  warmup_steps: 10\n", 4, "must be less than `max_steps`"),
        ("tokenizer:\n  revision: main\n", 4, "`revision` needs a `name`"),
        ("seed: [1\n", 5, "not valid YAML"),
        ("evaluation:\n  baseline: other\nvariants:\n  one: {}\n", 0, "the variants are one"),
        ("variants:\n  one:\n    mixture:\n      sheme: raw\n", 7, "Did you mean 'scheme'?"),
        ("variants:\n  one: 3\n", 5, "should be an object"),
        ("cluster:\n  partion: big\n", 5, "Did you mean 'partition'?"),
        ("cluster:\n  hours: 0\n", 5, "greater than 0"),
        ("cluster:\n  sbatch: {time: '1:00'}\n", 4, "`sbatch` cannot set time"),
    ],
)
def test_an_error_names_file_line_and_remedy(tmp_path: Path, text: str, line: int, says: str) -> None:
    path = write(tmp_path, MINIMAL + text)
    with pytest.raises(UsageError) as caught:
        load_recipe(path)
    assert says in str(caught.value)
    assert (f"{path}:{line}: " if line else f"{path}: ") in str(caught.value)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "empty"),
        ("- a\n- b\n", "a mapping of keys"),
        ("name: x\n", "`source` is missing"),
        ("name: x\nsource: {}\n", "give either `path` or `dataset`"),
        ("name: a/b\nsource: {path: p}\n", "`name` is 'a/b'"),
    ],
)
def test_what_is_no_recipe_is_said(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        load_recipe(write(tmp_path, text))


def test_a_file_that_is_not_utf8_or_not_there(tmp_path: Path) -> None:
    path = tmp_path / "latin.yaml"
    path.write_bytes(b"name: caf\xe9\n")
    with pytest.raises(UsageError, match="not UTF-8 at byte 9"):
        load_recipe(path)
    with pytest.raises(UsageError, match=r"no such recipe file\. Did you mean 'nano'\?"):
        load_recipe("nanno")


def test_extends_lays_keys_over_the_parent_and_remembers_where_each_was_set(tmp_path: Path) -> None:
    write(tmp_path, MINIMAL + "seed: 1\ntrain:\n  max_steps: 50\n  warmup_steps: 5\n", "base.yaml")
    child = write(tmp_path, "extends: base.yaml\nname: child\ntrain:\n  max_steps: 60\n", "child.yaml")
    recipe = load_recipe(child)
    assert (recipe.name, recipe.seed, recipe.train.max_steps, recipe.train.warmup_steps) == (
        "child",
        1,
        60,
        5,
    )
    assert recipe.where("train.max_steps").startswith(f"{child}:4")
    assert recipe.where("seed").startswith(f"{tmp_path / 'base.yaml'}:4")


def test_extends_in_a_circle_is_an_error_that_shows_the_circle(tmp_path: Path) -> None:
    write(tmp_path, "extends: b.yaml\nname: a\n", "a.yaml")
    write(tmp_path, "extends: a.yaml\nname: b\n", "b.yaml")
    with pytest.raises(UsageError, match=r"circle: a\.yaml -> b\.yaml -> a\.yaml"):
        load_recipe(tmp_path / "a.yaml")


def test_overrides_win_over_file_and_variant(tmp_path: Path) -> None:
    path = write(tmp_path, MINIMAL + "variants:\n  one:\n    train:\n      max_steps: 5000\n")
    recipe = load_recipe(path, ["train.max_steps=4000", "train.learning_rate=1e-4"], "one")
    assert recipe.train.max_steps == 4000
    assert recipe.train.learning_rate == 1e-4
    assert recipe.where("train.max_steps").startswith("--set train.max_steps")


@pytest.mark.parametrize("text", ["train.max_steps", "=3", "a..b=3", "train.max_steps=[1"])
def test_a_malformed_override_is_a_usage_error(text: str) -> None:
    with pytest.raises(UsageError, match="--set"):
        load_recipe("nano", [text])


def test_an_unknown_variant_names_the_nearest() -> None:
    with pytest.raises(UsageError, match="Did you mean 'nano-l2t'"):
        load_recipe("nano", variant="nano-lt2")


@pytest.mark.parametrize("name", sorted(bundled_recipes()))
def test_every_bundled_recipe_loads_with_all_its_variants(name: str) -> None:
    recipe = load_recipe(name)
    for variant in recipe.variants:
        assert load_recipe(name, variant=variant).name == variant


def test_the_resolved_recipe_is_a_recipe_again() -> None:
    recipe = load_recipe("nano", variant="nano-l2t")
    again = recipe_from_tree(recipe.resolved())
    assert again.resolved() == recipe.resolved()
    assert again.fingerprint("model") == recipe.fingerprint("model")


def test_where_a_release_is_made_is_shown_but_no_part_of_what_it_is() -> None:
    recipe = load_recipe("nano", ["cluster.account=lab"], "nano-l2t")
    assert recipe.resolved() == load_recipe("nano", variant="nano-l2t").resolved()
    assert "account: lab" in as_yaml(recipe)
    assert recipe_from_tree(tree(recipe)).cluster.account == "lab"


LEAVES_NO_TRACE = [
    "name=other",
    "description=words",
    "source.title=Other",
    "source.license=mit",
    "source.url=https://example.org",
    "mixture.raw_share=0.5",  # the default, said out loud
    "evaluation.suites=[blimp]",
    "cluster.partition=big",
    "cluster.memory_gb=64",
    "cluster.sbatch={constraint: icelake}",
]
CHANGES_THE_DATA = [
    "seed=43",
    "source.path=elsewhere.parquet",
    "source.text_column=body",
    "source.limit=10",
    "blocks.sentences=blingfire",
    "blocks.min_words=21",
    "mixture.raw_share=0.25",
    "mixture.tasks=[typo]",
    "tokenizer.vocab_size=5000",
    "tokenizer.bos=false",
    "packing.sequence_length=1024",
    "packing.scheme=paper",
    "validation.share=0.2",
    "build.partitions=2",
    "build.raw=ids",
]
CHANGES_THE_MODEL_ONLY = [
    "model.size=100m",
    "train.max_steps=9999",
    "train.learning_rate=0.1",
    "train.attention=example",
]
CHANGES_THE_LOG_ONLY = [
    "train.logging_steps=7",
    "train.save_steps=7",
    "train.eval_steps=7",
    "train.save_total_limit=1",
]


def of(*overrides: str) -> Recipe:
    tree = recipe_from_tree({"name": "t", "source": {"path": "text.parquet"}, "train": {"max_steps": 5000}})
    for text in overrides:
        key, _, value = text.partition("=")
        change, _ = parse(f"value: {value}", "test")
        nested = change["value"]
        for part in reversed(key.split(".")):
            nested = {part: nested}
        tree = recipe_from_tree(merge(tree.model_dump(mode="json", exclude_unset=True), nested))
    return tree


@pytest.mark.parametrize("override", LEAVES_NO_TRACE + CHANGES_THE_MODEL_ONLY + CHANGES_THE_LOG_ONLY)
def test_the_data_fingerprint_ignores_what_changes_no_data(override: str) -> None:
    assert of(override).fingerprint("data") == of().fingerprint("data")


@pytest.mark.parametrize("override", CHANGES_THE_DATA)
def test_the_data_fingerprint_follows_what_changes_the_data(override: str) -> None:
    assert of(override).fingerprint("data") != of().fingerprint("data")
    assert of(override).fingerprint("model") != of().fingerprint("model")


@pytest.mark.parametrize("override", CHANGES_THE_MODEL_ONLY)
def test_the_model_fingerprint_follows_what_changes_the_model(override: str) -> None:
    assert of(override).fingerprint("model") != of().fingerprint("model")


@pytest.mark.parametrize("override", LEAVES_NO_TRACE + CHANGES_THE_LOG_ONLY)
def test_the_model_fingerprint_ignores_names_and_logging(override: str) -> None:
    assert of(override).fingerprint("model") == of().fingerprint("model")


def test_a_source_known_by_content_is_the_same_wherever_it_lies() -> None:
    one, two = of("source.path=a.parquet"), of("source.path=b/c.parquet")
    assert one.fingerprint("data", source="aa") == two.fingerprint("data", source="aa")
    assert one.fingerprint("data", source="aa") != one.fingerprint("data", source="bb")


TREES = st.recursive(
    st.integers(), lambda t: st.dictionaries(st.sampled_from("abc"), t, max_size=3), max_leaves=8
).filter(lambda t: isinstance(t, dict))


@given(TREES, TREES)
def test_merging_keeps_the_upper_tree_and_is_idempotent(
    base: dict[str, object], top: dict[str, object]
) -> None:
    merged = merge(base, top)
    assert merge(merged, top) == merged
    assert merge(base, {}) == base
    assert set(merged) == set(base) | set(top)
