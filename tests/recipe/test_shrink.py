"""`--shrink`: every recipe has a rehearsal of bounded size that keeps how things are done."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from l2t_hub.errors import UsageError
from l2t_hub.plan import check_names
from l2t_hub.recipe import Recipe, bundled_recipes, load_recipe, load_releases
from l2t_hub.train.cost import training_cost

# Keys that a rehearsal may change, beside source, model and numbers of steps; all others are as in the recipe.
CHANGED = {
    "blocks": {"tokens_per_block", "min_words"},
    "tokenizer": {"name", "revision", "vocab_size"},
    "packing": {"sequence_length"},
    "validation": {"share", "files"},
    "build": {"partitions"},
    "train": {"batch_size", "per_device_train_batch_size", "trackio_space"},
    "evaluation": {"suites", "baseline", "held_out_documents", "pairs"},
}
# Of a recipe with `seeds`, the releases without them: only the seed differs.
ONCE = ("seeds=[]",)
RELEASES = [(name, release.name) for name in bundled_recipes() for release in load_releases(name, ONCE)]


def both(name: str, release: str) -> tuple[Recipe, Recipe]:
    """A release and its rehearsal."""
    variant = release if load_recipe(name, ONCE).variants else None
    return load_recipe(name, ONCE, variant), load_recipe(name, ONCE, variant, shrink=True)


@pytest.mark.parametrize(("name", "release"), RELEASES)
def test_every_release_has_a_small_rehearsal_under_another_name(name: str, release: str) -> None:
    _, small = both(name, release)
    check_names(small)
    assert small.name == f"{release}-shrunk"
    assert release in small.description
    assert (small.source.path, small.source.dataset, small.tokenizer.name) == ("bundled:sample", None, None)
    assert small.source.license == "apache-2.0"
    assert (small.source.limit or 0) <= 100
    assert small.build.partitions <= 3
    cost = training_cost(small, small.tokenizer.vocab_size)
    assert cost.parameters < 500_000
    assert cost.tokens < 50_000
    assert small.evaluation.suites == ("probes",)
    assert small.notes == ()


@pytest.mark.parametrize(("name", "release"), RELEASES)
def test_a_rehearsal_keeps_what_says_how_things_are_done(name: str, release: str) -> None:
    large, small = (recipe.resolved() for recipe in both(name, release))
    for section in large.keys() - {"name", "description", "source", "model"}:
        if isinstance(large[section], dict):
            for tree in (large, small):
                changed = CHANGED.get(section, set())
                tree[section] = {
                    key: value
                    for key, value in tree[section].items()
                    if key not in changed and not key.endswith("_steps")
                }
        assert small[section] == large[section], section


def test_steps_shrink_in_proportion() -> None:
    typo = load_recipe("paper/l2t-500m-typo", shrink=True).train
    assert (typo.stop_after_steps, typo.max_steps) == (3, 12), "a quarter of the schedule, as in the recipe"
    assert typo.warmup_steps == 1
    disjoint = load_recipe("paper/l2t-500m-disjoint", shrink=True).train
    assert (disjoint.stop_after_steps, disjoint.eval_steps, disjoint.save_steps) == (None, 6, 6)


def test_a_warm_up_and_a_long_decay_fit_the_short_schedule(tmp_path: Path) -> None:
    train = "{lr_scheduler_type: warmup_stable_decay, decay_share: 0.99}"
    path = tmp_path / "decay.yaml"
    path.write_text(f"extends: paper/base.yaml\nname: decay\ntrain: {train}\n", encoding="utf-8")
    small = load_recipe(path, shrink=True).train
    assert (small.warmup_steps, small.decay_steps, small.max_steps) == (0, 12, 12)


def test_all_variants_are_rehearsed_and_the_baseline_follows() -> None:
    names = ["babylm-100m-raw-shrunk", "babylm-100m-disjoint-shrunk", "babylm-100m-shared-shrunk"]
    family = load_recipe("babylm/100m", shrink=True)
    assert (family.name, list(family.variants)) == ("babylm-100m-shrunk", names)
    assert family.evaluation.baseline == names[0]
    releases = load_releases("babylm/100m", shrink=True)
    assert [(release.name, release.mixture.scheme) for release in releases] == list(
        zip(names, ("raw", "disjoint", "shared"), strict=True)
    )
    for variant in ("babylm-100m-raw", "babylm-100m-raw-shrunk"):
        assert load_recipe("babylm/100m", variant=variant, shrink=True).name == names[0]
    with pytest.raises(UsageError, match=r"unknown variant 'babylm-100m-rav'\. Did you mean"):
        load_recipe("babylm/100m", variant="babylm-100m-rav", shrink=True)


def test_variants_of_a_size_may_have_the_same_rehearsal(tmp_path: Path) -> None:
    tree = {
        "name": "sizes",
        "source": {"dataset": "org/text", "revision": "abc"},
        "variants": {"small": {"model": {"size": "500m"}}, "large": {"model": {"size": "1b"}}},
    }
    path = tmp_path / "sizes.yaml"
    path.write_text(yaml.safe_dump(tree, sort_keys=False), encoding="utf-8")
    small, large = load_releases(path, shrink=True)
    assert (small.name, large.name) == ("small-shrunk", "large-shrunk")
    assert small.fingerprint("model") == large.fingerprint("model")


def test_an_override_counts_more_than_the_rehearsal() -> None:
    recipe = load_recipe("nano", ["train.max_steps=5", "model.hidden_size=32"], "nano-l2t", shrink=True)
    assert (recipe.train.max_steps, recipe.model.hidden_size, recipe.name) == (5, 32, "nano-l2t-shrunk")
    assert recipe.where("train.batch_size") == "--shrink: train.batch_size"
    with pytest.raises(UsageError, match=r"--set train\.max_step"):
        load_recipe("nano", ["train.max_step=5"], "nano-l2t", shrink=True)


def l2t(*arguments: str) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, "-m", "l2t_hub.cli", *arguments], capture_output=True, text=True, timeout=880
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done


def test_a_plan_of_a_rehearsal_needs_no_network() -> None:
    planned = json.loads(l2t("plan", "paper/l2t-500m-fill_middle", "--shrink", "--json").stdout)
    (release,) = planned["releases"]
    assert (release["name"], release["scheme"]) == ("l2t-500m-fill_middle-shrunk", "single: fill_middle")
    assert release["data"]["training_sequences"] > 4, "blocks are long enough for this task"


# The first recipe of each folder with each scheme.
REHEARSED = {
    (name.partition("/")[0], release.mixture.scheme): name
    for name in reversed(bundled_recipes())
    for release in load_releases(name)
}


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", sorted(set(REHEARSED.values())))
def test_a_rehearsal_runs_from_end_to_end(name: str, tmp_path: Path) -> None:
    done = l2t("run", name, "--shrink", "--hub", "none", "--out", str(tmp_path / "run"), "--workers", "1")
    for release in load_releases(name):
        model = tmp_path / "run" / "models" / f"{release.name}-shrunk"
        assert (model / "model.safetensors").is_file()
        assert json.loads((model / "training.json").read_text())["steps"] in (3, 12)
    assert (tmp_path / "run" / "report.html").is_file()
    assert "All files are in" in done.stdout


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_every_task_gives_examples_in_its_rehearsal(tmp_path: Path) -> None:
    for name in bundled_recipes():
        recipe = load_recipe(name, shrink=True)
        if recipe.mixture.scheme == "single":
            out = tmp_path / recipe.name
            built = json.loads(
                l2t("build", name, "--shrink", "--out", str(out), "--workers", "1", "--json").stdout
            )
            assert list(out.glob(f"data/examples/{recipe.mixture.task}/train-*.parquet")), name
            assert sum(path.stat().st_size for path in out.glob("data/packed/*.parquet")) > 0, built
