"""The file of further prediction heads beside the weights of a model, which stay those of the ordinary model.

The names of the tensors say how many heads there are and of which kind, so that the file explains itself.
"""

import re
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from transformers import Qwen2ForCausalLM

from l2t_hub.artifacts import CONFIG, PREDICTION_HEADS, WEIGHTS
from l2t_hub.errors import UserError
from l2t_hub.hub.model_check import read_tensor_header
from l2t_hub.records.bounds import MAX_PREDICTION_HEADS
from l2t_hub.records.repo_path import inside
from l2t_hub.text import visible
from l2t_hub.train.prediction_heads import ATTRIBUTE, PredictionHeads, attach, heads_of

Tensors = dict[str, torch.Tensor]
_PREFIX = f"{ATTRIBUTE}."
_TENSOR = re.compile(r"(layer|linear)\.([1-9]\d?)\.[a-z0-9_.]{1,80}")
_TYPES = {"F32": torch.float32, "BF16": torch.bfloat16}
_REMEDY = "Use a model whose files are unchanged since its release."


def without_heads(tensors: Tensors) -> Tensors:
    """Return the tensors of the ordinary model."""
    return {name: tensor for name, tensor in tensors.items() if not name.startswith(_PREFIX)}


def save_heads(tensors: Tensors, directory: Path) -> None:
    """Write the heads among the tensors of a model into a directory, if there are any."""
    heads = {
        name.removeprefix(_PREFIX): tensor.detach().contiguous().cpu()
        for name, tensor in tensors.items()
        if name.startswith(_PREFIX)
    }
    if heads:
        save_file(heads, directory / PREDICTION_HEADS, metadata={"format": "pt"})


def save_with_heads(model: Any, directory: Path, weights: Tensors | None) -> None:
    """Write a model as `AutoModelForCausalLM` loads it, and its further heads beside it.

    `weights` are those of a model whose own are sharded, else None.
    """
    if heads_of(model) is None:
        model.save_pretrained(directory, state_dict=weights)
        return
    tensors = weights if weights is not None else model.state_dict()
    model.save_pretrained(directory, state_dict=without_heads(tensors))
    save_heads(tensors, directory)


def load_with_heads(directory: Path) -> Tensors:
    """Return the tensors of a model and of its further heads, if it has some, as they were saved."""
    tensors = load_file(directory / WEIGHTS)
    heads = directory / PREDICTION_HEADS
    own = load_file(heads) if heads.is_file() else {}
    return tensors | {f"{_PREFIX}{name}": tensor for name, tensor in own.items()}


def restore_heads(heads: PredictionHeads, directory: Path) -> None:
    """Load the heads that `save_heads` wrote for the same recipe into `heads`."""
    heads.load_state_dict(load_file(directory / PREDICTION_HEADS))


def read_heads(directory: Path, name: str, model: Any) -> PredictionHeads | None:
    """Load a stranger's heads and attach them to the model; None if the directory has none.

    `name` is what errors call the model. Number, kind, shapes and types are checked by the header against the model
    before anything is allocated. Raises UserError.
    """
    path = inside(directory, PREDICTION_HEADS)
    if not path.is_file():
        return None
    where = f"{name}: {PREDICTION_HEADS}"
    if type(model) is not Qwen2ForCausalLM:
        raise UserError(f"{where}: heads of a {type(model).__name__}: l2t knows only those of Qwen2", _REMEDY)
    header = {key: entry for key, entry in read_tensor_header(path, where).items() if key != "__metadata__"}
    kind, count = _kind_and_count(header, where)
    with torch.device("meta"):
        heads = PredictionHeads(model.config, count, kind)
    wanted = {key: list(tensor.shape) for key, tensor in heads.state_dict().items()}
    for key in sorted(wanted.keys() | header.keys()):
        found = header.get(key, {}).get("shape")
        if found != wanted.get(key) or header[key]["dtype"] not in _TYPES:
            raise UserError(f"{where}: {visible(key)} does not fit the model's {CONFIG}", _REMEDY)
    heads.load_state_dict(load_file(path), assign=True)
    attach(model, heads.eval())
    return heads


def _kind_and_count(header: dict[str, Any], where: str) -> tuple[str, int]:
    """Return the kind of the heads and their number with head 1. Raises UserError if they are no such heads."""
    names = [_TENSOR.fullmatch(key) for key in header]
    kinds = {match[1] for match in names if match}
    numbers = {int(match[2]) for match in names if match}
    count = max(numbers, default=1)
    if (
        None in names
        or len(kinds) != 1
        or numbers != set(range(2, count + 1))
        or count > MAX_PREDICTION_HEADS
    ):
        raise UserError(f"{where}: its tensors are not those of prediction heads", _REMEDY)
    return kinds.pop(), count
