"""The table of sizes against the paper's figures, and initialisation from a seed."""

from typing import Any, get_args

import pytest
import torch

from l2t_hub.errors import UsageError
from l2t_hub.recipe import Recipe, recipe_from_tree
from l2t_hub.recipe.schema import ModelSection
from l2t_hub.train.architecture import SIZES, architecture
from l2t_hub.train.model import count_parameters, model_config, new_model


def recipe(**model: Any) -> Recipe:
    return recipe_from_tree({"name": "x", "source": {"path": "bundled:sample"}, "model": model})


def test_the_table_has_the_sizes_a_recipe_can_name() -> None:
    assert set(SIZES) == set(get_args(ModelSection.model_fields["size"].annotation))


@pytest.mark.parametrize(
    ("size", "billions", "digits"), [("100m", 0.11, 2), ("500m", 0.45, 2), ("1b", 1.0, 1)]
)
def test_parameters_are_the_papers(size: str, billions: float, digits: int) -> None:
    # 32,768 is the paper's vocabulary; the figures are those its models are named and published by.
    assert round(count_parameters(model_config(recipe(size=size), 32_768)) / 1e9, digits) == billions


def test_nano_is_one_to_two_million() -> None:
    assert 1e6 <= count_parameters(model_config(recipe(size="nano"), 4096)) <= 2e6


def test_counting_allocates_nothing_and_agrees_with_a_real_model() -> None:
    config = model_config(recipe(size="nano"), 300)
    assert count_parameters(config) == sum(p.numel() for p in new_model(config, 0).parameters())


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("vocab_size", [300, 32_768])
def test_counting_by_formula_agrees_with_the_model(size: str, vocab_size: int) -> None:
    expected = count_parameters(model_config(recipe(size=size), vocab_size))
    assert architecture(recipe(size=size)).parameters(vocab_size) == expected


def test_architecture_is_method_md_section_4() -> None:
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
    assert set(config.layer_types) == {"full_attention"}
    assert (config.bos_token_id, config.eos_token_id, config.pad_token_id) == (1, 2, 2)


def test_a_recipes_own_keys_win_and_a_new_width_gives_a_new_head_dimension() -> None:
    config = model_config(recipe(size="nano", hidden_size=96, num_hidden_layers=3), 300)
    assert (config.hidden_size, config.num_hidden_layers, config.head_dim) == (96, 3, 24)
    assert config.intermediate_size == SIZES["nano"].intermediate_size
    assert config.vocab_size == 384
    assert model_config(recipe(size="nano", hidden_size=96, head_dim=8), 300).head_dim == 8


@pytest.mark.parametrize(
    ("keys", "says"),
    [
        ({"num_key_value_heads": 3}, "4 query heads cannot share 3"),
        ({"head_dim": 7}, "must be even"),
        ({"hidden_size": 100, "num_attention_heads": 20, "num_key_value_heads": 4}, "must be even"),
    ],
)
def test_shapes_that_cannot_be(keys: dict[str, int], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        model_config(recipe(size="nano", **keys), 300)


def test_weights_are_a_function_of_the_seed_alone() -> None:
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


def test_bf16_is_the_same_draw_rounded_and_leaves_the_rotary_frequencies_alone() -> None:
    config = model_config(recipe(size="nano", num_hidden_layers=1), 300)
    full, half = new_model(config, 3, "fp32"), new_model(config, 3, "bf16")
    for a, b in zip(full.parameters(), half.parameters(), strict=True):
        assert b.dtype == torch.bfloat16
        assert torch.equal(a.to(torch.bfloat16), b)
    assert half.model.rotary_emb.inv_freq.dtype == torch.float32
    assert half.dtype == torch.bfloat16
    assert half.lm_head.weight is half.model.embed_tokens.weight
