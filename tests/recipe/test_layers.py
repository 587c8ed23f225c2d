"""Recipes that extend others and bend: what later layers make pointless is left out with a note, never in silence."""

from pathlib import Path

import pytest

from l2t_hub.errors import UsageError
from l2t_hub.recipe import Recipe, load_recipe, load_releases
from l2t_hub.recipe.listing import as_yaml

BASE = """\
name: base
source:
  path: bundled:sample
tokenizer:
  vocab_size: 2048
evaluation:
  baseline: base-raw
variants:
  base-raw:
    mixture:
      scheme: raw
  base-l2t:
    mixture:
      scheme: disjoint
      raw_share: 0.25
"""


@pytest.fixture
def family(tmp_path: Path) -> Path:
    (tmp_path / "base.yaml").write_text(BASE, encoding="utf-8")
    return tmp_path


def child(folder: Path, text: str) -> Path:
    path = folder / "child.yaml"
    path.write_text(f"extends: base.yaml\nname: child\n{text}", encoding="utf-8")
    return path


def notes_of(recipe: Recipe, folder: Path) -> list[str]:
    return [note.replace(f"{folder}/", "") for note in recipe.notes]


def test_an_inherited_vocabulary_size_gives_way_to_a_named_tokenizer(family: Path) -> None:
    recipe = load_recipe(child(family, "tokenizer:\n  name: org/name\n"), variant="base-l2t")
    assert recipe.tokenizer.name == "org/name"
    assert "vocab_size" not in recipe.resolved()["tokenizer"]
    assert notes_of(recipe, family) == [
        "`tokenizer.vocab_size` (base.yaml:5) is left out, because child.yaml:4 sets `tokenizer.name`."
    ]


def test_a_raw_share_gives_way_to_another_scheme(family: Path) -> None:
    shared = load_recipe(
        child(family, "variants:\n  base-l2t:\n    mixture: {scheme: shared}\n"), variant="base-l2t"
    )
    assert shared.mixture.scheme == "shared"
    assert notes_of(shared, family) == [
        "`mixture.raw_share` (base.yaml:15) is left out, because child.yaml:5 sets `mixture.scheme`."
    ]
    by_option = load_recipe(family / "base.yaml", ["mixture.scheme=shared"], "base-l2t")
    assert notes_of(by_option, family) == [
        "`mixture.raw_share` (base.yaml:15) is left out, because of --set mixture.scheme."
    ]


def test_an_inherited_path_gives_way_to_a_dataset_and_the_other_way_round(tmp_path: Path) -> None:
    (tmp_path / "base.yaml").write_text(
        "name: base\nsource: {dataset: org/one, revision: abc, config: en}\ntokenizer: {name: a/b, revision: v1}\n",
        encoding="utf-8",
    )
    assert load_recipe(child(tmp_path, "")).notes == ()
    local = load_recipe(child(tmp_path, "source:\n  path: my.txt\n"))
    assert (local.source.dataset, local.source.revision, local.source.config) == (None, None, None)
    (note,) = notes_of(local, tmp_path)
    assert note.startswith("`source.dataset` (base.yaml:2), `source.config` (base.yaml:2), ")
    assert note.endswith("are left out, because child.yaml:4 sets `source.path`.")
    other = load_recipe(child(tmp_path, "source:\n  dataset: org/two\ntokenizer:\n  name: c/d\n"))
    assert (other.source.revision, other.source.config, other.tokenizer.revision) == (None, None, None)
    assert notes_of(other, tmp_path)[0] == (
        "`source.config` (base.yaml:2), `source.revision` (base.yaml:2) are left out, "
        "because child.yaml:4 sets `source.dataset`."
    )
    same = load_recipe(child(tmp_path, "source:\n  dataset: org/one\n"))
    assert (same.source.revision, same.notes) == ("abc", ())


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "tokenizer:\n  name: org/name\n  vocab_size: 500\n",
            "child.yaml:5: `tokenizer.vocab_size` applies only if `tokenizer.name` is null "
            "(`tokenizer.name` is set at child.yaml:4)",
        ),
        (
            "variants:\n  base-raw:\n    mixture:\n      raw_share: 0.5\n",
            "child.yaml:6: `mixture.raw_share` applies only to scheme disjoint, not to raw "
            "(`mixture.scheme` is set at base.yaml:11)",
        ),
        ("source: {path: a, dataset: b/c}\n", "child.yaml:3: `source.path` and `source.dataset` exclude each other"),
    ],
)  # fmt: skip
def test_keys_that_do_not_go_together_are_refused_when_the_last_layer_sets_them(
    family: Path, text: str, message: str
) -> None:
    with pytest.raises(UsageError) as caught:
        load_recipe(child(family, text))
    assert message in str(caught.value).replace(f"{family}/", "")


