"""Runs with a multi-token objective: what they log and write, exact resume, and the file of the further heads."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from test_run_directory import assert_same_model, interrupted
from tiny_run import mtp_recipe, tiny_recipe
from transformers import AutoModelForCausalLM

from l2t_hub.errors import UserError
from l2t_hub.publish.cards import model_card
from l2t_hub.recipe import Recipe
from l2t_hub.reproduce.compare_model import reproduce_model
from l2t_hub.train import train
from l2t_hub.train.heads_file import read_heads
from l2t_hub.train.model import model_config, new_model
from l2t_hub.train.prediction_heads import add_prediction_heads
from l2t_hub.train.training_log import read_log
from l2t_hub.train.verify_model import verify_model

HEADS = "prediction_heads.safetensors"


def forward_recipe(**keys: Any) -> Recipe:
    return mtp_recipe(heads=3, curriculum="forward", **keys)


@pytest.fixture(scope="module")
def whole(packed: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of 12 steps with 1, 2 and then 3 heads, logged every 3 steps."""
    out = tmp_path_factory.mktemp("mtp") / "model"
    train(forward_recipe(), packed, out)
    return out


def test_the_log_has_the_loss_of_each_active_head(packed: Path, whole: Path, tmp_path: Path) -> None:
    log = [record for record in read_log(whole / "train_log.jsonl") if "loss" in record]
    assert [record["active_heads"] for record in log] == [1, 2, 3, 3]
    trained = [[loss is not None for loss in record["head_losses"]] for record in log]
    assert trained == [[True, False, False], [True, True, False], [True] * 3, [True] * 3]
    assert all(record["loss"] == record["head_losses"][0] for record in log)
    # The first phase is next-token training.
    train(tiny_recipe(stop_after_steps=3), packed, tmp_path / "next")
    (first,) = [record for record in read_log(tmp_path / "next" / "train_log.jsonl") if "loss" in record]
    assert log[0]["loss"] == pytest.approx(first["loss"], rel=1e-6)
    record = json.loads((whole / "training.json").read_text())
    assert record["loss"] == log[-1]["loss"]
    assert record["eval_loss"] < record["initial_eval_loss"]


def test_the_model_is_an_ordinary_one_with_its_heads_in_a_file_beside_it(whole: Path, packed: Path) -> None:
    model, loading = AutoModelForCausalLM.from_pretrained(whole, output_loading_info=True)
    assert not any(loading[kind] for kind in ("missing_keys", "unexpected_keys", "mismatched_keys"))
    assert not any("prediction_heads" in name for name in load_file(whole / "model.safetensors"))
    record = json.loads((whole / "training.json").read_text())
    assert record["parameters"] == model.num_parameters()
    assert HEADS in record["files"]
    assert not verify_model(whole).problems
    assert {name.split(".")[1] for name in load_file(whole / HEADS)} == {"2", "3"}
    heads = read_heads(whole, "tiny", model)
    assert heads is not None
    assert (heads.count, heads.kind) == (3, "layer")


def test_a_resumed_run_is_the_same_run_to_the_last_bit(packed: Path, whole: Path, tmp_path: Path) -> None:
    """The checkpoint of step 8 is the start of the last phase, with losses that are not logged yet."""
    interrupted(packed, tmp_path / "m", 9, forward_recipe())
    assert HEADS in {path.name for path in (tmp_path / "m" / "checkpoints" / "checkpoint-8").iterdir()}
    train(forward_recipe(), packed, tmp_path / "m")
    assert_same_model(tmp_path / "m", whole)
    assert (tmp_path / "m" / HEADS).read_bytes() == (whole / HEADS).read_bytes()


def test_a_run_is_reproduced_with_its_heads(packed: Path, whole: Path, tmp_path: Path) -> None:
    outcome = reproduce_model(whole, str(packed), 12, tmp_path)
    checks = {check.what: check.equal for check in outcome.checks}
    assert all(checks.values())
    assert {
        "step 6: loss of head 2",
        "step 12: loss of head 3",
        "further heads after the last step",
    } <= checks.keys()
    assert "step 6: loss of head 3" not in checks


def test_the_card_says_how_to_draft_with_the_heads(whole: Path) -> None:
    card = model_card(whole)
    assert "multi-token prediction: the next 3 tokens, further heads: layer, curriculum: forward" in card
    assert "`prediction_heads.safetensors` has the further heads" in card
    assert "--speculative" in card


