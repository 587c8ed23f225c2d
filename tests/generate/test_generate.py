"""Greedy text with and without drafts: the same tokens, for trained heads, ties and every way that a text can end."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_models import make_tiny_model
from transformers import AutoModelForCausalLM, DynamicCache, GPT2Config, GPT2LMHeadModel
from typer.testing import CliRunner

from l2t_hub.cli.app import app
from l2t_hub.errors import UsageError, UserError
from l2t_hub.generate import Generation, decoding, generate
from l2t_hub.generate.decoding import TIE, continue_tokens, stream_tokens
from l2t_hub.train import train
from l2t_hub.train.heads_file import read_heads
from l2t_hub.train.model import model_config, new_model
from l2t_hub.train.prediction_heads import add_prediction_heads

sys.path.insert(0, str(Path(__file__).parents[1] / "train"))
from tiny_run import WORDS, mtp_recipe, write_packed


@pytest.fixture(scope="module", params=["layer", "linear"])
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that has learnt to write the words of the tiny dataset in any order, with four heads."""
    folder = tmp_path_factory.mktemp(request.param)
    data = write_packed(folder / "data", {"train": 24})
    steps = {"max_steps": 60, "learning_rate": 2e-2, "save_steps": 60, "logging_steps": 60}
    train(mtp_recipe(steps, heads=4, head=request.param), data, folder / "model")
    return folder / "model"


def both(model: Path, prompts: list[str], **keys: Any) -> tuple[Generation, Generation]:
    return generate(str(model), prompts, **keys), generate(str(model), prompts, speculative=True, **keys)


def prompts(count: int) -> list[str]:
    return [" ".join(WORDS[(3 * i + k) % len(WORDS)] for k in range(1 + i % 7)) for i in range(count)]


def test_drafts_change_nothing_but_the_number_of_passes(model: Path) -> None:
    greedy, drafted = both(model, prompts(50), max_new_tokens=16)
    assert [one.tokens for one in drafted.continuations] == [one.tokens for one in greedy.continuations]
    assert [one.text for one in drafted.continuations] == [one.text for one in greedy.continuations]
    assert greedy.passes == greedy.tokens
    assert greedy.acceptance == {}
    assert drafted.passes < drafted.tokens
    assert list(drafted.acceptance) == [2, 3, 4]
    shares = [share for share in drafted.acceptance.values() if share is not None]
    # A draft counts only if all before it were right.
    assert shares == sorted(shares, reverse=True)
    assert shares[0] > 0.2
    accepted = sum(sum(one.accepted) for one in drafted.continuations)
    # Each pass gives one token more than its accepted drafts; those after an end are cut off.
    assert drafted.tokens <= drafted.passes + accepted
    assert "drafts accepted: head 2: " in drafted.summary()


def test_greedy_text_is_that_of_transformers(model: Path) -> None:
    greedy = generate(str(model), prompts(5), max_new_tokens=16)
    loaded = AutoModelForCausalLM.from_pretrained(model)
    for one in greedy.continuations:
        ids = torch.tensor([_ids(model, one.prompt)])
        wanted = loaded.generate(ids, max_new_tokens=16, do_sample=False)[0, ids.shape[1] :]
        assert list(one.tokens) == wanted.tolist()


def _ids(model: Path, prompt: str) -> list[int]:
    from l2t_hub.scoring import load_scorer

    scorer = load_scorer(str(model))
    return [scorer.prefix_id, *scorer.tokenizer(prompt, add_special_tokens=False)["input_ids"]]


@pytest.mark.parametrize("new", [1, 4, 5])
def test_the_length_is_exact(model: Path, new: int) -> None:
    for result in both(model, ["the old", ""], max_new_tokens=new):
        assert [len(one.tokens) for one in result.continuations] == [new, new]


def test_a_text_ends_where_head_1_ends_it(model: Path) -> None:
    loaded = AutoModelForCausalLM.from_pretrained(model)
    heads = read_heads(model, "tiny", loaded)
    start = _ids(model, "the old ferry")
    free = continue_tokens(loaded, None, start, 20, ()).tokens
    for end in list(dict.fromkeys(free))[:4]:
        stop = free.index(end) + 1
        for drafting in (None, heads):
            assert continue_tokens(loaded, drafting, start, 20, {end}).tokens == free[:stop]


def test_a_text_may_be_continued_in_pieces(model: Path) -> None:
    loaded = AutoModelForCausalLM.from_pretrained(model)
    start = _ids(model, "the old ferry")
    whole = continue_tokens(loaded, None, start, 20, ()).tokens
    cache, tokens = DynamicCache(config=loaded.config), list[int]()
    for size in (1, 7, 3, 9):
        *_, piece = stream_tokens(loaded, None, [*start, *tokens], size, (), cache)
        assert len(piece.tokens) == size
        tokens += piece.tokens
    assert tokens == whole


def test_models_of_other_architectures_are_continued() -> None:
    torch.manual_seed(1)
    config = GPT2Config(vocab_size=64, n_positions=64, n_embd=32, n_layer=2, n_head=2, initializer_range=0.5)
    net = GPT2LMHeadModel(config).eval()
    prompt = [1, 2, 3]
    ours = continue_tokens(net, None, prompt, 12, ()).tokens
    theirs = net.generate(torch.tensor([prompt]), do_sample=False, max_new_tokens=12, eos_token_id=None)
    assert ours == theirs[0, 3:].tolist()


