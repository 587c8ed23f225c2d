"""The suite `psychometric`: planted states whose effects are known, and a tiny model end to end."""

import json
from itertools import permutations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tiny_models import make_tiny_model
from transformers import Qwen2ForCausalLM
from typer.testing import CliRunner

from l2t_hub.cli.app import app
from l2t_hub.errors import UsageError, UserError
from l2t_hub.evaluate import evaluate, psychometric
from l2t_hub.evaluate.magnitude import NUMBERS, falling_fit, magnitude, scale
from l2t_hub.evaluate.psychometric import measure_models, model_figures, summaries
from l2t_hub.evaluate.psychometric_results import LayerMagnitude, read_psychometric
from l2t_hub.evaluate.several import evaluate_suites
from l2t_hub.evaluate.suites import get_suites
from l2t_hub.scoring import load_scorer

X = np.array(NUMBERS, float)


def states_with(similarity: Any) -> Any:
    """Return eight vectors of length 1 with these cosines."""
    values, vectors = np.linalg.eigh(similarity)
    assert values.min() > -1e-9
    return vectors * np.sqrt(np.clip(values, 0, None))


def apart(places: Any) -> Any:
    return np.abs(places[:, None] - places[None, :])


def test_states_on_a_line_have_a_perfect_distance_effect() -> None:
    found = magnitude(states_with(1 - 0.1 * apart(X)))
    assert found.distance_r2 == pytest.approx(1)
    assert found.mds_stress == pytest.approx(0, abs=1e-6)
    assert found.mds_correlation == pytest.approx(np.corrcoef(X, np.log(X))[0, 1])
    assert found.size_r2 is None  # all neighbours are equally similar
    assert found.opposite == ()


def test_states_on_a_logarithmic_line_have_ratio_and_size_effects_and_the_line_is_found() -> None:
    found = magnitude(states_with(1 - 0.4 * apart(np.log(X))))
    assert found.ratio_r2 is not None
    assert found.distance_r2 is not None
    assert found.ratio_r2 > 0.99 > 0.95 > found.distance_r2
    neighbours = 1 - 0.4 * np.diff(np.log(X))
    assert found.size_r2 == pytest.approx(np.corrcoef(X[:-1], neighbours)[0, 1] ** 2)
    assert found.mds_stress == pytest.approx(0, abs=1e-6)
    assert found.mds_correlation == pytest.approx(1)
    assert found.opposite == ()


def test_an_effect_in_the_other_direction_is_named_and_no_effect_is_none() -> None:
    line = 1 - 0.1 * apart(X)
    reversed_line = np.linalg.inv(line)  # near numbers are the least similar
    scale_to_one = np.sqrt(np.diag(reversed_line))
    assert "distance" in magnitude(states_with(reversed_line / np.outer(scale_to_one, scale_to_one))).opposite
    squeezed = 1 - 0.1 * apart(X**2 / 8)
    assert magnitude(states_with(squeezed)).opposite == ("size",)
    equal = magnitude(np.ones((8, 3)))
    values = (equal.distance_r2, equal.size_r2, equal.ratio_r2, equal.mds_stress, equal.mds_correlation)
    assert values == (None,) * 5
    assert magnitude(np.eye(8)).ratio_r2 is None  # all equally unlike, which no line fits
    assert magnitude(np.eye(8)).mds_stress == pytest.approx(0.5)


@pytest.mark.parametrize("rate", [0.05, 0.7, 3.0])
def test_the_rate_of_a_planted_exponential_is_found(rate: float) -> None:
    ratios = np.array([y / x for x in NUMBERS for y in NUMBERS if x < y])
    curve = 0.3 * np.exp(-rate * ratios) + 0.2
    assert falling_fit(ratios, curve) == pytest.approx(1, abs=1e-6)
    assert falling_fit(ratios, -curve) == pytest.approx(-1, abs=1e-6)


def test_the_line_is_the_best_of_all_orders() -> None:
    points = np.random.default_rng(5).normal(size=(5, 3))
    unlike = np.linalg.norm(points[:, None] - points[None, :], axis=2)

    def stress(places: Any) -> float:
        return float(np.square(unlike - apart(places)).sum())

    def of_order(order: tuple[int, ...]) -> Any:
        sign = np.sign(np.subtract.outer(np.argsort(order), np.argsort(order)))
        return (sign * unlike).sum(axis=1) / 5

    assert stress(scale(unlike)) == pytest.approx(min(stress(of_order(o)) for o in permutations(range(5))))


def test_a_summary_averages_the_layers_and_the_best_one_has_peoples_direction() -> None:
    planted = [
        np.ones((8, 3)),
        states_with(1 - 0.1 * apart(X**2 / 8)),
        states_with(1 - 0.4 * apart(np.log(X))),
    ]
    layers = [LayerMagnitude("digits", i, magnitude(states)) for i, states in enumerate(planted)]
    size = next(row for row in summaries(layers) if (row.notation, row.figure) == ("digits", "size_r2"))
    values = [row.figures.size_r2 for row in layers[1:]]
    assert values[0] == pytest.approx(1)
    assert values[1] is not None
    assert (size.best, size.best_layer, size.opposite) == (values[1], 2, 1)
    assert size.mean == pytest.approx((1 + values[1]) / 2)
    stress = next(row for row in summaries(layers) if (row.notation, row.figure) == ("digits", "mds_stress"))
    assert stress.best == min(row.figures.mds_stress or 0 for row in layers[1:])
    assert all(row.mean is None for row in summaries(layers) if row.notation != "digits")


