"""The records of a training run: what a finished model is, and what an unfinished run needs to continue."""

import math
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from l2t_hub.artifacts import TRAINING_RECORD
from l2t_hub.errors import UserError
from l2t_hub.records.bounds import (
    MAX_PARTITIONS,
    MAX_PREDICTION_HEADS,
    Batch,
    Commit,
    Count,
    FirstFormat,
    Loss,
    Name,
    Names,
    OneByOne,
    ReleaseName,
    RepoName,
    Rows,
    Seconds,
    SequenceLength,
    Sha256,
    Share,
    Steps,
    Text,
    Vocabulary,
)
from l2t_hub.records.dataset_manifest import LedgerRows
from l2t_hub.records.file_list import ExpectedFile
from l2t_hub.records.reading import FileRecord, Record
from l2t_hub.records.recipe_tree import RecipeTree
from l2t_hub.records.repo_path import ModelPath, RepoPath, same_name

Precision = Literal["fp32", "bf16", "mixed"]
_Sum = Annotated[float, Field(ge=-1e15, le=1e15)]


class RunRecord(FileRecord):
    """What decides a model, as `checkpoints/run.json` keeps it while the run is not finished."""

    FILE = "run.json"
    WHAT = "the record of a run"
    REMEDY = "Choose another --out."
    INDENT = 2

    fingerprint: Sha256
    dataset_fingerprint: Sha256
    recipe: RecipeTree
    format: FirstFormat = 1


class StreamUsed(Record):
    """What a run read straight from text: the source, how many of its partitions were read, and their ledger."""

    contents: Annotated[dict[Text, Name], OneByOne]
    partitions: Annotated[int, Field(ge=1, le=MAX_PARTITIONS)]
    read: Annotated[int, Field(ge=0, le=MAX_PARTITIONS)]
    ledger: LedgerRows


class DatasetUsed(Record):
    """The dataset of a run: what the user called it, and its repository and commit if it came from the Hub.

    A run straight from text has no dataset; then `name` is that of the recipe.
    """

    name: Text
    repository: RepoName | None
    revision: Commit | None
    streamed: StreamUsed | None = None


class BatchUsed(Record):
    """How an optimiser step was divided. `sequences` and `tokens_per_step` are what one step reads."""

    per_device: Batch
    devices: Batch
    accumulation: Batch
    sequence_length: SequenceLength
    steps: Steps
    sequences: Batch
    tokens_per_step: Count


class SequencesUsed(Record):
    """Packed sequences in each split, how many the run read, and how many epochs that is.

    A run straight from text knows its training split only if it read all of it.
    """

    train: Count | None
    validation: Count
    seen: Count
    epochs: Annotated[float, Field(ge=0, le=1e9)] | None


class Hardware(Record):
    """What the run ran on. `threads` are torch's."""

    machine: Name
    processor: Name
    cores: Annotated[int, Field(ge=1, le=1 << 16)] | None
    threads: Annotated[int, Field(ge=1, le=1 << 12)]
    gpus: Annotated[Rows[Name], Field(max_length=1 << 12)]


class HeldOutLoss(Record):
    """The loss on one part of the held-out text, in nats per token. `bytes` are those of the texts in UTF-8."""

    loss: Loss
    texts: Count
    tokens: Count
    bytes: Annotated[int, Field(ge=1, le=10**15)]
    sha256: Sha256

    @property
    def bits_per_byte(self) -> float:
        """The loss in a unit that does not depend on the tokenizer."""
        return self.loss * self.tokens / self.bytes / math.log(2)


HeldOutLosses = Annotated[dict[Name, HeldOutLoss], OneByOne, Field(max_length=1_000)]
"""Losses on held-out text: on raw text, and on the examples of each task."""


class PairsAccuracy(Record):
    """The share of minimal pairs of which a model finds the good sentence more probable."""

    suite: Name
    accuracy: Share
    pairs: Count
    sha256: Sha256


