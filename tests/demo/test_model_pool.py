"""Lazy loading: scores equal those of `l2t_hub.scoring`, and what cannot be loaded or read is said in a sentence."""

import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from l2t_hub.demo import model_pool
from l2t_hub.demo.choice import ModelChoice
from l2t_hub.demo.model_pool import ModelPool, score_with
from l2t_hub.errors import UserError
from l2t_hub.scoring import ModelSource, Score, load_scorer, score

BUDGET = 1 << 30
PAIR = ("The farmer is in the garden.", "The farmer are in the garden.")


def lazy_scores(models: dict[str, str]) -> Callable[[str, Sequence[str]], list[Score]]:
    """Score with a pool of these models."""
    pool = ModelPool(models, memory=BUDGET)
    return lambda name, sentences: score_with(pool, ModelChoice(name), sentences)


def test_scores_are_those_of_the_one_scorer(tiny_models: tuple[str, str]) -> None:
    scores = lazy_scores({"raw": tiny_models[0], "l2t": tiny_models[1]})
    for name, model in (("raw", tiny_models[0]), ("l2t", tiny_models[1])):
        assert scores(name, PAIR) == score(load_scorer(model), PAIR)
    assert scores("raw", PAIR) != scores("l2t", PAIR)


def test_a_model_is_loaded_when_first_asked_for_and_only_then(
    tiny_models: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    loads: list[str] = []

    def counted(source: ModelSource) -> object:
        loads.append(source.location)
        return load_scorer(source)

    monkeypatch.setattr(model_pool, "load_scorer", counted)
    scores = lazy_scores({"raw": tiny_models[0], "l2t": tiny_models[1]})
    assert loads == []
    scores("l2t", PAIR)
    scores("l2t", PAIR)
    assert loads == [tiny_models[1]]


def test_a_model_that_failed_is_tried_again(broken_copy: Path, tiny_models: tuple[str, str]) -> None:
    weights = broken_copy / "model.safetensors"
    weights.unlink()
    scores = lazy_scores({"m": str(broken_copy)})
    with pytest.raises(UserError):
        scores("m", PAIR)
    shutil.copy(Path(tiny_models[0]) / weights.name, weights)
    assert len(scores("m", PAIR)) == 2


@pytest.mark.parametrize("missing", ["model.safetensors", "config.json"])
def test_an_incomplete_model_is_named(broken_copy: Path, missing: str) -> None:
    (broken_copy / missing).unlink()
    with pytest.raises(UserError, match="broken"):
        lazy_scores({"m": str(broken_copy)})("m", PAIR)


def test_a_model_without_its_tokenizer_is_not_given_a_score(broken_copy: Path) -> None:
    (broken_copy / "tokenizer.json").unlink()
    with pytest.raises(UserError, match="tokenizer"):
        lazy_scores({"m": str(broken_copy)})("m", PAIR)


def test_code_from_a_model_never_runs(broken_copy: Path) -> None:
    config = broken_copy / "config.json"
    parsed = json.loads(config.read_text())
    parsed |= {
        "model_type": "never_heard_of",
        "auto_map": {"AutoConfig": "theirs.Config", "AutoModelForCausalLM": "theirs.Model"},
    }
    config.write_text(json.dumps(parsed))
    ran = broken_copy / "ran"
    (broken_copy / "theirs.py").write_text(f"open({str(ran)!r}, 'w').close()\n")
    with pytest.raises(UserError, match="broken"):
        lazy_scores({"m": str(broken_copy)})("m", PAIR)
    assert not ran.exists()


def test_a_diverged_model_is_called_that(broken_copy: Path) -> None:
    weights = broken_copy / "model.safetensors"
    tensors = {name: torch.full_like(tensor, float("nan")) for name, tensor in load_file(weights).items()}
    save_file(tensors, weights, metadata={"format": "pt"})
    with pytest.raises(UserError, match="NaN"):
        lazy_scores({"m": str(broken_copy)})("m", PAIR)


def test_a_sentence_longer_than_the_model_reads_is_an_error_in_words(tiny_models: tuple[str, str]) -> None:
    with pytest.raises(UserError, match="the model reads at most 128"):
        lazy_scores({"m": tiny_models[0]})("m", ("q" * 200, "b"))


def test_weights_cut_short_are_an_error_in_words(broken_copy: Path) -> None:
    weights = broken_copy / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    with pytest.raises(UserError, match="broken"):
        lazy_scores({"m": str(broken_copy)})("m", PAIR)


def test_pickled_weights_are_refused(broken_copy: Path) -> None:
    weights = broken_copy / "model.safetensors"
    torch.save(load_file(weights), broken_copy / "pytorch_model.bin")
    weights.unlink()
    with pytest.raises(UserError, match="broken"):
        lazy_scores({"m": str(broken_copy)})("m", PAIR)
