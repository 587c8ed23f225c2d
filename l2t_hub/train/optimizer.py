"""AdamW for bf16 weights with both moments in fp32, as the paper trained (apex's fused Adam).

torch's AdamW keeps the moments in the type of the weights. In bf16, with 8 bits of precision, a second moment cannot
decay: multiplied by 0.999 it rounds back to itself. It then stays too large after gradients shrink, and the steps too
small (benchmarks/results/precision.md).
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import torch
from torch.distributed.tensor import DTensor
from torch.optim.adamw import adamw

MOMENTS = ("exp_avg", "exp_avg_sq")
# Weights whose fp32 copies exist at once: 128 MiB for weights, and as much for gradients.
COPIED_AT_ONCE = 2**25


class Fp32MomentsAdamW(torch.optim.Optimizer):
    """AdamW that computes in fp32 and rounds only the new weights.

    A step is torch's fused AdamW on fp32 copies of weights and gradients. The moments stay in fp32; the copies
    are made for a few tensors at a time and not kept. `betas` are the decay rates of the moments.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(params, {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Update every weight that has a gradient, and return the loss of a `closure` that computes it again."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for parameters in _batches(p for p in group["params"] if p.grad is not None):
                self._update(group, parameters)
        return loss

    def _update(self, group: dict[str, Any], parameters: list[torch.Tensor]) -> None:
        states = [self._state_of(parameter) for parameter in parameters]
        shards = [local(parameter) for parameter in parameters]
        weights = [shard.float() for shard in shards]
        gradients = [local(parameter.grad).float() for parameter in parameters if parameter.grad is not None]
        beta1, beta2 = group["betas"]
        adamw(
            weights,
            gradients,
            [local(state["exp_avg"]) for state in states],
            [local(state["exp_avg_sq"]) for state in states],
            [],
            [state["step"] for state in states],
            fused=True,
            amsgrad=False,
            beta1=beta1,
            beta2=beta2,
            lr=group["lr"],
            weight_decay=group["weight_decay"],
            eps=group["eps"],
            maximize=False,
        )
        torch._foreach_copy_(shards, weights)

    def _state_of(self, parameter: torch.Tensor) -> dict[str, torch.Tensor]:
        state: dict[str, torch.Tensor] = self.state[parameter]
        if not state:
            state["step"] = torch.zeros((), dtype=torch.float32, device=parameter.device)
            for name in MOMENTS:
                state[name] = torch.zeros_like(parameter, dtype=torch.float32)
        return state

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Load a state as it was saved. torch would round the moments to the type of the weights."""
        super().load_state_dict(state_dict)
        parameters = [parameter for group in self.param_groups for parameter in group["params"]]
        for number, saved in state_dict["state"].items():
            parameter = parameters[number]
            for name in ("step", *MOMENTS):
                self.state[parameter][name] = saved[name].to(parameter.device, torch.float32, copy=True)


def local(tensor: torch.Tensor) -> torch.Tensor:
    """Return the part of a tensor that this process has: its shard under FSDP2, else all of it."""
    shard: torch.Tensor = tensor.to_local() if isinstance(tensor, DTensor) else tensor
    return shard


def _batches(parameters: Iterable[torch.Tensor]) -> Iterator[list[torch.Tensor]]:
    """Group tensors, in order, into batches of at most COPIED_AT_ONCE numbers or one tensor."""
    batch: list[torch.Tensor] = []
    size = 0
    for parameter in parameters:
        if batch and size + parameter.numel() > COPIED_AT_ONCE:
            yield batch
            batch, size = [], 0
        batch.append(parameter)
        size += parameter.numel()
    if batch:
        yield batch
