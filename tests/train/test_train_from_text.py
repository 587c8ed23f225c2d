"""Training straight from text: the weights of the built dataset, however the run is interrupted, and errors in a sentence."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tiny_release import make_dataset, tiny_recipe

from l2t_hub.artifacts import sha256_of
from l2t_hub.corpus.source import digest
from l2t_hub.dataset import stream_partitions
from l2t_hub.errors import UsageError, UserError
from l2t_hub.publish.cards import write_model_card
from l2t_hub.recipe import Recipe, load_recipe
from l2t_hub.records.training_record import read_training_record
from l2t_hub.reproduce.model_dataset import dataset_of
from l2t_hub.run import run_recipe
from l2t_hub.train import train
from l2t_hub.train.training_log import TrainingLog, read_log
from l2t_hub.train.verify_model import verify_model

SAMPLE = Path(__file__).resolve().parents[2] / "l2t_hub" / "corpus" / "sample"


def recipe_of(text: Path, mode: str = "stream", **train_keys: Any) -> Recipe:
    steps = {"max_steps": 64, "warmup_steps": 2, "batch_size": 4, "per_device_train_batch_size": 2}
    every = {"logging_steps": 5, "eval_steps": 20, "save_steps": 30, "shuffle": "partitions"}
    return tiny_recipe(
        "from-text",
        source={"path": str(text)},
        build={"partitions": 8},
        # The small text needs no pass before the first partition but that for the held-out sequences.
        validation={"near_duplicates": "keep"},
        data={"mode": mode},
        train=steps | every | train_keys,
    )


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A JSON Lines file that can be cut into partitions, of a part of the sample."""
    path = tmp_path_factory.mktemp("text") / "text.jsonl"
    documents = sorted(SAMPLE.rglob("*.txt"))[::2]
    lines = (json.dumps({"id": file.name, "text": file.read_text(encoding="utf-8")}) for file in documents)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def built(text: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The model of the built dataset, which is beside it in `data`."""
    folder = tmp_path_factory.mktemp("built")
    recipe = recipe_of(text, "built")
    return train(recipe, make_dataset(recipe, folder / "data"), folder / "model").out


def test_the_weights_are_those_of_the_built_dataset_though_the_text_was_gone_for_a_while(
    text: Path,
    built: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    mine, out = tmp_path / "text.jsonl", tmp_path / "model"
    shutil.copyfile(text, mine)
    recipe = recipe_of(mine)
    append = TrainingLog.append

    def hide_the_text(log: TrainingLog, record: dict[str, Any]) -> None:
        append(log, record)
        if record["step"] == 5 and mine.exists():
            mine.rename(tmp_path / "away")

    monkeypatch.setattr(TrainingLog, "append", hide_the_text)
    monkeypatch.setattr(stream_partitions, "PAUSES", (0.01,))
    with pytest.raises(UserError, match=r"text\.jsonl: .*No such file"):
        train(recipe, None, out)
    # No step was due for saving, and the last one that was finished is saved all the same.
    (checkpoint,) = (out / "checkpoints").glob("checkpoint-*")
    assert 5 <= int(checkpoint.name.removeprefix("checkpoint-")) < 30
    assert "is tried again" in capfd.readouterr().err
    (tmp_path / "away").rename(mine)
    result = train(recipe, None, out)
    assert sha256_of(out / "model.safetensors") == sha256_of(built / "model.safetensors")
    ours, theirs = read_training_record(out), read_training_record(built)
    assert ours.resumed_from_step == int(checkpoint.name.removeprefix("checkpoint-"))
    assert (ours.fingerprint, ours.dataset_fingerprint) == (theirs.fingerprint, theirs.dataset_fingerprint)
    assert ours.sequences == theirs.sequences
    assert result.epochs == theirs.sequences.epochs
    assert ours.eval_loss == theirs.eval_loss
    assert verify_model(out).problems == []
    assert ours.dataset.streamed is not None
    assert (ours.dataset.streamed.partitions, ours.dataset.streamed.read) == (8, 8)
    manifest = json.loads((built.parent / "data" / "l2t_manifest.json").read_text())
    assert ours.dataset.streamed.contents == manifest["source"]["contents"]
    assert digest(ours.dataset.streamed.ledger) == digest(manifest["ledger"])
    assert (
        "trained straight from text, without a dataset: 8 of 8 partitions"
        in write_model_card(out).read_text()
    )
    with pytest.raises(UserError, match="trained straight from text, so there is no dataset"):
        dataset_of(ours, None, out)
    # What is left beside the model has no partition, and is enough to see that the model is finished.
    left = tmp_path / "model.stream"
    assert not (left / "partitions").exists()
    assert train(recipe, None, out).reused


def test_a_built_dataset_may_take_the_place_of_the_stream(text: Path, built: Path) -> None:
    assert train(recipe_of(text), built.parent / "data", built).reused


def test_what_needs_no_text_is_refused_before_any_is_read(text: Path, built: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"data\.mode is built, so training needs a dataset"):
        train(recipe_of(text, "built"), None, tmp_path / "m")
    with pytest.raises(
        UsageError, match=r"holds a finished model that differs from this one: train\.max_steps"
    ):
        train(recipe_of(text, max_steps=41), None, built)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").touch()
    with pytest.raises(UsageError, match="is not empty and holds no training run"):
        train(recipe_of(text), None, tmp_path / "full")
    with pytest.raises(
        UsageError, match="`l2t run` builds a dataset for each release, and a stream has none"
    ):
        run_recipe(recipe_of(text), [recipe_of(text)], tmp_path / "run")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["full"]
    for override, reason in (("train.shuffle=rows", "train.shuffle"), ("build.packed=false", "build.packed")):
        with pytest.raises(UsageError, match=rf"data\.mode. stream .*{reason}"):
            load_recipe("nano", ["data.mode=stream", "train.shuffle=partitions", override], "nano-l2t")


def test_held_out_sequences_must_fit_the_room_for_them(text: Path, tmp_path: Path) -> None:
    recipe = recipe_of(text)
    small = recipe.model_copy(update={"data": recipe.data.model_copy(update={"cache_gb": 1e-6})})
    with pytest.raises(
        UserError, match=r"held-out sequences of 8 of 8 partitions take .* more than data\.cache_gb"
    ):
        train(small, None, tmp_path / "m")


SCRIPT = """
import sys
from pathlib import Path
sys.path[:0] = {tests!r}
from test_train_from_text import recipe_of
from l2t_hub.train import train
if __name__ == "__main__":  # workers import this file
    train(recipe_of(Path({text!r}), per_device_train_batch_size=1), None, {out!r})
"""


@pytest.mark.slow
def test_two_processes_read_the_rows_that_one_does(text: Path, built: Path, tmp_path: Path) -> None:
    script, out = tmp_path / "script.py", tmp_path / "model"
    tests = [str(path) for path in Path(__file__).parents[:2]]
    script.write_text(SCRIPT.format(tests=tests, text=str(text), out=str(out)))
    launch = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", str(script)]
    quiet = os.environ | {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run([sys.executable, *launch], capture_output=True, text=True, check=False, env=quiet)
    assert done.returncode == 0, done.stderr
    for a, b in zip(read_log(built / "train_log.jsonl"), read_log(out / "train_log.jsonl"), strict=True):
        for name in a.keys() & {"loss", "eval_loss"}:
            assert b[name] == pytest.approx(a[name], rel=1e-3), name
    ours, theirs = read_training_record(out), read_training_record(built)
    assert ours.batch.devices == 2
    assert (ours.predicted_tokens, ours.sequences) == (theirs.predicted_tokens, theirs.sequences)
