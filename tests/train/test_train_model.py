"""Whole training runs: the rows they read, the files they write, and the loss they compute."""

import json
import math
import shutil
import socket
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from matplotlib.image import imread
from tiny_run import LENGTH, tiny_recipe, write_packed
from transformers import AutoModelForCausalLM, AutoTokenizer, Trainer

from l2t_hub.errors import UserError
from l2t_hub.hub.download import Download
from l2t_hub.train import TrainResult, finished, train
from l2t_hub.train.packed_data import Collator
from l2t_hub.train.row_order import epoch_order
from l2t_hub.train.training_log import read_log

FILES = {
    "model.safetensors",
    "config.json",
    "generation_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "train_log.jsonl",
    "loss.png",
    "training.json",
}
Seen = dict[str, list[list[int]]]


@pytest.fixture(scope="module")
def run(packed: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[TrainResult, Seen]:
    """A run of 12 steps without network access, with the rows of all its batches."""
    seen: Seen = {"train": [], "labels": [], "eval": []}
    collate = Collator.__call__

    def collate_and_record(self: Collator, rows: Any) -> Any:
        batch = collate(self, rows)
        split = "train" if torch.is_grad_enabled() else "eval"
        seen[split] += batch["input_ids"].tolist()
        if split == "train":
            seen["labels"] += batch["labels"].tolist()
        return batch

    def no_network(*_: Any) -> None:
        raise AssertionError("training tried to use the network")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Collator, "__call__", collate_and_record)
        patch.setattr(socket.socket, "connect", no_network)
        patch.setattr(socket, "getaddrinfo", no_network)
        return train(tiny_recipe(), packed, tmp_path_factory.mktemp("run") / "model"), seen


def test_it_reads_exactly_the_packed_rows_in_the_defined_order(
    packed: Path, run: tuple[TrainResult, Seen]
) -> None:
    shards = packed / "data" / "packed"
    table = pq.read_table(shards / "train-00000-of-00001.parquet")
    rows, lengths = table["input_ids"].to_pylist(), table["lengths"].to_pylist()
    order = [*epoch_order(24, 42, 0), *epoch_order(24, 42, 1)]
    assert run[1]["train"] == [rows[i] for i in order]
    labels = [rows[i][: sum(lengths[i])] + [-100] * (LENGTH - sum(lengths[i])) for i in order]
    assert run[1]["labels"] == labels
    validation = pq.read_table(shards / "validation-00000-of-00001.parquet")["input_ids"].to_pylist()
    assert run[1]["eval"] == validation * 3


def test_the_model_learns_and_the_result_says_so(run: tuple[TrainResult, Seen]) -> None:
    result = run[0]
    assert not result.reused
    assert (result.steps, result.tokens, result.epochs) == (12, 12 * 4 * LENGTH, 2.0)
    assert result.initial_eval_loss == pytest.approx(math.log(384), abs=0.1)
    assert result.eval_loss is not None
    assert result.initial_eval_loss is not None
    assert result.eval_loss < result.initial_eval_loss - 0.5
    assert "validation loss" in result.summary()
    assert json.loads(json.dumps(result.as_dict()))["out"] == str(result.out)


def test_the_directory_holds_the_model_and_nothing_incomplete(run: tuple[TrainResult, Seen]) -> None:
    out = run[0].out
    assert {path.name for path in out.iterdir()} == FILES | {"checkpoints"}
    assert {path.name for path in (out / "checkpoints").iterdir()} == {
        "run.json",
        "checkpoint-8",
        "checkpoint-12",
    }
    assert not list(out.rglob("README.md"))


def test_the_model_loads_and_generates(packed: Path, run: tuple[TrainResult, Seen]) -> None:
    out = run[0].out
    model, tokenizer = AutoModelForCausalLM.from_pretrained(out), AutoTokenizer.from_pretrained(out)
    prompt = tokenizer("the old ferry", return_tensors="pt").input_ids
    generated = model.generate(prompt, max_new_tokens=8, do_sample=False)
    assert generated.shape[1] > prompt.shape[1]
    assert isinstance(tokenizer.decode(generated[0]), str)
    config = json.loads((out / "config.json").read_text())
    assert config["architectures"] == ["Qwen2ForCausalLM"]
    assert config["use_cache"] is True
    assert (out / "tokenizer.json").read_bytes() == (packed / "tokenizer" / "tokenizer.json").read_bytes()
    # The logged validation loss is what transformers computes from the saved weights.
    rows = pq.read_table(packed / "data" / "packed" / "validation-00000-of-00001.parquet").to_pylist()
    total, count = 0.0, 0
    for row in rows:
        ids = torch.tensor([row["input_ids"][: sum(row["lengths"])]])
        with torch.no_grad():
            total += model(ids, labels=ids).loss.item() * (ids.shape[1] - 1)
        count += ids.shape[1] - 1
    assert run[0].eval_loss == pytest.approx(total / count, rel=1e-5)


