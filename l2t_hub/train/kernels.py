"""How the arithmetic of a model is done: the implementation of attention, and torch.compile.

Both change results by rounding only. What this machine cannot do is refused before the run starts.
"""

import os
import shutil
from typing import TYPE_CHECKING

from l2t_hub.errors import UsageError
from l2t_hub.recipe import Recipe

if TYPE_CHECKING:
    from transformers import Qwen2ForCausalLM

    from l2t_hub.train.model import Precision

FLASH = "flash_attention_2"


def check_kernels(recipe: Recipe, precision: "Precision") -> None:
    """Raise UsageError if the recipe asks for an attention or a compiler that this machine does not have."""
    problem = _attention_problem(recipe, precision)
    if problem is not None:
        key = recipe.where("train.attn_implementation")
        raise UsageError(
            f"{key} is {recipe.train.attn_implementation}, which {problem}",
            "Add --set train.attn_implementation=sdpa, the default: results differ by rounding only.",
        )
    if recipe.train.torch_compile and not _compiler():
        raise UsageError(
            f"{recipe.where('train.torch_compile')} needs a C++ compiler, and none was found",
            "Install one (such as g++), name it in the variable CXX, or add --set train.torch_compile=false.",
        )


def use_kernels(model: "Qwen2ForCausalLM", recipe: Recipe) -> None:
    """Give a model the recipe's attention, and compile its layers if the recipe says so.

    Each layer is compiled by itself: they share their code, so that one compilation serves all.
    """
    from l2t_hub.train.prediction_heads import heads_of

    model.set_attn_implementation(recipe.train.attn_implementation)
    if recipe.train.torch_compile:
        heads = heads_of(model)
        for layer in (*model.model.layers, *(heads.layers() if heads is not None else ())):
            layer.compile()


def _attention_problem(recipe: Recipe, precision: "Precision") -> str | None:
    import torch
    from transformers.utils.import_utils import is_flash_attn_2_available

    train = recipe.train
    if train.attn_implementation == "flex_attention" and not torch.cuda.is_available():
        return "computes no gradients on a CPU"
    if train.attn_implementation != FLASH:
        return None
    if not torch.cuda.is_available() or not is_flash_attn_2_available():
        return "needs a GPU and the library flash-attn"
    if precision == "fp32":
        return "does not compute in fp32"
    if train.loss_on_padding and train.attention == "pack":
        return "gives padding no states to predict it from, as `train.loss_on_padding` needs"
    return None


def _compiler() -> str | None:
    candidates = (os.environ.get("CXX"), "g++", "clang++", "c++")
    return next((found for name in candidates if name and (found := shutil.which(name))), None)
