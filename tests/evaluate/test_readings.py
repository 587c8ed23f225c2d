"""Minimal pairs read with and without the leading space, summed and per token."""

import json
from pathlib import Path

import pytest

from l2t_hub.evaluate import Evaluation
from l2t_hub.evaluate.readings import has_readings, reading_differences, readings
from l2t_hub.evaluate.results import Sample
from l2t_hub.scoring import load_scorer, score


def sample(own: tuple[float, float], respaced: tuple[float, float], tokens: tuple[int, int]) -> Sample:
    return Sample("m", "t", "1", "p", None, own[0] > own[1], 0, own, tokens, respaced, (4, 4))


def test_each_reading_decides_by_its_own_figures() -> None:
    # Summed, the first is more probable; per token, the second; with the other spacing, the second either way.
    rows = readings([sample((-6.0, -8.0), (-9.0, -8.0), (2, 4))], space=True)
    assert [(row.name, row.micro.correct, row.changed) for row in rows] == [
        ("leading space, summed", 1, 0),
        ("leading space, per token", 0, 1),
        ("no leading space, summed", 0, 1),
        ("no leading space, per token", 0, 1),
    ]


def test_differences_are_those_of_the_readings() -> None:
    good, bad = sample((-6.0, -8.0), (-9.0, -8.0), (2, 4)), sample((-9.0, -8.0), (-6.0, -8.0), (4, 4))
    rows = reading_differences([good], [bad], space=False)
    assert [(row.name, row.micro.difference.value) for row in rows] == [
        ("no leading space, summed", 1.0),
        ("no leading space, per token", 0.0),
        ("leading space, summed", -1.0),
        ("leading space, per token", -1.0),
    ]


def test_other_tasks_have_no_readings() -> None:
    other = Sample("m", "t", "1", "p", None, True, 0, (-1.0, -2.0))
    assert not has_readings([other])
    assert readings([other], space=True) == ()
    assert reading_differences([other], [other], space=True) == ()


def test_an_evaluation_scores_both_spacings(
    evaluated: tuple[Evaluation, Path], tiny_models: tuple[Path, Path]
) -> None:
    evaluation, out = evaluated
    for model in evaluation.models:
        own = model.readings[0]
        assert own.name == "no leading space, summed"
        assert (own.micro, own.macro, own.changed) == (model.micro, model.macro, 0)
    assert len(evaluation.comparisons[0].readings) == 4
    assert (
        evaluation.comparisons[0].readings[0].micro.difference == evaluation.comparisons[0].micro.difference
    )
    row = json.loads((out.parent / str(evaluation.samples_file)).read_text().splitlines()[0])
    pairs = {
        entry["id"]: entry
        for file in (Path(__file__).parents[2] / "l2t_hub/evaluate/probes/data").glob("*.jsonl")
        for entry in map(json.loads, file.read_text().splitlines())
    }
    pair = pairs[row["id"]]
    scorer = load_scorer(str(tiny_models[0]), device="cpu")
    scores = score(scorer, [" " + pair["bad"], " " + pair["good"]])
    assert row["respaced"] == pytest.approx([s.log_probability for s in scores], abs=1e-3)
    assert row["respaced_tokens"] == [len(s.tokens) for s in scores]