def test_the_log_has_every_field_in_the_right_records(run: tuple[TrainResult, Seen]) -> None:
    log = read_log(run[0].out / "train_log.jsonl")
    losses, evaluations = [r for r in log if "loss" in r], [r for r in log if "eval_loss" in r]
    assert [r["step"] for r in losses] == [3, 6, 9, 12]
    assert [r["step"] for r in evaluations] == [0, 6, 12]
    for record in losses:
        keys = {"step", "loss", "learning_rate", "grad_norm", "tokens", "tokens_per_second", "seconds"}
        assert set(record) == keys
        assert record["tokens"] == record["step"] * 4 * LENGTH
        assert record["tokens_per_second"] > 0
    assert [r["seconds"] for r in log] == sorted(r["seconds"] for r in log)
    assert losses[0]["loss"] > losses[-1]["loss"]


def test_the_plot_is_a_picture_with_both_curves(run: tuple[TrainResult, Seen]) -> None:
    pixels = imread(run[0].out / "loss.png")
    assert pixels.shape[0] >= 400
    assert pixels.shape[1] >= 800
    for colour in ((0x00, 0x72, 0xB2), (0xD5, 0x5E, 0x00)):
        assert (np.abs(pixels[..., :3] - np.array(colour) / 255).max(axis=-1) < 0.02).sum() > 100


def test_the_record_describes_the_run(run: tuple[TrainResult, Seen]) -> None:
    record = json.loads((run[0].out / "training.json").read_text())
    recipe = tiny_recipe()
    assert record["recipe"] == recipe.resolved()
    assert record["dataset_fingerprint"] == "0" * 64
    assert record["parameters"] == run[0].parameters == 31_008
    assert record["batch"]["sequences"] == 4
    assert record["batch"]["tokens_per_step"] == 4 * LENGTH
    assert record["sequences"] == {"train": 24, "validation": 5, "seen": 48, "epochs": 2.0}
    predicted = sum(label != -100 for row in run[1]["labels"] for label in row[1:])
    assert record["predicted_tokens"] == predicted < record["tokens"]
    assert record["precision"] == "fp32"
    assert record["resumed_from_step"] is None
    assert record["versions"]["transformers"]
    assert record["hardware"]["cores"] >= 1
    assert record["eval_loss"] == run[0].eval_loss
    assert record["seconds"] > 0


def test_a_finished_model_is_reused_at_once(packed: Path, run: tuple[TrainResult, Seen]) -> None:
    out = run[0].out
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*")}
    again = train(tiny_recipe(), packed, out)
    assert again.reused
    assert again.loss == run[0].loss
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*")} == before
    assert finished(out, tiny_recipe(), packed)
    assert not finished(out, tiny_recipe(learning_rate=1e-3), packed)
    # The logging interval does not change the model.
    assert finished(out, tiny_recipe(logging_steps=1), packed)