@pytest.mark.parametrize("kind", ["layer", "linear"])
@pytest.mark.parametrize("apart", [0.0, 1e-7])
def test_ties_are_decided_alike(kind: str, apart: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every token has a twin, whose logit is the same or differs by less than rounding may."""
    recipe = mtp_recipe(heads=4, head=kind)
    net = new_model(model_config(recipe, 64), 3).eval()
    heads = add_prediction_heads(net, recipe)
    weight = net.lm_head.weight.data
    weight.mul_(20)
    weight[1::2] = weight[::2] * (1 + apart)
    alone = decoding._Reader.choose_alone
    calls = []

    def counted(self: Any, text: Any) -> int:
        calls.append(len(text))
        return alone(self, text)

    monkeypatch.setattr(decoding._Reader, "choose_alone", counted)
    for first in range(5):
        greedy = continue_tokens(net, None, [first], 16, ())
        assert continue_tokens(net, heads, [first], 16, ()).tokens == greedy.tokens
    assert len(calls) >= 2 * 5 * 16


def test_rounding_stays_far_below_what_counts_as_a_tie(model: Path) -> None:
    """Reading a text at once or token by token gives logits that differ by rounding only."""
    loaded = AutoModelForCausalLM.from_pretrained(model)
    text = torch.tensor([_ids(model, " ".join(WORDS))])
    with torch.inference_mode():
        at_once = loaded(text).logits[0]
        cache, one_by_one = None, []
        for token in text[0]:
            out = loaded(token.reshape(1, 1), past_key_values=cache, use_cache=True)
            cache = out.past_key_values
            one_by_one.append(out.logits[0, 0])
    error = (torch.stack(one_by_one) - at_once).abs().amax(1) / at_once.abs().amax(1)
    assert 0 < error.max().item() < TIE / 10


def test_bf16_weights_are_computed_with_in_fp32(tmp_path: Path) -> None:
    data = write_packed(tmp_path / "data", {"train": 8})
    recipe = mtp_recipe({"max_steps": 3, "precision": "bf16"}, heads=3, head="linear")
    train(recipe, data, tmp_path / "model")
    greedy, drafted = both(tmp_path / "model", prompts(5), max_new_tokens=12)
    assert [one.tokens for one in drafted.continuations] == [one.tokens for one in greedy.continuations]


def test_what_cannot_be_generated_says_why(tmp_path: Path) -> None:
    plain = make_tiny_model(tmp_path / "plain")
    assert generate(str(plain), ["The cat"], max_new_tokens=3).tokens <= 3
    with pytest.raises(UserError, match=r"no prediction_heads\.safetensors"):
        generate(str(plain), ["The cat"], speculative=True)
    with pytest.raises(UserError, match="more than the 128 that"):
        generate(str(plain), ["The cat"], max_new_tokens=128)
    broken = AutoModelForCausalLM.from_pretrained(plain)
    broken.lm_head.weight.data[:] = torch.nan
    with pytest.raises(UserError, match="NaN"):
        continue_tokens(broken, None, [1], 3, ())


def test_the_command_prints_texts_or_json(model: Path, tmp_path: Path) -> None:
    runner, file = CliRunner(), tmp_path / "prompts.txt"
    file.write_text("the old ferry\n\nnobody waits\n")
    common = ["generate", str(model), "--max-new-tokens", "8"]
    done = runner.invoke(app, [*common, "--prompts", str(file), "--speculative", "--json"])
    assert done.exit_code == 0
    tree = json.loads(done.stdout)
    assert [one["prompt"] for one in tree["continuations"]] == ["the old ferry", "nobody waits"]
    assert set(tree["acceptance"]) == {"2", "3", "4"}
    assert tree["tokens"] >= tree["passes"]
    text = runner.invoke(app, [*common, "--prompt", "the old ferry"])
    assert tree["continuations"][0]["text"].strip() in text.stdout
    for wrong in ([], ["--prompt", "a", "--prompts", str(file)]):
        with pytest.raises(UsageError, match="one of --prompt and --prompts"):
            runner.invoke(app, [*common, *wrong], catch_exceptions=False)
    for content, message in ((b"\xff", "not UTF-8"), (b"\n \n", "no prompts")):
        file.write_bytes(content)
        with pytest.raises(UsageError, match=message):
            runner.invoke(app, [*common, "--prompts", str(file)], catch_exceptions=False)


@pytest.mark.slow
def test_the_benchmark_measures_both_ways(model: Path, tmp_path: Path, repository: Path) -> None:
    script, report = repository / "benchmarks" / "speculative.py", tmp_path / "report.json"
    options = ["--count", "4", "--new", "12", "--rounds", "2", "--json", str(report)]
    environment = os.environ | {"PYTHONPATH": str(repository)}
    done = subprocess.run(
        [sys.executable, str(script), str(model), *options],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    (measured,) = json.loads(report.read_text())["models"]
    assert measured["tokens"] <= 4 * 12
    assert measured["passes"] <= measured["tokens"]
    assert measured["speed_up"]["min"] <= measured["speed_up"]["median"] <= measured["speed_up"]["max"]
