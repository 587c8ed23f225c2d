"""The model sizes against the figures of the paper and against transformers."""

from typing import Any, get_args

import pytest
import torch
from transformers import Qwen2ForCausalLM

from l2t_hub.errors import UsageError
from l2t_hub.recipe import Recipe, recipe_from_tree
from l2t_hub.recipe.schema import ModelSection
from l2t_hub.train.architecture import SIZES, Architecture, architecture
from l2t_hub.train.model import model_config


def recipe(**model: Any) -> Recipe:
    return recipe_from_tree({"name": "x", "source": {"path": "bundled:sample"}, "model": model})


def parameters_in_transformers(size: str, vocab_size: int) -> int:
    with torch.device("meta"):
        model = Qwen2ForCausalLM(model_config(recipe(size=size), vocab_size))
    return sum(parameter.numel() for parameter in model.parameters())


def test_every_size_of_the_schema_has_an_architecture() -> None:
    assert set(SIZES) == set(get_args(ModelSection.model_fields["size"].annotation))


@pytest.mark.parametrize(
    ("size", "billions", "digits"), [("100m", 0.11, 2), ("500m", 0.45, 2), ("1b", 1.0, 1)]
)
def test_parameters_are_the_papers(size: str, billions: float, digits: int) -> None:
    # 32,768 is the paper's vocabulary; the figures are those its models are named and published by.
    assert round(architecture(recipe(size=size)).parameters(32_768) / 1e9, digits) == billions


def test_nano_has_one_to_two_million_parameters() -> None:
    assert 1e6 <= architecture(recipe(size="nano")).parameters(4096) <= 2e6


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("vocab_size", [300, 32_768])
def test_the_formula_counts_the_parameters_of_the_model(size: str, vocab_size: int) -> None:
    expected = parameters_in_transformers(size, vocab_size)
    assert architecture(recipe(size=size)).parameters(vocab_size) == expected


def test_keys_of_the_recipe_override_the_size() -> None:
    shape = architecture(recipe(size="nano", hidden_size=96, num_hidden_layers=3))
    assert (shape.hidden_size, shape.num_hidden_layers, shape.head_dim) == (96, 3, 24)
    assert shape.intermediate_size == SIZES["nano"].intermediate_size
    assert architecture(recipe(size="nano", hidden_size=96, head_dim=8)).head_dim == 8


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"num_key_value_heads": 3}, "4 query heads cannot share 3"),
        ({"head_dim": 7}, "must be even"),
        ({"hidden_size": 100, "num_attention_heads": 20, "num_key_value_heads": 4}, "must be even"),
    ],
)
def test_impossible_architectures_are_usage_errors(keys: dict[str, int], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        architecture(recipe(size="nano", **keys))


def test_flops_per_token_are_those_of_palm() -> None:
    # Chowdhery et al. (2022), table 18: PaLM 540B has 118 layers, 48 heads of width 256 and reads 2,048 tokens.
    # Its 6N + 12LHQT is what the appendix computes an MFU of 46.2% from, at 238.3k tokens/s on 6,144 chips of 275 TFLOP/s.
    palm = Architecture(118, 18432, 48, 1, 256, 4 * 18432)
    own = palm.flops_per_token(256_000, 2048) - 6 * palm.parameters(256_000)
    assert (6 * 540.35e9 + own) * 238.3e3 / (6144 * 275e12) == pytest.approx(0.462, abs=0.001)


def test_flops_of_a_model_agree_with_those_that_torch_counts() -> None:
    from torch.utils.flop_counter import FlopCounterMode

    length, vocabulary = 64, 384
    shape = architecture(recipe(size="nano"))
    model = Qwen2ForCausalLM(model_config(recipe(size="nano"), vocabulary))
    model.set_attn_implementation("eager")
    ids = torch.zeros(1, length, dtype=torch.long)
    with FlopCounterMode(display=False) as counter:
        model(input_ids=ids, labels=ids).loss.backward()
    # torch counts matrix products alone: no biases and norms, which are parameters without one.
    assert counter.get_total_flops() / length == pytest.approx(
        shape.flops_per_token(vocabulary, length), rel=0.005
    )
