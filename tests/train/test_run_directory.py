"""Interrupted runs: resuming gives a bit-identical run, and anything else is refused with a reason."""

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from tiny_run import tiny_recipe, write_packed

from l2t_hub.artifacts import locked
from l2t_hub.errors import Interrupted, UsageError, UserError
from l2t_hub.recipe import Recipe
from l2t_hub.train import finished, train
from l2t_hub.train.run_directory import set_aside
from l2t_hub.train.trainer import PackTrainer
from l2t_hub.train.training_log import read_log

# Logging every 3 steps and saving every 4: some checkpoints have losses that are not logged yet.
RECIPE = tiny_recipe()
TIMES = {"seconds", "tokens_per_second"}


def log_of(out: Path) -> list[dict[str, Any]]:
    return [{k: v for k, v in r.items() if k not in TIMES} for r in read_log(out / "train_log.jsonl")]


def assert_same_model(a: Path, b: Path) -> None:
    assert log_of(a) == log_of(b)
    left, right = (safetensors.torch.load_file(out / "model.safetensors") for out in (a, b))
    assert left.keys() == right.keys()
    for name in left:
        assert torch.equal(left[name], right[name]), name


@pytest.fixture(scope="module", autouse=True)
def _without_plots() -> Iterator[None]:
    """Draw no loss curves: they are a third of the time of such short runs, and other tests look at them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("l2t_hub.train.model_directory.plot_losses", lambda *_: None)
        yield


@pytest.fixture(scope="module")
def whole(packed: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run without interruption."""
    out = tmp_path_factory.mktemp("whole") / "model"
    train(RECIPE, packed, out)
    return out


def interrupt_at(
    step: int, monkeypatch: pytest.MonkeyPatch, error: type[BaseException] = KeyboardInterrupt
) -> Any:
    """Raise `error` before the loss of a batch in this step (counted from 0) is computed."""
    compute = PackTrainer.compute_loss

    def raise_in_step(self: PackTrainer, *args: Any, **keys: Any) -> Any:
        if self.state.global_step == step:
            raise error
        return compute(self, *args, **keys)

    return monkeypatch.setattr(PackTrainer, "compute_loss", raise_in_step)


def interrupted(packed: Path, out: Path, step: int, recipe: Recipe = RECIPE) -> Interrupted:
    """Start a run and interrupt it in the middle of a step, as a second Ctrl-C does."""
    with pytest.MonkeyPatch.context() as patch:
        interrupt_at(step, patch)
        with pytest.raises(Interrupted) as stop:
            train(recipe, packed, out)
    return stop.value