def test_heads_do_not_change_before_and_after_their_phases(packed: Path, tmp_path: Path) -> None:
    recipe = mtp_recipe({"save_total_limit": None}, heads=3, head="linear", curriculum="reverse")
    train(recipe, packed, tmp_path / "m")
    at = {
        step: load_file(tmp_path / "m" / "checkpoints" / f"checkpoint-{step}" / HEADS) for step in (4, 8, 12)
    }
    first = new_model(model_config(recipe, 300), recipe.seed)
    fresh = add_prediction_heads(first, recipe)
    assert fresh is not None
    start = fresh.state_dict()
    names = {number: f"linear.{number}.weight" for number in (2, 3)}
    # Head 3 is trained in steps 0 to 3, head 2 up to step 7.
    assert not torch.equal(at[4][names[3]], start[names[3]])
    assert torch.equal(at[8][names[3]], at[4][names[3]])
    assert not torch.equal(at[8][names[2]], at[4][names[2]])
    assert torch.equal(at[12][names[2]], at[8][names[2]])


def test_a_whole_run_with_one_head_is_next_token_training(packed: Path, tmp_path: Path) -> None:
    train(mtp_recipe({"max_steps": 4}, heads=1), packed, tmp_path / "one")
    train(tiny_recipe(max_steps=4), packed, tmp_path / "next")
    assert_same_model(tmp_path / "one", tmp_path / "next")
    assert (tmp_path / "one" / "model.safetensors").read_bytes() == (
        tmp_path / "next" / "model.safetensors"
    ).read_bytes()
    assert not (tmp_path / "one" / HEADS).exists()


@pytest.mark.parametrize("keys", [{"precision": "bf16"}, {"attention": "example"}], ids=str)
def test_each_precision_and_attention_trains_heads(
    packed: Path, tmp_path: Path, keys: dict[str, Any]
) -> None:
    result = train(mtp_recipe({"max_steps": 6, **keys}, heads=3), packed, tmp_path / "m")
    assert result.eval_loss is not None
    assert result.initial_eval_loss is not None
    assert result.eval_loss < result.initial_eval_loss
    types = {tensor.dtype for tensor in load_file(tmp_path / "m" / HEADS).values()}
    assert types == {torch.bfloat16 if keys.get("precision") == "bf16" else torch.float32}


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="no C++ compiler")
def test_compiled_heads_train_the_same_model_within_rounding(
    packed: Path, whole: Path, tmp_path: Path
) -> None:
    torch.compiler.reset()
    train(forward_recipe(train={"torch_compile": True}), packed, tmp_path / "m")
    for one, other in zip(
        *(read_log(out / "train_log.jsonl") for out in (whole, tmp_path / "m")), strict=True
    ):
        wanted = [loss for loss in one.get("head_losses", []) if loss is not None]
        assert [x for x in other.get("head_losses", []) if x is not None] == pytest.approx(wanted, rel=1e-4)
    for name, tensor in load_file(whole / HEADS).items():
        torch.testing.assert_close(load_file(tmp_path / "m" / HEADS)[name], tensor, rtol=1e-3, atol=1e-4)


Damage = Callable[[dict[str, torch.Tensor]], dict[str, torch.Tensor]]


@pytest.mark.parametrize(
    "damage",
    [
        lambda t: {},
        lambda t: {name.replace(".3.", ".4."): tensor for name, tensor in t.items()},
        lambda t: {**t, "linear.4.weight": torch.zeros(2, 2)},
        lambda t: {**t, "../../x": torch.zeros(1)},
        lambda t: {name: tensor[:1] for name, tensor in t.items()},
        lambda t: dict(list(t.items())[1:]),
        lambda t: {**t, "layer.2.more": torch.zeros(1)},
        lambda t: {name: tensor.to(torch.float16) for name, tensor in t.items()},
        lambda t: {f"linear.{n}.weight": torch.zeros(32, 32) for n in range(2, 40)},
    ],
)
def test_a_strangers_heads_must_fit_the_model(whole: Path, tmp_path: Path, damage: Damage) -> None:
    model = AutoModelForCausalLM.from_pretrained(whole)
    save_file(damage(load_file(whole / HEADS)), tmp_path / HEADS)
    with pytest.raises(UserError, match=r"name: prediction_heads\.safetensors: "):
        read_heads(tmp_path, "name", model)


def test_a_directory_without_heads_or_with_a_broken_file(whole: Path, tmp_path: Path) -> None:
    model = AutoModelForCausalLM.from_pretrained(whole)
    assert read_heads(tmp_path, "name", model) is None
    (tmp_path / HEADS).write_bytes((whole / HEADS).read_bytes()[:1000])
    with pytest.raises(UserError, match="not a complete safetensors file"):
        read_heads(tmp_path, "name", model)
