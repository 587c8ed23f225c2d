"""Minimal pairs read with and without the leading space, summed, per token and one-prefix."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from lm_eval.api.instance import Instance

from l2t_hub.evaluate import Evaluation
from l2t_hub.evaluate.harness_model import HarnessModel
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


def test_one_prefix_is_read_from_the_pairs_it_is_defined_for() -> None:
    plain = sample((-6.0, -8.0), (-9.0, -8.0), (2, 4))
    worded = replace(plain, id="2", one_prefix=(-3.0, -2.0), respaced_one_prefix=(-2.0, -3.0))
    rows = {row.name: row for row in readings([plain, worded], space=True)}
    one, other = rows["leading space, one-prefix"], rows["no leading space, one-prefix"]
    assert [(row.micro.correct, row.micro.total, row.changed) for row in (one, other)] == [
        (0, 1, 1),
        (1, 1, 0),
    ]
    differences = reading_differences([plain, worded], [plain, replace(worded, one_prefix=())], space=True)
    assert [row.name for row in differences if row.one_prefix] == ["no leading space, one-prefix"]


def test_one_prefix_compares_the_first_different_word_given_what_precedes_it(
    tiny_models: tuple[Path, Path],
) -> None:
    scorer = load_scorer(str(tiny_models[0]), device="cpu")
    lm = HarnessModel(scorer, all_readings=True)
    pairs = [
        ("The cat was tired.", "The cat sat tired."),  # differ in one word in the middle
        ("The cat was near the river.", "The cat was near the old."),  # in the last word, before punctuation
        ("The cat sat.", "A cat sat."),  # in the first word: no prefix
        ("The children sat.", "The child sat."),  # the tokens of one word may begin those of the other
    ]
    requests = [
        Instance("loglikelihood", {"one_prefix_method": applies}, ("", f" {text}"), i, ("t", number, 1))
        for number, (pair, applies) in enumerate([*((pair, True) for pair in pairs), (pairs[0], False)])
        for i, text in enumerate(pair)
    ]
    plain = HarnessModel(scorer).loglikelihood(requests)
    assert [value for value, _ in lm.loglikelihood(requests)] == pytest.approx(
        [value for value, _ in plain], abs=1e-3
    )
    spaced = [(f" {good}", f" {bad}") for good, bad in pairs]
    assert set(spaced[:2]) <= set(lm.one_prefix) <= {*spaced[:2], spaced[3]}
    for (good, bad), prefix, words in (
        (spaced[0], "The cat", ("was", "sat")),
        (spaced[1], "The cat was near the", ("river", "old")),
    ):
        found = lm.one_prefix[good, bad]
        for lead, values in ((" ", found.own), ("", found.respaced)):
            texts = [lead + prefix, *(f"{lead}{prefix} {word}" for word in words)]
            before, *wholes = (result.log_probability for result in score(scorer, texts))
            # Tokens that the two words share count equally on both sides, and are left out.
            difference = (wholes[0] - before) - (wholes[1] - before)
            assert values[0] - values[1] == pytest.approx(difference, abs=1e-3)
    lm.forget()
    assert not lm.one_prefix
