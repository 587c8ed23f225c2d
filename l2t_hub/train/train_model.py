"""Trains a recipe's model on a dataset, or reuses the finished model of the same recipe and dataset."""

import os
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from l2t_hub.artifacts import CHECKPOINTS, TRAINING_LOG
from l2t_hub.console import command, same_command
from l2t_hub.errors import UsageError
from l2t_hub.interruption import interruptible, is_main_process
from l2t_hub.recipe import Recipe
from l2t_hub.records.training_record import TrainingRecord
from l2t_hub.text import counted
from l2t_hub.train import run_directory
from l2t_hub.train.agreement import agreed
from l2t_hub.train.architecture import architecture
from l2t_hub.train.checkpoints import PARTIAL, CheckpointSaved, complete_checkpoints, step_of
from l2t_hub.train.curriculum import describe_objective
from l2t_hub.train.locate import DatasetLocation, TrainingText, locate
from l2t_hub.train.measurement import Measurement
from l2t_hub.train.run_directory import CACHE, RunIdentity
from l2t_hub.train.training_log import TrainingLog, quiet_libraries

if TYPE_CHECKING:
    from l2t_hub.train.batch_layout import BatchLayout
    from l2t_hub.train.model import Precision
    from l2t_hub.train.packed_data import PackedData
    from l2t_hub.train.trainer import PackTrainer


WORDS = {"fp32": "fp32", "bf16": "bf16", "mixed": "mixed precision (fp32 weights, bf16 arithmetic)"}


@dataclass(frozen=True)
class TrainResult:
    """A finished model in the directory `out`. Losses are in nats per token, None if they were not measured."""

    out: Path
    reused: bool
    parameters: int
    steps: int
    tokens: int
    epochs: float | None
    seconds: float
    loss: float | None
    initial_eval_loss: float | None
    eval_loss: float | None

    def as_dict(self) -> dict[str, Any]:
        """Return the result as JSON types."""
        return asdict(self) | {"out": str(self.out)}

    def summary(self) -> str:
        """Return the result as one or two lines of text."""
        how = "already finished, reused" if self.reused else f"trained in {self.seconds:,.0f} s"
        text = f"{self.out}: {how}: {self.parameters:,} parameters, {counted(self.steps, 'step')}, "
        text += f"{self.tokens:,} tokens"
        if self.epochs is not None:
            text += f" ({self.epochs:.2f} epochs)"
        if self.loss is not None:
            text += f"\ntraining loss {self.loss:.4f}"
        if self.eval_loss is not None:
            text += f", validation loss {self.initial_eval_loss:.4f} -> {self.eval_loss:.4f}"
        return text


def train(
    recipe: Recipe,
    data: DatasetLocation | Path | str | None,
    out: Path | str,
    *,
    fresh: bool = False,
    follow_data: bool = False,
    measurements: tuple[Measurement, ...] = (),
    saved: CheckpointSaved | None = None,
    tracking: bool = False,
) -> TrainResult:
    """Train the recipe's model on the packed view of a dataset directory or Hub dataset, into `out`.

    Without `data`, the recipe must have `data.mode: stream`, and its text is made into sequences during training.

    If `out` holds the finished model of this recipe and dataset, it is returned without training. An unfinished run
    of them continues from its newest intact checkpoint with the exact next batch. With `fresh`, training starts over,
    and what `out` holds is kept under another name. Nothing is ever overwritten.

    Ctrl-C, SIGTERM and SIGUSR1 save a checkpoint at the end of the step; a second Ctrl-C stops at once.

    The recipe must be the one the dataset was built from; with `follow_data`, the dataset's keys take the place of
    the recipe's. `measurements` are taken while it trains, and change nothing in the model. `saved` is called in the
    first process with each complete checkpoint, also with those that a resumed or finished run has kept. With
    `tracking`, the run is sent to Trackio if the recipe says so: never that of a stranger's record.

    Raises UsageError if the recipe, the arguments or the content of `out` do not fit; UserError if the data are
    broken, the disk is full or training diverges; Interrupted, which names the checkpoint, after a signal.
    """
    out = Path(out)
    if data is None:
        return _train_from_text(recipe, out, fresh, measurements, tracking)
    dataset = data if isinstance(data, DatasetLocation) else locate(data)
    recipe = agreed(recipe, dataset, follow_data=follow_data)
    if not fresh and finished(out, recipe, dataset):
        _show_kept(out, dataset, saved)
        return _result(out, reused=True)
    with interruptible(partial(_say_what_is_kept, recipe, dataset, out)):
        _train(recipe, dataset, out, fresh, measurements, saved, tracking)
    return _result(out, reused=False)


