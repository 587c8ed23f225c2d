"""The multi-token objective: the sum of the losses of the active heads, each over the tokens that it predicts.

Gloeckle et al. 2024 (arXiv 2404.19737, equation 2) sum the cross-entropies of the heads. Each sum over tokens is
divided by the number of next tokens in the step, so that with one head it is next-token training to the last bit.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch.nn.functional import pad
from transformers import Qwen2ForCausalLM

from l2t_hub.train.loss import LossOf
from l2t_hub.train.loss_paths import IGNORED
from l2t_hub.train.prediction_heads import PredictionHeads

Reduce = Callable[[torch.Tensor], torch.Tensor]


def labels_ahead(labels: torch.Tensor, position_ids: torch.Tensor | None, ahead: int) -> torch.Tensor:
    """Return labels of which number i + 1 is what position i predicts `ahead` tokens ahead; both (rows, length).

    Whether a head predicts a token is decided as for the next token: padding is ignored where its labels are. In a
    pack whose texts see each other, a prediction may reach into the next text. With `position_ids`, which start at 0
    in every text, it may not: a token is predicted only from its own text.
    """
    if ahead == 1:
        return labels
    if position_ids is not None:
        labels = torch.where(position_ids < ahead, IGNORED, labels)
    return pad(labels[:, ahead - 1 :], (0, ahead - 1), value=IGNORED)[:, : labels.shape[1]]


class MultiTokenObjective:
    """Computes the loss of the heads of a model, and keeps the sums of each since the last record of the log."""

    def __init__(self, heads: PredictionHeads) -> None:
        self.heads = heads
        self._sums: torch.Tensor | None = None

    def loss(
        self,
        model: Qwen2ForCausalLM,
        inputs: dict[str, Any],
        labels: torch.Tensor,
        loss_of: LossOf,
        divisor: torch.Tensor | int,
    ) -> torch.Tensor:
        """Return the sum of the losses of the active heads. `loss_of` is that of states and labels.

        The heads come one after the other, so that only one has a slice of logits at a time.
        """
        total = None
        for ahead, state in enumerate(self.heads.states(model, inputs, self.heads.active), 1):
            targets = labels_ahead(labels, inputs.get("position_ids"), ahead)
            loss = loss_of(state, targets)
            self._add(ahead, loss.detach(), (targets[:, 1:] != IGNORED).sum() / divisor)
            total = loss if total is None else total + loss
        assert total is not None
        return total

    def _add(self, ahead: int, loss: torch.Tensor, share: torch.Tensor) -> None:
        if self._sums is None:
            self._sums = torch.zeros(2, self.heads.count, dtype=torch.float32, device=loss.device)
        self._sums[0, ahead - 1] += loss
        self._sums[1, ahead - 1] += share

    def sums(self, reduce: Reduce) -> list[tuple[float, float]]:
        """Return for each head the sum of its losses, and the steps that it was trained in, of all processes.

        A step counts by the share of its next tokens that the head predicted. `reduce` sums over the processes.
        """
        return list(zip(*reduce(self._sums).tolist(), strict=True)) if self._sums is not None else []

    def record(self, reduce: Reduce) -> dict[str, Any]:
        """Return what the log has of the heads, and start the sums anew.

        `loss` is that of head 1, the mean over steps, as in next-token training. `head_losses` has all heads, None
        where a head was not trained since the last record. Losses are in nats per token that the head predicted.
        """
        means = [loss / steps if steps else None for loss, steps in self.sums(reduce)]
        self._sums = None
        return {"loss": means[0], "head_losses": means, "active_heads": self.heads.active}

    def restore(self, sums: Sequence[tuple[float, float]], device: torch.device) -> None:
        """Continue with the sums of a checkpoint."""
        self._sums = (
            torch.tensor(list(zip(*sums, strict=True)), dtype=torch.float32, device=device) if sums else None
        )
