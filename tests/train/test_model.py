"""A recipe's model: its configuration against the paper's, and its initial weights."""

from typing import Any

import pytest
import torch

from l2t_hub.recipe import Recipe, recipe_from_tree
from l2t_hub.train.model import model_config, new_model


def recipe(**model: Any) -> Recipe:
    return recipe_from_tree({"name": "x", "source": {"path": "bundled:sample"}, "model": model})


def test_the_configuration_is_the_papers() -> None:
    config = model_config(recipe(size="500m"), 32_700, bos_token_id=1, eos_token_id=2, pad_token_id=2)
    assert config.vocab_size == 32_768
    assert (config.num_hidden_layers, config.hidden_size, config.intermediate_size) == (24, 1024, 4864)
    assert (config.num_attention_heads, config.num_key_value_heads, config.head_dim) == (24, 2, 42)
    assert config.tie_word_embeddings
    assert config.hidden_act == "silu"
    assert config.rms_norm_eps == 1e-6
    assert config.rope_parameters["rope_theta"] == 1_000_000
    assert config.max_position_embeddings == 32_768
    assert config.initializer_range == 0.02
    assert config.attention_dropout == 0
    assert model_config(recipe(size="nano"), 300).vocab_size == 384
    assert set(config.layer_types) == {"full_attention"}
    assert (config.bos_token_id, config.eos_token_id, config.pad_token_id) == (1, 2, 2)


def test_weights_depend_only_on_the_seed() -> None:
    config = model_config(recipe(size="nano", num_hidden_layers=1), 300)
    torch.manual_seed(7)
    before = torch.random.get_rng_state()
    first, again, other = (new_model(config, seed) for seed in (1, 1, 2))
    assert torch.equal(before, torch.random.get_rng_state())
    for (name, a), b, c in zip(first.named_parameters(), again.parameters(), other.parameters(), strict=True):
        assert torch.equal(a, b), name
        if a.dim() > 1:
            assert not torch.equal(a, c), name
    assert first.model.layers[0].mlp.up_proj.weight.std().item() == pytest.approx(0.02, rel=0.05)
    assert first.lm_head.weight is first.model.embed_tokens.weight


def test_bf16_weights_are_the_rounded_fp32_weights_and_rotary_frequencies_stay_fp32() -> None:
    config = model_config(recipe(size="nano", num_hidden_layers=1), 300)
    full, half = new_model(config, 3, "fp32"), new_model(config, 3, "bf16")
    for a, b in zip(full.parameters(), half.parameters(), strict=True):
        assert b.dtype == torch.bfloat16
        assert torch.equal(a.to(torch.bfloat16), b)
    assert half.model.rotary_emb.inv_freq.dtype == torch.float32
    assert half.dtype == torch.bfloat16
    assert half.lm_head.weight is half.model.embed_tokens.weight