def check_start(
    recipe: Recipe, data: Path | str, out: Path | str, processes: int, *, follow_data: bool = False
) -> bool:
    """Check all that `train` checks before it starts, for a run that starts elsewhere, with so many processes.

    Returns whether there is something to train: False if `out` holds the finished model. Raises as `train`.
    """
    from l2t_hub.train.batch_layout import divide_batch
    from l2t_hub.train.packed_data import check_packed

    out, dataset = Path(out), locate(data)
    recipe = agreed(recipe, dataset, follow_data=follow_data)
    if finished(out, recipe, dataset):
        return False
    divide_batch(recipe, processes)
    architecture(recipe)
    check_packed(dataset, recipe)
    run_directory.claim(out, RunIdentity(recipe, dataset.fingerprint), False)
    return True


def _train_from_text(
    recipe: Recipe, out: Path, fresh: bool, measurements: tuple[Measurement, ...], tracking: bool
) -> TrainResult:
    if recipe.data.mode != "stream":
        raise UsageError(
            f"{recipe.where('data.mode')} is built, so training needs a dataset",
            "Name it with --data. To train straight from text: `--set data.mode=stream "
            "--set train.shuffle=partitions`.",
        )
    from l2t_hub.train.batch_layout import count_devices, divide_batch
    from l2t_hub.train.stream_location import open_stream

    quiet_libraries()
    batches = divide_batch(recipe, count_devices())
    architecture(recipe)
    run_directory.claim_early(out, recipe, fresh)
    with (
        interruptible(partial(_say_what_is_kept, recipe, None, out)),
        open_stream(recipe, out, batches) as text,
    ):
        if not fresh and run_directory.finished(out, recipe, text):
            return _result(out, reused=True)
        _train(recipe, text, out, fresh, measurements, tracking=tracking)
    return _result(out, reused=False)


def finished(out: Path | str, recipe: Recipe, data: DatasetLocation | Path | str) -> bool:
    """Whether `out` holds the finished model of exactly this recipe and dataset.

    Raises UserError if there is no such dataset.
    """
    dataset = data if isinstance(data, DatasetLocation) else locate(data)
    return run_directory.finished(Path(out), recipe, dataset)


def _result(out: Path, reused: bool) -> TrainResult:
    record = TrainingRecord.read(out)
    keys = {"parameters", "steps", "tokens", "seconds", "loss", "initial_eval_loss", "eval_loss"}
    return TrainResult(out, reused, epochs=record.sequences.epochs, **record.model_dump(include=keys))


def _show_kept(out: Path, dataset: DatasetLocation, saved: CheckpointSaved | None) -> None:
    if saved is not None and is_main_process():
        for checkpoint in reversed(complete_checkpoints(out)):
            saved(checkpoint, dataset)


def _train(
    recipe: Recipe,
    text: TrainingText,
    out: Path,
    fresh: bool,
    measurements: tuple[Measurement, ...],
    saved: CheckpointSaved | None = None,
    tracking: bool = False,
) -> None:
    # Everything is checked before the output directory is touched and the weights are drawn.
    from l2t_hub.train.batch_layout import count_devices, divide_batch, wait_for_all
    from l2t_hub.train.kernels import check_kernels
    from l2t_hub.train.model import resolve_precision

    quiet_libraries()
    batches = divide_batch(recipe, count_devices())
    architecture(recipe)
    packed = _data(text, recipe, batches)
    identity = RunIdentity(recipe, text.fingerprint)
    found = run_directory.claim(out, identity, fresh)
    precision = resolve_precision(recipe)
    run_directory.check_precision(found.newest, precision)
    check_kernels(recipe, precision)
    from l2t_hub.train.model_directory import write_model_directory
    from l2t_hub.train.tracking import tracked
    from l2t_hub.train.training_errors import checkpoint_errors, out_of_memory_errors
    from l2t_hub.train.watcher import Watcher

    log_path = out / CHECKPOINTS / TRAINING_LOG if is_main_process() else None
    wait_for_all(batches)  # nothing is changed before every process has looked
    with (
        TrainingLog(log_path, batches.steps, recipe.name) as training_log,
        run_directory.prepared(out, identity, found, fresh, training_log.show),
        tracked(recipe, training_log) if tracking else nullcontext(),
        checkpoint_errors(out / CHECKPOINTS / PARTIAL),
    ):
        wait_for_all(batches)
        training_log.truncate_after(step_of(found.newest) if found.newest else -1)
        trainer = _trainer(recipe, packed, batches, precision, out, training_log, found.newest)
        trainer.add_callback(Watcher(trainer, measurements))
        if saved and isinstance(text, DatasetLocation):
            trainer.checkpoint_saved = lambda checkpoint: saved(checkpoint, text)
            _show_kept(out, text, saved)
        if found.newest:
            training_log.show(f"continuing from step {step_of(found.newest):,}")
        with out_of_memory_errors(recipe):
            trainer.run()
        weights = trainer.whole_weights()
        if is_main_process():
            summary = trainer.summary()
            write_model_directory(trainer.model, weights, out, text, identity, summary, training_log)
        trainer.accelerator.wait_for_everyone()


