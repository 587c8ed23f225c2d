"""Models of a run along their training: compared on the same text, at equal tokens and at equal compute."""

from typing import Any

import pytest
from record_trees import training_tree

from l2t_hub.records.training_record import TrainingRecord
from l2t_hub.report.along_training import at_equal, held_out_table, training_curve
from l2t_hub.report.training_figures import learning_curves


def loss(value: float, tokens: int = 100, sha256: str = "a") -> dict[str, Any]:
    return {"loss": value, "texts": 2, "tokens": tokens, "bytes": 400, "sha256": sha256 * 64}


def record(held_out: dict[str, Any] | None, layers: int | None = None) -> TrainingRecord:
    tree = training_tree()
    model = {**tree["recipe"]["model"], "num_hidden_layers": layers}
    return TrainingRecord.model_validate(
        tree | {"held_out": held_out, "recipe": {**tree["recipe"], "model": model}}
    )


def log(values: dict[int, float]) -> list[dict[str, Any]]:
    pairs = {"suite": "probes", "accuracy": 0.5, "pairs": 864, "sha256": "b" * 64}
    return [{"step": t, "tokens": t, "held_out": {"raw": loss(v)}, "pairs": pairs} for t, v in values.items()]


def test_the_table_has_a_row_for_each_part_and_nothing_of_another_text() -> None:
    one = record({"raw": loss(3.0), "typo": loss(4.0)})
    other = record({"raw": loss(2.5), "typo": loss(3.5, sha256="c")})
    table = held_out_table([record(None), one, other])
    assert table is not None
    assert table.unit == "nats per token"
    assert [(part, losses) for part, _, losses in table.rows] == [
        ("raw", (None, 3.0, 2.5)),
        ("typo", (None, 4.0, None)),
    ]
    assert held_out_table([record(None)]) is None


def test_models_with_other_tokenizers_are_compared_in_bits_per_byte() -> None:
    one, other = record({"raw": loss(3.0)}), record({"raw": loss(1.5, tokens=200)})
    table = held_out_table([one, other])
    assert table is not None
    assert table.unit == "bits per byte"
    # 3 nats x 100 tokens = 1.5 x 200 = 300 nats over 400 bytes, of ln 2 nats a bit
    assert table.rows[0][2] == pytest.approx((1.0820, 1.0820), abs=1e-4)
    curve = training_curve("x", one, log({0: 6.0}), table)
    assert curve.held_out[0].value == pytest.approx(2.1640, abs=1e-4)


def test_equal_tokens_and_equal_compute_are_the_last_measurements_that_all_models_came_to() -> None:
    small, large = record({"raw": loss(3.0)}, layers=4), record({"raw": loss(3.0)}, layers=5)
    table = held_out_table([small, large])
    steps = {0: 6.0, 1000: 5.0, 2000: 4.0, 3000: 3.0}
    curves = [
        training_curve("small", small, log(steps), table),
        training_curve("large", large, log(steps), table),
    ]
    assert curves[1].held_out[-1].flops > 1.1 * curves[0].held_out[-1].flops
    tokens, compute = at_equal(curves)[:2]
    assert (tokens.unit, tokens.limit) == ("tokens", 3000)
    assert [point.value for point in tokens.points if point] == [3.0, 3.0]
    assert (compute.unit, compute.limit) == ("FLOPs", curves[0].held_out[-1].flops)
    # The large model has come to fewer tokens with the compute of the small one.
    assert [point.value for point in compute.points if point] == [3.0, 4.0]
    assert [row.what for row in at_equal(curves)[2:]] == ["minimal pairs right"] * 2


def test_what_not_all_models_measured_is_not_compared_and_one_point_is_no_curve() -> None:
    measured, other = record({"raw": loss(3.0)}), record(None)
    table = held_out_table([measured, other])
    curves = [training_curve("a", measured, log({0: 6.0}), table), training_curve("b", other, [], table)]
    assert at_equal(curves) == []
    assert learning_curves(curves) is None
    plot = learning_curves([training_curve("a", measured, log({0: 6.0, 9: 5.0}), table)])
    assert plot is not None
    for text in ("tokens seen", "training compute in FLOPs", "nats per token", "95% intervals"):
        assert text in plot.svg
