"""Minimal pairs during training: the decisions are those of `l2t eval`."""

import json
from pathlib import Path
from typing import Any

import pytest

from l2t_hub.errors import UsageError
from l2t_hub.evaluate import Evaluation, evaluate
from l2t_hub.evaluate.suites import get_suite
from l2t_hub.evaluate.training_curves import measurements
from l2t_hub.recipe import Recipe, recipe_from_tree
from l2t_hub.scoring import load_scorer


def recipe(pairs: str) -> Recipe:
    evaluation: dict[str, Any] = {"pairs": pairs, "pairs_steps": 5, "held_out_documents": 0}
    return recipe_from_tree({"name": "x", "source": {"path": "bundled:sample"}, "evaluation": evaluation})


def measure(model: Path, pairs: str) -> dict[str, Any]:
    (measurement,) = measurements(recipe(pairs), None, None, print)  # type: ignore[arg-type]
    scorer = load_scorer(str(model), device="cpu")
    return measurement.measure(scorer.model, scorer.tokenizer, False)


def test_probes_have_the_accuracy_of_the_suite(
    tiny_models: tuple[Path, Path], evaluated: tuple[Evaluation, Path]
) -> None:
    for model, scores in zip(tiny_models, evaluated[0].models, strict=True):
        found = measure(model, "probes")
        assert found["accuracy"] == scores.micro.accuracy.value
        assert (found["suite"], found["pairs"]) == ("probes", scores.micro.total)
        assert found["sha256"] == evaluated[0].protocol.suite_sha256


def test_a_suite_file_has_the_accuracy_of_the_suite(tiny_models: tuple[Path, Path], tmp_path: Path) -> None:
    rows = [{"good": f"The cat was {a}.", "bad": f"The cat were {a}."} for a in ("tired", "old", "near")]
    rows.append({"good": "the cat", "bad": "the  cat"})
    (tmp_path / "cats.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "cats.yaml").write_text("name: cats\npairs: cats.jsonl\n")
    suite = str(tmp_path / "cats.yaml")
    expected = evaluate([str(tiny_models[0])], get_suite(suite), tmp_path / "scores.json", device="cpu")
    assert measure(tiny_models[0], suite)["accuracy"] == expected.models[0].micro.accuracy.value


def test_a_suite_of_the_harness_is_refused() -> None:
    with pytest.raises(UsageError, match=r"evaluation\.pairs: 'blimp' cannot be scored during training"):
        measurements(recipe("blimp"), None, None, print)  # type: ignore[arg-type]
