"""bf16 weights with moments in fp32, and mixed precision: the optimizer's arithmetic, and runs that resume exactly."""

import json
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from test_run_directory import assert_same_model, interrupted
from tiny_run import tiny_recipe

from l2t_hub.train import train
from l2t_hub.train.optimizer import Fp32MomentsAdamW
from l2t_hub.train.training_log import read_log

SETTINGS: dict[str, Any] = {"lr": 1e-3, "betas": (0.9, 0.999), "weight_decay": 0.1}


def weights(seed: int, dtype: torch.dtype = torch.float32) -> list[torch.nn.Parameter]:
    generator = torch.Generator().manual_seed(seed)
    return [
        torch.nn.Parameter(torch.randn(shape, generator=generator).to(dtype)) for shape in ((7, 5), (11,))
    ]


def give_gradients(parameters: list[torch.nn.Parameter], seed: int, scale: float = 1.0) -> None:
    generator = torch.Generator().manual_seed(seed)
    for parameter in parameters:
        # The same numbers for every type: those that bf16 can hold.
        gradient = (torch.randn(parameter.shape, generator=generator) * scale).bfloat16()
        parameter.grad = gradient.to(parameter.dtype)


def test_a_step_is_that_of_fp32_with_the_new_weights_rounded() -> None:
    ours = weights(1, torch.bfloat16)
    exact = [torch.nn.Parameter(parameter.detach().float()) for parameter in ours]
    rounded, reference = Fp32MomentsAdamW(ours, **SETTINGS), torch.optim.AdamW(exact, **SETTINGS)
    for step in range(20):
        for parameter, other in zip(ours, exact, strict=True):
            other.data = parameter.detach().float()  # weights are rounded after every step
        give_gradients(ours, step)
        give_gradients(exact, step)
        rounded.step()
        reference.step()
        for parameter, other in zip(ours, exact, strict=True):
            for moment in ("exp_avg", "exp_avg_sq"):
                assert rounded.state[parameter][moment].dtype == torch.float32
                torch.testing.assert_close(
                    rounded.state[parameter][moment], reference.state[other][moment], rtol=1e-6, atol=0
                )
            torch.testing.assert_close(parameter.float(), other.bfloat16().float(), rtol=2**-8, atol=0)


def test_a_closure_computes_gradients_and_its_loss_is_returned() -> None:
    one, two = weights(4, torch.bfloat16), weights(4, torch.bfloat16)
    first, second = (Fp32MomentsAdamW(parameters, **SETTINGS) for parameters in (one, two))

    def loss_of(parameters: list[torch.nn.Parameter]) -> torch.Tensor:
        loss = torch.stack([parameter.float().square().sum() for parameter in parameters]).sum()
        loss.backward()
        return loss

    expected = loss_of(one)
    assert first.step() is None
    assert torch.equal(second.step(lambda: loss_of(two)), expected)
    for parameter, other, before in zip(one, two, weights(4, torch.bfloat16), strict=True):
        assert torch.equal(parameter, other)
        assert not torch.equal(parameter, before)


def test_a_second_moment_decays_as_in_fp32() -> None:
    """After gradients shrink tenfold. In bf16, 0.999 times the moment rounds back to the moment: it stays."""
    kinds: dict[str, tuple[torch.dtype, type[torch.optim.Optimizer]]] = {
        "fp32": (torch.float32, torch.optim.AdamW),
        "ours": (torch.bfloat16, Fp32MomentsAdamW),
        "torch in bf16": (torch.bfloat16, torch.optim.AdamW),
    }
    moments = {}
    for name, (dtype, kind) in kinds.items():
        parameters = weights(2, dtype)
        optimizer = kind(parameters, **SETTINGS)
        for step in range(1200):
            give_gradients(parameters, step, scale=1.0 if step < 200 else 0.1)
            optimizer.step()
        moments[name] = float(optimizer.state[parameters[0]]["exp_avg_sq"].float().mean())
    assert moments["ours"] == pytest.approx(moments["fp32"], rel=1e-5)
    assert moments["torch in bf16"] > 2 * moments["fp32"]


def test_a_saved_state_is_loaded_to_the_last_bit() -> None:
    one, two = weights(3, torch.bfloat16), weights(3, torch.bfloat16)
    first, second = (Fp32MomentsAdamW(parameters, **SETTINGS) for parameters in (one, two))
    for step in range(5):
        give_gradients(one, step)
        first.step()
    second.load_state_dict(first.state_dict())
    for parameter, other in zip(one, two, strict=True):
        other.data = parameter.detach().clone()
    for step in range(5, 9):
        for parameters, optimizer in ((one, first), (two, second)):
            give_gradients(parameters, step)
            optimizer.step()
    for parameter, other in zip(one, two, strict=True):
        assert torch.equal(parameter, other)
        assert torch.equal(first.state[parameter]["exp_avg_sq"], second.state[other]["exp_avg_sq"])


@pytest.mark.parametrize("precision", ["bf16", "mixed"])
def test_a_run_resumes_to_the_last_bit(packed: Path, tmp_path: Path, precision: str) -> None:
    recipe = tiny_recipe(precision=precision)
    train(recipe, packed, tmp_path / "whole")
    interrupted(packed, tmp_path / "m", 9, recipe)
    state = torch.load(tmp_path / "m" / "checkpoints" / "checkpoint-8" / "optimizer.pt", weights_only=True)
    assert {moments["exp_avg_sq"].dtype for moments in state["state"].values()} == {torch.float32}
    train(recipe, packed, tmp_path / "m")
    assert_same_model(tmp_path / "m", tmp_path / "whole")
    record = json.loads((tmp_path / "m" / "training.json").read_text())
    assert record["precision"] == precision
    assert record["optimizer"] == ("adamw, moments in fp32" if precision == "bf16" else "adamw_torch_fused")


def test_mixed_precision_keeps_fp32_weights_and_computes_in_bf16(
    packed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = set()

    def watch(hidden: torch.Tensor, weight: torch.Tensor, *rest: Any) -> Any:
        seen.add((hidden.dtype, weight.dtype))
        return real(hidden, weight, *rest)

    from l2t_hub.train import loss

    real = loss.next_token_loss
    train(tiny_recipe(precision="fp32"), packed, tmp_path / "fp32")
    monkeypatch.setattr(loss, "next_token_loss", watch)
    train(tiny_recipe(precision="mixed"), packed, tmp_path / "mixed")
    assert seen == {(torch.bfloat16, torch.bfloat16)}
    stored = safetensors.torch.load_file(tmp_path / "mixed" / "model.safetensors")
    assert {tensor.dtype for tensor in stored.values()} == {torch.float32}
    logs = [read_log(tmp_path / name / "train_log.jsonl") for name in ("mixed", "fp32")]
    for ours, theirs in zip(*logs, strict=True):
        for key in ("loss", "eval_loss"):
            if key in theirs:
                assert ours[key] == pytest.approx(theirs[key], rel=1e-2)
    assert logs[0] != logs[1]


def test_a_gpu_with_bf16_trains_in_mixed_precision_by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    from l2t_hub.train.model import resolve_precision

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: True)
    assert resolve_precision(tiny_recipe()) == "mixed"
    assert resolve_precision(tiny_recipe(precision="bf16")) == "bf16"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert resolve_precision(tiny_recipe()) == "fp32"
