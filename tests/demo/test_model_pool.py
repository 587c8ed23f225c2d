"""Lazy loading: scores equal those of `l2t_hub.scoring`, and what cannot be loaded or read is said in a sentence."""

import json
import shutil
import subprocess
import sys
import weakref
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
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


def copies(model: str, folder: Path, number: int) -> dict[str, str]:
    """Return that many names of one model, each in a directory of its own."""
    made = {}
    for i in range(number):
        made[f"m{i}"] = str(folder / f"m{i}")
        shutil.copytree(model, made[f"m{i}"])
    return made


@pytest.fixture
def size(tiny_models: tuple[str, str]) -> int:
    """What a tiny model takes of the budget."""
    pool = ModelPool({"m": tiny_models[0]}, memory=BUDGET)
    score_with(pool, ModelChoice("m"), PAIR)
    return pool.taken


def test_the_least_recently_used_model_goes_first(
    tiny_models: tuple[str, str], tmp_path: Path, size: int
) -> None:
    loads: list[str] = []
    pool = ModelPool(copies(tiny_models[0], tmp_path, 3), memory=2 * size, say=loads.append)
    for name in ("m0", "m1", "m0", "m2", "m0", "m1"):
        with pool.use(ModelChoice(name)):
            assert pool.taken <= pool.memory
    assert loads == ["Loading m0", "Loading m1", "Loading m2", "Loading m1"]


