"""The next-token loss, computed without ever holding the logits of a whole batch.

transformers' own loss holds several tensors of batch x length x vocabulary logits. The loss of TRL 1.16's SFTTrainer
also computes entropy and accuracy, which on a CPU costs about as much as the rest of a small model. Here the output
layer, the loss and their gradients are computed together, a slice of positions at a time.

torch's own `linear_cross_entropy` works the same way. For a bf16 model it also sums the loss in bf16, which made it
wrong by up to 18% (benchmarks/results/loss.md). It is therefore not used.
"""

import types
from collections.abc import Callable
from typing import Any, Protocol

import torch
from torch.nn.functional import pad
from transformers import Qwen2ForCausalLM

IGNORED = -100
# Number of logits computed at once, in fp32: 4 MiB stay in a CPU's cache, 256 MiB keep a GPU busy.
SLICE = {"cpu": 2**20}
SLICE_ELSEWHERE = 2**26


def next_token_loss(
    hidden: torch.Tensor, weight: torch.Tensor, labels: torch.Tensor, divisor: torch.Tensor | float
) -> torch.Tensor:
    """Return the summed cross-entropy of the next tokens divided by `divisor`, in nats: an fp32 scalar.

    `hidden` (rows, length, width) holds the states after the last norm; `weight` (vocabulary, width) is the output
    layer. `labels` (rows, length) holds the input ids, or -100 where no prediction is wanted. The state at position
    i predicts label i + 1. A divisor below 1 counts as 1.
    """
    targets = pad(labels[:, 1:], (0, 1), value=IGNORED).reshape(-1)
    scale = 1.0 / torch.as_tensor(divisor, dtype=torch.float32, device=hidden.device).clamp(min=1)
    flat = hidden.reshape(-1, hidden.shape[-1])
    with torch.autocast(hidden.device.type, enabled=False):
        loss: torch.Tensor = _SlicedCrossEntropy.apply(flat, weight, targets, scale)  # type: ignore[no-untyped-call]
    return loss


LossOf = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
"""The loss of states (rows, length, width) and labels (rows, length), as `next_token_loss` defines it."""


class Objective(Protocol):
    """What a model is trained for, where that is more than the next token."""

    def loss(
        self,
        model: Qwen2ForCausalLM,
        inputs: dict[str, Any],
        labels: torch.Tensor,
        loss_of: LossOf,
        divisor: torch.Tensor | int,
    ) -> torch.Tensor:
        """Return the loss of a batch, a scalar. `inputs` are those of the model below the output layer."""


def use_sliced_loss(model: Qwen2ForCausalLM, objective: "Objective | None" = None) -> None:
    """Make `model(labels=..., num_items_in_batch=...)` return only the loss, divided by `num_items_in_batch`.

    While the model trains, an `objective` computes it. Calls without labels are unchanged. The loss is computed
    inside `forward` because a distributed wrapper synchronises the gradients of what `forward` returns.
    """

    def forward(
        self: Qwen2ForCausalLM,
        input_ids: torch.Tensor | None = None,
        labels: torch.Tensor | None = None,
        num_items_in_batch: torch.Tensor | int | None = None,
        **inputs: Any,
    ) -> Any:
        if labels is None:
            return type(self).forward(self, input_ids=input_ids, **inputs)
        inputs |= {"input_ids": input_ids, "use_cache": False}
        divisor = (labels[:, 1:] != IGNORED).sum() if num_items_in_batch is None else num_items_in_batch

        def loss_of(hidden: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
            weight, device = self.lm_head.weight, hidden.device.type
            if torch.is_autocast_enabled(device):  # the output layer in the precision of the others
                hidden, weight = (tensor.to(torch.get_autocast_dtype(device)) for tensor in (hidden, weight))
            return next_token_loss(hidden, weight, labels, divisor)

        if objective is not None and self.training:
            return {"loss": objective.loss(self, inputs, labels, loss_of, divisor)}
        return {"loss": loss_of(self.model(**inputs).last_hidden_state, labels)}

    model.forward = types.MethodType(forward, model)


class _SlicedCrossEntropy(torch.autograd.Function):
    """Cross-entropy of `hidden @ weight.T`. The forward pass also computes the gradient, slice by slice.

    Shapes: `hidden` (positions, width), `weight` (vocabulary, width), `targets` (positions), `scale` a scalar.
    """

    @staticmethod
    def forward(
        ctx: Any, hidden: torch.Tensor, weight: torch.Tensor, targets: torch.Tensor, scale: torch.Tensor
    ) -> torch.Tensor:
        needs_grad = ctx.needs_input_grad[0] or ctx.needs_input_grad[1]
        step = max(1, SLICE.get(hidden.device.type, SLICE_ELSEWHERE) // weight.shape[0])
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
