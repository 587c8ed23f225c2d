"""The next-token objective, computed so that the logits of a whole batch never exist at once.

TRL 1.16's SFTTrainer scores every step for entropy and accuracy through a fused head that on a CPU costs about as
much as the rest of a small model, and the model's own loss holds batch x length x vocabulary logits several times
over. Here the output layer and its gradient are worked out together, a slice of positions at a time: nothing is
computed that training does not need, and `benchmarks/train_step.py` measures it against both.
"""

import types
from typing import Any

import torch
from torch.nn.functional import pad
from transformers import Qwen2ForCausalLM

IGNORED = -100
# Logits held at once, in elements: on a CPU what stays in its cache (4 MiB), on a GPU enough to fill it (256 MiB).
SLICE = {"cpu": 2**20}
SLICE_ELSEWHERE = 2**26


def next_token_loss(
    hidden: torch.Tensor, weight: torch.Tensor, labels: torch.Tensor, divisor: torch.Tensor | float
) -> torch.Tensor:
    """Give the summed cross-entropy of the next tokens, over `divisor`: an fp32 scalar.

    `hidden` (rows, length, width) are the states after the last norm, `weight` (vocabulary, width) the output
    layer, `labels` (rows, length) the input ids, or -100 for a token that is not to be predicted. The states at
    position i predict label i + 1.
    """
    targets = pad(labels[:, 1:], (0, 1), value=IGNORED).reshape(-1)
    scale = 1.0 / torch.as_tensor(divisor, dtype=torch.float32, device=hidden.device).clamp(min=1)
    flat = hidden.reshape(-1, hidden.shape[-1])
    with torch.autocast(hidden.device.type, enabled=False):
        loss: torch.Tensor = _SlicedCrossEntropy.apply(flat, weight, targets, scale)  # type: ignore[no-untyped-call]
    return loss


def set_objective(model: Qwen2ForCausalLM) -> None:
    """Make `model(labels=..., num_items_in_batch=...)` return the loss alone; without labels it is as it was.

    The forward is what a distributed wrapper hooks into, so the loss has to be computed inside it.
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
        inputs["use_cache"] = False
        hidden = self.model(input_ids=input_ids, **inputs).last_hidden_state
        predicted = num_items_in_batch
        if predicted is None:
            predicted = (labels[:, 1:] != IGNORED).sum()
        return {"loss": next_token_loss(hidden, self.lm_head.weight, labels, predicted)}

    model.forward = types.MethodType(forward, model)


class _SlicedCrossEntropy(torch.autograd.Function):
    """Cross-entropy of `hidden @ weight.T`; its gradient is made in the forward pass, while each slice is at hand."""

    @staticmethod
    def forward(
        ctx: Any, hidden: torch.Tensor, weight: torch.Tensor, targets: torch.Tensor, scale: torch.Tensor
    ) -> torch.Tensor:
        wanted = ctx.needs_input_grad[0] or ctx.needs_input_grad[1]
        step = max(1, SLICE.get(hidden.device.type, SLICE_ELSEWHERE) // weight.shape[0])
        loss = torch.zeros((), dtype=torch.float32, device=hidden.device)
        grad_hidden = torch.empty_like(hidden) if wanted else None
        grad_weight = torch.zeros_like(weight, dtype=torch.float32) if wanted else None
        for start in range(0, hidden.shape[0], step):
            states, target = hidden[start : start + step], targets[start : start + step]
            kept = (target != IGNORED).unsqueeze(1)
            index = target.clamp(min=0).unsqueeze(1)
            log_p = torch.log_softmax((states @ weight.t()).float(), dim=-1)
            loss -= torch.where(kept, log_p.gather(1, index), 0.0).sum()
            if grad_hidden is None or grad_weight is None:
                continue
            # d loss / d logits = softmax - one-hot, in the memory of the log-probabilities.
            slope = log_p.exp_().scatter_add_(1, index, log_p.new_full((1, 1), -1.0).expand_as(index))
            slope = slope.mul_(kept * scale).to(weight.dtype)
            torch.mm(slope, weight, out=grad_hidden[start : start + step])
            _add_product(grad_weight, slope.t(), states)
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
    """Add `left @ right` to an fp32 total, in place."""
    if right.dtype == total.dtype:
        total.addmm_(left, right)
    else:
        total.add_(left @ right)