def test_models_are_measured_in_every_layer_and_notation(
    tiny_models: tuple[Path, Path], tmp_path: Path
) -> None:
    names = [str(model) for model in tiny_models]
    broken = make_tiny_model(tmp_path / "broken", seed=3)
    (broken / "model.safetensors").rename(broken / "pytorch_model.bin")
    out = tmp_path / "numbers.json"
    results = evaluate_suites([*names, str(broken)], get_suites("psychometric"), out, limit=1, device="cpu")
    assert (results.files, results.evaluations, results.suites, results.psychometric_file) == ((), (), 1, out)
    measured = results.psychometric
    assert measured is not None
    assert json.loads(out.read_text()) == json.loads(json.dumps(measured.as_dict()))
    first = measured.models[0]
    assert len(first.layers) == 3 * 3  # embeddings and two layers
    assert first.tokens["digits"] == (1,) * 8
    assert min(first.tokens["upper-case words"]) > 1
    assert first.layers != measured.models[1].layers
    again = measure_models(names[:1], device="cpu").models[0]
    assert again.layers == first.layers
    with pytest.raises(UserError, match=r"psychometric: 1 model not scored, broken: .*safetensors"):
        results.check()
    assert read_psychometric(out) == measured


def test_the_command_prints_the_table_and_leaves_the_models_as_they_are(
    tiny_models: tuple[Path, Path], tmp_path: Path
) -> None:
    model, out = tiny_models[0], tmp_path / "numbers.json"
    before = sorted(path.name for path in model.iterdir())
    done = CliRunner().invoke(app, ["eval", str(model), "--suite", "psychometric", "--out", str(out)])
    assert done.exit_code == 0, done.output
    assert "upper-case words: MDS, stress" in done.stdout
    assert "no intervals" in " ".join(done.stdout.split())
    assert "attachment “Software” of https://aclanthology.org/2024.emnlp-main.539" in done.stderr
    first = read_psychometric(out).models[0]
    row = next(row for row in first.summary if row.figure == "ratio_r2")
    assert f"{row.mean:.3f}" in next(line for line in done.stdout.splitlines() if "ratio effect" in line)
    assert f"scores: {out}" in done.stdout
    assert sorted(path.name for path in model.iterdir()) == before
    done = CliRunner().invoke(app, ["eval", str(model), "--suite", "psychometric", "--json"])
    assert json.loads(done.stdout)["models"] == json.loads(out.read_text())["models"]


def test_the_state_of_a_number_is_the_mean_over_its_tokens(tiny_models: tuple[Path, Path]) -> None:
    scorer = load_scorer(str(tiny_models[0]), device="cpu")
    embeddings = scorer.model.get_input_embeddings().weight.detach().double()
    words = ["one", "two", "three", "four", "five", "six", "seven", "eight"]
    ids = [scorer.tokenizer(word, add_special_tokens=False)["input_ids"] for word in words]
    expected = magnitude(torch.stack([embeddings[i].mean(dim=0) for i in ids]).numpy())
    found = model_figures("m", scorer).layers
    layer = next(row for row in found if (row.notation, row.layer) == ("lower-case words", 0))
    assert layer.figures.distance_r2 == pytest.approx(expected.distance_r2)
    assert layer.figures.mds_stress == pytest.approx(expected.mds_stress)


def test_wrong_arguments_and_states_that_are_not_finite_are_named(
    tiny_models: tuple[Path, Path], tmp_path: Path
) -> None:
    name = str(tiny_models[0])
    with pytest.raises(UsageError, match="given twice"):
        measure_models([name, name])
    with pytest.raises(UsageError, match="is a directory"):
        measure_models([name], tmp_path)
    with pytest.raises(UsageError, match="no accuracies"):
        evaluate([name], "psychometric")
    scorer = load_scorer(name, device="cpu")
    with torch.no_grad():
        scorer.model.get_input_embeddings().weight.fill_(float("nan"))
    with pytest.raises(UserError, match="states of '1' are not finite"):
        model_figures("m", scorer)


def test_a_full_gpu_is_named_and_the_other_models_are_measured(
    tiny_models: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    third = str(make_tiny_model(tmp_path / "third", seed=3))
    forward = Qwen2ForCausalLM.forward

    def full(self: Any, *inputs: Any, **options: Any) -> Any:
        if self.name_or_path == third:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return forward(self, *inputs, **options)

    monkeypatch.setattr(Qwen2ForCausalLM, "forward", full)
    results = measure_models([third, str(tiny_models[0])], device="cpu")
    assert [model.label for model in results.models] == ["raw"]
    assert results.failed["third"].startswith(
        "third: the GPU has too little memory for 1 tokens: CUDA out of"
    )


def test_the_figures_of_a_finished_model_are_kept_and_not_measured_again(
    tiny_models: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names, measured = [str(model) for model in tiny_models], []
    measure = psychometric.model_figures

    def counted(label: str, *rest: Any) -> Any:
        measured.append(label)
        if len(measured) == 2:
            raise KeyboardInterrupt
        return measure(label, *rest)

    monkeypatch.setattr(psychometric, "model_figures", counted)
    with pytest.raises(KeyboardInterrupt):
        measure_models(names, tmp_path / "figures.json", device="cpu")
    results = measure_models(names, tmp_path / "figures.json", device="cpu")
    assert measured == ["raw", "l2t", "l2t"]
    assert [model.label for model in results.models] == ["raw", "l2t"]
    assert results.models[0] == measure("raw", load_scorer(names[0], device="cpu"))
