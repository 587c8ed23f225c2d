"""Checkpoints that do not depend on how a run is spread: one process, several (DDP), or shards of a model (FSDP2).

transformers saves the state of FSDP2 in files of its own, which a run on one process cannot read. Here the shards are
gathered, and every checkpoint has the whole weights in `model.safetensors` and the whole optimizer in `optimizer.pt`.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from torch.distributed.checkpoint.state_dict import StateDictOptions, set_model_state_dict
from torch.distributed.tensor import DTensor, distribute_tensor
from transformers.trainer import OPTIMIZER_NAME, SCHEDULER_NAME
from trl import SFTTrainer

from l2t_hub.train.heads_file import load_with_heads, restore_heads, save_heads, without_heads
from l2t_hub.train.optimizer import local
from l2t_hub.train.prediction_heads import heads_of


class FullStateTrainer(SFTTrainer):  # type: ignore[misc]
    """An SFTTrainer whose checkpoints any number of processes can continue, sharded or not."""

    def any_process(self, flag: bool) -> bool:
        """Whether `flag` is set in any process of the run. All processes get the same answer."""
        if self.args.world_size == 1:
            return flag
        flags = torch.tensor(float(flag), device=self.args.device)
        return float(self.accelerator.reduce(flags, "sum")) > 0

    def whole_weights(self) -> dict[str, torch.Tensor] | None:
        """Gather the weights of a sharded model in the main process; all processes must call this.

        None means that the model has its whole weights itself.
        """
        if not self.is_fsdp_enabled:
            return None
        weights: dict[str, torch.Tensor] = self.accelerator.get_state_dict(self.model)
        return weights

    def _save(self, output_dir: str | None = None, state_dict: dict[str, Any] | None = None) -> None:
        """Write the ordinary model, and further heads beside it, if there are any."""
        if heads_of(self.model) is None:
            super()._save(output_dir, state_dict)
            return
        tensors = state_dict if state_dict is not None else self.model.state_dict()
        super()._save(output_dir, without_heads(tensors))
        if self.args.should_save:
            save_heads(tensors, Path(output_dir or self.args.output_dir))

    def _save_optimizer_and_scheduler(self, output_dir: str) -> None:
        if not self.is_fsdp_enabled:
            super()._save_optimizer_and_scheduler(output_dir)
            return
        state = gathered(self.optimizer.state_dict())
        if self.args.should_save:
            torch.save(state, Path(output_dir, OPTIMIZER_NAME))
            torch.save(self.lr_scheduler.state_dict(), Path(output_dir, SCHEDULER_NAME))

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        if not self.is_fsdp_enabled:
            super()._load_from_checkpoint(resume_from_checkpoint, model)
            heads = heads_of(self.model)
            if heads is not None:
                restore_heads(heads, Path(resume_from_checkpoint))
            return
        weights: dict[str, Any] = (
            load_with_heads(Path(resume_from_checkpoint)) if self.args.process_index == 0 else {}
        )
        # A tied output layer is not saved, and need not be.
        options = StateDictOptions(full_state_dict=True, broadcast_from_rank0=True, strict=False)
        set_model_state_dict(self.model, weights, options=options)

    def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
        if not self.is_fsdp_enabled or checkpoint is None:
            super()._load_optimizer_and_scheduler(checkpoint)
            return
        # Mapped, not read: of the whole state, a process needs its own shards.
        saved = torch.load(Path(checkpoint, OPTIMIZER_NAME), "cpu", weights_only=True, mmap=True)
        self.optimizer.load_state_dict(sharded(saved, self.optimizer.param_groups))
        self.lr_scheduler.load_state_dict(torch.load(Path(checkpoint, SCHEDULER_NAME), weights_only=True))


def all_finite(parameters: Iterable[torch.Tensor]) -> bool:
    """Whether every number is finite in the parameters, or in the shards of them that this process has."""
    return all(bool(torch.isfinite(local(parameter)).all()) for parameter in parameters)


def gathered(state_dict: dict[str, Any]) -> dict[str, Any]:
    """Return the state of an optimizer with every tensor whole and on the CPU. All processes must call this."""
    state = {
        number: {name: _whole(value) for name, value in moments.items()}
        for number, moments in state_dict["state"].items()
    }
    return state_dict | {"state": state}


def _whole(value: Any) -> Any:
    if isinstance(value, DTensor):
        value = value.full_tensor()
    return value.cpu() if isinstance(value, torch.Tensor) else value


def sharded(state_dict: dict[str, Any], groups: list[dict[str, Any]]) -> dict[str, Any]:
    """Return a whole optimizer state with the shards of this process, as the parameters of `groups` are sharded."""
    parameters = [parameter for group in groups for parameter in group["params"]]
    state = {
        number: {name: _shard(value, parameters[number]) for name, value in moments.items()}
        for number, moments in state_dict["state"].items()
    }
    return state_dict | {"state": state}


def _shard(value: torch.Tensor, parameter: torch.Tensor) -> torch.Tensor:
    """Return the part of `value` that belongs to this process. A step count has no parts."""
    if not isinstance(parameter, DTensor) or value.shape != parameter.shape:
        return value
    mesh, placements = parameter.device_mesh, parameter.placements
    # Every process has the whole value, so that none has to send it.
    return distribute_tensor(value.to(parameter.device), mesh, placements, src_data_rank=None)
