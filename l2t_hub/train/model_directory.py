"""The directory of a finished model: weights, configuration, tokenizer, log, plot and training record."""

import importlib.metadata
import platform
import shutil
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from l2t_hub import __version__
from l2t_hub.artifacts import CARD, CHECKPOINTS, TRAINING_LOG, sha256_of
from l2t_hub.extras import installed
from l2t_hub.records.training_record import (
    BatchUsed,
    Precision,
    SequencesUsed,
    TrainingRecord,
)
from l2t_hub.tokens.load import auto_tokenizer_agrees
from l2t_hub.train.batch_layout import BatchLayout
from l2t_hub.train.checkpoints import PARTIAL
from l2t_hub.train.hardware import hardware
from l2t_hub.train.heads_file import save_with_heads
from l2t_hub.train.locate import TrainingText
from l2t_hub.train.loss_plot import PLOT, plot_losses
from l2t_hub.train.prediction_heads import heads_of
from l2t_hub.train.run_directory import CACHE, RunIdentity
from l2t_hub.train.training_log import Record, TrainingLog, read_log

LIBRARIES = ("torch", "transformers", "trl", "accelerate", "datasets", "tokenizers", "numpy")


@dataclass(frozen=True)
class RunSummary:
    """What a run did: its batches, the rows of the dataset, and what was counted and measured."""

    batches: BatchLayout
    rows: int | None
    """Sequences in the training split, None if it was not read to its end."""
    validation_rows: int
    predicted_tokens: int
    """Tokens that counted in the loss, over all steps."""
    seconds: float
    """Time in optimiser steps, over all resumed runs."""
    mfu: float | None
    """Model FLOPs utilisation over this time, None where the peak of the device is not known."""
    precision: Precision
    optimizer: str
    resumed_from: int | None
    """Step of the checkpoint that the last process started from, None if it started at step 0."""


def write_model_directory(
    model: Any,
    weights: dict[str, Any] | None,
    out: Path,
    dataset: TrainingText,
    identity: RunIdentity,
    summary: RunSummary,
    training_log: TrainingLog,
) -> None:
    """Write the final files of a run into `out`.

    They are completed in a staging directory and then moved, `training.json` last: a directory that has it is
    complete. `weights` are those of a model whose own are sharded, else None. Without the extra `plots` there is no
    `loss.png`, and a message says so.
    """
    staging = out / PARTIAL
    shutil.rmtree(staging, ignore_errors=True)
    staging.mkdir(parents=True)
    save_with_heads(model, staging, weights)
    for file in dataset.tokenizer_files():
        if file.name != CARD:
            shutil.copyfile(file, staging / file.name)
    shutil.copyfile(out / CHECKPOINTS / TRAINING_LOG, staging / TRAINING_LOG)
    log = read_log(staging / TRAINING_LOG)
    if installed("plots"):
        plot_losses(log, identity.recipe.name, staging / PLOT)
    else:
        training_log.show(
            f"No {PLOT}: matplotlib is not installed. Install it with: pip install 'l2t_hub[plots]'"
        )
    written = sorted(staging.iterdir())
    files = {file.name: sha256_of(file) for file in written if file.name != CARD}
    record = _record(model, log, dataset, identity, summary, auto_tokenizer_agrees(staging), files)
    for file in written:
        file.replace(out / file.name)
    record.write(out)
    (out / CHECKPOINTS / TRAINING_LOG).unlink()
    for leftover in (staging, out / CHECKPOINTS / PARTIAL, out / CHECKPOINTS / CACHE):
        shutil.rmtree(leftover, ignore_errors=True)


def _record(
    model: Any,
    log: list[Record],
    dataset: TrainingText,
    identity: RunIdentity,
    summary: RunSummary,
    auto_tokenizer: bool,
    files: dict[str, str],
) -> TrainingRecord:
    """Return the training record: what identifies the model and what its card shows."""
    batches = summary.batches
    losses = [entry["loss"] for entry in log if "loss" in entry]
    eval_losses = [entry["eval_loss"] for entry in log if "eval_loss" in entry]
    tokens = batches.rows * batches.sequence_length
    return TrainingRecord(
        name=identity.recipe.name,
        fingerprint=identity.fingerprint,
        dataset_fingerprint=identity.dataset,
        recipe=identity.recipe.resolved(),
        dataset=dataset.used(),
        parameters=model.num_parameters() - _parameters_of_heads(model),
        vocab_size=model.config.vocab_size,
        precision=summary.precision,
        optimizer=summary.optimizer,
        steps=batches.steps,
        batch=BatchUsed(
            **asdict(batches), sequences=batches.sequences, tokens_per_step=batches.tokens_per_step
        ),
        tokens=tokens,
        predicted_tokens=summary.predicted_tokens,
        sequences=SequencesUsed(
            train=summary.rows,
            validation=summary.validation_rows,
            seen=batches.rows,
            epochs=round(batches.rows / summary.rows, 4) if summary.rows else None,
        ),
        seconds=round(summary.seconds, 2),
        tokens_per_second=round(tokens / max(summary.seconds, 1e-9), 1),
        mfu=None if summary.mfu is None else round(summary.mfu, 4),
        resumed_from_step=summary.resumed_from,
        loss=losses[-1] if losses else None,
        initial_eval_loss=eval_losses[0] if eval_losses else None,
        eval_loss=eval_losses[-1] if eval_losses else None,
        best_eval_loss=min(eval_losses, default=None),
        held_out=_last(log, "held_out"),
        pairs=_last(log, "pairs"),
        finished=datetime.now(UTC).isoformat(timespec="seconds"),
        hardware=hardware(),
        versions={
            "l2t_hub": __version__,
            "python": platform.python_version(),
            **{name: importlib.metadata.version(name) for name in LIBRARIES},
        },
        auto_tokenizer=auto_tokenizer,
        files=files,
        format=1,
    )


def _last(log: list[Record], key: str) -> Any:
    """Return the last value of a key of the log, None if no record has it."""
    return next((entry[key] for entry in reversed(log) if key in entry), None)


def _parameters_of_heads(model: Any) -> int:
    """Return the number of weights of further heads, which are no part of the ordinary model."""
    heads = heads_of(model)
    return sum(parameter.numel() for parameter in heads.parameters()) if heads is not None else 0
