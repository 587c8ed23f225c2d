"""What `l2t recipes list` and `l2t plan` say that training costs."""

import json

import pytest

from l2t_hub.recipe import bundled_recipes, load_recipe, recipe_from_tree
from l2t_hub.train import cost
from l2t_hub.train.cost import ASSUMPTION, hours_text, listing, training_cost
from l2t_hub.train.hardware import utilisation


@pytest.fixture(scope="module")
def rows() -> dict[str, dict]:
    return {row["name"]: row for row in listing()}


def test_the_hours_give_the_assumed_utilisation(monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that took them would show this utilisation in its log."""
    recipe = load_recipe("paper/l2t-1b-shared")
    estimate = training_cost(recipe, 32_768)
    assert estimate.tokens == 200_000 * 256 * 2048
    monkeypatch.setattr("l2t_hub.train.hardware.peak_flops", lambda precision: 989.5e12)
    rate = estimate.tokens / (estimate.gpu_hours * 3600)
    flops = cost.architecture(recipe).flops_per_token(32_768, 2048)
    assert utilisation(rate, flops, "bf16", 1) == pytest.approx(cost.UTILISATION, rel=0.01)


def test_every_bundled_recipe_is_listed_with_its_cost(rows: dict[str, dict]) -> None:
    assert set(rows) == set(bundled_recipes())
    for row in rows.values():
        assert row["variants"] in ([], [release["name"] for release in row["releases"]])
        for release in row["releases"]:
            assert release["cost"]["basis"] == ASSUMPTION
            assert release["cost"]["gpu_hours"] > 0
    (shared,) = rows["paper/l2t-1b-shared"]["releases"]
    assert (shared["size"], shared["scheme"]) == ("1b", "shared")
    (typo,) = rows["paper/l2t-500m-typo"]["releases"]
    assert (typo["scheme"], typo["cost"]["tokens"]) == ("single: typo", 50_000 * 256 * 2048)
    json.dumps(list(rows.values()))


def test_an_estimate_is_called_one() -> None:
    assert ASSUMPTION.startswith("GPU-hours are an estimate, not a measurement")
    assert f"{cost.GPU} at 45% of its peak of 990 TFLOP/s" in ASSUMPTION
    assert [hours_text(hours) for hours in (0.02, 3.14, 1234.5)] == ["< 0.1", "3.1", "1,234"]


def test_a_tokenizer_of_unknown_size_leaves_the_cost_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    tree = {"name": "x", "source": {"path": "bundled:sample"}, "tokenizer": {"name": "my-org/tokenizer"}}
    row = cost._listed(recipe_from_tree(tree))
    assert row["cost"] is None
    table = cost.listing_table([{"name": "x", "variants": [], "releases": [row]}])
    assert [next(iter(column.cells)) for column in table.columns][-3:] == ["unknown"] * 3
