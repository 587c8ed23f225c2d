"""Suites run by lm-evaluation-harness: fake models with known answers, and a tiny real one."""

import math
from pathlib import Path
from typing import Any

import pytest
from lm_eval.api.model import LM
from probe_pairs import PAIRS

from l2t_hub.errors import UserError
from l2t_hub.evaluate.harness import LoadedPart, as_lm, run
from l2t_hub.evaluate.statistics import accuracies
from l2t_hub.evaluate.suites import SUITES
from l2t_hub.evaluate.task_store import joined
from l2t_hub.scoring import load_scorer

GOOD = {pair["good"] for pair in PAIRS}


class Oracle(LM):
    """Returns one log-likelihood for every good sentence and another for every bad one."""

    def __init__(self, good: float, bad: float) -> None:
        super().__init__()
        self.values = {True: good, False: bad}

    def loglikelihood(self, requests: list[Any]) -> list[tuple[float, bool]]:
        assert all(request.args[0] == "" for request in requests)
        return [(self.values[request.args[1] in GOOD], False) for request in requests]

    def loglikelihood_rolling(self, requests: list[Any]) -> list[float]:
        raise NotImplementedError

    def generate_until(self, requests: list[Any]) -> list[str]:
        raise NotImplementedError


@pytest.mark.parametrize(
    ("good", "bad", "accuracy", "ties"), [(-1, -2, 1.0, 0), (-2, -1, 0.0, 0), (-1, -1, 0.0, 864)]
)
def test_preferring_good_sentences_scores_1_bad_ones_0_and_ties_0(
    probe_tasks: list[LoadedPart], good: float, bad: float, accuracy: float, ties: int
) -> None:
    samples, tasks, _ = joined(run(Oracle(good, bad), "oracle", SUITES["probes"], probe_tasks, None))
    phenomena, micro, macro = accuracies(samples)
    assert len(samples) == 864
    assert {row.accuracy.value for row in phenomena} == {accuracy}
    assert (micro.accuracy.value, macro.value) == (accuracy, accuracy)
    assert sum(sample.tie for sample in samples) == ties
    assert all(task.target_delimiter == "" and task.shots == 0 and task.version == "1.0" for task in tasks)
    assert len({task.examples_sha256 for task in tasks}) == 12


@pytest.mark.filterwarnings("ignore:invalid value encountered")
@pytest.mark.parametrize("value", [math.nan, -math.inf])
def test_a_model_whose_likelihoods_are_not_finite_is_an_error(
    probe_tasks: list[LoadedPart], value: float
) -> None:
    with pytest.raises(UserError, match="is not finite"):
        run(Oracle(value, value), "diverged", SUITES["probes"], probe_tasks, 2)


def test_scores_do_not_depend_on_the_batch(
    tiny_models: tuple[Path, Path], probe_tasks: list[LoadedPart]
) -> None:
    scorer = load_scorer(str(tiny_models[0]), device="cpu")
    one, many = (
        joined(run(as_lm(scorer, batch_tokens), "m", SUITES["probes"], probe_tasks, 3))[0]
        for batch_tokens in (1, 4096)
    )
    for a, b in zip(one, many, strict=True):
        assert a.log_likelihoods == pytest.approx(b.log_likelihoods, abs=1e-3)
