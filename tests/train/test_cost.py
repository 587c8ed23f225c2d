"""What `l2t recipes list` and `l2t plan` say that training costs."""

import json

import pytest

from l2t_hub.recipe import Recipe, bundled_recipes, load_recipe, recipe_from_tree
from l2t_hub.train import cost
from l2t_hub.train.architecture import Architecture, architecture
from l2t_hub.train.compute import flops_per_token, mean_flops_per_token
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
    flops = mean_flops_per_token(recipe, 32_768)
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


def test_further_heads_cost_their_weights_and_an_output_layer_while_they_are_active() -> None:
    def with_heads(**objective: object) -> Recipe:
        return recipe_from_tree(
            {
                "name": "x",
                "source": {"path": "bundled:sample"},
                "train": {"max_steps": 8, "warmup_steps": 1},
                "objective": objective,
            }
        )

    plain = with_heads()
    forward = with_heads(kind="mtp", heads=4, head="linear", curriculum="forward")
    reverse = with_heads(kind="mtp", heads=4, head="linear", curriculum="reverse")
    shape = architecture(plain)
    each = 6 * (shape.hidden_size**2 + 1024 * shape.hidden_size)
    alone = flops_per_token(plain, 1024)
    assert mean_flops_per_token(plain, 1024) == alone
    assert [flops_per_token(forward, 1024, heads) - alone for heads in (1, 2, 4)] == [0, each, 3 * each]
    # Two steps each of 1, 2, 3 and 4 heads, or of 4, 3, 2 and 1.
    assert mean_flops_per_token(forward, 1024) == mean_flops_per_token(reverse, 1024) == alone + 1.5 * each
    assert mean_flops_per_token(forward, 1024, steps=3) == pytest.approx(alone + each / 3)
    assert mean_flops_per_token(reverse, 1024, steps=3) == pytest.approx(alone + (3 + 3 + 2) * each / 3)
    layers = flops_per_token(with_heads(kind="mtp", heads=2), 1024, 2) - alone
    deeper = Architecture(**{**vars(shape), "num_hidden_layers": shape.num_hidden_layers + 1})
    output = 6 * 1024 * shape.hidden_size
    assert layers == deeper.flops_per_token(1024, plain.packing.sequence_length) - alone + output
