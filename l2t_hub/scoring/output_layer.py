"""Log-probabilities of chosen tokens from hidden states, over slices of the vocabulary: no full logits are kept."""

import math
from typing import Any

import torch

LOG2_E = math.log2(math.e)
# Logits computed at once. On a CPU 512 rows by 1,024 entries in fp32 are 2 MiB and stay in the cache.
ROWS, ENTRIES = {"cpu": 512}, {"cpu": 1024}
ROWS_ELSEWHERE, ENTRIES_ELSEWHERE = 8192, 8192


def log_probabilities(
    hidden: torch.Tensor, weight: torch.Tensor, rows: torch.Tensor, targets: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return ln softmax(hidden @ weight.T)[rows, targets], and whether that token has the highest logit of its row.

    Shapes: `hidden` (positions, width), `weight` (vocabulary, width), `rows` and `targets` (edges). The logits have
    the precision of `weight`, the sums are in fp32. A token that shares the highest logit counts as the highest.
    """
    step = ROWS.get(hidden.device.type, ROWS_ELSEWHERE)
    if len(hidden) <= step:
        return _of_rows(hidden, weight, rows, targets)
    values = torch.empty(len(rows), dtype=torch.float32, device=hidden.device)
    highest = torch.empty(len(rows), dtype=torch.bool, device=hidden.device)
    for start in range(0, len(hidden), step):
        (chosen,) = torch.where((rows >= start) & (rows < start + step))
        values[chosen], highest[chosen] = _of_rows(
            hidden[start : start + step], weight, rows[chosen] - start, targets[chosen]
        )
    return values, highest


def _of_rows(
    hidden: torch.Tensor, weight: torch.Tensor, rows: torch.Tensor, targets: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    step = ENTRIES.get(hidden.device.type, ENTRIES_ELSEWHERE)
    order = targets.argsort()
    sorted_rows, sorted_targets = rows[order], targets[order]
    starts = torch.arange(0, len(weight) + step, step, device=targets.device)
    bounds = torch.searchsorted(sorted_targets, starts).tolist()  # the edges of each slice are neighbours
    target_logits = torch.empty(len(rows), dtype=torch.float32, device=hidden.device)
    highest = torch.full((len(hidden), 1), -torch.inf, dtype=torch.float32, device=hidden.device)
    total = torch.zeros_like(highest)
    buffer: Any = None
    for i, start in enumerate(range(0, len(weight), step)):
        entries = weight[start : start + step]
        if buffer is None or buffer.shape[1] != len(entries):
            buffer = torch.empty(len(hidden), len(entries), dtype=weight.dtype, device=hidden.device)
        logits = torch.mm(hidden, entries.t(), out=buffer).float()
        mine = slice(bounds[i], bounds[i + 1])
        target_logits[mine] = logits[sorted_rows[mine], sorted_targets[mine] - start]
        before = highest
        highest = torch.maximum(before, logits.amax(1, keepdim=True))
        total *= (before - highest).exp_()
        # exp(x) as exp2(x / ln 2): on AMD processors torch's exp2 is three times as fast as its exp.
        total += logits.sub_(highest).mul_(LOG2_E).exp2_().sum(1, keepdim=True)
    highest, total = highest[:, 0], total[:, 0]
    back = torch.empty_like(order)
    back[order] = torch.arange(len(order), device=order.device)
    target_logits = target_logits[back]
    return target_logits - highest[rows] - total.log()[rows], target_logits == highest[rows]
