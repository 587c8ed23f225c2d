"""The loss against that of transformers: same value, same gradients, without all logits in memory at once."""

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_run import tiny_recipe
from torch.nn.functional import cross_entropy
from torch.utils._python_dispatch import TorchDispatchMode
from transformers import Qwen2ForCausalLM

from l2t_hub.train import loss_paths
from l2t_hub.train.loss import next_token_loss, use_sliced_loss
from l2t_hub.train.loss_paths import IGNORED
from l2t_hub.train.model import Precision, model_config, new_model

ROWS, LENGTH = 3, 40


def models(precision: Precision = "fp32") -> tuple[Qwen2ForCausalLM, Qwen2ForCausalLM]:
    """Return the same model twice, the second with our loss."""
    config = model_config(tiny_recipe(), 300)
    plain, ours = (new_model(config, 5, precision) for _ in range(2))
    use_sliced_loss(ours)
    return plain, ours


@pytest.fixture
def batch() -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    ids = torch.randint(0, 300, (ROWS, LENGTH), generator=generator)
    labels = ids.clone()
    labels[0, 30:], labels[2, :5] = IGNORED, IGNORED
    return {"input_ids": ids, "labels": labels}


@pytest.fixture(params=[1, 7, 1000])
def positions_per_slice(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setitem(loss_paths.SLICE, "cpu", request.param * 384)
    return int(request.param)


@pytest.mark.usefixtures("positions_per_slice")
@pytest.mark.parametrize("items", [None, 57])
def test_loss_and_gradients_equal_those_of_transformers(
    batch: dict[str, torch.Tensor], items: int | None
) -> None:
    plain, ours = models()
    given = {} if items is None else {"num_items_in_batch": torch.tensor(items)}
    losses = [model(**batch, **given)["loss"] for model in (plain, ours)]
    for loss in losses:
        loss.backward()
    assert losses[1].item() == pytest.approx(losses[0].item(), rel=1e-6)
    for (name, a), b in zip(plain.named_parameters(), ours.parameters(), strict=True):
        torch.testing.assert_close(b.grad, a.grad, rtol=1e-4, atol=1e-7, msg=name)


def test_bf16_gradients_are_as_close_to_fp32_as_those_of_transformers(batch: dict[str, torch.Tensor]) -> None:
    exact, _ = models("fp32")
    plain, ours = models("bf16")
    errors = []
    exact(**batch)["loss"].backward()
    reference = exact.model.embed_tokens.weight.grad
    for model in (plain, ours):
        loss = model(**batch)["loss"]
        assert loss.dtype == torch.float32
        loss.backward()
        errors.append((model.model.embed_tokens.weight.grad.float() - reference).norm() / reference.norm())
    assert errors[1] < 0.02
    assert errors[1] < 1.1 * errors[0]


def test_no_tensor_is_as_large_as_all_logits() -> None:
    class Largest(TorchDispatchMode):
        seen = 0

        def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            result = function(*args, **(kwargs or {}))
            if isinstance(result, torch.Tensor):
                self.seen = max(self.seen, result.numel())
            return result

    hidden = torch.randn(4, 512, 8, requires_grad=True)
    weight = torch.randn(20_000, 8, requires_grad=True)
    labels = torch.randint(0, 20_000, (4, 512))
    with Largest() as largest:
        next_token_loss(hidden, weight, labels, 2048).backward()
    assert largest.seen <= loss_paths.SLICE["cpu"]
    assert weight.grad is not None
    assert hidden.grad is not None
    assert hidden.numel() < largest.seen < 4 * 512 * 20_000 / 10


@pytest.mark.usefixtures("positions_per_slice")
@pytest.mark.parametrize("name", loss_paths.LOSSES)
def test_every_implementation_computes_the_same(name: str) -> None:
    device = "cuda" if torch.cuda.is_available() else "cpu"
    if name == "liger" and (device == "cpu" or find_spec("liger_kernel") is None):
        pytest.skip("Liger needs a GPU and liger-kernel")
    generator = torch.Generator().manual_seed(0)
    hidden, weight = (torch.randn(n, 16, generator=generator) for n in (50, 384))
    targets = torch.randint(0, 384, (50,), generator=generator)
    targets[::7] = IGNORED
    results = []
    for loss_of in (loss_paths.LOSSES[name], _plain_loss):
        inputs = [tensor.to(device, copy=True).requires_grad_() for tensor in (hidden, weight)]
        loss = loss_of(*inputs, targets.to(device), torch.tensor(0.25, device=device))
        loss.backward()
        results.append([loss, *(tensor.grad for tensor in inputs)])
    for ours, expected in zip(*results, strict=True):
        torch.testing.assert_close(ours, expected, rtol=1e-4, atol=1e-5)


def _plain_loss(
    hidden: torch.Tensor, weight: torch.Tensor, targets: torch.Tensor, scale: torch.Tensor
) -> torch.Tensor:
    return cross_entropy(hidden @ weight.t(), targets, ignore_index=IGNORED, reduction="sum") * scale


def test_the_choice_for_a_device_names_its_measurement_or_that_there_is_none() -> None:
    for choice in loss_paths.CHOICES.values():
        assert choice.name in loss_paths.LOSSES
        assert choice.measured is not None
        assert (Path(__file__).parents[2] / choice.measured).is_file()
    assert loss_paths.chosen_loss("cpu").name == "ours"
    assert loss_paths.chosen_loss("a new device") == loss_paths.Choice("ours", None)


def test_without_anything_to_predict_loss_and_gradients_are_zero(batch: dict[str, torch.Tensor]) -> None:
    _, ours = models()
    loss = ours(input_ids=batch["input_ids"], labels=torch.full((ROWS, LENGTH), IGNORED))["loss"]
    loss.backward()
    assert loss.item() == 0
    assert all(p.grad is None or not p.grad.any() for p in ours.parameters())


def test_without_gradients_the_loss_is_the_same(batch: dict[str, torch.Tensor]) -> None:
    plain, ours = models()
    with torch.no_grad():
        loss = ours(**batch)["loss"]
        assert loss.item() == pytest.approx(plain(**batch).loss.item(), rel=1e-6)
    assert not loss.requires_grad


def test_calls_without_labels_are_unchanged(batch: dict[str, torch.Tensor]) -> None:
    plain, ours = models()
    with torch.no_grad():
        expected, actual = (
            plain(input_ids=batch["input_ids"]).logits,
            ours(input_ids=batch["input_ids"]).logits,
        )
    assert torch.equal(expected, actual)
    prompt = batch["input_ids"][:1, :4]
    wanted = plain.generate(prompt, max_new_tokens=5, do_sample=False)
    assert torch.equal(wanted, ours.generate(prompt, max_new_tokens=5, do_sample=False))
