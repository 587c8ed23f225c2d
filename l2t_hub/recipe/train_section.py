"""The section `train` of a recipe: the steps, the optimizer and its schedule, and how a machine computes them."""

from typing import Literal, Self

from pydantic import Field, model_validator

from l2t_hub.recipe.section import DoesNotApplyError, Section
from l2t_hub.records import bounds
from l2t_hub.text import counted


class TrainSection(Section):
    """The training run. Keys have the names that transformers' TrainingArguments use, where it has them."""

    max_steps: int = Field(default=200_000, ge=1, le=bounds.MAX_STEPS)
    """Number of optimiser steps in the learning rate schedule."""
    stop_after_steps: int | None = Field(default=None, ge=1, le=bounds.MAX_STEPS)
    """Stop after this many steps of the schedule, as the paper's single-task models do; null trains to the end."""
    batch_size: int = Field(default=256, ge=1, le=bounds.MAX_BATCH)
    """Sequences per optimiser step, over all devices and accumulation steps."""
    per_device_train_batch_size: int = Field(default=8, ge=1, le=bounds.MAX_BATCH)
    """Sequences per device and forward pass; gradients are accumulated up to `batch_size`."""
    learning_rate: float = Field(default=3e-4, gt=0, le=100)
    """Peak learning rate."""
    lr_scheduler_type: Literal["cosine", "linear", "constant", "warmup_stable_decay"] = "cosine"
    """Schedule after the warm-up; cosine and linear end at 0. warmup_stable_decay is constant and falls to 0 at the
    end."""
    decay_share: float = Field(default=0.2, gt=0, le=1)
    """Share of `max_steps` in which warmup_stable_decay falls."""
    decay_type: Literal["1-sqrt", "linear", "cosine"] = "1-sqrt"
    """Shape of that fall."""
    warmup_steps: int = Field(default=2000, ge=0, le=bounds.MAX_STEPS)
    """Number of steps of linear warm-up."""
    weight_decay: float = Field(default=0.1, ge=0, le=100)
    """Weight decay of AdamW."""
    adam_beta1: float = Field(default=0.9, ge=0, lt=1)
    """Decay rate of AdamW's first moment."""
    adam_beta2: float = Field(default=0.999, ge=0, lt=1)
    """Decay rate of AdamW's second moment."""
    max_grad_norm: float = Field(default=1.0, gt=0, le=1e9)
    """Norm to which gradients are clipped."""
    precision: Literal["auto", "mixed", "bf16", "fp32"] = "auto"
    """fp32; bf16, with fp32 moments (the paper); mixed: fp32 weights, bf16 arithmetic; auto: mixed on a GPU."""
    parallelism: Literal["ddp", "fsdp"] = "ddp"
    """On several processes, each has the whole model (ddp), or a share of weights, gradients and moments (FSDP2)."""
    gradient_checkpointing: bool = False
    """Recompute activations in the backward pass to save memory."""
    torch_compile: bool = False
    """Compile the model's layers with torch.compile. The first step then takes longer."""
    attn_implementation: Literal["sdpa", "eager", "flex_attention", "flash_attention_2"] = "sdpa"
    """Implementation of attention in transformers; they differ by rounding."""
    loss_on_padding: bool = False
    """Include padding in the loss, as the paper did; otherwise padding is ignored (label -100)."""
    attention: Literal["pack", "example"] = "pack"
    """What a token attends to: its whole sequence (the paper), or only its own example (positions restart at 0)."""
    shuffle: Literal["rows", "partitions"] = "rows"
    """Order of an epoch: all rows shuffled together (rows), or one partition after another, in shuffled order, each
    with its rows shuffled (partitions)."""
    logging_steps: int = Field(default=100, ge=1, le=bounds.MAX_STEPS)
    """Steps between two records of the training loss."""
    eval_steps: int = Field(default=1000, ge=1, le=bounds.MAX_STEPS)
    """Steps between two evaluations of the validation loss."""
    save_steps: int = Field(default=5000, ge=1, le=bounds.MAX_STEPS)
    """Steps between two checkpoints."""
    save_total_limit: int | None = Field(default=2, ge=1, le=bounds.MAX_STEPS)
    """Number of checkpoints to keep, newest first; null keeps all."""
    stop_on_spike: float | None = Field(default=2.0, gt=1, le=1e6)
    """Stop if the training loss is above this many times the median of the 20 records before, for 3 records in a row;
    null never does."""
    trackio: str | None = Field(default=None, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,95}$")
    """Trackio project that records the run, on this machine (`trackio show`); null records none."""
    trackio_space: str | None = Field(
        default=None, pattern=r"^[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}$"
    )
    """Hub Space, as `namespace/name`, in which Trackio records instead. It is made if there is none."""

    @model_validator(mode="after")
    def _space_needs_a_project(self) -> Self:
        if self.trackio_space is not None and self.trackio is None:
            raise ValueError("`train.trackio_space` requires `train.trackio`, the name of the project")
        return self

    @property
    def decay_steps(self) -> int:
        """Steps of the fall of schedule warmup_stable_decay, 0 in the other schedules."""
        if self.lr_scheduler_type != "warmup_stable_decay":
            return 0
        return max(1, round(self.decay_share * self.max_steps))

    @model_validator(mode="after")
    def _decay_fits_schedule(self) -> Self:
        for key in ("decay_share", "decay_type"):
            if key in self.model_fields_set and self.lr_scheduler_type != "warmup_stable_decay":
                raise DoesNotApplyError(
                    f"`train.{key}` applies only to schedule warmup_stable_decay, not to {self.lr_scheduler_type}",
                    (f"train.{key}", "train.lr_scheduler_type"),
                )
        if self.decay_steps and self.warmup_steps + self.decay_steps > self.max_steps:
            raise ValueError(
                f"`train.warmup_steps` ({self.warmup_steps}) and `train.decay_share` "
                f"({counted(self.decay_steps, 'step')}) must not exceed `train.max_steps` ({self.max_steps})"
            )
        return self

    @model_validator(mode="after")
    def _steps_are_consistent(self) -> Self:
        if self.warmup_steps >= self.max_steps:
            raise ValueError(
                f"`train.warmup_steps` ({self.warmup_steps}) must be less than `train.max_steps` ({self.max_steps})"
            )
        if self.stop_after_steps is not None and self.stop_after_steps > self.max_steps:
            raise ValueError(
                f"`train.stop_after_steps` ({self.stop_after_steps}) must not exceed "
                f"`train.max_steps` ({self.max_steps})"
            )
        return self
