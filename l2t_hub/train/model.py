"""The sizes of the family, and how a recipe becomes a Qwen2 architecture and a freshly initialised model.

The paper's three sizes are those of method.md section 4; `nano` is ours, for a run of minutes on two cores.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from l2t_hub.errors import UsageError
from l2t_hub.recipe import Recipe

if TYPE_CHECKING:
    from transformers import Qwen2Config, Qwen2ForCausalLM

Precision = Literal["bf16", "fp32"]


@dataclass(frozen=True)
class Size:
    """One row of the table of sizes, in Qwen2Config's names."""

    num_hidden_layers: int
    hidden_size: int
    num_attention_heads: int
    num_key_value_heads: int
    head_dim: int
    intermediate_size: int


SIZES: dict[str, Size] = {
    #            layers hidden heads kv  head  MLP
    "nano": Size(4, 128, 4, 2, 32, 352),
    "100m": Size(12, 768, 12, 2, 64, 2560),
    "500m": Size(24, 1024, 24, 2, 42, 4864),  # head dim = floor(1024 / 24)
    "1b": Size(30, 1728, 32, 4, 54, 4752),
}

VOCABULARY_MULTIPLE = 128


def model_config(
    recipe: Recipe,
    vocab_size: int,
    bos_token_id: int | None = None,
    eos_token_id: int | None = None,
    pad_token_id: int | None = None,
) -> "Qwen2Config":
    """Give the architecture of a recipe: a row of SIZES with the recipe's own keys over it.

    `vocab_size` is the tokenizer's number of entries; the model's is rounded up to a multiple of 128.
    Raises UsageError for heads that do not divide or an odd head dimension.
    """
    from transformers import Qwen2Config

    shape = _shape(recipe)
    return Qwen2Config(
        **vars(shape),
        vocab_size=-(-vocab_size // VOCABULARY_MULTIPLE) * VOCABULARY_MULTIPLE,
        tie_word_embeddings=True,
        hidden_act="silu",
        rms_norm_eps=1e-6,
        rope_parameters={"rope_type": "default", "rope_theta": 1_000_000.0},
        max_position_embeddings=32_768,
        initializer_range=0.02,
        attention_dropout=0.0,
        use_sliding_window=False,
        bos_token_id=bos_token_id,
        eos_token_id=eos_token_id,
        pad_token_id=pad_token_id,
    )


def count_parameters(config: "Qwen2Config") -> int:
    """Count the weights of an architecture, tied embeddings once, without allocating them."""
    import torch
    from transformers import Qwen2ForCausalLM

    with torch.device("meta"):
        model = Qwen2ForCausalLM(config)
    return sum(parameter.numel() for parameter in model.parameters())


def new_model(config: "Qwen2Config", seed: int, precision: Precision = "fp32") -> "Qwen2ForCausalLM":
    """Initialise a model from the seed alone; the global generator is left as it was.

    The draw is made in fp32 and rounded, so that one seed means one model in either precision.
    """
    import torch
    from transformers import Qwen2ForCausalLM

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = Qwen2ForCausalLM(config)
    if precision == "bf16":
        # Parameters only: `model.to(bfloat16)` would round the rotary frequencies too, which stay fp32 when a
        # saved model is loaded.
        for parameter in model.parameters():
            parameter.data = parameter.data.to(torch.bfloat16)
        model.config.dtype = torch.bfloat16
    return model


def resolve_precision(recipe: Recipe) -> Precision:
    """Say which precision this machine will use: `auto` is bf16 on a GPU that has it, else fp32."""
    import torch

    if recipe.train.precision != "auto":
        return recipe.train.precision
    return "bf16" if torch.cuda.is_available() and torch.cuda.is_bf16_supported() else "fp32"


def _shape(recipe: Recipe) -> Size:
    """Lay the recipe's overrides over its size; a new width or head count also gives a new head dimension."""
    base = SIZES[recipe.model.size]
    given = {k: v for k, v in recipe.model.model_dump(exclude={"size"}).items() if v is not None}
    if "head_dim" not in given and given.keys() & {"hidden_size", "num_attention_heads"}:
        hidden = given.get("hidden_size", base.hidden_size)
        given["head_dim"] = hidden // given.get("num_attention_heads", base.num_attention_heads)
    shape = Size(**(vars(base) | given))
    if shape.num_attention_heads % shape.num_key_value_heads:
        raise UsageError(
            f"{recipe.where('model.num_attention_heads')}: {shape.num_attention_heads} query heads cannot share "
            f"{shape.num_key_value_heads} key and value heads evenly",
            "Make `model.num_attention_heads` a multiple of `model.num_key_value_heads`.",
        )
    if shape.head_dim < 2 or shape.head_dim % 2:
        raise UsageError(
            f"{recipe.where('model.head_dim')}: the head dimension is {shape.head_dim}; it must be even",
            "Set `model.head_dim`, or choose `model.hidden_size` and `model.num_attention_heads` to suit.",
        )
    return shape
