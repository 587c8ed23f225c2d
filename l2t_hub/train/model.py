"""A recipe's Qwen2 model: its configuration, its initial weights and its precision."""

from typing import TYPE_CHECKING, Literal

from l2t_hub.recipe import Recipe
from l2t_hub.train.architecture import architecture, rounded_vocabulary

if TYPE_CHECKING:
    from transformers import Qwen2Config, Qwen2ForCausalLM

Precision = Literal["bf16", "fp32", "mixed"]


def model_config(
    recipe: Recipe,
    vocab_size: int,
    bos_token_id: int | None = None,
    eos_token_id: int | None = None,
    pad_token_id: int | None = None,
) -> "Qwen2Config":
    """Return the configuration of a recipe's model for a tokenizer of `vocab_size` entries.

    Raises UsageError as `architecture` does.
    """
    from transformers import Qwen2Config

    return Qwen2Config(
        **vars(architecture(recipe)),
        vocab_size=rounded_vocabulary(vocab_size),
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


def new_model(config: "Qwen2Config", seed: int, precision: Precision = "fp32") -> "Qwen2ForCausalLM":
    """Return a model whose initial weights depend only on the seed. torch's global generator is left unchanged.

    Weights are drawn in fp32. For bf16 they are then rounded; the other precisions keep them.
    """
    import torch
    from transformers import Qwen2ForCausalLM

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = Qwen2ForCausalLM(config)
    if precision == "bf16":
        # `model.to(bfloat16)` would round the rotary frequencies too, which are fp32 in a model that is loaded.
        for parameter in model.parameters():
            parameter.data = parameter.data.to(torch.bfloat16)
        model.config.dtype = torch.bfloat16
    return model


def resolve_precision(recipe: Recipe) -> Precision:
    """Return the precision for this machine: `auto` means mixed on a GPU that supports bf16, otherwise fp32."""
    import torch

    if recipe.train.precision != "auto":
        return recipe.train.precision
    return "mixed" if torch.cuda.is_available() and torch.cuda.is_bf16_supported() else "fp32"
