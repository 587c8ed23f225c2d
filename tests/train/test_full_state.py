"""The state of a sharded optimizer is gathered and sharded again without a change. One process has the only shard."""

import copy
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import distributed
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor

from l2t_hub.train.full_state_trainer import all_finite, gathered, sharded
from l2t_hub.train.optimizer import Fp32MomentsAdamW


@pytest.fixture
def group(tmp_path: Path) -> Iterator[None]:
    """A process group of this process alone."""
    store = distributed.FileStore(str(tmp_path / "store"), 1)
    distributed.init_process_group("gloo", store=store, rank=0, world_size=1)
    yield
    distributed.destroy_process_group()


def step(model: torch.nn.Module, optimizer: torch.optim.Optimizer, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    for parameter in model.parameters():
        gradient = torch.randn(parameter.shape, generator=generator, dtype=parameter.dtype)
        if isinstance(parameter, DTensor):
            gradient = DTensor.from_local(gradient, parameter.device_mesh, parameter.placements)
        parameter.grad = gradient
    optimizer.step()


@pytest.mark.parametrize("kind", [Fp32MomentsAdamW, torch.optim.AdamW])
def test_a_sharded_optimizer_continues_from_a_whole_state_and_back(
    group: None, kind: type[torch.optim.Optimizer]
) -> None:
    dtype = torch.bfloat16 if kind is Fp32MomentsAdamW else torch.float32
    torch.manual_seed(0)
    plain = torch.nn.Linear(6, 4, dtype=dtype)
    shards = fully_shard(copy.deepcopy(plain))
    one, two = kind(plain.parameters()), kind(shards.parameters())
    step(plain, one, 1)
    two.load_state_dict(sharded(copy.deepcopy(one.state_dict()), two.param_groups))
    shards.load_state_dict(
        {
            name: DTensor.from_local(value, shards.weight.device_mesh, shards.weight.placements)
            for name, value in plain.state_dict().items()
        }
    )
    assert all(isinstance(state["exp_avg"], DTensor) for state in two.state.values())
    step(plain, one, 2)
    step(shards, two, 2)
    whole = gathered(two.state_dict())
    for number, state in one.state_dict()["state"].items():
        for name, value in state.items():
            assert type(whole["state"][number][name]) is torch.Tensor
            assert torch.equal(whole["state"][number][name], value), name
    for a, b in zip(plain.parameters(), shards.parameters(), strict=True):
        assert isinstance(b, DTensor)
        assert torch.equal(a, b.full_tensor())


def test_a_weight_that_is_not_finite_is_seen_in_a_shard(group: None) -> None:
    model = fully_shard(torch.nn.Linear(6, 4))
    assert all_finite(model.parameters())
    with torch.no_grad():
        model.bias.to_local()[1] = float("inf")
    assert not all_finite(model.parameters())
