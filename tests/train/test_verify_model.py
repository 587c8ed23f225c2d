"""`verify` of a model finds damage of every kind: files, weights, log, record and fingerprint."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from safetensors.numpy import load_file, save_file
from tiny_run import tiny_recipe

from l2t_hub.artifacts import sha256_of
from l2t_hub.errors import UsageError, UserError
from l2t_hub.publish.stage import stage
from l2t_hub.train import train
from l2t_hub.train.verify_model import verify_model, verify_release


@pytest.fixture(scope="module")
def good(packed: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train(tiny_recipe(max_steps=3), packed, tmp_path_factory.mktemp("model") / "good").out


@pytest.fixture
def model(good: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(good, tmp_path / "model"))


def edit(model: Path, change: Callable[[Any], object]) -> None:
    path = model / "training.json"
    tree = json.loads(path.read_text(encoding="utf-8"))
    change(tree)
    path.write_text(json.dumps(tree), encoding="utf-8")


def test_a_model_as_trained_is_whole(model: Path) -> None:
    (model / "README.md").write_text("# A card", encoding="utf-8")
    (model / "eval").mkdir()
    (model / "eval" / "probes.json").write_text("{}", encoding="utf-8")
    (model / "notes.md").write_text("mine", encoding="utf-8")
    report = verify_release(str(model))
    assert report.problems == []
    assert report.unlisted == ["notes.md"]
    assert report.as_dict()["kind"] == "model"
    assert "agree with the training record, and the fingerprint follows from the recipe" in report.summary()


def test_a_byte_of_any_file_counts(model: Path) -> None:
    listed = json.loads((model / "training.json").read_text(encoding="utf-8"))["files"]
    assert {"model.safetensors", "config.json", "tokenizer.json", "train_log.jsonl"} <= listed.keys()
    for name in listed:
        path = model / name
        content = path.read_bytes()
        path.write_bytes(content[:-1] + b"\x7f")
        assert any(problem.startswith(f"{name}: its SHA-256 is") for problem in verify_model(model).problems)
        path.write_bytes(content)
    assert verify_model(model).problems == []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda r: r["recipe"].update(seed=43), "fingerprint: it is"),
        (lambda r: r.update(dataset_fingerprint="1" * 64), "fingerprint: it is"),
        (lambda r: r["recipe"]["train"].update(learning_rate=1.0), "fingerprint: it is"),
        (lambda r: r.update(parameters=1), "the weights: numbers is"),
        (lambda r: r.update(vocab_size=2), "config.json: vocab_size is"),
        (lambda r: r.update(loss=0.5), "train_log.jsonl: last loss is"),
        (lambda r: r.update(steps=2), "train_log.jsonl: last step is"),
        (lambda r: r["files"].pop("config.json"), "config.json: not in the training record"),
    ],
)
def test_a_record_that_does_not_fit(model: Path, change: Callable[[Any], object], said: str) -> None:
    edit(model, change)
    assert any(problem.startswith(said) for problem in verify_model(model).problems)


def test_weights_with_a_record_that_was_made_to_fit(model: Path) -> None:
    tensors = load_file(model / "model.safetensors")
    tensors.pop(sorted(tensors)[0])
    save_file(tensors, model / "model.safetensors", metadata={"format": "pt"})
    edit(model, lambda r: r["files"].update({"model.safetensors": sha256_of(model / "model.safetensors")}))
    assert any(problem.startswith("the weights: numbers is") for problem in verify_model(model).problems)


@pytest.mark.parametrize(
    "name", ["adapter_model.safetensors", "chat_template.jinja", "additional_chat_templates/x.jinja"]
)
def test_a_file_that_transformers_would_load(model: Path, name: str) -> None:
    (model / name).parent.mkdir(exist_ok=True)
    (model / name).write_text("x", encoding="utf-8")
    assert f"{name}: not in the training record" in verify_model(model).problems


def test_the_record_of_a_release_is_compared_too(model: Path) -> None:
    (model / "README.md").write_text("# A card", encoding="utf-8")
    record = stage(model).file("l2t_release.json")
    assert record
    (model / "l2t_release.json").write_bytes(record.read())
    assert verify_model(model).problems == []
    (model / "README.md").write_text("# Another", encoding="utf-8")
    assert [problem.split(":")[0] for problem in verify_model(model).problems] == ["README.md"]


def test_a_link_out_of_the_directory_is_not_followed(model: Path, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text('{"step": "a private sentence"}\n', encoding="utf-8")
    (model / "train_log.jsonl").unlink()
    (model / "train_log.jsonl").symlink_to(secret)
    problems = verify_model(model).problems
    assert any("leads out of the directory" in problem for problem in problems)
    assert "private" not in "".join(problems)


def test_what_is_neither(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"l2t_manifest\.json is missing"):
        verify_release(str(tmp_path))
    (tmp_path / "file").write_text("x", encoding="utf-8")
    with pytest.raises(UsageError, match="this is a file"):
        verify_release(str(tmp_path / "file"))
