"""The implementations of the loss, and the one that each device uses: the choice is a table of measurements.

All compute the output layer, the cross-entropy and their gradients a slice of positions at a time.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch.nn import LinearCrossEntropyOptions
from torch.nn.functional import linear_cross_entropy

IGNORED = -100
# Number of logits computed at once, in fp32: 4 MiB stay in a CPU's cache, 256 MiB keep a GPU busy.
SLICE = {"cpu": 2**20}
SLICE_ELSEWHERE = 2**26

Loss = Callable[[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]
"""From states (positions, width), output layer (vocabulary, width), targets (positions) and a scale: the summed
cross-entropy of the targets that are not IGNORED, times the scale."""


@dataclass(frozen=True)
class Choice:
    """The loss of a device, and the file with the measurement that chose it; None if there is none."""

    name: str
    measured: str | None


# Ours is also the choice for a device without a measurement. benchmarks/gpu.py makes that of a GPU.
CHOICES = {"cpu": Choice("ours", "benchmarks/results/loss.md")}
UNMEASURED = Choice("ours", None)


def chosen_loss(device: str) -> Choice:
    """Return the choice for a type of device, such as "cuda"."""
    return CHOICES.get(device, UNMEASURED)


def sliced_loss(
    hidden: torch.Tensor, weight: torch.Tensor, targets: torch.Tensor, scale: torch.Tensor
) -> torch.Tensor:
    """Compute a `Loss` with our own slices. The loss is summed in fp32."""
    loss: torch.Tensor = _SlicedCrossEntropy.apply(hidden, weight, targets, scale)  # type: ignore[no-untyped-call]
    return loss


def torch_loss(
    hidden: torch.Tensor, weight: torch.Tensor, targets: torch.Tensor, scale: torch.Tensor
) -> torch.Tensor:
    """Compute a `Loss` with torch's linear_cross_entropy. It sums and returns the loss of bf16 states in bf16."""
    options = LinearCrossEntropyOptions(batch_chunk_size=slice_positions(hidden, weight))
    total = linear_cross_entropy(
        hidden, weight, targets, reduction="sum", ignore_index=IGNORED, options=options
    )
    return total.float() * scale


def liger_loss(
    hidden: torch.Tensor, weight: torch.Tensor, targets: torch.Tensor, scale: torch.Tensor
) -> torch.Tensor:
    """Compute a `Loss` with Liger's kernels, for a GPU where liger-kernel is installed."""
    from liger_kernel.transformers.functional import liger_fused_linear_cross_entropy

    total: torch.Tensor = liger_fused_linear_cross_entropy(
        hidden, weight, targets, ignore_index=IGNORED, reduction="sum", accum_dtype=torch.float32
    )
    return total.float() * scale


LOSSES: dict[str, Loss] = {"ours": sliced_loss, "torch": torch_loss, "liger": liger_loss}


def slice_positions(hidden: torch.Tensor, weight: torch.Tensor) -> int:
    """Return the number of positions in a slice."""
    return max(1, SLICE.get(hidden.device.type, SLICE_ELSEWHERE) // weight.shape[0])


class _SlicedCrossEntropy(torch.autograd.Function):
    """Cross-entropy of `hidden @ weight.T`. The forward pass also computes the gradient, slice by slice.

    Shapes: `hidden` (positions, width), `weight` (vocabulary, width), `targets` (positions), `scale` a scalar.
    """

    @staticmethod
    def forward(
        ctx: Any, hidden: torch.Tensor, weight: torch.Tensor, targets: torch.Tensor, scale: torch.Tensor
    ) -> torch.Tensor:
        needs_grad = ctx.needs_input_grad[0] or ctx.needs_input_grad[1]
        step = slice_positions(hidden, weight)
        loss = torch.zeros((), dtype=torch.float32, device=hidden.device)
        grad_hidden = torch.empty_like(hidden) if needs_grad else None
        grad_weight = torch.zeros_like(weight, dtype=torch.float32) if needs_grad else None
        for start in range(0, hidden.shape[0], step):
            states, target = hidden[start : start + step], targets[start : start + step]
            kept = (target != IGNORED).unsqueeze(1)
            index = target.clamp(min=0).unsqueeze(1)
            # softmax(x) = exp(x - max x) / sum: with one exponential, in the memory of the logits.
            logits = (states @ weight.t()).float()
            logits -= logits.amax(1, keepdim=True)
            target_logits = logits.gather(1, index)
            normaliser = logits.exp_().sum(1, keepdim=True)
            loss += torch.where(kept, normaliser.log() - target_logits, 0.0).sum()
            if grad_hidden is None or grad_weight is None:
                continue
            # d loss / d logits = softmax - one-hot, or 0 for an ignored target.
            factor = kept * scale
            grad_logits = logits.mul_(factor / normaliser).scatter_add_(1, index, -factor).to(weight.dtype)
            torch.mm(grad_logits, weight, out=grad_hidden[start : start + step])
            _add_product(grad_weight, grad_logits.t(), states)
        if grad_hidden is not None and grad_weight is not None:
            ctx.save_for_backward(grad_hidden, grad_weight.to(weight.dtype))
        return loss * scale

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, None, None]:
        grad_hidden, grad_weight = ctx.saved_tensors
        return (
            grad_hidden * grads[0].to(grad_hidden.dtype),
            grad_weight * grads[0].to(grad_weight.dtype),
            None,
            None,
        )


def _add_product(total: torch.Tensor, left: torch.Tensor, right: torch.Tensor) -> None:
    """Add `left @ right` to `total`, an fp32 tensor, in place."""
    if right.dtype == total.dtype:
        total.addmm_(left, right)
    else:
        total.add_(left @ right)