def test_a_model_in_use_is_never_dropped(
    tiny_models: tuple[str, str], tmp_path: Path, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(model_pool, "PATIENCE", 0.05)
    pool = ModelPool(copies(tiny_models[0], tmp_path, 2), memory=size)
    with pool.use(ModelChoice("m0")) as scorer:
        with pytest.raises(UserError, match="no memory is free"):
            score_with(pool, ModelChoice("m1"), PAIR)
        expected = score(scorer, PAIR)
    assert score_with(pool, ModelChoice("m1"), PAIR) == expected
    assert pool.taken == size


def test_who_waits_for_memory_gets_it_when_it_is_free(
    tiny_models: tuple[str, str], tmp_path: Path, size: int
) -> None:
    pool = ModelPool(copies(tiny_models[0], tmp_path, 2), memory=size)
    with ThreadPoolExecutor(1) as other, pool.use(ModelChoice("m0")):
        waiting = other.submit(score_with, pool, ModelChoice("m1"), PAIR)
        with pytest.raises(TimeoutError):
            waiting.result(timeout=0.1)
    assert len(waiting.result()) == 2


def test_a_model_is_lent_to_one_at_a_time(
    tiny_models: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(model_pool, "PATIENCE", 0.05)
    pool = ModelPool({"m": tiny_models[0]}, memory=BUDGET)
    with pool.use(ModelChoice("m")), pytest.raises(UserError, match="other visitors are using this model"):
        score_with(pool, ModelChoice("m"), PAIR)
    score_with(pool, ModelChoice("m"), PAIR)


def test_many_visitors_load_a_model_once(tiny_models: tuple[str, str]) -> None:
    loads: list[str] = []
    pool = ModelPool({"m": tiny_models[0]}, memory=BUDGET, say=loads.append)
    with ThreadPoolExecutor(8) as visitors:
        scores = list(visitors.map(lambda _: score_with(pool, ModelChoice("m"), PAIR), range(20)))
    assert loads == ["Loading m"]
    assert all(each == scores[0] for each in scores)


def test_a_model_larger_than_the_budget_is_refused(tiny_models: tuple[str, str]) -> None:
    pool = ModelPool({"m": tiny_models[0]}, memory=model_pool.OVERHEAD)
    with pytest.raises(UserError, match="needs 34 MB of memory"):
        score_with(pool, ModelChoice("m"), PAIR)
    assert pool.taken == 0


def test_a_failed_load_gives_its_memory_back(
    tiny_models: tuple[str, str], size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(source: ModelSource) -> None:
        raise MemoryError

    pool = ModelPool({"m": tiny_models[0]}, memory=size)
    with monkeypatch.context() as patch:
        patch.setattr(model_pool, "load_scorer", fails)
        with pytest.raises(MemoryError):
            score_with(pool, ModelChoice("m"), PAIR)
    assert pool.taken == 0
    assert len(score_with(pool, ModelChoice("m"), PAIR)) == 2


def test_models_that_nobody_holds_are_freed(tiny_models: tuple[str, str], tmp_path: Path, size: int) -> None:
    pool = ModelPool(copies(tiny_models[0], tmp_path, 2), memory=size)
    with pool.use(ModelChoice("m0")) as scorer:
        weights = weakref.ref(next(scorer.model.parameters()))
    del scorer
    with pool.use(ModelChoice("m1")):
        assert weights() is None


def test_on_a_space_no_name_is_a_path(
    tiny_models: tuple[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A directory of the Space with the name of a repo is not read, for the owner's models and for guests'."""
    shutil.copytree(tiny_models[0], tmp_path / "org" / "model")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    for models in ({"m": "org/model"}, {}):
        pool = ModelPool(models, memory=BUDGET, guests=True, hub_only=True)
        with pytest.raises(UserError):
            score_with(pool, ModelChoice("m" if models else "org/model"), PAIR)
    for name in ("/etc", str(tmp_path / "org" / "model"), "../x", "https://example.org/m"):
        with pytest.raises(UserError, match="not the name of a model"):
            score_with(ModelPool({}, memory=BUDGET, guests=True), ModelChoice(name), PAIR)
    assert len(score_with(ModelPool({"m": "org/model"}, memory=BUDGET), ModelChoice("m"), PAIR)) == 2


def test_without_guests_the_hub_is_not_asked() -> None:
    with pytest.raises(UserError, match="does not offer"):
        score_with(ModelPool({}, memory=BUDGET), ModelChoice("org/model"), PAIR)


def test_a_revision_of_a_local_run_is_a_checkpoint(tiny_models: tuple[str, str], tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(tiny_models[0], run)
    shutil.copytree(tiny_models[1], run / "checkpoints" / "checkpoint-20")
    pool = ModelPool({"run": str(run), "l2t": tiny_models[1]}, memory=BUDGET)
    expected = score_with(pool, ModelChoice("l2t"), PAIR)
    assert score_with(pool, ModelChoice("run", "step-20"), PAIR) == expected
    with pytest.raises(UserError, match="no checkpoint step-21") as refused:
        score_with(pool, ModelChoice("run", "step-21"), PAIR)
    assert "step-20" in str(refused.value)


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
    with pytest.raises(UserError, match=missing):
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
    with pytest.raises(UserError, match=r"^m: "):
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
    with pytest.raises(UserError, match=r"^m: "):
        lazy_scores({"m": str(broken_copy)})("m", PAIR)


def test_pickled_weights_are_refused(broken_copy: Path) -> None:
    weights = broken_copy / "model.safetensors"
    torch.save(load_file(weights), broken_copy / "pytorch_model.bin")
    weights.unlink()
    with pytest.raises(UserError, match=r"^m: "):
        lazy_scores({"m": str(broken_copy)})("m", PAIR)


@pytest.mark.slow  # a minute: 220 loads in a process of their own
def test_memory_stays_within_its_budget_over_200_switches(
    tiny_models: tuple[str, str], tmp_path: Path
) -> None:
    code = (
        "import json, psutil, sys\n"
        "from l2t_hub.demo.choice import ModelChoice\n"
        "from l2t_hub.demo.model_pool import ModelPool, OVERHEAD, score_with\n"
        "models = json.loads(sys.argv[1]); loads = []\n"
        "pool = ModelPool(models, memory=5 * OVERHEAD // 2, say=loads.append)\n"
        "resident = []\n"
        "for turn in range(220):\n"
        "    score_with(pool, ModelChoice(f'm{turn % 4}'), ['The cats sleep.', 'The cats sleeps.'])\n"
        "    assert pool.taken <= pool.memory\n"
        "    resident.append(psutil.Process().memory_info().rss)\n"
        "print(json.dumps([len(loads), (max(resident[20:]) - max(resident[:20])) / 1e6]))"
    )
    models = copies(tiny_models[0], tmp_path, 4)
    done = subprocess.run(
        [sys.executable, "-c", code, json.dumps(models)], capture_output=True, text=True, check=True
    )
    loads, grown = json.loads(done.stdout)
    assert loads == 220
    assert grown < 40