@pytest.mark.parametrize("step", [5, 8, 11])
def test_a_resumed_run_is_the_same_run_to_the_last_bit(
    packed: Path, whole: Path, tmp_path: Path, step: int
) -> None:
    out = tmp_path / "m"
    error = interrupted(packed, out, step)
    checkpoint = 4 * (step // 4)
    assert error.message == f"{out}: the checkpoint of step {checkpoint} of 12 is kept"
    assert error.hint == f"To continue: l2t train tiny --data {packed} --out {out}"
    assert not finished(out, RECIPE, packed)
    assert not train(RECIPE, packed, out).reused
    assert_same_model(out, whole)
    record = json.loads((out / "training.json").read_text())
    assert record["resumed_from_step"] == checkpoint
    reference = json.loads((whole / "training.json").read_text())
    assert record["predicted_tokens"] == reference["predicted_tokens"]
    assert finished(out, RECIPE, packed)


def test_twice_interrupted_with_accumulation(packed: Path, tmp_path: Path) -> None:
    recipe = tiny_recipe(per_device_train_batch_size=2, logging_steps=5)
    train(recipe, packed, tmp_path / "whole")
    interrupted(packed, tmp_path / "m", 6, recipe)
    assert "step 8 of 12 is kept" in interrupted(packed, tmp_path / "m", 9, recipe).message
    train(recipe, packed, tmp_path / "m")
    assert_same_model(tmp_path / "m", tmp_path / "whole")


def test_a_run_interrupted_before_the_first_checkpoint_starts_again(
    packed: Path, whole: Path, tmp_path: Path
) -> None:
    assert "no checkpoint yet" in interrupted(packed, tmp_path / "a", 2).message
    train(RECIPE, packed, tmp_path / "a")
    assert_same_model(tmp_path / "a", whole)
    assert (
        "no checkpoint yet" in interrupted(packed, tmp_path / "b", 2, tiny_recipe(learning_rate=1e-4)).message
    )
    train(RECIPE, packed, tmp_path / "b")
    assert_same_model(tmp_path / "b", whole)


KILLED = """
import os, signal, sys
sys.path[:0] = {tests!r}
import torch
from tiny_run import tiny_recipe
from l2t_hub.train import train

save, calls = torch.save, 0

def die(content, path, *args, **keys):
    global calls
    if str(path).endswith("optimizer.pt"):
        calls += 1
        if calls == 2:
            with open(path, "wb") as file:
                file.write(b"half")
            os.kill(os.getpid(), signal.SIGKILL)
    return save(content, path, *args, **keys)

torch.save = die
train(tiny_recipe(), {data!r}, {out!r})
"""


def test_a_checkpoint_killed_while_it_is_written_is_never_used(
    packed: Path, whole: Path, tmp_path: Path
) -> None:
    out = tmp_path / "m"
    script = KILLED.format(
        tests=[str(path) for path in Path(__file__).parents[:2]], data=str(packed), out=str(out)
    )
    process = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert process.returncode == -signal.SIGKILL, process.stderr
    half = out / "checkpoints" / ".partial" / "checkpoint-8"
    assert (half / "model.safetensors").exists()
    assert (half / "optimizer.pt").read_bytes() == b"half"
    assert [p.name for p in (out / "checkpoints").glob("checkpoint-*")] == ["checkpoint-4"]
    train(RECIPE, packed, out)
    assert json.loads((out / "training.json").read_text())["resumed_from_step"] == 4
    assert not half.parent.exists()
    assert_same_model(out, whole)


def test_a_run_killed_after_the_last_step_only_writes_the_model(
    packed: Path, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("l2t_hub.train.model_directory.plot_losses", die)
        with pytest.raises(Interrupted, match="step 12 of 12 is kept"):
            train(RECIPE, packed, tmp_path / "m")
    assert not (tmp_path / "m" / "model.safetensors").exists()
    interrupt_at(12, monkeypatch)
    train(RECIPE, packed, tmp_path / "m")
    assert_same_model(tmp_path / "m", whole)


def test_a_log_line_cut_short_is_written_again(packed: Path, whole: Path, tmp_path: Path) -> None:
    interrupted(packed, tmp_path / "m", 10)
    log = tmp_path / "m" / "checkpoints" / "train_log.jsonl"
    assert json.loads(log.read_text().splitlines()[-1])["step"] == 9
    with log.open("a") as file:
        file.write('{"step": 10, "lo')
    train(RECIPE, packed, tmp_path / "m")
    assert_same_model(tmp_path / "m", whole)


def test_old_checkpoints_are_deleted_after_the_new_one_is_complete(packed: Path, tmp_path: Path) -> None:
    for keep, left in ((1, [12]), (2, [8, 12]), (None, [4, 8, 12])):
        out = tmp_path / str(keep)
        train(tiny_recipe(save_total_limit=keep), packed, out)
        assert sorted(int(p.name[11:]) for p in (out / "checkpoints").glob("checkpoint-*")) == left


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGUSR1, signal.SIGINT])
def test_a_signal_saves_at_the_end_of_the_step(
    packed: Path, whole: Path, tmp_path: Path, how: signal.Signals, capfd: pytest.CaptureFixture[str]
) -> None:
    out, compute, before = tmp_path / "m", PackTrainer.compute_loss, signal.getsignal(how)

    def send(self: PackTrainer, *args: Any, **keys: Any) -> Any:
        if self.state.global_step == 6:
            os.kill(os.getpid(), how)
        return compute(self, *args, **keys)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(PackTrainer, "compute_loss", send)
        with pytest.raises(Interrupted, match="the checkpoint of step 7 of 12 is kept"):
            train(RECIPE, packed, out)
    assert "saving at the end of this step" in capfd.readouterr().err
    assert signal.getsignal(how) == before
    train(RECIPE, packed, out)
    assert json.loads((out / "training.json").read_text())["resumed_from_step"] == 7
    assert_same_model(out, whole)