def test_a_variant_is_removed_with_null_and_renamed_with_a_name(family: Path) -> None:
    path = child(
        family,
        "variants:\n  base-raw: {name: child-raw}\n  base-l2t:\n    name: child-l2t\n    mixture: {raw_share: 0.75}\n",
    )
    recipe = load_recipe(path)
    assert list(recipe.variants) == ["child-raw", "child-l2t"]
    assert recipe.evaluation.baseline == "child-raw"
    raw, l2t = load_releases(path)
    assert (raw.name, raw.mixture.scheme, raw.evaluation.baseline) == ("child-raw", "raw", "child-raw")
    assert (l2t.name, l2t.mixture.raw_share) == ("child-l2t", 0.75)
    without = load_recipe(child(family, "variants:\n  base-raw: null\n"))
    assert list(without.variants) == ["base-l2t"]
    assert without.evaluation.baseline is None
    assert load_releases(child(family, "variants: null\n"))[0].name == "child"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("  bass-raw: null\n", "child.yaml:4: there is no variant 'bass-raw' to remove. Did you mean 'base-raw'?"),
        ("  base-raw: {name: base-l2t}\n", "child.yaml:4: 'base-l2t' is the name of another variant"),
        ("  base-raw: {name: [x]}\n", "child.yaml:4: ['x'] is no name"),
        ("  base-raw: 3\n", "child.yaml:4: a variant must be a mapping of keys to values, or null to remove it"),
    ],
)  # fmt: skip
def test_a_wrong_change_of_a_variant_is_an_error(family: Path, text: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        load_recipe(child(family, f"variants:\n{text}"))
    assert message in str(caught.value).replace(f"{family}/", "")


def test_an_override_names_a_variant_that_exists(family: Path) -> None:
    with pytest.raises(UsageError, match=r"there is no variant 'base-l2'\. Did you mean 'base-l2t'\?"):
        load_recipe(family / "base.yaml", ["variants.base-l2.seed=1"])


def test_a_key_of_the_extending_file_counts_more_than_one_of_an_inherited_variant(family: Path) -> None:
    path = child(family, "mixture:\n  raw_share: 0.5\n")
    recipe = load_recipe(path, variant="base-l2t")
    assert recipe.mixture.raw_share == 0.5
    assert notes_of(recipe, family) == [
        "`mixture.raw_share` of the inherited variant (base.yaml:15) gives way to child.yaml:4."
    ]


def test_variants_that_come_out_the_same_are_an_error(family: Path) -> None:
    for load in (load_recipe, load_releases):
        with pytest.raises(UsageError, match="the variants 'base-raw' and 'base-l2t' are the same"):
            load(child(family, "mixture:\n  scheme: shared\n"))


def test_an_override_is_left_out_of_the_variants_it_does_not_suit(family: Path) -> None:
    overrides = ["mixture.tasks=[typo]"]
    raw, l2t = load_releases(family / "base.yaml", overrides)
    assert (raw.mixture.tasks, l2t.mixture.tasks) == (None, ("typo",))
    note = "`mixture.tasks` (--set mixture.tasks) is left out, because base.yaml:11 sets `mixture.scheme`."
    assert notes_of(raw, family) == [note]
    assert notes_of(load_recipe(family / "base.yaml", overrides), family) == [note]
    for load in (load_recipe, load_releases):
        with pytest.raises(
            UsageError, match=r"^--set mixture\.task: `mixture\.task` applies only to scheme single"
        ):
            load(family / "base.yaml", ["mixture.task=typo"])


def test_an_override_is_checked_against_the_chosen_variant_alone(family: Path) -> None:
    single = ["mixture.scheme=single", "mixture.task=typo"]
    assert load_recipe(family / "base.yaml", single, "base-raw").mixture.task == "typo"
    with pytest.raises(UsageError) as caught:
        load_recipe(family / "base.yaml", ["mixture.tasks=[typo]"], "base-raw")
    assert str(caught.value).replace(f"{family}/", "").splitlines()[0] == (
        "--set mixture.tasks: `mixture.tasks` applies only to schemes disjoint and shared, not to raw "
        "(`mixture.scheme` is set at base.yaml:11)"
    )
    assert load_recipe(family / "base.yaml", ["name=mine"], "base-raw").name == "mine"


def test_the_resolved_family_loads_as_the_same_releases(family: Path) -> None:
    path = child(
        family, "seed: 3\nvariants:\n  base-raw: {name: r}\n  base-l2t:\n    mixture: {scheme: shared}\n"
    )
    overrides = ["variants.r.train.max_steps=3000"]
    again = family / "again.yaml"
    again.write_text(as_yaml(load_recipe(path, overrides)), encoding="utf-8")
    for one, two in zip(load_releases(path, overrides), load_releases(again), strict=True):
        assert one.resolved() == two.resolved()


def test_seeds_repeat_every_variant() -> None:
    releases = load_releases("nano", ["seeds=[1, 2]"])
    assert [(release.name, release.seed) for release in releases] == [
        ("nano-raw-seed1", 1),
        ("nano-raw-seed2", 2),
        ("nano-l2t-seed1", 1),
        ("nano-l2t-seed2", 2),
    ]
    assert {release.evaluation.baseline for release in releases} == {"nano-raw-seed1"}
    recipe = load_recipe("nano", ["seeds=[1, 2]"])
    assert list(recipe.variants) == [release.name for release in releases]
    one = load_recipe("nano", ["seeds=[1, 2]"], "nano-l2t-seed2")
    alone = load_recipe("nano", ["seed=2"], "nano-l2t")
    for scope in ("data", "model"):
        assert one.fingerprint(scope) == alone.fingerprint(scope)
    assert one.where("seed") == "--set seeds: seed"


def test_seeds_repeat_a_recipe_without_variants(tmp_path: Path) -> None:
    (tmp_path / "one.yaml").write_text("name: one\nseeds: [3, 4]\nsource: {path: bundled:sample}\n")
    assert [release.name for release in load_releases(tmp_path / "one.yaml")] == ["one-seed3", "one-seed4"]
    (tmp_path / "same.yaml").write_text("extends: one.yaml\nseeds: []\n")
    assert [release.name for release in load_releases(tmp_path / "same.yaml")] == ["one"]


@pytest.mark.parametrize("seeds", ["3", "[1, 1]", "[a]", "[-1]", "[1.5]", "{a: 1}"])
def test_seeds_must_be_different_whole_numbers(seeds: str) -> None:
    with pytest.raises(UsageError, match="--set seeds: `seeds` must be a list of different whole numbers"):
        load_releases("nano", [f"seeds={seeds}"])
