"""The further heads of multi-token prediction: modules beside a Qwen2 model, which stays as it is.

Head 1 is the model itself. Head i predicts the token i positions ahead through the model's own output layer, so that
a head costs no second matrix of vocabulary x width (Gloeckle et al. 2024, arXiv 2404.19737, appendix B, calls one for
each head prohibitive):

- `layer`: a decoder layer of its own on what the model's last layer gets, then the model's last norm. The last layer
  is the head of the next token, and all layers below are the shared trunk, as in that paper.
- `linear`: one matrix and no nonlinearity, as that paper's linear heads, which probe the trunk's residual stream.
  Here the matrix reads the state after the last norm, as head 1 does, so that the trunk is the whole model.
"""

import hashlib
from typing import Any

import torch
from torch import nn
from transformers import Qwen2Config, Qwen2ForCausalLM
from transformers.models.qwen2.modeling_qwen2 import Qwen2DecoderLayer

from l2t_hub.recipe import Recipe

ATTRIBUTE = "prediction_heads"


class PredictionHeads(nn.Module):
    """Heads 2 to `count` of a model. `kind` is "layer" or "linear".

    The names of the weights are `KIND.NUMBER.NAME`, such as `linear.2.weight`. `active` is the number of heads that
    are trained now, head 1 included.
    """

    def __init__(self, config: Qwen2Config, count: int, kind: str) -> None:
        super().__init__()
        self.count, self.kind, self.active = count, kind, count
        numbers = range(2, count + 1)
        self.add_module(kind, nn.ModuleDict({str(number): _new_head(config, kind) for number in numbers}))
        self._watched = False
        self._last_layer: tuple[torch.Tensor, dict[str, Any]] | None = None

    def head(self, number: int) -> nn.Module:
        """Return one of the heads from 2 on."""
        heads: Any = getattr(self, self.kind)
        module: nn.Module = heads[str(number)]
        return module

    def numbers(self) -> list[int]:
        """Return the numbers of these heads."""
        return list(range(2, self.count + 1))

    def layers(self) -> list[nn.Module]:
        """Return the heads that are decoder layers."""
        return [self.head(number) for number in self.numbers()] if self.kind == "layer" else []

    def watch(self, model: Qwen2ForCausalLM) -> None:
        """From now on, keep what the last layer of `model` gets, for as long as `watching`."""
        model.model.layers[-1].register_forward_pre_hook(self._keep, with_kwargs=True)

    def states(
        self, model: Qwen2ForCausalLM, inputs: dict[str, Any], active: int, cache: Any = None
    ) -> list[torch.Tensor]:
        """Run the model and return what its output layer reads, (rows, length, width) for each head up to `active`.

        `inputs` are those of the model below the output layer. `cache` has the keys and values of heads of layers.
        """
        self._watched = self.kind == "layer" and active > 1
        try:
            first: torch.Tensor = model.model(**inputs).last_hidden_state
            return [first, *(self._state(model, first, number, cache) for number in range(2, active + 1))]
        finally:
            self._watched, self._last_layer = False, None

    def _state(self, model: Qwen2ForCausalLM, first: torch.Tensor, number: int, cache: Any) -> torch.Tensor:
        head = self.head(number)
        if self._last_layer is None:
            state: torch.Tensor = head(first)
            return state
        trunk, keywords = self._last_layer
        normed: torch.Tensor = model.model.norm(head(trunk, **{**keywords, "past_key_values": cache}))
        return normed

    def _keep(self, layer: nn.Module, args: tuple[torch.Tensor, ...], keywords: dict[str, Any]) -> None:
        if self._watched:
            self._last_layer = args[0], keywords


def _new_head(config: Qwen2Config, kind: str) -> nn.Module:
    if kind == "linear":
        return nn.Linear(config.hidden_size, config.hidden_size, bias=False)
    return Qwen2DecoderLayer(config, 0)


def add_prediction_heads(model: Qwen2ForCausalLM, recipe: Recipe) -> PredictionHeads | None:
    """Give a new model the further heads of a recipe, None if it has none, and return them.

    The initial weights of a head depend only on the seed and its number, and those of the model do not change.
    """
    objective = recipe.objective
    if objective.kind == "next_token" or objective.heads == 1:
        return None
    with torch.random.fork_rng(devices=[]):
        heads = PredictionHeads(model.config, objective.heads, objective.head)
        for number in heads.numbers():
            address = hashlib.blake2b(f"{recipe.seed}/prediction head/{number}".encode(), digest_size=8)
            torch.manual_seed(int.from_bytes(address.digest(), "big"))
            heads.head(number).apply(model._init_weights)
    attach(model, heads)
    return heads


def attach(model: Qwen2ForCausalLM, heads: PredictionHeads) -> None:
    """Make heads part of a model, in its precision and on its device."""
    heads.to(dtype=model.dtype, device=model.device)
    for number, layer in enumerate(heads.layers()):
        attention: Any = layer.self_attn
        attention.layer_idx = number  # where a cache has its keys and values
    heads.watch(model)
    setattr(model, ATTRIBUTE, heads)


def heads_of(model: Any) -> PredictionHeads | None:
    """Return the further heads of a model, None if it has none."""
    heads: PredictionHeads | None = getattr(model, ATTRIBUTE, None)
    return heads
