"""A stranger's model is loaded only with a bounded configuration, without code, and with exactly its own weights."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from safetensors.numpy import load_file, save_file
from tiny_models import make_tiny_model

from l2t_hub.errors import UserError
from l2t_hub.hub.model_check import read_model_config
from l2t_hub.scoring import load_scorer, score


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny_model(tmp_path_factory.mktemp("models") / "good")


@pytest.fixture
def model(good: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(good, tmp_path / "model"))


def change_config(model: Path, **changes: Any) -> None:
    path = model / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text(encoding="utf-8")) | changes), encoding="utf-8")


def without_half(tensors: dict[str, Any]) -> None:
    for name in sorted(tensors)[::2]:
        del tensors[name]


def with_more(tensors: dict[str, Any]) -> None:
    tensors["model.layers.99.mlp.up_proj.weight"] = next(iter(tensors.values())).copy()


def misshapen(tensors: dict[str, Any]) -> None:
    name = next(name for name in sorted(tensors) if name.endswith("norm.weight"))
    tensors[name] = tensors[name][:-1].copy()
    tensors["padding"] = tensors[name].copy()


@pytest.mark.parametrize("change", [without_half, with_more, misshapen])
def test_weights_that_are_not_the_architectures_are_refused(
    model: Path, change: Callable[[dict[str, Any]], None]
) -> None:
    tensors = load_file(model / "model.safetensors")
    change(tensors)
    save_file(tensors, model / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(UserError, match=r"weights|cannot load"):
        load_scorer(str(model))


def test_weights_that_are_not_numbers_give_an_error_not_a_score(model: Path) -> None:
    tensors = {name: tensor * float("nan") for name, tensor in load_file(model / "model.safetensors").items()}
    save_file(tensors, model / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(UserError, match="NaN"):
        score(load_scorer(str(model)), ["The cat sleeps."])


@pytest.mark.parametrize(
    "changes",
    [
        {"num_hidden_layers": 10**7},
        {"num_attention_heads": 10**6},
        {"hidden_size": 10**10},
        {"vocab_size": 10**10},
        {"max_position_embeddings": 10**12},
        {"rope_parameters": {"factor": 10**12}},
        {"auto_map": {"AutoConfig": "evil.Config"}},
        {"quantization_config": {"quant_method": "gptq"}},
    ],
)
def test_a_configuration_out_of_bounds_or_with_switches_is_refused(
    model: Path, changes: dict[str, Any]
) -> None:
    change_config(model, **changes)
    with pytest.raises(UserError, match=r"config\.json"):
        read_model_config(model, "a/model")


@pytest.mark.parametrize("key", ["attn_implementation", "_attn_implementation", "experts_implementation"])
def test_switches_to_other_kernels_are_not_followed(model: Path, key: str) -> None:
    change_config(model, **{key: "evil/kernel"})
    assert key not in read_model_config(model, "a/model")
    assert load_scorer(str(model)).model.config._attn_implementation in ("sdpa", "eager")


@pytest.mark.parametrize("vocab_size", [10**6, 10**9])
def test_a_configuration_larger_than_the_weights_is_refused_before_it_is_allocated(
    model: Path, vocab_size: int
) -> None:
    change_config(model, vocab_size=vocab_size)
    with pytest.raises(UserError, match="incomplete"):
        load_scorer(str(model))


@pytest.mark.parametrize(
    "content", [b"", b"[]", b"null", b"\xff", b'{"a": ' + b"[" * 100_000, b'{"hidden_size": NaN}']
)
def test_a_malformed_configuration_is_one_sentence(model: Path, content: bytes) -> None:
    (model / "config.json").write_bytes(content)
    with pytest.raises(UserError, match=r"config\.json"):
        load_scorer(str(model))


def test_weights_that_are_a_link_out_of_the_directory_are_not_read(model: Path, tmp_path: Path) -> None:
    (tmp_path / "secret.safetensors").write_bytes((model / "model.safetensors").read_bytes())
    (model / "model.safetensors").unlink()
    (model / "model.safetensors").symlink_to(tmp_path / "secret.safetensors")
    with pytest.raises(UserError, match="symlink"):
        load_scorer(str(model))
