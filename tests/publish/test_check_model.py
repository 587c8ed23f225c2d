"""The checks of a model: intact safetensors, and no code to run."""

import json
from collections.abc import Callable
from pathlib import Path

from release_toys import refused

Toy = Callable[..., Path]


def test_a_model_that_asks_for_remote_code_is_refused(toy: Toy) -> None:
    for name, tree in (
        ("config.json", {"model_type": "x", "architectures": ["X"], "auto_map": {}}),
        ("tokenizer_config.json", {"a": [{"auto_map": 1}]}),
    ):
        directory = toy("model", name=name)
        (directory / name).write_text(json.dumps(tree))
        assert f"{name}: `auto_map` makes" in refused(directory)
    directory = toy("model", name="code")
    (directory / "modeling.py").write_text("")
    assert "modeling.py: Python code in a model repo" in refused(directory)


def test_weights_must_be_intact_safetensors(toy: Toy) -> None:
    for name, change in {
        "cut": lambda b: b[:-1],
        "padded": lambda b: b + b"\0",
        "nonsense": lambda b: b"not safetensors",
        "header": lambda b: b[:8] + b"[" + b[9:],
    }.items():
        directory = toy("model", name=name)
        weights = directory / "model.safetensors"
        weights.write_bytes(change(weights.read_bytes()))
        assert "model.safetensors: not a complete safetensors file" in refused(directory)
    directory = toy("model", name="gone")
    (directory / "model.safetensors").unlink()
    (directory / "config.json").write_text("{broken")
    message = refused(directory)
    assert "model.safetensors: missing" in message
    assert "config.json: cannot be read: not valid JSON" in message


def test_a_model_must_be_the_one_of_its_record(toy: Toy) -> None:
    other = toy("model", seed=1, name="other")
    directory = toy("model", name="swapped")
    (directory / "model.safetensors").write_bytes((other / "model.safetensors").read_bytes())
    assert "model.safetensors: its SHA-256 is " in refused(directory)

    directory = toy("model", name="reseeded")
    record = json.loads((directory / "training.json").read_text())
    record["recipe"]["seed"] += 1
    (directory / "training.json").write_text(json.dumps(record))
    assert "fingerprint: it is " in refused(directory)
