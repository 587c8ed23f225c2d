"""Every implementation of attention gives the same model, and so does torch.compile; what is missing is refused.

The tests of attention run on a GPU where there is one.
"""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tiny_run import tiny_recipe
from transformers import Qwen2ForCausalLM
from transformers.utils.import_utils import is_flash_attn_2_available

from l2t_hub.errors import UsageError
from l2t_hub.train import train
from l2t_hub.train.kernels import check_kernels
from l2t_hub.train.loss import use_sliced_loss
from l2t_hub.train.model import model_config, new_model
from l2t_hub.train.packed_data import Collator
from l2t_hub.train.training_log import read_log

GPU = torch.cuda.is_available()
DEVICE = "cuda" if GPU else "cpu"
LENGTHS = [9, 1, 20, 14]
IDS = [np.random.default_rng(seed).integers(0, 300, 48) for seed in range(2)]
BACKENDS = ["eager", "sdpa", "flex_attention", "flash_attention_2"]


def model_with(backend: str) -> Qwen2ForCausalLM:
    """A model whose loss has a gradient with this implementation; the test is skipped where it has none."""
    if backend == "flex_attention" and not GPU:
        pytest.skip("flex_attention has no backward pass on a CPU")
    if backend == "flash_attention_2" and not (GPU and is_flash_attn_2_available()):
        pytest.skip("flash_attention_2 needs a GPU and flash-attn")
    model = new_model(model_config(tiny_recipe(), 300), 1).to(DEVICE)
    if backend == "flash_attention_2":
        model = model.to(torch.bfloat16)
    use_sliced_loss(model)
    model.set_attn_implementation(backend)
    return model


def loss_and_gradients(model: Qwen2ForCausalLM, batches: list[dict[str, torch.Tensor]]) -> list[torch.Tensor]:
    """The summed loss of batches and its gradients, in float64 on the CPU."""
    model.zero_grad()
    total = torch.zeros((), device=DEVICE)
    for batch in batches:
        loss = model(**{k: v.to(DEVICE) for k, v in batch.items()}, num_items_in_batch=1)["loss"]
        loss.backward()
        total += loss.detach()
    gradients = [parameter.grad for parameter in model.parameters()]
    assert None not in gradients
    return [tensor.double().cpu() for tensor in (total, *gradients) if tensor is not None]


def assert_equal(left: list[torch.Tensor], right: list[torch.Tensor], model: Qwen2ForCausalLM) -> None:
    error = 3e-2 if model.dtype == torch.bfloat16 else 1e-5
    for a, b in zip(left, right, strict=True):
        assert float((a - b).norm()) <= error * float(b.norm()) + 1e-7


def differ(left: list[torch.Tensor], right: list[torch.Tensor]) -> bool:
    return float((left[1] - right[1]).norm()) > 0.1 * float(right[1].norm())


def texts() -> list[dict[str, torch.Tensor]]:
    """Each text of the packs as a batch of its own."""
    pieces = [piece for ids in IDS for piece in np.split(ids, np.cumsum(LENGTHS))[:-1]]
    return [{name: torch.from_numpy(piece)[None] for name in ("input_ids", "labels")} for piece in pieces]


def packs(attention: str, *, flat: bool = False) -> list[dict[str, torch.Tensor]]:
    rows = [{"input_ids": ids, "lengths": np.array(LENGTHS)} for ids in IDS]
    return [Collator(attention, flat=flat)(rows)]


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_pack_has_the_loss_and_gradients_of_its_examples_alone(backend: str) -> None:
    model = model_with(backend)
    alone = loss_and_gradients(model, texts())
    flat = backend == "flash_attention_2"
    assert_equal(loss_and_gradients(model, packs("example", flat=flat)), alone, model)
    assert differ(loss_and_gradients(model, packs("pack")), alone), "the check can fail"


@pytest.mark.parametrize("backend", BACKENDS)
def test_attention_over_the_whole_pack_is_that_of_one_long_text(backend: str) -> None:
    model = model_with(backend)
    reference = new_model(model_config(tiny_recipe(), 300), 1).to(DEVICE, model.dtype)
    use_sliced_loss(reference)
    reference.set_attn_implementation("eager")
    end = sum(LENGTHS)
    whole = [{n: torch.from_numpy(ids[:end])[None] for n in ("input_ids", "labels")} for ids in IDS]
    assert_equal(loss_and_gradients(model, packs("pack")), loss_and_gradients(reference, whole), model)


