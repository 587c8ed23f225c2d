"""A recipe's Qwen2 model: its configuration, its number of parameters, and freshly initialised weights."""

from typing import TYPE_CHECKING, Literal

from l2t_hub.recipe import Recipe
from l2t_hub.train.architecture import architecture, rounded_vocabulary

if TYPE_CHECKING:
    from transformers import Qwen2Config, Qwen2ForCausalLM

Precision = Literal["bf16", "fp32"]


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