def test_a_second_ctrl_c_stops_at_once(packed: Path, tmp_path: Path) -> None:
    compute = PackTrainer.compute_loss

    def send(self: PackTrainer, *args: Any, **keys: Any) -> Any:
        if self.state.global_step == 6:
            os.kill(os.getpid(), signal.SIGTERM)
            os.kill(os.getpid(), signal.SIGINT)
        return compute(self, *args, **keys)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(PackTrainer, "compute_loss", send)
        with pytest.raises(Interrupted, match="step 4 of 12 is kept"):
            train(RECIPE, packed, tmp_path / "m")


@pytest.fixture(scope="module")
def two_checkpoints(packed: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("two") / "m"
    interrupted(packed, out, 9)
    return out


def damage(checkpoint: Path, how: str) -> None:
    weights = checkpoint / "model.safetensors"
    if how == "a changed byte":
        content = bytearray(weights.read_bytes())
        content[-1] ^= 1
        weights.write_bytes(content)
    elif how == "a short file":
        with weights.open("r+b") as file:
            file.truncate(1000)
    elif how == "a missing file":
        (checkpoint / "optimizer.pt").unlink()
    else:
        (checkpoint / "l2t_state.json").write_text("{")


@pytest.mark.parametrize("how", ["a changed byte", "a short file", "a missing file", "a broken record"])
def test_a_damaged_checkpoint_is_named_and_the_one_before_is_used(
    packed: Path,
    whole: Path,
    two_checkpoints: Path,
    tmp_path: Path,
    how: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = Path(shutil.copytree(two_checkpoints, tmp_path / "m"))
    damage(out / "checkpoints" / "checkpoint-8", how)
    train(RECIPE, packed, out)
    said = " ".join(capsys.readouterr().err.split())
    assert "checkpoint-8: damaged (" in said
    assert "continuing from step 4" in said
    assert (out / "checkpoints" / "damaged-8").is_dir()
    assert_same_model(out, whole)


def test_a_run_whose_checkpoints_are_all_damaged_does_not_silently_start_over(
    packed: Path, unfinished: Path, tmp_path: Path
) -> None:
    out = Path(shutil.copytree(unfinished, tmp_path / "m"))
    damage(out / "checkpoints" / "checkpoint-4", "a changed byte")
    with pytest.raises(
        UserError, match=r"checkpoint-4: damaged \(model.safetensors: its SHA-256 .* no other is left"
    ):
        train(RECIPE, packed, out)
    assert (out / "checkpoints" / "checkpoint-4").is_dir()
    train(RECIPE, packed, out, fresh=True)


# ---- refusals


def refusal(recipe: Recipe, data: Path, out: Path, **keys: Any) -> str:
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    with pytest.raises(UsageError) as error:
        train(recipe, data, out, **keys)
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == before
    return str(error.value)


@pytest.fixture(scope="module")
def unfinished(packed: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("unfinished") / "m"
    interrupted(packed, out, 5)
    return out


def test_a_fresh_run_starts_over_and_keeps_what_was_there(
    packed: Path, whole: Path, unfinished: Path, tmp_path: Path
) -> None:
    out = Path(shutil.copytree(unfinished, tmp_path / "m"))
    train(RECIPE, packed, out, fresh=True)
    assert json.loads((out / "training.json").read_text())["resumed_from_step"] is None
    assert_same_model(out, whole)
    assert (tmp_path / "m.old-1" / "checkpoints" / "checkpoint-4").is_dir()
    assert not train(tiny_recipe(learning_rate=1e-4), packed, out, fresh=True).reused
    assert_same_model(tmp_path / "m.old-2", whole)
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "thesis.tex").write_text("x")
    assert "is not empty" in refusal(RECIPE, packed, tmp_path / "thesis", fresh=True)


def test_recipes_that_alternate_in_one_directory_keep_every_model(tmp_path: Path) -> None:
    out = tmp_path / "m"
    for number, recipe in enumerate("ABAB", start=1):
        out.mkdir()
        (out / "recipe").write_text(recipe)
        assert set_aside(out) == tmp_path / f"m.old-{number}"
    kept = sorted(tmp_path.iterdir())
    assert [(path / "recipe").read_text() for path in kept] == list("ABAB")


def test_two_processes_do_not_train_in_one_directory(packed: Path, unfinished: Path, tmp_path: Path) -> None:
    out = Path(shutil.copytree(unfinished, tmp_path / "m"))
    with (
        locked(out / "checkpoints" / "lock", "busy", ""),
        pytest.raises(UserError, match=r"another process trains in this directory \(process \d+\)"),
    ):
        train(RECIPE, packed, out)


def test_another_recipe_does_not_continue_it(packed: Path, unfinished: Path) -> None:
    message = refusal(tiny_recipe(learning_rate=1e-3, attention="example"), packed, unfinished)
    assert "train.attention was 'pack', now 'example'" in message
    assert "train.learning_rate was 0.003, now 0.001" in message


def test_another_dataset_does_not_continue_it(unfinished: Path, tmp_path: Path) -> None:
    other = write_packed(tmp_path, {"train": 24, "validation": 5}, seed=7)
    message = refusal(RECIPE, other, unfinished)
    assert "another dataset (fingerprint 000000000000, now 000000000000)" in message


def test_another_precision_does_not_continue_it(
    unfinished: Path, packed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("l2t_hub.train.model.resolve_precision", lambda _: "bf16")
    message = refusal(RECIPE, packed, unfinished)
    assert "was trained in fp32, but this run would use bf16" in message


def test_the_saving_interval_may_change(packed: Path, whole: Path, unfinished: Path, tmp_path: Path) -> None:
    out = Path(shutil.copytree(unfinished, tmp_path / "m"))
    train(tiny_recipe(save_steps=5, save_total_limit=None), packed, out)
    assert {p.name for p in (out / "checkpoints").glob("checkpoint-*")} == {
        f"checkpoint-{n}" for n in (4, 5, 10, 12)
    }
    assert_same_model(out, whole)


def test_memory_settings_may_change(packed: Path, whole: Path, unfinished: Path, tmp_path: Path) -> None:
    """They decide how a step is computed, not what it computes: the losses agree within rounding."""
    out = Path(shutil.copytree(unfinished, tmp_path / "m"))
    train(tiny_recipe(per_device_train_batch_size=1, gradient_checkpointing=True), packed, out)
    assert json.loads((out / "training.json").read_text())["batch"]["accumulation"] == 4
    for ours, theirs in zip(log_of(out), log_of(whole), strict=True):
        assert ours == pytest.approx(theirs, rel=1e-4)


def test_a_finished_model_of_another_recipe_is_never_overwritten(packed: Path, whole: Path) -> None:
    message = refusal(tiny_recipe(weight_decay=0.0), packed, whole)
    assert "holds a finished model that differs from this one: train.weight_decay was 0.1, now 0.0" in message
    assert "Add --fresh to start over" in message


def test_a_finished_model_without_its_weights_does_not_count_as_finished(
    packed: Path, whole: Path, tmp_path: Path
) -> None:
    out = Path(shutil.copytree(whole, tmp_path / "m"))
    (out / "model.safetensors").unlink()
    assert not finished(out, RECIPE, packed)
    assert "model.safetensors is missing" in refusal(RECIPE, packed, out)


def test_other_files_are_never_overwritten(packed: Path, tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("x")
    assert "is not empty" in refusal(RECIPE, packed, tmp_path)
    (tmp_path / "file").write_text("x")
    with pytest.raises(UsageError, match="this is a file"):
        train(RECIPE, packed, tmp_path / "file")


# ---- failures while it runs


def test_a_loss_that_is_not_finite_stops_the_run_and_keeps_the_checkpoints(
    packed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compute = PackTrainer.compute_loss

    def spoil(self: PackTrainer, *args: Any, **keys: Any) -> Any:
        loss = compute(self, *args, **keys)
        return loss * float("nan") if self.state.global_step == 7 else loss

    monkeypatch.setattr(PackTrainer, "compute_loss", spoil)
    # Step 8 saves before step 9 logs, so the weights are checked as well.
    for every, says in ((3, "at step 8 a weight is not finite"), (1, "at step 8 the loss is nan")):
        out = tmp_path / str(every)
        with pytest.raises(UserError, match=says) as error:
            train(tiny_recipe(logging_steps=every), packed, out)
        assert "train.learning_rate" in str(error.value)
        assert [p.name for p in (out / "checkpoints").glob("checkpoint-*")] == ["checkpoint-4"]
        assert not (out / "model.safetensors").exists()


@pytest.mark.parametrize(
    "failure",
    [
        OSError(errno.ENOSPC, "No space left on device"),
        Exception("No space left on device (os error 28)"),  # as tokenizers and safetensors report it
        RuntimeError(
            "[enforce fail at inline_container.cc:672] . PytorchStreamWriter failed writing file data/0"
        ),
    ],
)
def test_a_full_disk_stops_the_run_and_keeps_the_checkpoints(
    packed: Path, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failure: Exception
) -> None:
    out, save = tmp_path / "m", torch.save

    def full(content: Any, path: Any, *args: Any, **keys: Any) -> None:
        if "checkpoint-8" in str(path):
            Path(path).write_bytes(b"half")
            raise failure
        save(content, path, *args, **keys)

    with monkeypatch.context() as patch:
        patch.setattr(torch, "save", full)
        patch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10**9, 10**9, 0))  # type: ignore[attr-defined]
        with pytest.raises(UserError, match="the disk is full") as error:
            train(RECIPE, packed, out)
    assert "rerun the command to continue" in str(error.value)
    assert {p.name for p in (out / "checkpoints").iterdir() if p.name != "cache"} == {
        "run.json", "train_log.jsonl", "checkpoint-4"
    }  # fmt: skip
    train(RECIPE, packed, out)
    assert_same_model(out, whole)


def test_a_directory_without_write_permission(
    packed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(torch, "save", refuse)
    with pytest.raises(UserError, match=r"cannot be written: .*Permission denied"):
        train(RECIPE, packed, tmp_path / "m")


def test_an_error_of_the_program_is_not_reported_as_a_full_disk(
    packed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    interrupt_at(2, monkeypatch, RuntimeError)
    with pytest.raises(RuntimeError):
        train(RECIPE, packed, tmp_path / "m")


def test_an_out_of_memory_error_says_how_to_use_less(
    packed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    interrupt_at(2, monkeypatch, torch.OutOfMemoryError)
    with pytest.raises(UserError, match="not have enough memory for 4 sequences") as error:
        train(RECIPE, packed, tmp_path / "m")
    assert error.value.hint is not None
    assert "--set train.per_device_train_batch_size=2" in error.value.hint
    assert "--set train.gradient_checkpointing=true" in error.value.hint
    assert "continues from the last checkpoint" in error.value.hint
    smallest = tiny_recipe(per_device_train_batch_size=1, gradient_checkpointing=True)
    with pytest.raises(UserError, match="not have enough memory for 1 sequence") as error:
        train(smallest, packed, tmp_path / "smallest")
    assert "Use a GPU with more memory" in str(error.value)