class TrainingRecord(FileRecord):
    """What a finished model is, `training.json`: enough to write its card, and to train its first steps again.

    Losses are in nats per token, None where none was measured; `tokens` counts positions, padding included. `mfu` is
    model FLOPs utilisation, None where the peak of the device is not known. `files` has the SHA-256 of every file
    that training wrote beside this record, without the card.
    """

    FILE = TRAINING_RECORD
    WHAT = "a training record"
    REMEDY = "Train the model again."
    INDENT = 2

    name: ReleaseName
    fingerprint: Sha256
    dataset_fingerprint: Sha256
    recipe: RecipeTree
    dataset: DatasetUsed
    parameters: Annotated[int, Field(ge=1, le=10**13)]
    vocab_size: Vocabulary
    precision: Precision
    optimizer: Name
    steps: Steps
    batch: BatchUsed
    tokens: Count
    predicted_tokens: Count
    sequences: SequencesUsed
    seconds: Seconds
    tokens_per_second: Annotated[float, Field(ge=0, le=1e15)]
    mfu: Annotated[float, Field(ge=0, le=1e3)] | None = None
    resumed_from_step: Steps | None
    loss: Loss | None
    initial_eval_loss: Loss | None
    eval_loss: Loss | None
    best_eval_loss: Loss | None
    held_out: HeldOutLosses | None = None
    pairs: PairsAccuracy | None = None
    finished: Name
    hardware: Hardware
    versions: Names
    auto_tokenizer: bool
    files: Annotated[dict[ModelPath, Sha256], OneByOne, Field(max_length=1_000)]
    format: FirstFormat = 1

    @model_validator(mode="after")
    def _no_name_twice(self) -> Self:
        both = same_name(self.files)
        if both:
            raise ValueError(f"files: {both[0]} and {both[1]} are the same file")
        return self

    def expected(self) -> dict[str, ExpectedFile]:
        """Return what the record says of each file, by path."""
        return {path: ExpectedFile(digest) for path, digest in self.files.items()}


class LogEntry(Record):
    """A line of the training log: losses in nats per token, positions seen, and seconds in optimiser steps.

    `tokens_per_second` and `mfu`, model FLOPs utilisation, are of the steps since the last line with a loss.
    `head_losses` are those of the heads of multi-token prediction, None for a head that was not active; `loss` is
    that of the first.
    """

    step: Steps
    loss: Loss | None = None
    learning_rate: Annotated[float, Field(ge=0, le=1e6)] | None = None
    grad_norm: Annotated[float, Field(ge=0, le=1e30)] | None = None
    eval_loss: Loss | None = None
    held_out: HeldOutLosses | None = None
    pairs: PairsAccuracy | None = None
    head_losses: Annotated[list[Loss | None], Field(max_length=MAX_PREDICTION_HEADS)] | None = None
    active_heads: Annotated[int, Field(ge=1, le=MAX_PREDICTION_HEADS)] | None = None
    tokens: Count
    tokens_per_second: Annotated[float, Field(ge=0, le=1e15)] | None = None
    mfu: Annotated[float, Field(ge=0, le=1e3)] | None = None
    seconds: Seconds


class CheckpointState(FileRecord):
    """What transformers does not save in a checkpoint, `l2t_state.json`: losses since the last log entry, and counts.

    `unlogged_heads` has the same of each head of multi-token prediction, and the steps that it was trained in.
    `window` is the time in seconds and the tokens at the last entry of the log. `files` has the SHA-256 of the other
    files of the checkpoint.
    """

    FILE = "l2t_state.json"
    WHAT = "the state of a checkpoint"
    REMEDY = "Delete this checkpoint: the run continues from the one before."

    unlogged_loss: _Sum
    unlogged_heads: Annotated[
        list[Annotated[tuple[_Sum, _Sum], Field(strict=False)]], Field(max_length=MAX_PREDICTION_HEADS)
    ] = Field(default=[])
    logged_step: Steps
    seconds: Seconds
    window: Annotated[tuple[Seconds, Count], Field(strict=False)]
    predicted_tokens: Count
    precision: Precision
    files: Annotated[dict[RepoPath, Sha256], OneByOne, Field(min_length=1, max_length=1 << 17)]
    format: FirstFormat = 1


def read_training_record(directory: Path) -> TrainingRecord:
    """Read a model directory's training record. Raises UserError if there is none or it is malformed."""
    record = TrainingRecord.find(directory)
    if record is None:
        raise UserError(
            f"{directory}: not a finished model: {TRAINING_RECORD} is missing",
            "Train the model with `l2t train`; the same command continues an interrupted run.",
        )
    return record
