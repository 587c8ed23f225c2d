"""The model class `l2t` of lm-evaluation-harness against the harness's own `hf` at batch size 1."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from lm_eval.api.instance import Instance
from lm_eval.api.registry import get_model
from lm_eval.models.huggingface import HFLM
from test_offline import environment

from l2t_hub.errors import UserError
from l2t_hub.evaluate.harness_model import HarnessModel
from l2t_hub.evaluate.suites import PROBES
from l2t_hub.scoring import load_scorer

REQUESTS = [
    ("", "The cat sat."),
    ("", " The cat sat."),
    ("", "The cat sat."),
    ("The cat", " sat near the river."),
    ("The cat ", "sat near the river."),
    ("The cat", " was tired."),
    ("Was it 7 o'clock? 😀", "\nNo"),
    ("", "<s>The children"),
    ("a " * 200, "river"),  # longer than the model's 128 positions: cut from the left
    ("The cat was", " t"),
]


@pytest.fixture(scope="module")
def pair(tiny_models: tuple[Path, Path]) -> tuple[HarnessModel, HFLM]:
    scorer = load_scorer(str(tiny_models[0]), device="cpu")
    hf = HFLM(pretrained=scorer.model, tokenizer=scorer.tokenizer, batch_size=1, softmax_dtype="float32")
    return HarnessModel(scorer), hf


def ask(lm: Any, method: str, requests: list[tuple[Any, ...]]) -> list[Any]:
    answers: list[Any] = getattr(lm, method)(
        [Instance(method, {}, arguments, i) for i, arguments in enumerate(requests)], disable_tqdm=True
    )
    return answers


def test_log_likelihoods_and_greedy_answers_equal_hf(pair: tuple[HarnessModel, HFLM]) -> None:
    ours, theirs = (ask(lm, "loglikelihood", REQUESTS) for lm in pair)
    assert [value for value, _ in ours] == pytest.approx([value for value, _ in theirs], abs=1e-3)
    assert [greedy for _, greedy in ours] == [greedy for _, greedy in theirs]


def test_rolling_log_likelihoods_equal_hf(pair: tuple[HarnessModel, HFLM]) -> None:
    texts = [("The children sat near the old river that evening. " * 9,), ("No",)]
    ours, theirs = (ask(lm, "loglikelihood_rolling", texts) for lm in pair)
    assert ours == pytest.approx(theirs, abs=1e-2)


def test_generation_is_that_of_hf(pair: tuple[HarnessModel, HFLM]) -> None:
    requests = [("The cat", {"until": ["."], "max_gen_toks": 5})]
    ours, theirs = (ask(lm, "generate_until", requests) for lm in pair)
    assert ours == theirs


def test_it_is_registered_under_its_name() -> None:
    assert get_model("l2t") is HarnessModel


@pytest.mark.parametrize(
    ("request_", "message"), [(("", ""), "returns no tokens for ''"), (("", "a " * 200), "reads at most 128")]
)
def test_a_text_that_cannot_be_scored_is_an_error(
    pair: tuple[HarnessModel, HFLM], request_: tuple[str, str], message: str
) -> None:
    with pytest.raises(UserError, match=message):
        ask(pair[0], "loglikelihood", [request_])


@pytest.mark.slow
def test_lm_evals_own_command_has_it(tiny_models: tuple[Path, Path], tmp_path: Path) -> None:
    command = [
        *(sys.executable, "-m", "l2t_hub.evaluate.harness_model", "--model", "l2t"),
        *("--model_args", f"pretrained={tiny_models[0]},batch_tokens=512", "--device", "cpu"),
        *("--include_path", str(PROBES), "--tasks", "l2t_probes", "--limit", "2"),
        *("--output_path", str(tmp_path / "out")),
    ]
    done = subprocess.run(
        command,
        env=environment(tmp_path / "home", HF_HUB_OFFLINE="1", PYTHONPATH=str(Path(__file__).parents[2])),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    (file,) = (tmp_path / "out").rglob("results*.json")
    results = json.loads(file.read_text())
    assert results["config"]["model"] == "l2t"
    assert 0 <= results["results"]["l2t_probes"]["acc,none"] <= 1