@pytest.mark.slow
@pytest.mark.parametrize("attention", ["pack", "example"])
def test_flex_attention_has_the_states_of_eager_attention(attention: str) -> None:
    """Also on a CPU, where flex_attention has no gradients."""
    model = new_model(model_config(tiny_recipe(), 300), 1).to(DEVICE)
    (batch,) = packs(attention)
    inputs = {name: tensor.to(DEVICE) for name, tensor in batch.items() if name != "labels"}
    logits = []
    for backend in ("eager", "flex_attention"):
        model.set_attn_implementation(backend)
        with torch.no_grad():
            logits.append(model(**inputs, use_cache=False).logits)
    torch.testing.assert_close(logits[1], logits[0], rtol=1e-4, atol=1e-5)


def test_one_long_row_of_all_texts_is_the_same_batch() -> None:
    model = model_with("sdpa")
    (flat,) = packs("example", flat=True)
    assert flat["input_ids"].shape == (1, 96)
    expected = loss_and_gradients(model, packs("example"))
    assert_equal(loss_and_gradients(model, [flat]), expected, model)


@pytest.mark.parametrize(
    ("keys", "precision", "problem"),
    [
        pytest.param({"attn_implementation": "flex_attention"}, "fp32", "computes no gradients on a CPU",
                     marks=pytest.mark.skipif(GPU, reason="there is a GPU")),
        pytest.param({"attn_implementation": "flash_attention_2"}, "bf16", "needs a GPU and the library flash-attn",
                     marks=pytest.mark.skipif(GPU, reason="there is a GPU")),
    ],
)  # fmt: skip
def test_attention_that_this_machine_lacks_is_refused(
    keys: dict[str, Any], precision: Any, problem: str
) -> None:
    with pytest.raises(UsageError) as refusal:
        check_kernels(tiny_recipe(**keys), precision)
    assert problem in refusal.value.message
    assert "train.attn_implementation=sdpa" in str(refusal.value.hint)


@pytest.mark.parametrize(
    ("keys", "precision", "problem"),
    [({}, "fp32", "fp32"), ({"loss_on_padding": True}, "bf16", "`train.loss_on_padding`")],
)
def test_flash_attention_refuses_what_it_computes_otherwise(
    monkeypatch: pytest.MonkeyPatch, keys: dict[str, Any], precision: Any, problem: str
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("transformers.utils.import_utils.is_flash_attn_2_available", lambda: True)
    with pytest.raises(UsageError, match=problem):
        check_kernels(tiny_recipe(attn_implementation="flash_attention_2", **keys), precision)
    check_kernels(tiny_recipe(attn_implementation="flash_attention_2"), "mixed")


def test_compiling_without_a_compiler_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CXX", raising=False)
    with pytest.raises(UsageError, match="needs a C\\+\\+ compiler"):
        check_kernels(tiny_recipe(torch_compile=True), "fp32")
    check_kernels(tiny_recipe(), "fp32")


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="no C++ compiler")
@pytest.mark.parametrize("keys", [{}, {"gradient_checkpointing": True}], ids=["plain", "checkpointing"])
def test_compiled_layers_train_the_same_model_within_rounding(
    packed: Path, tmp_path: Path, keys: dict[str, Any]
) -> None:
    recipe = {"max_steps": 8, "logging_steps": 1, "per_device_train_batch_size": 2, **keys}
    for name, compiled in (("plain", False), ("compiled", True)):
        torch.compiler.reset()
        train(tiny_recipe(**recipe, torch_compile=compiled), packed, tmp_path / name)
    logs = [read_log(tmp_path / name / "train_log.jsonl") for name in ("plain", "compiled")]
    for plain, compiled in zip(*logs, strict=True):
        for name in {"loss", "eval_loss", "grad_norm"} & plain.keys():
            assert compiled[name] == pytest.approx(plain[name], rel=1e-4)
    models = [Qwen2ForCausalLM.from_pretrained(tmp_path / name) for name in ("plain", "compiled")]
    for a, b in zip(*(model.state_dict().values() for model in models), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-4)
