"""`train`: from a recipe and a dataset to a finished model directory, once; again it reuses what is there."""

import json
import shlex
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from l2t_hub.artifacts import CHECKPOINTS, TRAINING_LOG, TRAINING_RECORD
from l2t_hub.errors import UserError
from l2t_hub.recipe import Recipe
from l2t_hub.train import run_directory
from l2t_hub.train.locate import DatasetLocation, locate
from l2t_hub.train.run_directory import CACHE, RunIdentity
from l2t_hub.train.training_log import TrainingLog, quiet_libraries


@dataclass(frozen=True)
class TrainResult:
    """A finished model: where it is, what it cost, how it ended. Losses are nats per token, None if not measured."""

    out: Path
    reused: bool
    parameters: int
    steps: int
    tokens: int
    epochs: float
    seconds: float
    loss: float | None
    initial_eval_loss: float | None
    eval_loss: float | None

    def as_dict(self) -> dict[str, Any]:
        """Give the result for a program to read."""
        return asdict(self) | {"out": str(self.out)}

    def summary(self) -> str:
        """Say the result in a line or two."""
        what = "already finished, reused" if self.reused else f"trained in {self.seconds:,.0f} s"
        text = f"{self.out}: {what}: {self.parameters:,} parameters, {self.steps:,} steps, {self.tokens:,} tokens"
        text += f" ({self.epochs:.2f} epochs)"
        if self.loss is not None:
            text += f"\ntraining loss {self.loss:.4f}"
        if self.eval_loss is not None:
            text += f", validation loss {self.initial_eval_loss:.4f} -> {self.eval_loss:.4f}"
        return text


def train(recipe: Recipe, data: Path | str, out: Path | str, *, resume: bool = False) -> TrainResult:
    """Train the recipe's model on the packed view of a dataset directory or Hub dataset, into `out`.

    A finished model of the same recipe and dataset is reused at once; an unfinished run goes on, with `resume`,
    from its newest complete checkpoint on the exact next batch. Anything else in `out` is never overwritten.
    Raises UsageError for a recipe or arguments that do not fit, UserError for data, disk, divergence or Ctrl-C.
    """
    out = Path(out)
    dataset = locate(data)
    if finished(out, recipe, dataset):
        return read_result(out, reused=True)
    try:
        _train(recipe, dataset, out, resume)
    except KeyboardInterrupt:
        newest = run_directory.newest_checkpoint(out)
        kept = (
            f"the checkpoint of step {run_directory.step_of(newest)} is kept"
            if newest
            else "there is no checkpoint yet"
        )
        raise UserError(
            f"{out}: training interrupted; {kept}", f"Go on with: {_resume_command(recipe, dataset, out)}"
        ) from None
    return read_result(out, reused=False)


def finished(out: Path | str, recipe: Recipe, data: DatasetLocation | Path | str) -> bool:
    """Say whether `out` holds the finished model of exactly this recipe and dataset."""
    return run_directory.finished(
        Path(out), recipe, data if isinstance(data, DatasetLocation) else locate(data)
    )


def read_result(out: Path, reused: bool) -> TrainResult:
    """Give the result of a finished run from its record."""
    record = json.loads((out / TRAINING_RECORD).read_text(encoding="utf-8"))
    keys = ("parameters", "steps", "tokens", "seconds", "loss", "initial_eval_loss", "eval_loss")
    return TrainResult(
        out, reused, epochs=record["sequences"]["epochs"], **{key: record[key] for key in keys}
    )


def _train(recipe: Recipe, dataset: DatasetLocation, out: Path, resume: bool) -> None:
    # Everything that can be wrong is found before the output directory is touched and a weight is drawn.
    from l2t_hub.train.batch_layout import count_devices, divide_batch
    from l2t_hub.train.model import count_parameters, model_config, new_model, resolve_precision
    from l2t_hub.train.packed_data import check_packed

    quiet_libraries()
    batches = divide_batch(recipe, count_devices())
    packed = check_packed(dataset, recipe)
    tokenizer = packed.tokenizer
    config = model_config(
        recipe, packed.vocab_size, tokenizer.bos_token_id, tokenizer.eos_token_id, packed.pad_token_id
    )
    identity = RunIdentity(recipe, dataset.fingerprint)
    checkpoint = run_directory.claim(out, identity, resume)
    precision = resolve_precision(recipe)
    run_directory.check_precision(checkpoint, precision)
    from l2t_hub.train.model_directory import RunSummary, device_name, finish
    from l2t_hub.train.trainer import PackTrainer
    from l2t_hub.train.training_errors import disk_errors, out_of_memory

    log = out / CHECKPOINTS / TRAINING_LOG if run_directory.is_main_process() else None
    with (
        TrainingLog(log, batches.steps, recipe.name) as journal,
        disk_errors(out / CHECKPOINTS / run_directory.PARTIAL),
    ):
        cache = out / CHECKPOINTS / CACHE
        rows, validation = packed.open("train", cache), packed.open("validation", cache)
        journal.keep_until(run_directory.step_of(checkpoint) if checkpoint else -1)
        journal.say(
            f"{recipe.name}: {count_parameters(config):,} parameters in {precision} on {device_name()}, "
            f"from {dataset.name}"
        )
        journal.say(batches.describe(packed.rows["train"]))
        if validation is None:
            journal.say("no validation split: no validation loss will be measured")
        if resume:
            journal.say(
                f"going on from step {run_directory.step_of(checkpoint)}"
                if checkpoint
                else "no checkpoint: from the start"
            )
        model = new_model(config, recipe.seed, precision)
        trainer = PackTrainer(
            recipe, model, rows, validation, tokenizer, batches, out, journal, resumed=checkpoint is not None
        )
        with out_of_memory(recipe):
            trainer.run(checkpoint)
        facts = RunSummary(
            batches=batches,
            rows=packed.rows["train"],
            validation_rows=packed.rows["validation"],
            predicted_tokens=int(trainer.predicted),
            seconds=trainer.clock.read(),
            precision=precision,
            optimizer=trainer.args.optim,
            resumed_from=run_directory.step_of(checkpoint) if checkpoint else None,
        )
        if run_directory.is_main_process():
            finish(trainer.model, out, dataset, identity, facts)
        trainer.accelerator.wait_for_everyone()


def _resume_command(recipe: Recipe, dataset: DatasetLocation, out: Path) -> str:
    """The command that was typed, with --resume; called from Python, one that would do the same."""
    if Path(sys.argv[0]).name == "l2t":
        typed = ["l2t", *sys.argv[1:]]
        return shlex.join(typed if sys.argv[1:2] == ["run"] or "--resume" in typed else [*typed, "--resume"])
    return (
        f"l2t train {recipe.name} --data {shlex.quote(dataset.name)} --out {shlex.quote(str(out))} --resume"
    )