def _data(text: TrainingText, recipe: Recipe, batches: "BatchLayout") -> "PackedData":
    """Check what a model is to be trained on, and return it."""
    if isinstance(text, DatasetLocation):
        from l2t_hub.train.packed_data import check_packed

        return check_packed(text, recipe)
    from l2t_hub.train.stream_location import StreamLocation
    from l2t_hub.train.streamed_rows import streamed_data

    assert isinstance(text, StreamLocation)
    return streamed_data(text, recipe, batches)


def _trainer(
    recipe: Recipe,
    packed: "PackedData",
    batches: "BatchLayout",
    precision: "Precision",
    out: Path,
    training_log: TrainingLog,
    checkpoint: Path | None,
) -> "PackTrainer":
    """Open the data, initialise the model, and show what is about to be trained."""
    from l2t_hub.train.hardware import device_name
    from l2t_hub.train.model import model_config, new_model
    from l2t_hub.train.prediction_heads import add_prediction_heads
    from l2t_hub.train.trainer import PackTrainer

    cache = out / CHECKPOINTS / CACHE
    rows, validation = packed.open("train", cache), packed.open("validation", cache)
    parameters = architecture(recipe).parameters(packed.vocab_size)
    training_log.show(
        f"{recipe.name}: {parameters:,} parameters in {WORDS[precision]} on {device_name()}, from {packed.name}"
    )
    training_log.show(batches.describe(packed.rows.get("train")))
    if validation is None:
        training_log.show("no validation split: validation loss is not measured")
    special_ids = packed.tokenizer.bos_token_id, packed.tokenizer.eos_token_id, packed.pad_token_id
    model = new_model(model_config(recipe, packed.vocab_size, *special_ids), recipe.seed, precision)
    order = packed.order(recipe, batches.rows)
    heads = add_prediction_heads(model, recipe)
    if recipe.objective.kind != "next_token":
        extra = sum(parameter.numel() for parameter in heads.parameters()) if heads else 0
        training_log.show(f"objective: {describe_objective(recipe)}; {extra:,} parameters beside the model's")
    return PackTrainer(
        recipe,
        model,
        rows,
        order,
        validation,
        packed.tokenizer,
        batches,
        precision,
        out,
        training_log,
        checkpoint,
    )


def _say_what_is_kept(recipe: Recipe, dataset: DatasetLocation | None, out: Path) -> tuple[str, str]:
    """Say of a stopped run which checkpoint is kept, and which command continues it."""
    newest = next(iter(complete_checkpoints(out)), None)
    steps = recipe.train.stop_after_steps or recipe.train.max_steps
    if newest is None:
        return f"{out}: there is no checkpoint yet", f"To start again: {_same_command(recipe, dataset, out)}"
    kept = f"{out}: the checkpoint of step {step_of(newest):,} of {steps:,} is kept"
    return kept, f"To continue: {_same_command(recipe, dataset, out)}"


def _same_command(recipe: Recipe, dataset: DatasetLocation | None, out: Path) -> str:
    """Return the command that was typed without --fresh, or an equivalent one for a call from Python."""
    if "WORLD_SIZE" in os.environ:
        return "launch the same command on as many processes"
    data = ["--data", dataset.name] if dataset is not None else []
    equivalent = command("train", recipe.name, *data, "--out", str(out))
    return same_command(without="--fresh") or equivalent