def test_plain_output_shows_the_effective_batch(
    packed: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    train(tiny_recipe(max_steps=3), packed, tmp_path / "m")
    captured = capfd.readouterr()
    assert captured.out == ""
    lines = captured.err.splitlines()
    assert lines[0].startswith("tiny: 31,008 parameters in fp32")
    assert "4 sequences per step" in lines[1]
    assert "0.50 epochs" in lines[1]
    # Nothing else: no warnings, progress bars or dictionaries of the libraries.
    assert all(line.startswith("step ") for line in lines[2:]), captured.err
    assert "tokens/s" in captured.err


def losses(out: Path) -> list[float]:
    return [r["loss"] for r in read_log(out / "train_log.jsonl") if "loss" in r]


def test_accumulation_changes_only_rounding(packed: Path, tmp_path: Path) -> None:
    for name, per_device in (("whole", 4), ("parts", 1)):
        train(tiny_recipe(per_device_train_batch_size=per_device, logging_steps=1), packed, tmp_path / name)
    assert losses(tmp_path / "parts") == pytest.approx(losses(tmp_path / "whole"), rel=1e-4)


def test_losses_and_updates_equal_those_of_the_plain_trainer(packed: Path, tmp_path: Path) -> None:
    """Twelve steps of transformers' Trainer on the same rows in the same order give the same model."""
    from transformers import TrainingArguments

    from l2t_hub.train.locate import locate
    from l2t_hub.train.model import model_config, new_model
    from l2t_hub.train.packed_data import check_packed

    recipe = tiny_recipe(logging_steps=1)
    train(recipe, packed, tmp_path / "ours")
    packed_data = check_packed(locate(packed), recipe)
    rows = packed_data.open("train", tmp_path / "cache")
    order = np.concatenate([epoch_order(24, 42, 0), epoch_order(24, 42, 1)])
    model = new_model(model_config(recipe, packed_data.vocab_size, 0, 1, 1), 42)
    arguments = TrainingArguments(
        output_dir=str(tmp_path / "plain"), max_steps=12, per_device_train_batch_size=4, learning_rate=3e-3,
        lr_scheduler_type="cosine", warmup_steps=2, weight_decay=0.1, adam_beta2=0.999, logging_steps=1,
        remove_unused_columns=False, train_sampling_strategy="sequential", report_to="none", save_strategy="no",
        dataloader_pin_memory=False, disable_tqdm=True,
    )  # fmt: skip
    plain = Trainer(model, arguments, data_collator=Collator(), train_dataset=rows.select(order))
    plain.train()
    expected = [entry["loss"] for entry in plain.state.log_history if "loss" in entry]
    assert losses(tmp_path / "ours") == pytest.approx(expected, rel=1e-5)
    trained = AutoModelForCausalLM.from_pretrained(tmp_path / "ours")
    for a, b in zip(model.parameters(), trained.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-5)


def test_stopping_early_keeps_the_schedule(packed: Path, tmp_path: Path) -> None:
    rates = {}
    for name, keys in (("whole", {}), ("early", {"stop_after_steps": 5})):
        train(tiny_recipe(logging_steps=1, **keys), packed, tmp_path / name)
        log = read_log(tmp_path / name / "train_log.jsonl")
        rates[name] = [r["learning_rate"] for r in log if "loss" in r]
        assert [r["step"] for r in log if "eval_loss" in r][-1] == len(rates[name])
    assert len(rates["early"]) == 5
    assert rates["early"] == rates["whole"][:5]
    # Warm-up over 2 steps from 0, then a cosine to 0 at step 12.
    expected = [0.0, 0.5] + [0.5 * (1 + math.cos(math.pi * step / 10)) for step in range(10)]
    assert rates["whole"] == pytest.approx([3e-3 * factor for factor in expected])
    assert losses(tmp_path / "early") == losses(tmp_path / "whole")[:5]


@pytest.mark.parametrize("decay_type", ["1-sqrt", "linear", "cosine"])
def test_warmup_stable_decay(packed: Path, tmp_path: Path, decay_type: str) -> None:
    keys = {"lr_scheduler_type": "warmup_stable_decay", "decay_share": 0.34, "decay_type": decay_type}
    train(tiny_recipe(logging_steps=1, **keys), packed, tmp_path / "m")
    rates = [r["learning_rate"] / 3e-3 for r in read_log(tmp_path / "m" / "train_log.jsonl") if "loss" in r]
    fall = {
        "1-sqrt": [1 - math.sqrt(n / 4) for n in range(4)],
        "linear": [1 - n / 4 for n in range(4)],
        "cosine": [0.5 * (1 + math.cos(math.pi * n / 4)) for n in range(4)],
    }
    assert rates == pytest.approx([0, 0.5, *[1] * 6, *fall[decay_type]])


def test_the_last_steps_are_logged_even_between_intervals(packed: Path, tmp_path: Path) -> None:
    train(tiny_recipe(max_steps=5), packed, tmp_path / "m")
    assert [r["step"] for r in read_log(tmp_path / "m" / "train_log.jsonl") if "loss" in r] == [3, 5]


@pytest.mark.parametrize(
    "keys",
    [
        {"loss_on_padding": True},
        {"attention": "example"},
        {"precision": "bf16"},
        {"gradient_checkpointing": True},
        {"lr_scheduler_type": "constant"},
    ],
    ids=lambda keys: next(iter(keys)),
)
def test_each_training_option_trains(packed: Path, tmp_path: Path, keys: dict[str, Any]) -> None:
    result = train(tiny_recipe(max_steps=6, **keys), packed, tmp_path / "m")
    assert result.eval_loss is not None
    assert result.initial_eval_loss is not None
    assert result.eval_loss < result.initial_eval_loss
    record = json.loads((tmp_path / "m" / "training.json").read_text())
    dtype = AutoModelForCausalLM.from_pretrained(tmp_path / "m").dtype
    assert dtype == (torch.bfloat16 if keys.get("precision") == "bf16" else torch.float32)
    assert record["precision"] == keys.get("precision", "fp32")
    rates = [r["learning_rate"] for r in read_log(tmp_path / "m" / "train_log.jsonl") if "loss" in r]
    assert (rates[-1] == 3e-3) == (keys.get("lr_scheduler_type") == "constant")


def test_padding_counts_as_predicted_only_if_it_has_a_loss(packed: Path, tmp_path: Path) -> None:
    counts = {}
    for padding in (False, True):
        train(tiny_recipe(max_steps=3, loss_on_padding=padding), packed, tmp_path / str(padding))
        counts[padding] = json.loads((tmp_path / str(padding) / "training.json").read_text())[
            "predicted_tokens"
        ]
    assert counts[True] == 3 * 4 * (LENGTH - 1)
    assert counts[False] < counts[True]


def test_weight_decay_spares_norms_and_biases_only(
    packed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    groups: dict[str, set[str]] = {}
    create = Trainer.create_optimizer

    def create_and_record(self: Trainer, *args: Any) -> Any:
        optimizer = create(self, *args)
        names = {id(p): name for name, p in self.model.named_parameters()}
        for group in optimizer.param_groups:
            groups[str(group["weight_decay"])] = {names[id(p)] for p in group["params"]}
            assert group["betas"] == (0.9, 0.95)
        return optimizer

    monkeypatch.setattr(Trainer, "create_optimizer", create_and_record)
    train(tiny_recipe(max_steps=3, adam_beta2=0.95, weight_decay=0.25), packed, tmp_path / "m")
    assert groups["0.0"]
    assert all("norm" in name or name.endswith("bias") for name in groups["0.0"])
    assert "model.embed_tokens.weight" in groups["0.25"]
    assert not any("norm" in name or name.endswith("bias") for name in groups["0.25"])


def test_without_a_validation_split_it_trains_with_a_message(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    result = train(tiny_recipe(max_steps=3), write_packed(tmp_path / "d", {"train": 8}), tmp_path / "m")
    assert result.eval_loss is None
    assert result.loss is not None
    assert "no validation split" in capfd.readouterr().err
    assert {path.name for path in (tmp_path / "m").iterdir()} == FILES | {"checkpoints"}


def test_without_matplotlib_it_trains_and_says_how_to_get_a_plot(
    packed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("l2t_hub.train.model_directory.installed", lambda extra: extra != "plots")
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    recipe = tiny_recipe(max_steps=3)
    train(recipe, packed, tmp_path / "m")
    (message,) = [line for line in capfd.readouterr().err.splitlines() if "loss.png" in line]
    assert "pip install 'l2t_hub[plots]'" in message
    assert {path.name for path in (tmp_path / "m").iterdir()} == FILES - {"loss.png"} | {"checkpoints"}
    assert finished(tmp_path / "m", recipe, packed)


def test_the_record_names_a_dataset_from_the_hub(
    packed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    download = Download(packed, "dataset", "l2t-project/tiny", "b" * 40, 3)
    monkeypatch.setattr("l2t_hub.hub.download.download", lambda *_, **__: download)
    train(tiny_recipe(max_steps=3), "l2t-project/tiny", tmp_path / "m")
    record = json.loads((tmp_path / "m" / "training.json").read_text())
    assert record["dataset"] == {
        "name": "l2t-project/tiny",
        "repository": "l2t-project/tiny",
        "revision": "b" * 40,
    }


def test_broken_data_leave_no_output_directory(packed: Path, tmp_path: Path) -> None:
    directory = shutil.copytree(packed, tmp_path / "broken")
    shutil.rmtree(Path(directory) / "data")
    with pytest.raises(UserError):
        train(tiny_recipe(), directory, tmp_path / "m")
    assert not (tmp_path / "m").exists()
