"""Recipes are checked when they are loaded: every error names file, line and key and suggests a remedy."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from l2t_hub.errors import UsageError
from l2t_hub.recipe import Recipe, bundled_recipes, load_recipe, recipe_from_tree
from l2t_hub.recipe.listing import as_yaml, keys, tree
from l2t_hub.recipe.yaml_tree import merge, parse_value

MINIMAL = "name: tiny\nsource:\n  path: bundled:sample\n"


def write(folder: Path, text: str, name: str = "recipe.yaml") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("text", "line", "expected"),
    [
        ("mixtur:\n  scheme: raw\n", 4, "Did you mean 'mixture'?"),
        ("train:\n  max_step: 3\n", 5, "Did you mean 'max_steps'?"),
        ("train:\n  max_steps: many\n", 5, "`train.max_steps` must be an integer, not 'many'"),
        ("train:\n  max_steps: 1.5\n", 5, "`train.max_steps` must be an integer, not 1.5"),
        ("seed: '3'\n", 4, "must be an integer, not '3'"),
        ("seed: true\n", 4, "must be an integer, not true"),
        ("max_steps: 3\n", 4, "unknown key `max_steps`. Did you mean 'train.max_steps'?"),
        ("build:\n  examples: some\n", 5, "must be 'all', 'none' or an integer, not 'some'"),
        ("evaluation:\n  suites: [blimpp]\n", 5, "`evaluation.suites[0]` must be"),
        ("mixture:\n  scheme: share\n", 5, "Did you mean 'shared'?"),
        ("mixture:\n  scheme: raw\n  raw_share: 0.5\n", 6, "applies only to scheme disjoint, not to raw"),
        ("mixture:\n  scheme: single\n", 4, "`mixture.task` is required for scheme single"),
        (
            "train:\n  decay_share: 0.1\n",
            5,
            "`train.decay_share` applies only to schedule warmup_stable_decay",
        ),
        ("mixture:\n  task: typo\n", 5, "`mixture.task` applies only to scheme single"),
        ("mixture:\n  scheme: disjoint\n  raw_share: 1.5\n", 6, "must be at most 1, not 1.5"),
        ("seed: 1\nseed: 2\n", 5, "set twice"),
        ("train:\n  max_steps: 10\n  warmup_steps: 10\n", 6, "(10) must be less than `train.max_steps`"),
        ("tokenizer:\n  revision: main\n", 5, "`tokenizer.revision` requires `tokenizer.name`"),
        ("seed: [1\n", 5, "not valid YAML"),
        ("evaluation:\n  baseline: other\nvariants:\n  one: {}\n", 5, "must be one of the variants"),
        ("variants:\n  one:\n    mixture:\n      sheme: raw\n", 7, "Did you mean 'scheme'?"),
        ("variants:\n  one: 3\n", 5, "must be a mapping of keys to values"),
        ("cluster:\n  partion: big\n", 5, "Did you mean 'partition'?"),
        ("cluster:\n  hours: 0\n", 5, "greater than 0"),
        ("cluster:\n  sbatch: {time: '1:00'}\n", 5, "`cluster.sbatch` cannot set time"),
    ],
)
def test_an_error_names_file_line_and_remedy(tmp_path: Path, text: str, line: int, expected: str) -> None:
    path = write(tmp_path, MINIMAL + text)
    with pytest.raises(UsageError) as caught:
        load_recipe(path)
    assert expected in str(caught.value)
    assert f"{path}:{line}: " in str(caught.value)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "empty"),
        ("- a\n- b\n", "a mapping of keys"),
        ("name: x\n", "`source` is required"),
        ("name: x\nsource: {}\n", "`source.path` or `source.dataset` is required"),
        ("name: x\nsource: {path: p, dataset: q}\n", "exclude each other"),
        ("name: a/b\nsource: {path: p}\n", "`name` must be 1 to 96 letters.*, not 'a/b'"),
    ],
)
def test_an_incomplete_recipe_is_an_error(tmp_path: Path, text: str, expected: str) -> None:
    with pytest.raises(UsageError, match=expected):
        load_recipe(write(tmp_path, text))


def test_a_file_that_is_missing_or_not_utf8(tmp_path: Path) -> None:
    path = tmp_path / "latin.yaml"
    path.write_bytes(b"name: caf\xe9\n")
    with pytest.raises(UsageError, match="not UTF-8 at byte 9"):
        load_recipe(path)
    with pytest.raises(UsageError, match=r"no such recipe file\. Did you mean 'nano'\?"):
        load_recipe("nanno")


def test_extends_merges_keys_over_the_parent_and_keeps_their_locations(tmp_path: Path) -> None:
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


def test_extends_takes_a_list_and_reads_a_common_ancestor_once(tmp_path: Path) -> None:
    write(
        tmp_path,
        f"{MINIMAL}seed: 1\nmodel: {{size: 500m}}\ntrain: {{max_steps: 50, warmup_steps: 5}}\n",
        "base.yaml",
    )
    write(tmp_path, "extends: base.yaml\nseed: 2\nmodel: {size: 1b}\n", "size.yaml")
    write(tmp_path, "extends: base.yaml\nseed: 3\nmixture: {scheme: shared}\n", "data.yaml")
    recipe = load_recipe(write(tmp_path, "extends: [size.yaml, data.yaml]\nname: both\n"))
    assert (recipe.name, recipe.model.size, recipe.mixture.scheme) == ("both", "1b", "shared")
    assert (recipe.seed, recipe.train.max_steps) == (3, 50), (
        "the later of two counts, and both before their base"
    )
    assert recipe.where("seed") == f"{tmp_path / 'data.yaml'}:2: seed"


@pytest.mark.parametrize("value", ["3", "[base.yaml, 3]", "{a: b}"])
def test_extends_of_anything_but_names_is_an_error(tmp_path: Path, value: str) -> None:
    path = write(tmp_path, f"extends: {value}\nname: x\n")
    with pytest.raises(
        UsageError, match=r":1: `extends` must be the name of a recipe file or a list of names"
    ):
        load_recipe(path)


def test_a_cycle_of_extends_is_an_error_that_shows_the_cycle(tmp_path: Path) -> None:
    write(tmp_path, "extends: b.yaml\nname: a\n", "a.yaml")
    write(tmp_path, "extends: a.yaml\nname: b\n", "b.yaml")
    with pytest.raises(UsageError, match=r"cycle: a\.yaml -> b\.yaml -> a\.yaml"):
        load_recipe(tmp_path / "a.yaml")


def test_overrides_take_precedence_over_file_and_variant(tmp_path: Path) -> None:
    path = write(tmp_path, MINIMAL + "variants:\n  one:\n    train:\n      max_steps: 5000\n")
    recipe = load_recipe(path, ["train.max_steps=4000", "train.learning_rate=1e-4"], "one")
    assert recipe.train.max_steps == 4000
    assert recipe.train.learning_rate == 1e-4
    assert recipe.where("train.max_steps").startswith("--set train.max_steps")


@pytest.mark.parametrize("text", ["train.max_steps", "=3", "a..b=3", "train.max_steps=[1"])
def test_a_malformed_override_is_a_usage_error(text: str) -> None:
    with pytest.raises(UsageError, match="--set"):
        load_recipe("nano", [text])


def test_overrides_need_to_suit_the_chosen_variant_only(tmp_path: Path) -> None:
    tasks = ["mixture.tasks=[typo]"]
    assert load_recipe("nano", tasks, "nano-l2t").mixture.tasks == ("typo",)
    with pytest.raises(UsageError, match="not to raw"):
        load_recipe("nano", tasks, "nano-raw")
    broken = write(tmp_path, MINIMAL + "variants:\n  one: {}\n  two:\n    train:\n      steps: 3\n")
    assert load_recipe(broken, ["seed=1"], "one").seed == 1
    with pytest.raises(UsageError, match=r"train\.steps"):
        load_recipe(broken)


def test_an_unknown_variant_suggests_the_nearest() -> None:
    with pytest.raises(UsageError, match="Did you mean 'nano-l2t'"):
        load_recipe("nano", variant="nano-lt2")


@pytest.mark.parametrize("name", sorted(bundled_recipes()))
def test_every_bundled_recipe_loads_with_all_its_variants(name: str) -> None:
    recipe = load_recipe(name)
    for variant in recipe.variants:
        assert load_recipe(name, variant=variant).name == variant


def test_the_resolved_recipe_is_a_valid_recipe() -> None:
    recipe = load_recipe("nano", variant="nano-l2t")
    again = recipe_from_tree(recipe.resolved())
    assert again.resolved() == recipe.resolved()
    assert again.fingerprint("model") == recipe.fingerprint("model")


def test_a_later_key_with_its_default_leaves_records_and_fingerprints_as_they_were() -> None:
    recipe = load_recipe("nano", ["train.shuffle=rows"], "nano-l2t")
    assert "shuffle" not in recipe.resolved()["train"]
    assert recipe.fingerprint("model") == load_recipe("nano", variant="nano-l2t").fingerprint("model")
    other = load_recipe("nano", ["train.shuffle=partitions"], "nano-l2t")
    assert other.resolved()["train"]["shuffle"] == "partitions"
    assert other.fingerprint("model") != recipe.fingerprint("model")
    assert other.fingerprint("data") == recipe.fingerprint("data")


def test_the_cluster_is_shown_but_is_not_part_of_the_release() -> None:
    recipe = load_recipe("nano", ["cluster.account=lab"], "nano-l2t")
    assert recipe.resolved() == load_recipe("nano", variant="nano-l2t").resolved()
    assert "account: lab" in as_yaml(recipe)
    assert recipe_from_tree(tree(recipe)).cluster.account == "lab"


CHANGES_NOTHING = [
    "name=other",
    "description=words",
    "source.title=Other",
    "source.license=mit",
    "source.url=https://example.org",
    "mixture.raw_share=0.5",  # the default, set explicitly
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


def recipe_with(*overrides: str) -> Recipe:
    recipe = recipe_from_tree({"name": "t", "source": {"path": "text.parquet"}, "train": {"max_steps": 5000}})
    for text in overrides:
        key, _, value = text.partition("=")
        nested = parse_value(value, "test")
        for part in reversed(key.split(".")):
            nested = {part: nested}
        recipe = recipe_from_tree(merge(recipe.model_dump(mode="json", exclude_unset=True), nested))
    return recipe


@pytest.mark.parametrize("override", CHANGES_NOTHING + CHANGES_THE_MODEL_ONLY + CHANGES_THE_LOG_ONLY)
def test_the_data_fingerprint_ignores_keys_that_change_no_data(override: str) -> None:
    assert recipe_with(override).fingerprint("data") == recipe_with().fingerprint("data")


@pytest.mark.parametrize("override", CHANGES_THE_DATA)
def test_the_data_fingerprint_changes_with_the_data(override: str) -> None:
    assert recipe_with(override).fingerprint("data") != recipe_with().fingerprint("data")
    assert recipe_with(override).fingerprint("model") != recipe_with().fingerprint("model")


@pytest.mark.parametrize("override", CHANGES_THE_MODEL_ONLY)
def test_the_model_fingerprint_changes_with_the_model(override: str) -> None:
    assert recipe_with(override).fingerprint("model") != recipe_with().fingerprint("model")


@pytest.mark.parametrize("override", CHANGES_NOTHING + CHANGES_THE_LOG_ONLY)
def test_the_model_fingerprint_ignores_names_and_logging(override: str) -> None:
    assert recipe_with(override).fingerprint("model") == recipe_with().fingerprint("model")


def test_a_source_with_a_digest_is_the_same_at_any_path() -> None:
    one, two = recipe_with("source.path=a.parquet"), recipe_with("source.path=b/c.parquet")
    assert one.fingerprint("data", source="aa") == two.fingerprint("data", source="aa")
    assert one.fingerprint("data", source="aa") != one.fingerprint("data", source="bb")


TREES = st.recursive(
    st.integers(), lambda t: st.dictionaries(st.sampled_from("abc"), t, max_size=3), max_leaves=8
).filter(lambda t: isinstance(t, dict))


@given(TREES, TREES)
def test_merging_keeps_the_top_tree_and_is_idempotent(
    base: dict[str, object], top: dict[str, object]
) -> None:
    merged = merge(base, top)
    assert merge(merged, top) == merged
    assert merge(base, {}) == base
    assert set(merged) == set(base) | set(top)


TEXTS = "  title: Theirs\n  license: mit\n  url: https://example.org\ndescription: About their text.\n"


def texts_of(recipe: Recipe) -> tuple[str | None, ...]:
    source = recipe.source
    return source.title, source.license, source.url, recipe.description or None


def test_title_licence_url_and_description_belong_to_the_source_they_were_written_for(tmp_path: Path) -> None:
    theirs, own = (
        ("Theirs", "mit", "https://example.org", "About their text."),
        ("Mine", "cc0-1.0", None, None),
    )
    write(tmp_path, MINIMAL + TEXTS, "base.yaml")
    assert texts_of(load_recipe(tmp_path / "base.yaml", ["source.path=bundled:sample"])) == theirs
    assert texts_of(load_recipe(tmp_path / "base.yaml", ["source.path=my.txt"])) == (None, None, None, None)
    for order in (
        ["source.license=cc0-1.0", "source.path=my.txt"],
        ["source.path=my.txt", "source.license=cc0-1.0"],
    ):
        assert texts_of(load_recipe(tmp_path / "base.yaml", [*order, "source.title=Mine"])) == own
    dataset = ["source.path=null", "source.dataset=org/text"]
    assert texts_of(load_recipe(tmp_path / "base.yaml", dataset)) == (None, None, None, None)
    child = write(tmp_path, "extends: base.yaml\nsource: {path: my.txt, title: Mine, license: cc0-1.0}\n")
    assert texts_of(load_recipe(child)) == own
    child = write(tmp_path, "extends: base.yaml\nsource: {limit: 3}\n")
    assert texts_of(load_recipe(child)) == theirs


def test_a_variant_with_another_source_does_not_inherit_what_is_said_of_the_first(tmp_path: Path) -> None:
    both = "variants:\n  one: {source: {path: my.txt, title: Mine, license: cc0-1.0}}\n  two: {seed: 1}\n"
    path = write(tmp_path, MINIMAL + TEXTS + both)
    assert texts_of(load_recipe(path, variant="one")) == ("Mine", "cc0-1.0", None, None)
    assert texts_of(load_recipe(path, variant="two"))[0] == "Theirs"
    assert texts_of(load_recipe(path, ["source.path=other.txt"], "one")) == (None, None, None, None)
    assert texts_of(load_recipe(path, ["source.path=other.txt", "source.license=mit"], "two"))[1] == "mit"


def test_the_revision_of_a_dataset_goes_with_it(tmp_path: Path) -> None:
    path = write(tmp_path, f"name: tiny\nsource:\n  dataset: org/a\n  revision: {'0' * 40}\n  config: en\n")
    source = load_recipe(path, ["source.dataset=org/b"]).source
    assert (source.revision, source.config) == (None, None)


PYDANTIC_WORDS = ("Input", "should", "String", "valid dict", "Value error", "instance of", "{", "pattern")


@given(
    st.sampled_from([row["key"] for row in keys()]),
    st.none() | st.booleans() | st.integers() | st.floats() | st.text("ab\x00é", max_size=3)
    | st.just([]) | st.just({}) | st.just([1]) | st.just({"a": 1}),
)  # fmt: skip
def test_a_value_of_the_wrong_type_is_refused_in_words(key: str, value: object) -> None:
    nested: object = value
    for part in reversed(key.split(".")):
        nested = {part: nested}
    tree = merge({"name": "t", "source": {"path": "x"}}, nested)
    message = ""
    try:
        recipe_from_tree(tree, {key: f"--set {key}"})
    except UsageError as error:
        message = error.message
    assert not any(word in message for word in PYDANTIC_WORDS if word not in repr(value))
    assert "`" in message or message.count(key) <= 1


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("seed=abc", "--set seed must be an integer, not 'abc'"),
        ("seed=-1", "--set seed must be at least 0, not -1"),
        ("train.adam_beta1=1", "--set train.adam_beta1 must be less than 1, not 1"),
        ("mixture.tasks=[]", "--set mixture.tasks must be a list with at least one item, not []"),
        ("mixture=raw", "--set mixture must be a mapping of keys to values, not 'raw'"),
        ("name=a/b", "--set name must be 1 to 96 letters, digits, '.', '_' or '-'"),
        ("source.path=3", "--set source.path must be text, not 3"),
    ],
)
def test_an_override_of_the_wrong_type_is_said_once(override: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        load_recipe("nano", [override], "nano-l2t")
    assert caught.value.message.startswith(message)
