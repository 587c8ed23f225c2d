"""The next-token loss, computed without ever holding the logits of a whole batch.

transformers' own loss holds several tensors of batch x length x vocabulary logits. The loss of TRL 1.16's SFTTrainer
also computes entropy and accuracy, which on a CPU costs about as much as the rest of a small model. Here the output
layer, the loss and their gradients are computed together, a slice of positions at a time.

`loss_paths.py` has the table of the implementation for each device.
"""

import types
from collections.abc import Callable
from typing import Any

import torch
from torch.nn.functional import pad
from transformers import Qwen2ForCausalLM

from l2t_hub.train.loss_paths import IGNORED, LOSSES, chosen_loss


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
        return LOSSES[chosen_loss(hidden.device.type).name](flat, weight, targets, scale)


LossOf = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
"""The loss of states (rows, length, width) and labels (rows, length), as `next_token_loss` defines it."""


ObjectiveLoss = Callable[
    [Qwen2ForCausalLM, dict[str, Any], torch.Tensor, LossOf, torch.Tensor | int], torch.Tensor
]
"""What a model is trained for, where that is more than the next token: the loss of a batch, a scalar, from the model,
the inputs of what is below its output layer, the labels, the loss of states, and the divisor in that."""


def use_sliced_loss(model: Qwen2ForCausalLM, objective: ObjectiveLoss | None = None) -> None:
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
            return {"loss": objective(self, inputs, labels, loss_of, divisor)}
        return {"loss": loss_of(self.model(**inputs).last_hidden_state, labels)}

    model.forward = types.MethodType(forward, model)
